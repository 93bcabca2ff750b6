"""The tables that are synced, as both sides know them, and what differs between the two.

What the store has is the truth. A column that was added there is added in the warehouse; anything else that differs
stops the sync, since a column that is renamed, dropped or of another type cannot be told from a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from marketplace.store import query
from marketplace.sync.types import Column, Target, TypeMapError, quoted, targets

if TYPE_CHECKING:
    from redshift_connector.core import Connection as RedshiftConnection

SCHEMAS = ["geo", "ops", "store"]


class SchemaDriftError(RuntimeError):
    """The warehouse's tables are not what the store's have become: what differs, and what to do."""


@dataclass(frozen=True)
class Table:
    """A table of the store: its name with the schema, its columns (all but row_xid), its key, and how large it is.

    `definition` is another one when the table was altered or rewritten.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    bytes: int = 0
    definition: str = ""

    @property
    def targets(self) -> tuple[Target, ...]:
        """Return the columns that it has in the warehouse. Raises TypeMapError."""
        return tuple(target for column in self.columns for target in targets(column))


@dataclass(frozen=True)
class WarehouseTable:
    """A table of the warehouse: the types of its columns by their names, its key, and its number in the catalog."""

    columns: dict[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    oid: int = 0


def read_tables(connection: psycopg.Connection[Any]) -> dict[str, Table]:
    """Return every table of the store that is synced, which is each that has a row_xid, by its name.

    Raises SchemaDriftError for one without a primary key, whose rows could not be told apart, and for one without the
    triggers that note its changes.
    """
    found = connection.execute(query("sync/tables.sql"), {"schemas": SCHEMAS}).fetchall()
    tables = {}
    for name, key, size, definition, is_tracked, names, types, nullable in found:
        if not key:
            raise SchemaDriftError(f"{name} has a row_xid but no primary key: without one its rows cannot be synced.")
        if not is_tracked:
            raise SchemaDriftError(
                f"{name} has a row_xid, but not all four triggers of ops.track_changes, enabled ALWAYS: its changes go"
                " by unseen. pg_restore --disable-triggers leaves them otherwise. As store_owner, alter table … enable"
                f" always trigger …, for each of them, and select ops.ask_reload('{name}', 'its triggers were off')."
            )
        columns = tuple(Column(*column) for column in zip(names, types, nullable, strict=True))
        tables[name] = Table(name, columns, tuple(key), size, definition)
    return tables


def read_warehouse(connection: RedshiftConnection) -> dict[str, WarehouseTable]:
    """Return the tables of the warehouse's schemas of the same names, by their names."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(
            "select table_schema || '.' || table_name, column_name, data_type, character_maximum_length,"
            " numeric_precision, numeric_scale"
            " from svv_columns where table_schema in (%s, %s, %s) order by 1, ordinal_position",
            SCHEMAS,
        )
        columns: dict[str, dict[str, str]] = {}
        for table, column, *type_ in cursor.fetchall():
            columns.setdefault(table, {})[column] = _written(*type_)
        cursor.execute(
            "select k.table_schema || '.' || k.table_name, k.column_name from information_schema.table_constraints c"
            " inner join information_schema.key_column_usage k on c.constraint_name = k.constraint_name"
            " and c.table_schema = k.table_schema and c.table_name = k.table_name"
            " where c.constraint_type = 'PRIMARY KEY' and c.table_schema in (%s, %s, %s) order by k.ordinal_position",
            SCHEMAS,
        )
        keys: dict[str, list[str]] = {}
        for table, column in cursor.fetchall():
            keys.setdefault(table, []).append(column)
        cursor.execute(
            "select n.nspname || '.' || c.relname, c.oid from pg_class c"
            " inner join pg_namespace n on c.relnamespace = n.oid"
            " where n.nspname in (%s, %s, %s) and c.relkind = 'r'",
            SCHEMAS,
        )
        oids = {table: int(oid) for table, oid in cursor.fetchall()}
    return {name: WarehouseTable(of, tuple(keys.get(name, ())), oids.get(name, 0)) for name, of in columns.items()}


def _written(type_: str, length: int | None, precision: int | None, scale: int | None) -> str:
    """Return a type of the catalog with its length or precision, as marketplace.sync.types writes it."""
    if type_ == "character varying" and length:
        return f"{type_}({length})"
    if type_ == "numeric" and precision:
        return f"{type_}({precision},{scale or 0})"
    return type_


def added_columns(tables: Iterable[Table], warehouse: Mapping[str, WarehouseTable]) -> dict[str, list[Target]]:
    """Return the columns that the store has and the warehouse has not yet, by table, for those that have such.

    Raises SchemaDriftError for whatever else differs, all at once: tables, columns, types, keys.
    """
    added: dict[str, list[Target]] = {}
    differences: list[str] = []
    for table in tables:
        here = warehouse.get(table.name)
        if here is None:
            differences.append(f"{table.name}: the warehouse has no such table")
            continue
        try:
            wanted = {target.name: target for target in table.targets}
        except TypeMapError as error:
            differences.append(f"{table.name}: {error}")
            continue
        differences += [
            f"{table.name}.{name}: the warehouse has it ({here.columns[name]}), the store has not:"
            " it was dropped or renamed"
            for name in here.columns
            if name not in wanted
        ]
        differences += [
            f"{table.name}.{name}: {target.type} is wanted, the warehouse has {here.columns[name]}"
            for name, target in wanted.items()
            if name in here.columns and not target.accepts(here.columns[name])
        ]
        if here.key != table.key:
            differences.append(
                f"{table.name}: its key is ({', '.join(table.key)}), in the warehouse ({', '.join(here.key)})"
            )
        if new := [target for name, target in wanted.items() if name not in here.columns]:
            added[table.name] = new
    if differences:
        listed = "\n".join(f"  {difference}" for difference in differences)
        raise SchemaDriftError(
            f"The warehouse's tables differ from the store's, and nothing was synced:\n{listed}\n"
            "Bring the warehouse to the store by a migration in include/sql/warehouse/migrations, and run DAG migrate."
            " A column that was only added needs none."
        )
    return added


def qualified(table: str) -> str:
    """Return a table's name, schema.table, in quotes."""
    return ".".join(quoted(part) for part in table.split("."))
