r"""Ingestion: a file of lines into store.transaction_line as migrated, beside psql's \copy and beside others.

Of each size there is a store that holds what the lines refer to, loaded by the engine itself. Every case begins with a
copy of it, or with what the case before it left, and what it leaves is compared with the generator's truth. PostgreSQL
is started as on a developer's machine, with fsync on; our file comes from the disk, not from an emulator of S3.

ours            the file as it is given: 5 % duplicates, 1 % bad, references by id and by name; all that the engine does
                with it, from the claim to the account
ours_again      the same rows in a new file, after that
ours_corrected  the file with another region in a tenth of its rows, after both
copy            the limit: the final rows, in the file's order
copy_sorted     the same, sorted by the key
copy_no_keys    as copy, and the table has no foreign keys
dlt, sling      the final rows, upserted by key (see bench.ingest_peers)
"""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from rich.console import Console

from bench.case import Case, CaseError, Measure, Run, measure
from bench.ingest_files import Files, Lines, make
from bench.ingest_store import Stores, Watch, temporary_platform
from local.platform import Platform

MILLION = 1_000_000
# Each after the one before it, in the same store.
OURS = ("ours", "ours_again", "ours_corrected")
TABLE = "store.transaction_line"
_FOREIGN_KEYS = ("transaction_line_transaction_id_fkey", "transaction_line_game_id_platform_fkey")
_PEERS = "requirements-ingest.txt"
# Of the disk, at most: files, two stores, and what the server sorts and logs.
BYTES_A_ROW = 2500

console = Console(highlight=False, soft_wrap=True)


def cases(sizes: Sequence[int]) -> list[Case]:
    """Return the cases for files of about so many rows. Up to a million, they are measured three times."""
    found = []
    for rows in sizes:
        runs = 3 if rows <= MILLION else 1
        functions = {
            "copy": "ingest_cases:copy",
            **dict.fromkeys(OURS, "ingest_cases:ours"),
            "dlt": "ingest_peers:dlt_arrow",
            "sling": "ingest_peers:sling",
        }
        for name, function in functions.items():
            requirements = _PEERS if function.startswith("ingest_peers:") else ""
            found.append(Case(f"{name}_{label(rows)}", f"bench.{function}", {"rows": rows}, runs, requirements))
        # At larger sizes these take long, and tell nothing new.
        for name in ("copy_sorted", "copy_no_keys") if rows <= MILLION else ():
            found.append(Case(f"{name}_{label(rows)}", "bench.ingest_cases:copy", {"rows": rows}, runs=1))
    return found


def label(rows: int) -> str:
    """Return a number of rows as the names of cases have it: 5m, 100k."""
    for unit, letter in ((MILLION, "m"), (1000, "k")):
        if rows % unit == 0:
            return f"{rows // unit}{letter}"
    return str(rows)


CASES = cases((MILLION, 5 * MILLION))


