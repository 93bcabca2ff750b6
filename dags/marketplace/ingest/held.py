"""Trying held rows again: what no reference resolved when its file was loaded may be resolved by a later file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql

from marketplace.contracts import HeaderError, load_contracts
from marketplace.ingest import ledger
from marketplace.ingest.ledger import Account, Connection, Load, execute, fetch_row
from marketplace.ingest.load import load_records, lock, log_account
from marketplace.ingest.records import Record, parse_record
from marketplace.store import has_query, query


def retry_held_rows(connection: Connection, run: str) -> list[tuple[Load, Account]]:
    """Load again every held row whose reference can be resolved by now; returns a load and its account a file.

    Each file's rows are a load of their own (kind `retry`) in a transaction of their own, under their original line
    numbers and in the order of their file. A row that now waits for another reference is held anew by that load.
    Raises RuntimeError, when all else is done, for files whose rows the contract can no longer read.
    """
    resolvable = _resolvable()
    done: list[tuple[Load, Account]] = []
    unreadable: dict[int, str] = {}
    # A resolved row may bring what another dataset's held row names, and so on through the datasets, never further.
    for _ in load_contracts():
        files = execute(connection, "held/files_to_retry.sql", {}, resolvable=resolvable).fetchall()
        connection.commit()
        files = [file for file in files if file["file_load_id"] not in unreadable]
        if not files:
            break
        for file in files:
            try:
                retried = _retry(connection, run, resolvable, **file)
            except HeaderError as error:
                unreadable[file["file_load_id"]] = f"{file['object_key']}: {error}"
            else:
                done += [retried] if retried else []
    if unreadable:
        raise RuntimeError(
            "Held rows of these files can no longer be read by their contract; reload the files, or widen the "
            f"contract: {'; '.join(unreadable.values())}"
        )
    return done


def _resolvable() -> sql.Composable:
    """Return the query of all held rows whose reference resolves: each dataset's SQL knows of its own."""
    paths = [f"ingest/{dataset}/resolves.sql" for dataset in load_contracts()]
    return sql.SQL(" union all ").join(query(path) for path in paths if has_query(path))


def _retry(
    connection: Connection,
    run: str,
    resolvable: sql.Composable,
    *,
    dataset: str,
    file_load_id: int,
    header: Sequence[str],
    **_order: Any,
) -> tuple[Load, Account] | None:
    contract = load_contracts()[dataset]
    retried: tuple[Load, Account] | None = None
    with connection.transaction():
        # Before the rows are taken: a second run that waits here finds them resolved, and nothing to do.
        lock(connection, contract)
        parameters = {"run": run, "file_load_id": file_load_id, "lease_s": ledger.LEASE_S}
        load = Load(**fetch_row(connection, "ledger/enter_retry.sql", parameters))
        taken = {"load_id": load.load_id, "file_load_id": file_load_id, "header": list(header)}
        if execute(connection, "held/take_rows.sql", taken, resolvable=resolvable).rowcount == 0:
            raise psycopg.Rollback
        account = load_records(connection, contract, load, _records(connection, load, header))
        ledger.finish(connection, load, run, "done", account, archive_key=load.archive_key)
        log_account(load, account)
        retried = load, account
    return retried


def _records(connection: Connection, load: Load, header: Sequence[str]) -> Iterator[Record]:
    """Yield the header and the rows that a load retries, fetched as they are consumed: they may be many."""
    yield Record(1, ",".join(header), list(header))
    with connection.cursor(f"held_rows_{load.load_id}") as cursor:
        cursor.execute(query("ingest/held/taken_rows.sql"), {"load_id": load.load_id})
        for line_no, raw in cursor:
            yield Record(line_no, raw, parse_record(raw))
