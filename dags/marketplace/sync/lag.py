"""How far the warehouse is behind the store, and what holds it up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from airflow.sdk.observability import stats
from psycopg import sql
from psycopg.rows import dict_row

from marketplace.store import query

if TYPE_CHECKING:
    from redshift_connector.core import Connection as RedshiftConnection

    from marketplace.sync.tables import Table


# A snapshot before all transactions.
NOTHING_SEEN = "3:3:"


@dataclass(frozen=True)
class Reached:
    """What a table of the warehouse is equal to: a snapshot of the store, taken at a time."""

    snapshot: str
    taken_at: datetime


@dataclass(frozen=True)
class Lag:
    """How far the warehouse is behind, over all tables, and what the next sync has to wait for or to clear away.

    `seconds_behind` is the age of the oldest snapshot of a table that has changed since: what is not in the warehouse
    was committed at most so long ago. It is 0 when nothing is missing. Tables that were never synced count with all
    their rows, and have no such age.
    """

    seconds_behind: float
    rows_behind: int
    deletes_behind: int
    tables_never_synced: int
    oldest_transaction_s: float
    prepared_transactions: int
    oldest_prepared_s: float
    tombstones: int
    behind: dict[str, int]  # rows and deletes together, of each table that is behind


def read_reached(warehouse: RedshiftConnection) -> dict[str, Reached]:
    """Return how far each table of the warehouse is, by its name."""
    with closing(warehouse.cursor()) as cursor:
        cursor.execute("select table_name, store_snapshot, synced_at from ops.sync_state")
        found = {name: Reached(snapshot, at) for name, snapshot, at in cursor.fetchall()}
    warehouse.rollback()
    return found


def measure(connection: psycopg.Connection[Any], tables: Iterable[Table], reached: Mapping[str, Reached]) -> Lag:
    """Measure how far the warehouse is behind the store as it is now; `reached` is by the tables' names.

    `connection` is one of the store's. Counting reads the index of what has changed since, not the tables.
    """
    seconds, rows, deletes, never = 0.0, 0, 0, 0
    behind: dict[str, int] = {}
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        held_up = cursor.execute(query("sync/open_transactions.sql")).fetchone() or {}
        now = held_up.pop("now")
        for table in tables:
            at = reached.get(table.name)
            parameters = {"table_name": table.name, "snapshot": at.snapshot if at else NOTHING_SEEN}
            count = cursor.execute(
                query("sync/lag.sql", table=sql.Identifier(*table.name.split("."))), parameters
            ).fetchone()
            never += at is None
            if count and any(count.values()):
                behind[table.name] = sum(count.values())
                rows += count["rows_behind"]
                deletes += count["deletes_behind"]
                if at:
                    seconds = max(seconds, (now - at.taken_at).total_seconds())
    return Lag(round(seconds, 3), rows, deletes, never, **held_up, behind=behind)


def publish(lag: Lag) -> None:
    """Set a gauge of Airflow's metrics for each number: marketplace.sync.seconds_behind and so on."""
    for name, value in asdict(lag).items():
        if name != "behind":
            stats.gauge(f"marketplace.sync.{name}", value)
