"""The account of every load, checked by a count of its own: the csv module's, over the bytes that were put.

Nothing of marketplace.ingest is used here, so that it cannot confirm itself.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from local.errors import LocalError
from local.supervisor import wait_until

# What a load is to be checked for has these columns of ops.load.
Entry = dict[str, Any]
# The bytes of a file by (object_key, version_id).
Files = Mapping[tuple[str, str], bytes]

COUNTS = ("read", "accepted", "rejected", "held", "inserted", "updated", "unchanged", "superseded", "issues")
# What ends with its connection ends within a moment, not in the same instant.
PATIENCE_S = 30


def records(body: bytes) -> dict[int, str]:
    """Return the records of a file, the header first: the text of each by the physical line on which it starts."""
    lines = list(io.StringIO(body.decode("utf-8-sig"), newline=""))
    reader = csv.reader(lines)
    found: dict[int, str] = {}
    before = 0
    for fields in reader:
        if fields:
            found[before + 1] = "".join(lines[before : reader.line_num]).rstrip("\r\n")
        before = reader.line_num
    return found


def check(url: str, files: Files | Callable[[Entry], bytes], *, run: str | None = None) -> None:
    """Fail with all that is wrong with the accounts in the store at `url` (its owner's), or those of one run."""
    found = faults(url, files, run=run)
    assert not found, "\n".join(["The accounts are wrong:", *found])


def faults(url: str, files: Files | Callable[[Entry], bytes], *, run: str | None = None) -> list[str]:
    """Return what is wrong with the accounts, a line each that names the file, the load and the figures."""
    body_of = files if callable(files) else lambda entry: files[entry["object_key"], entry["version_id"]]
    with psycopg.connect(url, row_factory=dict_row) as connection:
        entries = connection.execute("select * from ops.load order by load_id").fetchall()
        facts = _Facts(connection)
        of_file: dict[int, dict[int, str]] = {}
        found = []
        for entry in entries:
            if run is not None and entry["claimed_by"] != run:
                continue
            if entry["status"] == "done" and entry["file_load_id"] not in of_file:
                of_file[entry["file_load_id"]] = records(body_of(entry))
            lines = of_file.get(entry["file_load_id"], {})
            what = f"load {entry['load_id']} ({entry['kind']} of {entry['object_key']} {entry['version_id']})"
            found += [f"{what}: {fault}" for fault in _of_load(entry, lines, facts)]
    return [*found, *_left_open(url)]


class _Facts:
    """What the store keeps of each load, beside the ledger."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        def rows(statement: str) -> Iterator[dict[str, Any]]:
            yield from connection.execute(statement)

        self.rejected = _by_load(rows("select load_id, line_no, raw from ops.rejected_row"))
        self.held = _by_load(rows("select load_id, line_no, raw from ops.held_row"))
        again = rows("select retried_load_id from ops.held_row union all select retried_load_id from ops.rejected_row")
        self.retried = Counter(row["retried_load_id"] for row in again)
        self.issues = _by_load(rows("select load_id, line_no, null as raw from ops.issue"))
        tables = rows(
            "select table_schema || '.' || table_name as name from information_schema.columns"
            " where column_name = 'load_line' and table_schema <> 'ops'"
        )
        stored = " union ".join(
            f"select load_id, load_line as line_no, null as raw from {t['name']} where load_id is not null"
            for t in tables
        )
        self.stored = _by_load(rows(stored))


def _by_load(rows: Iterator[dict[str, Any]]) -> dict[int, list[tuple[int, str | None]]]:
    found: dict[int, list[tuple[int, str | None]]] = {}
    for row in rows:
        found.setdefault(row["load_id"], []).append((row["line_no"], row["raw"]))
    return found


def _of_load(entry: Entry, lines: dict[int, str], facts: _Facts) -> Iterator[str]:
    load_id, counts = entry["load_id"], {name: entry[name] for name in COUNTS}
    rejected, held = facts.rejected.get(load_id, []), facts.held.get(load_id, [])
    issues, stored = facts.issues.get(load_id, []), facts.stored.get(load_id, [])
    if entry["status"] != "done":
        if any(counts.values()) or rejected or held or issues or stored:
            yield f"it is {entry['status']}, but has {counts}, {rejected}, {held}, {issues}, {stored}"
        if entry["status"] == "rejected" and not (entry["reason"] or "").strip():
            yield "it was set aside without a reason"
        return
    header, *starts = sorted(lines) or [0]
    expected = facts.retried[load_id] if entry["kind"] in ("retry", "replay") else len(starts)
    figures = {
        "read": (counts["read"], expected, "the csv module counts"),
        "accepted + rejected + held": (
            counts["accepted"] + counts["rejected"] + counts["held"], counts["read"], "read",
        ),
        "inserted + updated + unchanged + superseded": (
            sum(counts[name] for name in ("inserted", "updated", "unchanged", "superseded")),
            counts["accepted"], "accepted",
        ),
        "rejected": (counts["rejected"], len(rejected), "rows in ops.rejected_row"),
        "held": (counts["held"], len(held), "rows in ops.held_row"),
        "issues": (counts["issues"], len(issues), "rows in ops.issue"),
    }  # fmt: skip
    for name, (has, must, of) in figures.items():
        if has != must:
            yield f"{name} is {has}, but {of}: {must}"
    for kept, rows in (("rejected", rejected), ("held", held)):
        for line, raw in rows:
            if line not in starts:
                yield f"no record starts on line {line}, which is {kept}"
            elif raw is not None and raw != lines[line].replace("\0", "\N{SYMBOL FOR NULL}"):
                yield f"line {line} is {kept} as {raw[:200]!r}, but reads {lines[line][:200]!r}"
    twice = {line for line, _ in rejected} & {line for line, _ in held}
    if twice:
        yield f"lines {sorted(twice)} are both rejected and held"
    gone = {line for line, _ in rejected} | {line for line, _ in held}
    for line, _ in issues:
        if line not in starts and line != header:
            yield f"no record starts on line {line}, which has an issue"
        elif line in gone:
            yield f"line {line} has an issue, but was not accepted"
    for line, _ in stored:
        if line not in starts:
            yield f"no record starts on line {line}, which a row of the store is from"
        elif line in gone:
            yield f"line {line} was not accepted, but a row of the store is from it"


def _left_open(url: str) -> list[str]:
    """Return the transactions that others have open in this store, and temporary tables, if they do not end."""
    left: list[str] = []
    with psycopg.connect(url, autocommit=True) as connection:

        def ended() -> bool:
            nonlocal left
            # Every transaction holds the lock of its virtual id; who may not see another's state sees that.
            open_transactions = connection.execute(
                "select format('process %s of %s has a transaction open', a.pid, a.usename)"
                " from pg_stat_activity as a join pg_locks as l on a.pid = l.pid"
                " where l.locktype = 'virtualxid' and l.mode = 'ExclusiveLock' and a.usesysid is not null"
                " and a.datname = current_database() and a.pid <> pg_backend_pid()"
            ).fetchall()
            tables = connection.execute(
                "select format('the temporary table %s is left', oid::regclass) from pg_class"
                " where relpersistence = 't' and relkind = 'r'"
            ).fetchall()
            left = [text for (text,) in [*open_transactions, *tables]]
            return not left

        with contextlib.suppress(LocalError):  # then the caller says what is left
            wait_until(ended, PATIENCE_S, lambda: ", ".join(left))
    return left
