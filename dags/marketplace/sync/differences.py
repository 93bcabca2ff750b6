"""What is known to be wrong in the warehouse: ops.sync_difference, whose rows are open until a run repairs them."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from redshift_connector.core import Connection
    from redshift_connector.cursor import Cursor

# missing: the warehouse has no such row; extra: the store has none; changed: their values differ; doubled: the
# warehouse has more than one.
Kind = Literal["missing", "extra", "changed", "doubled"]
Key = dict[str, Any]  # by the names of its columns

FULL_CHECK_EVERY = timedelta(days=1)
# So many keys of a table are written down by a run, and named in an error; of more it is told how many they are.
MOST_LISTED = 1000
_MOST_NAMED = 10
# So many keys of a table are repaired by a run, or a few more: they go into the text of its queries.
MOST_REPAIRED = 5000


@dataclass(frozen=True)
class Difference:
    """A key of which the warehouse does not have what the store has."""

    key: Key
    kind: Kind


@dataclass(frozen=True)
class Differences:
    """What is wrong with a table of the warehouse: how many keys by kind, and the first of them.

    `groups` are groups of keys whose checksums differ, and no reason for it was found in their rows.
    """

    table: str
    counts: dict[Kind, int]
    listed: list[Difference]
    groups: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Return how many keys differ, listed or not, and groups of keys without one that does."""
        return sum(self.counts.values()) + len(self.groups)

    @property
    def is_listed(self) -> bool:
        """Tell whether all of them are listed."""
        return self.total == len(self.listed)

    def __str__(self) -> str:
        """Return what differs in a few words, with the first keys."""
        said = []
        if self.counts:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.counts.items()))
            named = self.listed[:_MOST_NAMED]
            keys = "; ".join(f"{found.kind} {_text(found.key)}" for found in named)
            more = sum(self.counts.values()) - len(named)
            said.append(f"{kinds}: {keys}" + (f"; and {more:,} more" if more else ""))
        if self.groups:
            said.append(
                f"{len(self.groups):,} groups of keys differ, and no row of them does: load the table anew"
                f" (full_reload): {', '.join(self.groups[:_MOST_NAMED])}"
            )
        return f"{self.table}: {'; '.join(said)}"


@dataclass(frozen=True)
class Open:
    """The differences of a table that wait to be repaired: their keys, and when the last of them was found."""

    keys: list[Key]
    until: datetime


def read_open(connection: Connection) -> dict[str, Open]:
    """Return the open differences of the warehouse by the tables' names: of each table the first MOST_REPAIRED.

    Those that were found at one time come together, so that what was found until then is what they are.
    """
    with closing(connection.cursor()) as cursor:
        cursor.execute(
            "select table_name, key, found_at from ("
            "select table_name, key, found_at, rank() over (partition by table_name order by found_at) as place"
            " from ops.sync_difference where repaired_by is null"
            ") as opened where place <= %s order by table_name, key",
            (MOST_REPAIRED,),
        )
        found: dict[str, dict[str, datetime]] = {}
        for table, key, found_at in cursor.fetchall():
            keys = found.setdefault(table, {})
            keys[key] = max(found_at, keys.get(key, found_at))
    return {table: Open([json.loads(key) for key in keys], max(keys.values())) for table, keys in found.items()}


def last_found(connection: Connection) -> dict[str, Open]:
    """Return, for tables that are loaded in full, that all their open differences are mended by that, key or no key."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(
            "select table_name, max(found_at) from ops.sync_difference where repaired_by is null group by table_name"
        )
        return {table: Open([], until) for table, until in cursor.fetchall()}


def count_open(connection: Connection) -> int:
    """Return how many differences of the warehouse are open, of all tables."""
    with closing(connection.cursor()) as cursor:
        cursor.execute("select count(*) from ops.sync_difference where repaired_by is null")
        ((count,),) = cursor.fetchall()
        return int(count)


def last_full_checks(connection: Connection) -> dict[str, datetime]:
    """Return when all rows of a table were compared last, by the tables' names."""
    with closing(connection.cursor()) as cursor:
        cursor.execute("select table_name, max(checked_at) from ops.sync_check where scope = 'all' group by table_name")
        return dict(cursor.fetchall())


def is_due(checked_at: datetime | None) -> bool:
    """Tell whether all rows of a table are to be compared again."""
    return checked_at is None or datetime.now(UTC) - checked_at >= FULL_CHECK_EVERY


def record(cursor: Cursor, run_id: str, found: Differences, found_at: datetime) -> None:
    """Write down what was found, but for what is open already: finding it again makes it no other difference."""
    cursor.execute("select key from ops.sync_difference where table_name = %s and repaired_by is null", (found.table,))
    known = {key for (key,) in cursor.fetchall()}
    new = [(_text(one.key), one.kind) for one in found.listed if _text(one.key) not in known]
    if new:
        cursor.execute(
            "insert into ops.sync_difference (run_id, table_name, key, kind, found_at) values "  # noqa: S608
            + ", ".join(["(%s, %s, %s, %s, %s)"] * len(new)),
            [value for key, kind in new for value in (run_id, found.table, key, kind, found_at)],
        )


def close(cursor: Cursor, run_id: str, table: str, until: str) -> None:
    """Note that a run has repaired a table's differences that were found until then (an ISO 8601 time)."""
    cursor.execute(
        "update ops.sync_difference set repaired_by = %s"
        " where table_name = %s and repaired_by is null and found_at <= %s",
        (run_id, table, until),
    )


def close_others(cursor: Cursor, run_id: str, found: Differences) -> None:
    """Note that a run has compared all rows of a table and found no differences but these: others were mended since."""
    cursor.execute("select key from ops.sync_difference where table_name = %s and repaired_by is null", (found.table,))
    still = {_text(one.key) for one in found.listed}
    mended = [key for (key,) in cursor.fetchall() if key not in still]
    if mended:
        cursor.execute(
            "update ops.sync_difference set repaired_by = %s where table_name = %s and repaired_by is null and key in ("  # noqa: S608
            + ", ".join(["%s"] * len(mended))
            + ")",
            (run_id, found.table, *mended),
        )


def _text(key: Key) -> str:
    return json.dumps(key, ensure_ascii=False)
