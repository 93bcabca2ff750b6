"""Loading rows again that were kept as data, under their original file and line: for retries and for replays."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import psycopg
from psycopg import sql

from marketplace.contracts import HeaderError, load_contracts
from marketplace.ingest import ledger
from marketplace.ingest.failures import without_values
from marketplace.ingest.ledger import Account, Connection, Load, execute, fetch_row
from marketplace.ingest.load import load_records, lock, log_account
from marketplace.ingest.records import Record, in_batches, parse_record
from marketplace.store import query

log = logging.getLogger(__name__)

Loaded = tuple[Load, Account]


class Chosen(NamedTuple):
    """The rows to load again: a query of their load_id and line_no, and its parameters."""

    query: sql.Composable
    parameters: dict[str, Any]


class UnreadableError(RuntimeError):
    """Rows were left as they are, since the contract has other columns by now than their file; all others are done."""


class FailedError(RuntimeError):
    """The database refused rows of some files, which are left as they were; all others are done."""


class Failed(dict[int, str]):
    """The files whose rows could not be loaded again, by the file's load, each with what the database says."""

    def __str__(self) -> str:
        """Return a sentence that names them."""
        return "Rows of these files could not be loaded again, those of all others are: " + "; ".join(self.values())


class Unreadable(dict[int, str]):
    """The files whose rows can no longer be read by their contract, by the file's load, each with what is wrong."""

    def __str__(self) -> str:
        """Return a sentence that names them, and what to do."""
        return (
            "Rows of these files can no longer be read by their contract; reload the files, or widen the contract: "
            + "; ".join(self.values())
        )


def load_again(
    connection: Connection,
    run: str,
    kind: Literal["retry", "replay"],
    chosen: Chosen,
    unreadable: Unreadable,
    failed: Failed,
) -> list[Loaded]:
    """Load the chosen rows again, the oldest file first; returns a load and its account a file.

    Each file's rows are a load of their own in a transaction of their own, under their original line numbers and in
    the order of their file. A row that is rejected or held again is so by that load. Where that is all that becomes of
    a file's rows, for the same reasons as before, nothing is changed. Files that `unreadable` or `failed` has are left
    out; those whose header no longer fits the contract are added to the one, and those whose rows the database refuses
    to the other. Raises psycopg.Error when the connection is lost.
    """
    contracts = load_contracts()
    files = execute(connection, "again/files.sql", chosen.parameters, chosen=chosen.query).fetchall()
    connection.commit()
    done: list[Loaded] = []
    for file in files:
        if file["file_load_id"] in unreadable or file["file_load_id"] in failed:
            continue
        if file["dataset"] not in contracts:
            unreadable[file["file_load_id"]] = (
                f"{file['object_key']}: there is no contract for {file['dataset']} any more"
            )
            continue
        try:
            loaded = _load_file(connection, run, kind, chosen, **file)
        except HeaderError as error:
            unreadable[file["file_load_id"]] = f"{file['object_key']}: {error}"
        except psycopg.Error as error:
            kept = without_values(error)
            if connection.closed:
                raise kept from None
            failed[file["file_load_id"]] = f"{file['object_key']}: {type(kept).__name__}: {kept}"
            log.error("Not loaded again: %s", failed[file["file_load_id"]])
        else:
            done += [loaded] if loaded else []
    return done


def _load_file(
    connection: Connection,
    run: str,
    kind: str,
    chosen: Chosen,
    *,
    dataset: str,
    file_load_id: int,
    header: Sequence[str],
    **_order: Any,
) -> Loaded | None:
    contract = load_contracts()[dataset]
    loaded: Loaded | None = None
    with connection.transaction():
        # Before the rows are taken: a second run that waits here finds them taken, and nothing to do.
        lock(connection, contract, judges_anew=True)
        parameters = {"kind": kind, "run": run, "file_load_id": file_load_id, "lease_s": ledger.LEASE_S}
        load = Load(**fetch_row(connection, "again/enter.sql", parameters))
        rows = {"again_load_id": load.load_id, "file_load_id": file_load_id, "header": list(header)}
        taken = fetch_row(connection, "again/take_rows.sql", chosen.parameters | rows, chosen=chosen.query)["taken"]
        if not taken:
            raise psycopg.Rollback
        account = load_records(connection, contract, load, in_batches(_records(connection, load, header)))
        if not fetch_row(connection, "again/news.sql", {"load_id": load.load_id})["news"]:
            raise psycopg.Rollback
        ledger.finish(connection, load, run, "done", account, archive_key=load.archive_key)
        log_account(load, account)
        loaded = load, account
    return loaded


def _records(connection: Connection, load: Load, header: Sequence[str]) -> Iterator[Record]:
    """Yield the header and the rows that a load tries again, fetched as they are consumed: they may be many."""
    yield Record(1, ",".join(header), list(header))
    with connection.cursor(f"rows_of_{load.load_id}") as cursor:
        cursor.execute(query("ingest/again/taken_rows.sql"), {"load_id": load.load_id})
        for line_no, raw, was_rejected in cursor:
            # NUL was stored as its symbol; no row that has one is ever held.
            text = raw.replace("\N{SYMBOL FOR NULL}", "\0") if was_rejected else raw
            yield Record(line_no, raw, *parse_record(text))
