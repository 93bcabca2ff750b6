"""Loading one file: stream, validate, stage, resolve, apply, quarantine, account, in one database transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from marketplace.contracts import Contract, HeaderError, check_header, load_contracts
from marketplace.ingest import ledger, objects
from marketplace.ingest.apply import apply
from marketplace.ingest.failures import without_values
from marketplace.ingest.ledger import Account, Connect, Connection, Load
from marketplace.ingest.records import Batch, FileError, decode, read_batches
from marketplace.ingest.stage import create_tables, note_problems, stage_records
from marketplace.store import lock_tables

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

# The name of the lock that is shared by all who mark rows as tried again, and is theirs alone who erase them: both
# change many rows, each in an order of its own, and would wait for each other in a circle.
QUARANTINE = "ops.held_row"


def load_file(connect: Connect, s3: S3Client, bucket: str, load_id: int, run: str) -> dict[str, Any]:
    """Load the file that `run` has claimed as `load_id`, and return what a task shows and passes on.

    The dict has the load's status, its account, and where the object is to move: `source_key`, `version_id`,
    `destination_key` (None for a reload, which lies in the archive already), `size_bytes`.

    A file that is wrong as a whole ends as `rejected`, with its reason, and stores nothing. Raises ClaimLostError
    when another run has taken the load over, and whatever the database (without the values that it quotes) or S3 raise;
    then nothing is stored.
    """
    with connect() as connection:
        load, started = ledger.start(connection, load_id, run)
        if not started:
            log.info("Load %s had finished before, as %s: only its object is left to move.", load_id, load.status)
            return _result(load, load.status, load.archive_key)
        try:
            with ledger.Lease(connect, load_id, run):
                return _load(connection, s3, bucket, load, run)
        except ledger.ClaimLostError:
            raise
        except Exception as error:
            kept = without_values(error)
            with connect() as other:
                ledger.note_failure(other, load_id, run, kept)
            if kept is error:
                raise
            raise kept from None


def _load(connection: Connection, s3: S3Client, bucket: str, load: Load, run: str) -> dict[str, Any]:
    reloads = load.kind == "reload"
    key, version = (str(load.archive_key), None) if reloads else (load.object_key, load.version_id)
    archive_key: str | None
    try:
        contract = contract_of(load)
        archive_key = load.archive_key or objects.destination(load, rejected=False)
        with (
            connection.transaction(),
            closing(objects.open_version(s3, bucket, key, version)) as body,
            closing(decode(body)) as blocks,
        ):
            account = load_records(connection, contract, load, read_batches(blocks), body.tell)
            if reloads:
                ledger.execute(connection, "again/judged_anew.sql", vars(load))
            ledger.finish(connection, load, run, "done", account, archive_key=archive_key)
    except (FileError, HeaderError) as error:
        gone = error.kind == "gone"
        archive_key = None if gone else load.archive_key or objects.destination(load, rejected=True)
        reason = f"{error.kind}: {error}"
        with connection.transaction():
            ledger.finish(connection, load, run, "rejected", Account(), archive_key=archive_key, reason=reason)
        log.warning("%s is set aside as %s: %s", load.object_key, archive_key or "it is", reason)
        return _result(load, "rejected", archive_key, reason=reason)
    log_account(load, account)
    return _result(load, "done", archive_key, account=account)


def contract_of(load: Load) -> Contract:
    """Return the contract of a load's dataset; raises FileError when its key names no dataset that is known."""
    contracts = load_contracts()
    if load.dataset not in contracts:
        raise FileError(
            "unknown_dataset",
            f"{load.object_key} does not lie under landing/DATASET/ with DATASET one of {', '.join(contracts)}.",
        )
    return contracts[load.dataset]


def log_account(load: Load, account: Account) -> None:
    """Write a load's account into the log."""
    log.info("%s (load %s)", load.object_key, load.load_id)
    log.info("read %s = %s", account.read, account.summary())
    log.info(
        "accepted %s = inserted %s + updated %s + unchanged %s + superseded %s",
        *(account.accepted, account.inserted, account.updated, account.unchanged, account.superseded),
    )
    log.info("issues %s; changed: %s", account.issues, ", ".join(account.tables_changed) or "nothing")


def load_records(
    connection: Connection,
    contract: Contract,
    load: Load,
    batches: Iterator[Batch],
    position: Callable[[], int] | None = None,
) -> Account:
    """Load the records of one file in the caller's transaction; its header is the first batch.

    `position` tells how many bytes of the file are read. The rows are staged before the dataset's lock is taken, so
    files of one dataset wait for one another only while they are applied. Raises FileError or HeaderError when the
    file is wrong as a whole.
    """
    head = next(batches, None)
    if head is None:
        raise FileError("empty", "The file has no header, only blank lines.")
    header = check_header(contract, head.rows[0])
    account = Account(header=list(header.names))
    staging = create_tables(connection, contract, load)
    note_problems(connection, staging.issues, [(head.line_nos[0], problem) for problem in header.problems])
    stage_records(connection, contract, load, header.names, batches, staging, account, position)
    lock(connection, contract, judges_anew=load.kind != "file")
    apply(connection, contract, load, staging, account)
    return account


def lock(connection: Connection, contract: Contract, *, judges_anew: bool = False) -> None:
    """Wait until nobody writes what a load of this contract writes or refers to; held to the transaction's end.

    A load that `judges_anew` what others have rejected or held waits, too, until nobody erases such rows.
    """
    contracts = load_contracts()
    referred = [table for dataset in contract.references for table in contracts[dataset].tables]
    lock_tables(connection, contract.tables, [*referred, QUARANTINE] if judges_anew else referred)


def _result(
    load: Load,
    status: str,
    archive_key: str | None,
    *,
    account: Account | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    return {
        "load_id": load.load_id,
        "status": status,
        "summary": reason or (account.summary() if account else "had finished before"),
        "reason": reason,
        "source_key": load.object_key,
        "version_id": load.version_id,
        "size_bytes": load.size_bytes,
        "destination_key": None if load.kind == "reload" else archive_key,
        "account": None if account is None else {**vars(account), "accepted": account.accepted},
    }
