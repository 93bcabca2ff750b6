"""All rows of the store and of the warehouse, read by plain selects and compared in Python.

Nothing here comes from marketplace.sync: what a column of the store becomes in the warehouse is said here again.
"""

from __future__ import annotations

from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg
from psycopg import sql

Rows = Counter[tuple[tuple[str, Any], ...]]  # how often each row is there; a row is its columns in their names' order
Tables = dict[str, Rows]

# What is synced beside schema `store`.
BESIDE = ["geo.area", "geo.area_cell", "ops.load_account", "ops.load_finding", "ops.notification_account"]
_MICRODEGREE = Decimal("0.000001")


def tables(connection: psycopg.Connection[Any]) -> dict[str, dict[str, str]]:
    """Return the columns and their types of each table that both sides have, by what information_schema says."""
    found: dict[str, dict[str, str]] = {}
    for table, column, type_ in connection.execute(
        "select c.table_schema || '.' || c.table_name, c.column_name,"
        " coalesce(nullif(c.data_type, 'USER-DEFINED'), c.udt_name)"
        " from information_schema.columns as c join information_schema.tables as t using (table_schema, table_name)"
        " where t.table_type = 'BASE TABLE' and (c.table_schema = 'store' or c.table_schema || '.' || c.table_name ="
        " any(%s)) order by 1, c.ordinal_position",
        [BESIDE],
    ):
        found.setdefault(table, {})[column] = type_
    return found


def store(connection: psycopg.Connection[Any]) -> Tables:
    """Return the store as it must stand in the warehouse, by what `connection` sees."""
    found: Tables = {}
    for table, types in tables(connection).items():
        columns = {name: type_ for name, type_ in types.items() if name != "row_xid" and type_ != "geometry"}
        chosen = []
        for name, type_ in columns.items():
            column = sql.Identifier(name)
            if type_ == "geography":
                place = sql.SQL("public.st_{}({}::public.geometry)")
                chosen += [place.format(sql.SQL(axis), column) for axis in ("x", "y")]
            else:
                chosen.append(sql.SQL("{}::text").format(column) if type_ == "jsonb" else column)
        names: list[tuple[str, bool]] = []
        for name, type_ in columns.items():
            is_place = type_ == "geography"
            names += [(name + suffix, is_place) for suffix in (("_longitude", "_latitude") if is_place else ("",))]
        query = sql.SQL("select {} from {}").format(sql.SQL(", ").join(chosen), sql.Identifier(*table.split(".")))
        found[table] = Counter(
            tuple(sorted((name, degrees(value) if is_place else value)
                         for (name, is_place), value in zip(names, row, strict=True)))
            for row in connection.execute(query)
        )  # fmt: skip
    return found


def degrees(value: float | None) -> Decimal | None:
    """Return a coordinate to six digits: of the fifteen that a float is sure of, half rounded away from zero."""
    return None if value is None else Decimal(f"{value:.15g}").quantize(_MICRODEGREE, ROUND_HALF_UP)


def warehouse(connection: psycopg.Connection[Any]) -> Tables:
    """Return the warehouse's tables of these names, by what `connection` to the PostgreSQL behind its endpoint sees."""
    found: Tables = {}
    for table, columns in tables(connection).items():
        chosen = sql.SQL(", ").join(map(sql.Identifier, columns))
        query = sql.SQL("select {} from {}").format(chosen, sql.Identifier(*table.split(".")))
        found[table] = Counter(tuple(sorted(zip(columns, row, strict=True))) for row in connection.execute(query))
    return found


def differences(expected: Tables, found: Tables) -> list[str]:
    """Return what differs, table by table, with the first rows that are in one of the two only."""
    said = [f"{table}: it is in one of the two only" for table in sorted(expected.keys() ^ found.keys())]
    for table in sorted(expected.keys() & found.keys()):
        missing, extra = expected[table] - found[table], found[table] - expected[table]
        if missing or extra:
            said.append(
                f"{table}: {missing.total()} rows are missing or other, {extra.total()} should not be there or not"
                f" so; missing {list(map(dict, missing))[:2]}, there {list(map(dict, extra))[:2]}"
            )
    return said
