"""What `bench.redshift` measures: by a client of the endpoint, and by one of the PostgreSQL behind it."""

from __future__ import annotations

from pathlib import Path

import psycopg

from bench.case import Done

TABLE = "bench.line"
QUERY = "select count(*), max(note) from bench.few where few_id = %s"


def copy_direct(url: str, path: str, rows: int) -> Done:
    """Load a CSV file by psycopg's COPY, which is the limit."""
    command = f"copy {TABLE} from stdin (format csv)".encode()
    with psycopg.connect(url) as connection, Path(path).open("rb") as file, connection.cursor().copy(command) as copy:
        while piece := file.read(1 << 20):
            copy.write(piece)
    return Done(rows)


def unload_direct(url: str, path: str, rows: int) -> Done:
    """Write a CSV file by psycopg's COPY."""
    command = f"copy {TABLE} to stdout (format csv)".encode()
    with psycopg.connect(url) as connection, Path(path).open("wb") as file, connection.cursor().copy(command) as copy:
        for piece in copy:
            file.write(piece)
    return Done(rows)


def statement(url: str, text: str, rows: int) -> Done:
    """Run a COPY or an UNLOAD."""
    with psycopg.connect(url) as connection:
        connection.execute(text.encode())
    return Done(rows)


def queries(url: str, count: int) -> Done:
    """Ask a small query again and again, in one session."""
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(count):
            connection.execute(QUERY, [number % 100], prepare=False)
    return Done(count)
