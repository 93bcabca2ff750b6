"""A chunk of a rule's audience in ops.notification_chunk, as a worker sees it: taken for a while, renewed, ended."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row, dict_row

from marketplace.notifications.queue import Order
from marketplace.store import query

Connection = psycopg.Connection[Any]

# What is kept of an error; a run's message quotes it.
ERROR_LENGTH = 2_000


class LeaseLostError(RuntimeError):
    """Another worker has taken the chunk over, since this one's lease had expired."""


class Outcome(NamedTuple):
    """What became of the customers of a chunk; all are in one or the other."""

    delivered: int
    skipped: dict[str, int]


@dataclass
class Lease:
    """A chunk that is this worker's for a while. `attempts` counts this one; `error` is how the last one ended."""

    chunk_id: int
    day: date
    rule_id: str
    chunk_no: int
    customers: Sequence[int]
    attempts: int
    worker: str
    error: str | None
    held_until: float = field(default=0.0)  # by this process's monotonic clock, which started before the store's

    @property
    def name(self) -> str:
        """Return what the chunk is called in logs and messages."""
        return f"rule {self.rule_id}, chunk {self.chunk_no} of {self.day}"

    @property
    def left_s(self) -> float:
        """Return for how many seconds the chunk is certainly this worker's."""
        return self.held_until - time.monotonic()


class State(NamedTuple):
    """A chunk as it is: queued, done or failed, and for how long a worker holds it."""

    state: str
    held_s: float


class Progress(NamedTuple):
    """How far a day is: chunks that are open, those that are held, and a number that grows when anything happens."""

    open: int
    held: int
    moved: int


def take(connection: Connection, order: Order, worker: str, lease_s: float) -> Lease | None:
    """Take a chunk for `lease_s` seconds; None when it is done, somebody else's, or not what the order says."""
    begun = time.monotonic()
    with connection.transaction(), connection.cursor(row_factory=class_row(Lease)) as cursor:
        cursor.execute(query("notifications/worker_take.sql"), {**asdict(order), "worker": worker, "lease_s": lease_s})
        lease = cursor.fetchone()
    if lease is not None:
        lease.held_until = begun + lease_s
    return lease


def state(connection: Connection, order: Order) -> State | None:
    """Return a chunk as it is, None when there is none such."""
    with connection.transaction(), connection.cursor(row_factory=class_row(State)) as cursor:
        return cursor.execute(query("notifications/worker_state.sql"), asdict(order)).fetchone()


def renew(connection: Connection, lease: Lease, lease_s: float) -> None:
    """Keep a chunk for `lease_s` seconds from now. Raises LeaseLostError."""
    begun = time.monotonic()
    _update(connection, "worker_renew.sql", lease, lease_s=lease_s)
    lease.held_until = begun + lease_s


def finish(connection: Connection, lease: Lease, outcome: Outcome) -> None:
    """Say what became of a chunk's customers: it is done. Raises LeaseLostError."""
    _end(connection, lease, "done", outcome, None)


def fail(connection: Connection, lease: Lease, error: str) -> None:
    """Say that a chunk cannot be delivered, and why. Raises LeaseLostError."""
    _end(connection, lease, "failed", Outcome(0, {}), error)


def release(connection: Connection, lease: Lease, error: str) -> None:
    """Give a chunk back for another try, with what this one ended with. Raises LeaseLostError."""
    _end(connection, lease, "queued", Outcome(0, {}), error)


def _end(connection: Connection, lease: Lease, state: str, outcome: Outcome, error: str | None) -> None:
    _update(
        connection, "worker_end.sql", lease, state=state, delivered=outcome.delivered,
        skipped=json.dumps(outcome.skipped), error=error and error[:ERROR_LENGTH],
    )  # fmt: skip


def _update(connection: Connection, path: str, lease: Lease, **parameters: Any) -> None:
    own = {"chunk_id": lease.chunk_id, "worker": lease.worker, "attempts": lease.attempts}
    with connection.transaction():
        if connection.execute(query(f"notifications/{path}"), own | parameters).rowcount == 0:
            raise LeaseLostError(f"{lease.name}: another worker has taken it over")


def refs(connection: Connection, customers: Sequence[int]) -> Mapping[int, str]:
    """Return the refs of customers who are still there, by their ids."""
    with connection.transaction():
        rows = connection.execute(query("notifications/worker_refs.sql"), {"customers": list(customers)})
        return dict(rows.fetchall())


def progress(connection: Connection, day: date) -> Progress:
    """Return how far the day is."""
    with connection.transaction(), connection.cursor(row_factory=class_row(Progress)) as cursor:
        cursor.execute(query("notifications/worker_open.sql"), {"day": day})
        (found,) = cursor.fetchall()
    return found


def claim_lost(connection: Connection, day: date, older_than_s: float) -> list[Order]:
    """Return the orders of a day whose messages seem lost; no other worker gets them for as long again."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(query("notifications/worker_lost.sql"), {"day": day, "older_than_s": older_than_s})
        return [Order(row["day"], row["rule_id"], row["chunk_id"]) for row in cursor.fetchall()]


def look_first(connection: Connection, day: date) -> None:
    """Have workers look what is in the table before they write, also at the first attempt at a chunk of the day."""
    with connection.transaction():
        connection.execute(query("notifications/worker_look_first.sql"), {"day": day})


def queue_again(connection: Connection, chunk_ids: Sequence[int]) -> set[int]:
    """Have chunks worked on again, whose messages are sent next; returns those of them that exist and are not done."""
    with connection.transaction():
        rows = connection.execute(query("notifications/worker_again.sql"), {"chunk_ids": list(chunk_ids)})
        return {chunk_id for (chunk_id,) in rows.fetchall()}