def ratios(cases: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return how we compare, by seconds of the clock (the median of the pairs), the server's processor, and memory."""
    found = {}
    sizes = list(dict.fromkeys(name.rpartition("_")[2] for name in cases))

    def compare(what: str, one: str, other: str) -> None:
        if one in cases and other in cases:
            if what == "seconds":
                pairs = zip(cases[one]["runs"], cases[other]["runs"], strict=False)
                ratio = median(one_s / other_s for one_s, other_s in pairs)
            elif cases[other][what]:
                ratio = cases[one][what] / cases[other][what]
            else:  # less than the clock of processor seconds can tell, of a small file
                return
            found[f"{what}: {one} / {other}"] = round(ratio, 2)

    for size in sizes:
        ours = f"ours_{size}"
        for other in ("copy", "copy_sorted", "dlt", "sling"):
            compare("seconds", f"{other}_{size}", ours)
        for later in OURS[1:]:
            compare("seconds", ours, f"{later}_{size}")
        compare("server_cpu_seconds", ours, f"copy_{size}")
    for size in sizes[1:]:
        compare("peak_rss_mb", f"ours_{size}", f"ours_{sizes[0]}")
    return found


@contextmanager
def measuring(cases: Sequence[Case]) -> Iterator[Measure]:
    """Start a PostgreSQL, and yield what measures a case on it; the server and all files go afterwards."""
    needed = BYTES_A_ROW * sum({case.arguments["rows"] for case in cases})
    if (free := shutil.disk_usage(tempfile.gettempdir()).free) < needed:
        raise CaseError(
            f"{tempfile.gettempdir()} has {free / 1e9:.0f} GB free, and {needed / 1e9:.0f} GB are needed for a while:"
            " make room there, name another directory (TMPDIR), or measure fewer rows (ROWS)."
        )
    console.print("[dim]Starting a PostgreSQL of its own[/dim]")
    with temporary_platform() as (platform, directory):
        platform.supervisor.stop_all(["emulator", "redshift"])  # nothing here asks them
        yield Bench(platform, directory, cases).measure


@dataclass
class Bench:
    """Files and stores of the sizes that were measured so far."""

    platform: Platform
    directory: Path
    cases: Sequence[Case]
    files: dict[int, Files] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stores = Stores(self.platform)

    def measure(self, case: Case, python: str) -> Run:
        """Run a case on the store that it needs, and see that it did what it should. Raises CaseError."""
        rows = case.arguments["rows"]
        if rows not in self.files:
            self._prepare(rows)
        files = self.files[rows]
        name = case.name.rpartition("_")[0]
        if name in OURS:
            return self._ours(case, python, name, files)
        return self._other(case, python, name, files)

    def _prepare(self, rows: int) -> None:
        """Make files of a size, and a store in which everything is that their lines refer to."""
        console.print(f"[dim]Making {label(rows)} rows, and what they refer to[/dim]")
        directory = self.directory / label(rows)
        directory.mkdir()
        corrected = f"ours_corrected_{label(rows)}" in {case.name for case in self.cases}
        files = self.files[rows] = make(directory, rows, corrected=corrected)
        template = self._template(rows)
        self.stores.create(template)
        keys = {f"landing/{path.stem}/bench.csv": str(path) for path in files.parents}
        arguments = {"url": self.stores.url("store_writer", template), "files": keys}
        run = self._run(Case("parents", "bench.ingest_cases:ours", arguments), sys.executable)
        console.print(f"[dim]{run.rows:,} rows of publishers, games and transactions in {run.seconds:.1f} s[/dim]")
        self.stores.settle(template)

    @staticmethod
    def _template(rows: int) -> str:
        return f"bench_{label(rows)}"

    @staticmethod
    def _run(case: Case, python: str) -> Run:
        return measure(case, python)

    def _ours(self, case: Case, python: str, name: str, files: Files) -> Run:
        lines: Lines = (files.corrected or files.lines) if name == "ours_corrected" else files.lines
        if name == OURS[0]:
            self.stores.copy(self._template(case.arguments["rows"]), None)
        else:
            self.stores.settle()
        key = f"landing/transaction_detail/{name}.csv"
        arguments = {"url": self.stores.url("store_writer"), "files": {key: str(lines.path)}}
        with Watch(self.stores.url("postgres")) as watch:
            run = self._measured(case, python, arguments)
        outcome = {"ours": "inserted", "ours_again": "unchanged"}.get(name)
        self.stores.check_account(key, lines, **({outcome: lines.outcomes["accepted"]} if outcome else {}))
        self.stores.check_rows(lines)
        return replace(run, phases=watch.phases)

    def _other(self, case: Case, python: str, name: str, files: Files) -> Run:
        self.stores.copy(self._template(case.arguments["rows"]), files.releases)
        path, role = files.lines.rows, "store_writer"
        if case.requirements:
            role = "store_owner"  # they make tables beside ours
        elif name == "copy_sorted":
            path = _sorted(path)
        elif name == "copy_no_keys":
            with psycopg.connect(self.stores.url("store_owner")) as owned:
                for key in _FOREIGN_KEYS:
                    owned.execute(f"alter table {TABLE} drop constraint {key}")
        arguments = {"url": self.stores.url(role), "path": str(path), "rows": files.lines.outcomes["accepted"]}
        if case.requirements:
            arguments["table"] = TABLE
        run = self._measured(case, python, arguments)
        self.stores.check_rows(files.lines)
        return run

    def _measured(self, case: Case, python: str, arguments: dict[str, Any]) -> Run:
        before = self.stores.cpu_seconds()
        run = self._run(replace(case, arguments=arguments), python)
        return replace(run, server_cpu_seconds=self.stores.cpu_seconds() - before)


def _sorted(path: Path) -> Path:
    """Return a copy of a CSV file of final rows that is sorted by the key."""
    target = path.with_suffix(".sorted.csv")
    if not target.exists():
        with path.open(newline="", encoding="utf-8") as file, target.open("w", newline="", encoding="utf-8") as result:
            header, *rows = csv.reader(file)
            csv.writer(result, lineterminator="\n").writerows(
                [header, *sorted(rows, key=lambda row: (row[0], int(row[1])))]
            )
    return target
