"""The statements of a sync, built from the tables' columns: what the store is asked, and what the warehouse runs.

Nothing here talks to a database. Values are bound where that is possible; COPY and the manifests' addresses take
literals, which are this run's own keys and snapshots. COPY in Redshift has the namespace's role: no statement has a
credential in it.

Sources: PostgreSQL's "COPY"; Amazon Redshift Database Developer Guide, "COPY", "MERGE", "DELETE", "CREATE TABLE".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from psycopg import sql

from marketplace.sync import checks
from marketplace.sync.differences import Key
from marketplace.sync.plan import Files, Plan, TablePlan
from marketplace.sync.tables import Table, qualified
from marketplace.sync.types import quoted

# NULL in the files. No text of the store is this: its tables' checks see to it.
NULL_MARK = "@NULL@"
# The widest text that Redshift holds, in bytes: of a column that nobody has given a width yet.
WIDEST_TEXT = 65_535

# --------------------------------------------------------------------------------------------- what the store is asked


def lock_definitions(tables: Iterable[str]) -> sql.Composed:
    """Return the statement that keeps tables from being altered until the transaction's end; rows may change."""
    return sql.SQL("lock table only {} in access share mode").format(
        sql.SQL(", only ").join(sql.Identifier(*table.split(".")) for table in tables)
    )


def copy_out(selected: sql.Composable) -> sql.Composed:
    """Return the COPY of what a query selects, as CSV."""
    return sql.SQL("copy ({}) to stdout (format csv, null {}, encoding 'UTF8')").format(
        selected, sql.Literal(NULL_MARK)
    )


def count(selected: sql.Composable) -> sql.Composed:
    """Return the query of how many rows a query selects."""
    return sql.SQL("select count(*) from ({}) as selected").format(selected)


def all_rows(table: Table) -> sql.Composed:
    """Return the query of all rows of a table, in the columns of the warehouse."""
    columns = sql.SQL(", ").join(sql.SQL(target.export) for target in table.targets)
    return sql.SQL("select {} from {}").format(columns, sql.Identifier(*table.name.split(".")))


def changed_rows(table: Table, snapshot: str, mended: Sequence[Key] = ()) -> sql.Composed:
    """Return the query of the rows of a table that were written since a snapshot, or are to be mended."""
    columns = sql.SQL(", ").join(sql.SQL(target.export) for target in table.targets)
    return _changed(columns, table, snapshot, mended)


def _changed(columns: sql.Composable, table: Table, snapshot: str, mended: Sequence[Key]) -> sql.Composed:
    query = sql.SQL("select {} from {} where {}").format(columns, _name(table), checks.written_since(snapshot))
    if mended:  # not by OR, which would take both halves their index
        query += sql.SQL(" union all select {} from {} where not ({}) and ({}) in ({})").format(
            columns, _name(table), checks.written_since(snapshot), _key(table), _mended(table, mended)
        )
    return query


def gone_keys(table: Table, snapshot: str, mended: Sequence[Key] = ()) -> sql.Composed:
    """Return the query of the keys without a row of those deleted or changed away since a snapshot, or mended."""
    told = sql.SQL("select distinct {} from ops.tombstone as t where t.table_name = {} and {}").format(
        _key_of_json(table), sql.Literal(table.name), checks.written_since(snapshot)
    )
    if mended:
        told += sql.SQL(" union {}").format(_mended(table, mended))
    return sql.SQL("select {} from ({}) as g where not exists ({})").format(_key(table, "g"), told, _row_of_key(table))


def deleted_keys(table: Table, snapshot: str, mended: Sequence[Key] = ()) -> sql.Composed:
    """Return the query of the keys to be deleted before rows are merged.

    Of rows that are to be mended these are all: the warehouse may have a row twice.
    """
    query = gone_keys(table, snapshot, mended)
    if mended:
        query += sql.SQL(" union all select {} from ({}) as g where exists ({})").format(
            _key(table, "g"), _mended(table, mended), _row_of_key(table)
        )
    return query


def reference(table: Table, snapshot: str, mended: Sequence[Key] = ()) -> sql.Composed:
    """Return the query of what the warehouse must have of each key that a sync loads or deletes.

    Each key once: with its row's checksum, or without one when it is gone (see marketplace.sync.checks).
    """
    columns = sql.SQL("{}, {} as row_hash, false as is_later").format(_key(table), checks.store_row_hash(table))
    return sql.SQL("{} union all select {}, null, false from ({}) as gone").format(
        _changed(columns, table, snapshot, mended), _key(table), gone_keys(table, snapshot, mended)
    )


