"""How far a table of the warehouse is: which snapshot of which source it is equal to, and whether it can go on there.

A snapshot says which transactions it saw, one by one, so what has become visible since is known exactly, however late
it was committed. That holds only for the source that the snapshot was taken from, as long as its history went on:
after a restore, a promotion or an upgrade numbers of transactions mean something else. So a watermark also names the
database cluster, and a random token that was committed there after the snapshot: a source that has the token has all
that the snapshot saw.

Sources: PostgreSQL's "System Information Functions" (pg_current_snapshot, pg_visible_in_snapshot, pg_control_system).
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import class_row

from marketplace.store import query

if TYPE_CHECKING:
    from redshift_connector.core import Connection as RedshiftConnection


class SourceError(RuntimeError):
    """The store cannot be synced from where it was read."""


@dataclass(frozen=True)
class Watermark:
    """A snapshot of the store (as pg_snapshot writes it), the cluster it is of, and the token committed after it.

    `definition` is what a table was then on both sides (marketplace.sync.tables); a run's own watermark has none.
    """

    system_identifier: str
    token: str
    snapshot: str
    definition: str = ""

    @property
    def xmax(self) -> int:
        """Return the first transaction that the snapshot cannot know of."""
        return int(self.snapshot.split(":")[1])


@dataclass(frozen=True)
class Position:
    """Where the source is, as a transaction sees it."""

    is_standby: bool
    system_identifier: str
    snapshot: str
    xmax: int


def read_position(connection: psycopg.Connection[Any]) -> Position:
    """Return where the source is. Raises SourceError on a standby, whose snapshots leave out who is still writing."""
    with connection.cursor(row_factory=class_row(Position)) as cursor:
        position = cursor.execute(query("sync/position.sql")).fetchone()
    if position is None or position.is_standby:
        raise SourceError(
            "The store's connection leads to a standby, where a snapshot does not tell which transactions are still"
            " open: rows would be lost. Point connection store_writer to the primary (RDS: the instance's own endpoint,"
            " no reader's)."
        )
    return position


def read_state(connection: RedshiftConnection) -> dict[str, Watermark]:
    """Return the watermark of each table in the warehouse, by the table's name."""
    with closing(connection.cursor()) as cursor:
        cursor.execute("select table_name, system_identifier, token, store_snapshot, definition from ops.sync_state")
        return {name: Watermark(*rest) for name, *rest in cursor.fetchall()}


def known_tokens(connection: psycopg.Connection[Any], state: Collection[Watermark]) -> set[str]:
    """Return those of the watermarks' tokens that the source knows."""
    tokens = sorted({watermark.token for watermark in state})
    return {token for (token,) in connection.execute(query("sync/tokens.sql"), {"tokens": tokens})}


def why_not(old: Watermark | None, known: Collection[str], now: Position) -> str | None:
    """Return why a table cannot go on from its watermark and must be loaded in full; None when it can."""
    if old is None:
        return "the warehouse has no watermark of it yet"
    if old.system_identifier != now.system_identifier:
        return (
            f"the store is database cluster {now.system_identifier}, and was {old.system_identifier}:"
            " it was moved, upgraded, or restored from a dump"
        )
    if old.token not in known:
        return (
            "the store does not know the last sync's token: it was restored to an earlier time, or a copy was promoted"
        )
    if old.xmax > now.xmax:
        return f"the store's transactions have gone back, from {old.xmax} to {now.xmax}"
    return None


def asked_for(connection: psycopg.Connection[Any], table: str, old: Watermark) -> str | None:
    """Return why a migration has asked for the table to be loaded in full since its watermark; None when none has."""
    found = connection.execute(query("sync/reloads.sql"), {"table_name": table, "snapshot": old.snapshot}).fetchall()
    return "asked for: " + "; ".join(reason for (reason,) in found) if found else None


def prune(connection: psycopg.Connection[Any], marks: Collection[Watermark], now: Position) -> None:
    """Delete the tombstones and tokens that nothing needs any more, since the warehouse has committed what they say.

    `marks` are the watermarks of the tables that are synced. Tombstones go when all of them have seen them: a warehouse
    that is restored to the oldest finds those that it needs. What is another source's, or of a history that is gone,
    prunes nothing.
    """
    known = known_tokens(connection, marks)
    snapshots = sorted({mark.snapshot for mark in marks if why_not(mark, known, now) is None})
    if snapshots:
        connection.execute(query("sync/prune_tombstones.sql"), {"snapshots": snapshots})
    connection.execute(query("sync/prune_tokens.sql"), {"tokens": sorted(known)})
