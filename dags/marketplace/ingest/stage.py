"""Staging one file's records: read in batches, validated, and copied to where their loading goes on from."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from psycopg import sql

from marketplace.contracts import Contract, Problem, Validator, compile_validator
from marketplace.ingest.ledger import Account, Connection, Load
from marketplace.ingest.records import Batch

log = logging.getLogger(__name__)

T = TypeVar("T")
_Row = tuple[str | None, ...]

# What is copied at once: what bounds the memory, with what the reader reads at once.
PORTION_BYTES = 4 * 1024 * 1024
PROGRESS_S = 10

_REJECTED_ROW = sql.Identifier("ops", "rejected_row")
_REFERENCE_COLUMNS = ("column_name", "ref", "ref_key")
_ISSUE_COLUMNS = ("line_no", "column_name", "kind", "detail")
_REJECTED_COLUMNS = ("load_id", "line_no", "column_name", "reason", "detail", "raw")

# What stands in a block for the end of a field and of a row, and for NULL, until all else is escaped.
_FIELD, _ROW, _NULL = "\x1f", "\x1e", "\x1d"
_MARKS = bytes.maketrans(f"{_FIELD}{_ROW}".encode(), b"\t\n")
_ESCAPES = {
    b"\\": rb"\\",  # before those that it is part of
    b"\t": rb"\t",
    b"\n": rb"\n",
    b"\r": rb"\r",
}


class Staging(NamedTuple):
    """The temporary tables of a load: its accepted rows, what their columns of references say, and its findings."""

    stage: sql.Identifier
    references: sql.Identifier
    issues: sql.Identifier


@dataclass
class _Portion:
    """What some batches come to: how many records they have, and blocks of rows in COPY's format for four tables."""

    read: int = 0
    rejected: int = 0
    accepted_rows: list[bytes] = field(default_factory=list)
    reference_rows: list[bytes] = field(default_factory=list)
    rejected_rows: list[bytes] = field(default_factory=list)
    issue_rows: list[bytes] = field(default_factory=list)

    def size(self) -> int:
        return sum(map(len, (*self.accepted_rows, *self.reference_rows, *self.rejected_rows, *self.issue_rows)))


def create_tables(connection: Connection, contract: Contract, load: Load) -> Staging:
    """Create the staging tables of a load, which live and die with its transaction.

    Temporary, not unlogged: when PostgreSQL is killed under a transaction that has created an unlogged table, its
    recovery may fail ("could not create file … File exists"), and the server stays down.
    """
    name = f"load_{load.load_id}"
    staging = Staging(*(sql.Identifier("pg_temp", each) for each in (name, f"{name}_reference", f"{name}_issue")))
    columns = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in contract.stage_columns]
    for table, definition in (
        (staging.stage, sql.SQL("load_line bigint, {}, raw text").format(sql.SQL(", ").join(columns))),
        (staging.references, sql.SQL("column_name text, ref text, ref_key text")),
        (staging.issues, sql.SQL("line_no bigint, column_name text, kind text, detail text")),
    ):
        connection.execute(sql.SQL("create temporary table {} ({}) on commit drop").format(table, definition))
    return staging


def stage_records(
    connection: Connection,
    contract: Contract,
    load: Load,
    header: Sequence[str],
    batches: Iterator[Batch],
    staging: Staging,
    account: Account,
    position: Callable[[], int] | None = None,
) -> None:
    """Validate the records; accepted ones go to the stage, rejected ones to ops.rejected_row, batch by batch.

    `position` tells how many bytes of the file are read, for the progress in the log.
    """
    validator = compile_validator(contract, header)
    columns = ["load_line", *(name for name, _ in contract.stage_columns), "raw"]
    portions = _portions(validator, load, batches)
    progress = _Progress(load, position)
    # What is loaded again is read on the connection that it is copied to.
    with closing(portions if load.kind in ("retry", "replay") else _ahead(portions)) as prepared:
        for portion in prepared:
            account.read += portion.read
            account.rejected += portion.rejected
            _copy(connection, staging.stage, columns, portion.accepted_rows)
            _copy(connection, staging.references, _REFERENCE_COLUMNS, portion.reference_rows)
            _copy(connection, _REJECTED_ROW, _REJECTED_COLUMNS, portion.rejected_rows)
            _copy(connection, staging.issues, _ISSUE_COLUMNS, portion.issue_rows)
            progress.tell(account.read)
    log.info("staged %s records, rejected %s", f"{account.read - account.rejected:,}", f"{account.rejected:,}")


def note_problems(connection: Connection, issues: sql.Identifier, noted: Iterable[tuple[int, Problem]]) -> None:
    """Write problems with their line numbers into the load's table of issues."""
    _copy(connection, issues, _ISSUE_COLUMNS, _encode_rows([_issue_row(*each) for each in noted]))


def _portions(validator: Validator, load: Load, batches: Iterator[Batch]) -> Generator[_Portion, None, None]:
    """Yield what the batches come to in portions large enough for a COPY, and bounded."""
    portion = _Portion()
    for batch in batches:
        _check(portion, validator, load, batch)
        if portion.size() > PORTION_BYTES:
            yield portion
            portion = _Portion()
    yield portion


