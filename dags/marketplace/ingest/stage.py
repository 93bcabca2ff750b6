"""Staging one file's records: read in batches, validated, and copied to where their loading goes on from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from psycopg import sql

from marketplace.contracts import Contract, Problem, compile_validator
from marketplace.ingest.ledger import Account, Connection, Load
from marketplace.ingest.records import Record

# Between two COPYs: what bounds the memory.
BATCH_RECORDS = 20_000
BATCH_CHARACTERS = 16 * 1024 * 1024


def create_tables(connection: Connection, contract: Contract, stage: sql.Identifier, issues: sql.Identifier) -> None:
    """Create the two staging tables of a load, which live and die with its transaction.

    Temporary, not unlogged: when PostgreSQL is killed under a transaction that has created an unlogged table, its
    recovery may fail ("could not create file … File exists"), and the server stays down.
    """
    columns = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in contract.stage_columns]
    connection.execute(
        sql.SQL("create temporary table {} (load_line bigint, {}, raw text) on commit drop").format(
            stage, sql.SQL(", ").join(columns)
        )
    )
    connection.execute(
        sql.SQL(
            "create temporary table {} (line_no bigint, column_name text, kind text, detail text) on commit drop"
        ).format(issues)
    )


def stage_records(
    connection: Connection,
    contract: Contract,
    load: Load,
    header: tuple[str, ...],
    records: Iterator[Record],
    stage: sql.Identifier,
    issues: sql.Identifier,
    account: Account,
) -> None:
    """Validate the records; accepted ones go to the stage, rejected ones to ops.rejected_row, batch by batch."""
    validate = compile_validator(contract, header)
    # Only a dataset with references can find a row unacceptable after it is staged, and then needs its raw text.
    keep_raw = bool(contract.references)
    stage_columns = ("load_line", *(name for name, _ in contract.stage_columns), "raw")
    while batch := _batch(records):
        accepted: list[tuple[Any, ...]] = []
        rejected: list[tuple[Any, ...]] = []
        noted: list[tuple[int, Problem]] = []
        for line_no, raw, fields in batch:
            values, problems = validate(fields)
            if values is None:
                errors = [p for p in problems if p.severity == "error"]
                detail = "; ".join(p.detail for p in errors)
                rejected.append(
                    (
                        load.load_id,
                        line_no,
                        errors[0].column,
                        errors[0].kind,
                        _storable(detail),
                        _storable(raw),
                    )
                )
                continue
            accepted.append((line_no, *values, _storable(raw) if keep_raw else None))
            noted += [(line_no, problem) for problem in problems]
        account.read += len(batch)
        account.rejected += len(rejected)
        _copy(connection, stage, stage_columns, accepted)
        _copy(
            connection, sql.Identifier("ops", "rejected_row"),
            ("load_id", "line_no", "column_name", "reason", "detail", "raw"), rejected,
        )  # fmt: skip
        note_problems(connection, issues, noted)
    connection.execute(sql.SQL("analyze {}").format(stage))


def note_problems(connection: Connection, issues: sql.Identifier, noted: Iterable[tuple[int, Problem]]) -> None:
    """Write problems with their line numbers into the load's table of issues."""
    _copy(
        connection, issues, ("line_no", "column_name", "kind", "detail"),
        [(line_no, p.column, p.kind, _storable(p.detail)) for line_no, p in noted],
    )  # fmt: skip


def _batch(records: Iterator[Record]) -> list[Record]:
    """Take records until there are enough of them, or enough text; none when there are no more."""
    batch: list[Record] = []
    characters = 0
    while len(batch) < BATCH_RECORDS and characters < BATCH_CHARACTERS and (record := next(records, None)):
        batch.append(record)
        characters += len(record.raw)
    return batch


def _storable(text: str) -> str:
    """Return `text` with NUL shown as its symbol: Postgres cannot store the character itself."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}")


def _copy(connection: Connection, table: sql.Identifier, columns: Iterable[str], rows: list[tuple[Any, ...]]) -> None:
    if not rows:
        return
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("copy {} ({}) from stdin").format(table, names)) as copy,
    ):
        for row in rows:
            copy.write_row(row)
