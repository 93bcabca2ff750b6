"""A process that loads what waits, as a run of the DAG does, and kills itself at a given moment if it is told to.

A moment is the n-th time that it talks to the database or to S3, before anything is sent or when the server is at it:
as exact as a moment can be, and there are moments within a COPY, under a commit and between the two halves of a move.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psycopg

from marketplace.ingest import held, ledger, objects
from tests.ingest import landing


class Moments:
    """Counts the moments, and kills this process when there were enough."""

    def __init__(self, kill_at: int, *, underway: bool) -> None:
        self.met = 0
        self._kill_at, self._underway = kill_at, underway

    def meet(self, underway: Any = None) -> None:
        """Count a moment; `underway` is called, before a killing, to set going what then no one waits for."""
        self.met += 1
        if self.met == self._kill_at:
            if self._underway and underway:
                with contextlib.suppress(StopIteration):  # it was over at once
                    underway()
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Count what goes to the database and to S3 from now on."""
        wait = psycopg.Connection.wait

        def counted_wait(connection: Any, generator: Any, *arguments: Any, **options: Any) -> Any:
            self.meet(lambda: next(generator))
            return wait(connection, generator, *arguments, **options)

        psycopg.Connection.wait = counted_wait  # type: ignore[method-assign]
        for name in ("put", "read", "delete"):
            self._watch(name)

    def _watch(self, name: str) -> None:
        method = getattr(landing.Folder, name)

        def counted(folder: Any, *arguments: Any) -> Any:
            self.meet()
            return method(folder, *arguments)

        setattr(landing.Folder, name, counted)


def main() -> None:
    """Load what waits; prints the number of moments at the end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("run")
    parser.add_argument("--kill-at", type=int, default=0)
    parser.add_argument("--underway", action="store_true")
    parser.add_argument("--by-twos", action="store_true", help="claim two files at a time, beginning when told to")
    arguments = parser.parse_args()
    folder = landing.Folder(arguments.folder)
    moments = Moments(arguments.kill_at, underway=arguments.underway)
    moments.watch()

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(arguments.url)

    if arguments.by_twos:
        by_twos(connect, folder, arguments.run)
    else:
        landing.run(connect, folder, arguments.run)
    print(moments.met)


def by_twos(connect: Any, folder: landing.Folder, run: str) -> None:
    """Load two files at a time until none is left, beginning when a line comes in; retry held rows each time."""
    first = True
    while True:
        with connect() as connection:
            claims = ledger.claim_files(connection, objects.list_landed(folder, "landing"), run, 2)  # type: ignore[arg-type]
        if not claims:
            return
        if first:
            print("claimed", flush=True)
            sys.stdin.readline()
            first = False
        landing.load(connect, folder, run, claims)
        with connect() as connection:
            held.retry_held_rows(connection, run)


if __name__ == "__main__":
    main()
