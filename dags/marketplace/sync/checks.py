"""The statements by which a table of the store is compared with its copy in the warehouse.

All rows of a table are compared by the sums of their checksums in groups: one pass over each side, and 4,096 numbers to
move. Where it matters which row is wrong they are compared one by one, within the warehouse: what the store says of
them, a key and a checksum each, is loaded there as `sync_reference`.

A checksum covers the key, so values that are swapped between two rows change both, and sums do not cancel out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from psycopg import sql

from marketplace import settings, store
from marketplace.sync import types

if TYPE_CHECKING:
    from marketplace.sync.tables import Table


def store_groups(table: Table) -> sql.Composed:
    """Return the query of the store for key_group, row_count and row_sum of each group of a table's rows."""
    return store.query(
        "sync/check_groups.sql",
        key_group=sql.SQL(types.POSTGRES.key_group(_store_key(table))),
        row_sum=sql.SQL(types.POSTGRES.row_sum(_store_row(table))),
        table=_identifier(table),
    )


def store_row_hash(table: Table) -> sql.SQL:
    """Return the store's expression for the checksum of a row."""
    return sql.SQL(types.POSTGRES.row_hash(_store_row(table)))


def written_since(snapshot: str) -> sql.Composed:
    """Return the condition that a row was written by what has become visible since a snapshot.

    The two bounds have an index. The upper one is of rows that a dump has brought from a cluster ahead of this one: all
    were loaded when it was restored, and each sync would export them again until this cluster has come as far.
    """
    return sql.SQL(
        "row_xid >= pg_catalog.pg_snapshot_xmin({0}::pg_snapshot)"
        " and row_xid < pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())"
        " and not pg_catalog.pg_visible_in_snapshot(row_xid, {0}::pg_snapshot)"
    ).format(sql.Literal(snapshot))


def store_rows(table: Table, groups: Sequence[str], snapshot: str) -> sql.Composed:
    """Return the query of the store for the key, row_hash and is_later of each row of some groups of a table.

    What has changed since `snapshot`, the one the warehouse is at, has no row_hash, and is_later is true of it.
    """
    columns = {column.name: column for column in table.columns}
    tombstone_key = [f"(tombstone.key ->> {sql.Literal(name).as_string()})::{columns[name].type}" for name in table.key]
    return store.query(
        "sync/check_rows.sql",
        key=_list(types.quoted(name) for name in table.key),
        row_hash=store_row_hash(table),
        key_group=sql.SQL(types.POSTGRES.key_group(_store_key(table))),
        groups=sql.SQL(", ").join(map(sql.Literal, groups)),
        is_later=sql.SQL("({})").format(written_since(snapshot)),
        table=_identifier(table),
        table_name=sql.Literal(table.name),
        tombstone_key=_list(tombstone_key),
        is_present=sql.SQL(
            " and ".join(
                f"present.{types.quoted(name)} = {gone}" for name, gone in zip(table.key, tombstone_key, strict=True)
            )
        ),
    )


def warehouse_groups(table: Table) -> str:
    """Return the query of the warehouse for key_group, row_count and row_sum of each group of a table's rows."""
    return _warehouse_query(
        "check_groups.sql",
        key_group=sql.SQL(types.REDSHIFT.key_group(_warehouse_key(table))),
        row_sum=sql.SQL(types.REDSHIFT.row_sum(_warehouse_row(table))),
        compared=_identifier(table),
    )


def warehouse_row_hash(table: Table) -> str:
    """Return the warehouse's expression for the checksum of a row of `t`."""
    return types.REDSHIFT.row_hash(_warehouse_row(table))


def create_reference(table: Table) -> str:
    """Return the statement that makes the warehouse's temporary table sync_reference for the keys of a table."""
    return _warehouse_query(
        "create_reference.sql", key=_list(_of("t", name) for name in table.key), compared=_identifier(table)
    )


def reference_columns(table: Table) -> list[str]:
    """Return the columns of sync_reference, in the order in which the store's queries yield them."""
    return [*table.key, "row_hash", "is_later"]


def find_differences(table: Table, groups: Sequence[str] | None) -> str:
    """Return the statement that compares a table of the warehouse with sync_reference, into the table sync_found.

    Compared are the rows of these groups; with None those whose keys are in sync_reference.
    """
    if groups is None:
        is_compared = sql.SQL("exists (select 1 from sync_reference as k where {})").format(_same_key(table, "t", "k"))
    else:
        is_compared = sql.SQL("{} in ({})").format(
            sql.SQL(types.REDSHIFT.key_group(_warehouse_key(table))), sql.SQL(", ").join(map(sql.Literal, groups))
        )
    return _warehouse_query(
        "find_differences.sql",
        key=_list(f"coalesce({_of('r', name)}, {_of('f', name)}) as {types.quoted(name)}" for name in table.key),
        table_key=_list(_of("t", name) for name in table.key),
        row_key=_list(f"min({_of('h', name)}) as {types.quoted(name)}" for name in table.key),
        key_text=sql.SQL(types.REDSHIFT.text(_warehouse_key(table))),
        row_hash=sql.SQL(warehouse_row_hash(table)),
        same_key=_same_key(table, "r", "f"),
        compared=_identifier(table),
        is_compared=is_compared,
    )


def count_differences() -> str:
    """Return the query for how many keys of sync_found have which kind of difference."""
    return _warehouse_query("count_differences.sql")


def explained_groups(table: Table) -> str:
    """Return the query for the groups that have a key of sync_found, or one that the store has changed since."""
    return _warehouse_query(
        "explained_groups.sql",
        changed_group=sql.SQL(types.REDSHIFT.key_group(_warehouse_key(table, "r"))),
        found_group=sql.SQL(types.REDSHIFT.key_group(_warehouse_key(table, "f"))),
    )


def list_differences(table: Table, most: int) -> str:
    """Return the query for the first `most` keys of sync_found, each with its kind of difference last."""
    return _warehouse_query(
        "list_differences.sql", key=_list(types.quoted(name) for name in table.key), most=sql.Literal(most)
    )


def _warehouse_query(path: str, **parts: sql.Composable) -> str:
    text = (settings.include_dir() / "sql" / "warehouse" / "sync" / path).read_text(encoding="utf-8")
    return sql.SQL(text).format(**parts).as_string()


def _identifier(table: Table) -> sql.Identifier:
    return sql.Identifier(*table.name.split("."))


def _list(expressions: Iterable[str]) -> sql.SQL:
    return sql.SQL(", ".join(expressions))


def _of(alias: str, column: str) -> str:
    return f"{alias}.{types.quoted(column)}"


def _same_key(table: Table, left: str, right: str) -> sql.SQL:
    return sql.SQL(" and ".join(f"{_of(left, name)} = {_of(right, name)}" for name in table.key))


def _store_row(table: Table) -> list[types.Value]:
    return [types.Value(target.export, target.type, target.nullable) for target in table.targets]


def _store_key(table: Table) -> list[types.Value]:
    return [types.Value(target.export, target.type, target.nullable) for target in _key_targets(table)]


# What the warehouse's columns hold is what is to be found out: any may be NULL there.
def _warehouse_row(table: Table) -> list[types.Value]:
    return [types.Value(_of("t", target.name), target.type) for target in table.targets]


def _warehouse_key(table: Table, alias: str = "t") -> list[types.Value]:
    return [types.Value(_of(alias, target.name), target.type) for target in _key_targets(table)]


def _key_targets(table: Table) -> Iterator[types.Target]:
    columns = {column.name: column for column in table.columns}
    for name in table.key:
        yield from types.targets(columns[name])
