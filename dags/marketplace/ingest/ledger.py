"""The ledger, ops.load: claiming files under a lease, keeping the lease while a load runs, writing its account."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any

import psycopg
from psycopg.rows import dict_row

from marketplace.ingest.objects import LandedObject
from marketplace.store import query

log = logging.getLogger(__name__)

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]

# Renewed by a running load; what a run has claimed and not begun may wait longer for a free slot.
LEASE_S = 300
CLAIM_LEASE_S = 1800
# A run tries a load three times (the task's retries), so a file that fails in two runs waits for a person.
MAX_ATTEMPTS = 6


class ClaimLostError(RuntimeError):
    """Another run has taken a load over, since its lease had expired; nothing of this attempt was kept."""


@dataclass(frozen=True)
class Load:
    """One row of ops.load, as far as loading needs it."""

    load_id: int
    kind: str
    dataset: str | None
    object_key: str
    version_id: str
    archive_key: str | None
    put_at: datetime
    file_load_id: int
    size_bytes: int
    status: str
    claimed_by: str | None


@dataclass
class Account:
    """What became of a file's records: read = accepted + rejected + held, accepted = the four that follow."""

    read: int = 0
    rejected: int = 0
    held: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    issues: int = 0
    tables_changed: list[str] = field(default_factory=list)
    header: list[str] | None = None

    @property
    def accepted(self) -> int:
        """Return how many records the store has taken in, whether or not they changed it."""
        return self.inserted + self.updated + self.unchanged + self.superseded

    def summary(self) -> str:
        """Return what became of the records, in a few words."""
        return f"{self.accepted} accepted + {self.rejected} rejected + {self.held} held"


def execute(
    connection: Connection, path: str, parameters: dict[str, Any], **identifiers: Any
) -> psycopg.ClientCursor[Any]:
    """Run the script include/sql/store/ingest/`path`, and return a cursor on the result of its last statement.

    Parameters are bound on the client, since a script of several statements takes none from the server.
    """
    cursor: psycopg.ClientCursor[Any] = psycopg.ClientCursor(connection, row_factory=dict_row)
    cursor.execute(query(f"ingest/{path}", **identifiers), parameters)
    while cursor.nextset():
        pass
    return cursor


def fetch_row(connection: Connection, path: str, parameters: dict[str, Any], **identifiers: Any) -> dict[str, Any]:
    """Run a script as `execute` does, and return the one row of its result; raises LookupError when there is none."""
    row: dict[str, Any] | None = execute(connection, path, parameters, **identifiers).fetchone()
    if row is None:
        raise LookupError(f"include/sql/store/ingest/{path} found no row for {parameters}.")
    return row


def claim_files(
    connection: Connection,
    landed: Sequence[LandedObject],
    run: str,
    max_files: int,
    *,
    retry_failed: bool = False,
) -> list[dict[str, Any]]:
    """Claim for `run` at most `max_files` of the landed object versions, the oldest first.

    Returns a dict a file: load_id, dataset, object_key, version_id. What another run holds under a running lease is
    left to it; what a run had claimed before, it gets again.
    """
    objects = [o._asdict() | {"put_at": o.put_at.isoformat()} for o in landed]
    parameters = {
        "objects": json.dumps(objects),
        "run": run,
        "max_files": max_files,
        "retry_failed": retry_failed,
        "max_attempts": MAX_ATTEMPTS,
        "lease_s": CLAIM_LEASE_S,
    }
    with connection.transaction():
        return execute(connection, "ledger/claim_files.sql", parameters).fetchall()


def claim_reloads(
    connection: Connection, put_from: datetime, put_to: datetime, run: str, max_files: int
) -> list[dict[str, Any]]:
    """Enter and claim a reload of every archived file that was put from `put_from` (included) to `put_to`.

    A run that asks again gets what it had. Raises ValueError when these are more than `max_files`.
    """
    parameters = {"put_from": put_from, "put_to": put_to, "run": run, "lease_s": CLAIM_LEASE_S}
    with connection.transaction():
        claims = execute(connection, "ledger/claim_reloads.sql", parameters).fetchall()
        if len(claims) > max_files:
            raise ValueError(
                f"{len(claims)} files were put from {put_from:%F %T} to {put_to:%F %T}, "
                f"and a run reloads at most {max_files}: reload them in several runs, each with a shorter range."
            )
    return claims


def start(connection: Connection, load_id: int, run: str) -> tuple[Load, bool]:
    """Begin an attempt at a load. Returns it, and whether there is work: not when an earlier attempt had finished.

    Raises ClaimLostError when another run holds it by now.
    """
    with connection.transaction():
        row = fetch_row(connection, "ledger/start.sql", {"load_id": load_id, "run": run, "lease_s": LEASE_S})
    started = row.pop("started")
    load = Load(**row)
    # Not started, and neither done nor rejected: another run's claim was being committed, or the claim has lapsed.
    if load.claimed_by != run or (not started and load.status in ("claimed", "failed")):
        raise ClaimLostError(f"Load {load_id} ({load.object_key}) has been taken over by {load.claimed_by}.")
    return load, started


def finish(
    connection: Connection,
    load: Load,
    run: str,
    status: str,
    account: Account,
    *,
    archive_key: str | None,
    reason: str | None = None,
) -> None:
    """Write a load's account, and what the warehouse is told of it, in the caller's transaction.

    Raises ClaimLostError when the claim is not `run`'s.
    """
    cursor = execute(
        connection,
        "ledger/finish.sql",
        {
            "load_id": load.load_id,
            "run": run,
            "status": status,
            "reason": reason,
            "archive_key": archive_key,
            "accepted": account.accepted,
            "lease_s": LEASE_S,
            **vars(account),
        },
    )
    if cursor.rowcount != 1:
        raise ClaimLostError(f"Load {load.load_id} ({load.object_key}) was taken over while it ran: rolled back.")
    execute(connection, "ledger/tell.sql", {"load_id": load.load_id})


def note_failure(connection: Connection, load_id: int, run: str, error: BaseException) -> None:
    """Write into the ledger why an attempt failed."""
    with connection.transaction():
        parameters = {"load_id": load_id, "run": run, "reason": f"{type(error).__name__}: {error}"[:2000]}
        execute(connection, "ledger/attempt_failed.sql", parameters)


class Lease(AbstractContextManager["Lease"]):
    """Renews a load's lease on a connection of its own for as long as the context lasts.

    A failed renewal is logged and tried again: whether the claim still holds is decided by `finish`, not here.
    """

    def __init__(self, connect: Connect, load_id: int, run: str) -> None:
        self._connect = connect
        self._parameters = {"load_id": load_id, "run": run, "lease_s": LEASE_S}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{load_id}", daemon=True)

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _renew(self) -> None:
        while not self._over.wait(LEASE_S / 3):
            try:
                with self._connect() as connection:
                    execute(connection, "ledger/renew.sql", self._parameters)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next renewal may succeed
                log.warning("The lease of load %s could not be renewed: %s", self._parameters["load_id"], error)