def _check(portion: _Portion, validator: Validator, load: Load, batch: Batch) -> None:
    """Add to the portion what a batch comes to."""
    line_nos, raws, rows, unclosed = batch
    # An unclosed record is never accepted, though its width may be right.
    positions, columns, problems, references = validator.check_rows(
        [() if at in unclosed else row for at, row in enumerate(rows)] if unclosed else rows
    )
    for at in unclosed:
        problems[at] = (Problem(None, "unclosed_quote", "a quote in it is never closed", "error"),)
    rejected: list[_Row] = []
    noted: list[_Row] = []
    for at in sorted(problems):
        errors = [p for p in problems[at] if p.severity == "error"]
        if errors:
            rejected.append((str(load.load_id), *_rejected_row(line_nos[at], raws[at], errors)))
        else:
            noted += [_issue_row(line_nos[at], problem) for problem in problems[at]]
    if len(positions) < len(rows):
        line_nos, raws = [line_nos[at] for at in positions], [raws[at] for at in positions]
    if positions:
        portion.accepted_rows.append(encode([list(map(str, line_nos)), *columns, raws]))
    portion.reference_rows += _encode_rows(references)
    portion.rejected_rows += _encode_rows(rejected)
    portion.issue_rows += _encode_rows(noted)
    portion.read += len(rows)
    portion.rejected += len(rejected)


def _rejected_row(line_no: int, raw: str, errors: Sequence[Problem]) -> _Row:
    detail = "; ".join(p.detail for p in errors)
    last = line_no + raw.count("\n") + raw.count("\r") - raw.count("\r\n")
    if errors[0].column is None and last > line_no:
        detail += f"; it runs from line {line_no} to line {last}, which a quote may have made one record"
    return str(line_no), errors[0].column, errors[0].kind, _storable(detail), _storable(raw)


def _issue_row(line_no: int, problem: Problem) -> _Row:
    return str(line_no), problem.column, problem.kind, _storable(problem.detail)


def _ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield `items`, of which a thread makes the next while the last is in use."""
    nothing = object()
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        coming = thread.submit(next, items, nothing)
        while (item := coming.result()) is not nothing:
            coming = thread.submit(next, items, nothing)
            yield item  # type: ignore[misc]  # it is not nothing


class _Progress:
    """Tells in the log, now and then, how far a file is read."""

    def __init__(self, load: Load, position: Callable[[], int] | None) -> None:
        self._load = load
        self._position = position
        self._started = self._told = time.monotonic()

    def tell(self, read: int) -> None:
        """Say how many records are read, if that was not said lately."""
        now = time.monotonic()
        if self._position is None or now < self._told + PROGRESS_S:
            return
        self._told = now
        elapsed, done, size = now - self._started, self._position(), self._load.size_bytes
        log.info(
            "%s: %s records read, %.1f of %.1f MB (%d %%), %s rows/s, about %d s to read the rest",
            self._load.object_key, f"{read:,}", done / 1e6, size / 1e6, 100 * done // max(size, 1),
            f"{read / elapsed:,.0f}", elapsed * (size - done) / max(done, 1),
        )  # fmt: skip


def _storable(text: str) -> str:
    """Return `text` with NUL shown as its symbol: Postgres cannot store the character itself."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}")


def _copy(connection: Connection, table: sql.Identifier, columns: Iterable[str], blocks: Sequence[bytes]) -> None:
    if not blocks:
        return
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("copy {} ({}) from stdin").format(table, names)) as copy,
    ):
        for block in blocks:
            copy.write(block)


def _encode_rows(rows: Sequence[_Row]) -> list[bytes]:
    return [encode(list(zip(*rows, strict=True)))] if rows else []


def encode(columns: Sequence[Sequence[str | None]]) -> bytes:
    """Return columns of texts, None for NULL, as rows in COPY's text format."""
    nulls = 0
    try:
        rows = _ROW.join(map(_FIELD.join, zip(*columns, strict=True)))
    except TypeError:
        nulls = sum(column.count(None) for column in columns)
        shown = [[_NULL if value is None else value for value in column] for column in columns]
        rows = _ROW.join(map(_FIELD.join, zip(*shown, strict=True)))
    # From here on in bytes: one wide character makes all of a text wide, and each step on it slower.
    block = (rows + _ROW).encode()
    size = len(columns[0])
    found = [block.count(mark.encode()) for mark in (_FIELD, _ROW, _NULL)]
    if found != [size * (len(columns) - 1), size, nulls]:
        # A value has one of these characters in it.
        return b"".join(
            b"\t".join(rb"\N" if v is None else _escaped(v.encode()) for v in row) + b"\n"
            for row in zip(*columns, strict=True)
        )
    return _escaped(block).translate(_MARKS).replace(_NULL.encode(), rb"\N")


def _escaped(text: bytes) -> bytes:
    for character, escape in _ESCAPES.items():
        if character in text:
            text = text.replace(character, escape)
    return text