def _name(table: Table) -> sql.Identifier:
    return sql.Identifier(*table.name.split("."))


def _key(table: Table, *of: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(*of, name) for name in table.key)


def _key_of_json(table: Table) -> sql.Composed:
    """Return the columns of a key that t.key has as jsonb, as tombstones have it."""
    types = {column.name: column.type for column in table.columns}
    return sql.SQL(", ").join(
        sql.SQL("(t.key ->> {})::{} as {}").format(sql.Literal(name), sql.SQL(types[name]), sql.Identifier(name))
        for name in table.key
    )


def _mended(table: Table, keys: Sequence[Key]) -> sql.Composed:
    """Return the query of the keys of rows that are to be mended."""
    return sql.SQL("select {} from jsonb_array_elements({}::jsonb) as t (key)").format(
        _key_of_json(table), sql.Literal(json.dumps(keys))
    )


def _row_of_key(table: Table) -> sql.Composed:
    """Return the query that finds the row which has the key of g."""
    same = sql.SQL(" and ").join(sql.SQL("r.{0} = g.{0}").format(sql.Identifier(name)) for name in table.key)
    return sql.SQL("select from {} as r where {}").format(_name(table), same)


# ---------------------------------------------------------------------------------------------- what the warehouse runs


def _list(names: Sequence[str], of: str = "") -> str:
    return ", ".join(of + quoted(name) for name in names)


def _match(table: TablePlan, other: str) -> str:
    return " and ".join(f"{qualified(table.name)}.{quoted(name)} = {other}.{quoted(name)}" for name in table.key)


def stage(table: TablePlan) -> str:
    """Return the name of the temporary table of a table's changed rows."""
    return quoted("changed_" + table.name.replace(".", "_"))


def gone_stage(table: TablePlan) -> str:
    """Return the name of the temporary table of a table's keys that are gone."""
    return quoted("gone_" + table.name.replace(".", "_"))


def copy_files(plan: Plan, target: str, columns: Sequence[str], files: Files) -> str:
    """Return the COPY of some files into a table. ROUNDEC, since COPY would cut off digits that it has no room for."""
    place = f"s3://{plan.bucket}/{files.manifest_key(plan.prefix)}"
    return (
        f"copy {target} ({_list(columns)}) from '{place}' iam_role default"
        f" manifest gzip format as csv null as '{NULL_MARK}' timeformat 'auto' dateformat 'auto' roundec"
    )


def merge(table: TablePlan) -> str:
    """Return the statement that brings the changed rows from their stage into the table."""
    source, target = stage(table), qualified(table.name)
    # Redshift's MERGE has to update something: where there is nothing beside the key, the key to what it is.
    columns = [name for name in table.columns if name not in table.key] or table.key[-1:]
    changed = ", ".join(f"{quoted(name)} = {source}.{quoted(name)}" for name in columns)
    return (
        f"merge into {target} using {source} on {_match(table, source)}"  # noqa: S608 - names of the catalog, in quotes
        f" when matched then update set {changed}"
        f" when not matched then insert ({_list(table.columns)}) values ({_list(table.columns, source + '.')})"
    )


def delete_gone(table: TablePlan) -> str:
    """Return the statement that deletes the rows whose keys are gone."""
    gone = gone_stage(table)
    return f"delete from {qualified(table.name)} using {gone} where {_match(table, gone)}"  # noqa: S608 - as above


def delete_all(table: TablePlan) -> str:
    """Return the statement that empties a table: never TRUNCATE, which would commit what came before it."""
    return f"delete from {qualified(table.name)}"  # noqa: S608 - as above


def make_stage(table: TablePlan) -> str:
    """Return the statement that makes the temporary table of changed rows: distributed and sorted as the table is."""
    return f"create temp table {stage(table)} (like {qualified(table.name)})"


def make_gone_stage(table: TablePlan) -> str:
    """Return the statement that makes the temporary table of keys that are gone."""
    query = f"select {_list(table.key)} from {qualified(table.name)} where 1 = 0"  # noqa: S608 - as above
    return f"create temp table {gone_stage(table)} as {query}"


def add_column(table: TablePlan, name: str, type_: str) -> str:
    """Return the statement that adds a column to a table; `type_` is marketplace.sync.types', a text gets any width."""
    written = f"varchar({WIDEST_TEXT})" if type_ == "character varying" else type_
    return f"alter table {qualified(table.name)} add column {quoted(name)} {written}"
