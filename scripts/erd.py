"""Draw docs/erd.md, the diagram and dictionary of the store, from a live database: `make docs`.

The same schema gives the same bytes, whatever is stored in it, so a test can tell when the page is stale.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.rows import class_row

PAGE = Path(__file__).resolve().parents[1] / "docs" / "erd.md"

# Every schema of ours is in one group, that is in one diagram.
GROUPS = {
    "The clean model": ("store", "geo"),
    "The ledger and what the warehouse sync needs": ("ops",),
}
NOT_DRAWN = ("public",)

# On every row of the clean model: explained once, left out of the boxes.
LINEAGE = {"load_id", "load_line", "row_xid"}

INTRODUCTION = """\
<!-- Written by scripts/erd.py from the database: `make docs`. Do not edit. -->
# The store, drawn from the database

A box is a table. `||` means exactly one, `|o` none or one, `o{` any number; a solid line is a reference that
is part of the referring table's primary key, a dotted line any other. PK marks a primary key, FK a reference,
UK a unique column.

Every row of `store` and `geo.area` also has `load_id` and `load_line`, the load (`ops.load`) and the physical line
of its file that the values came from, null where no file brought it; and `row_xid`, the transaction that last
wrote it, by which the warehouse sync finds what changed. They are left out below. `geo.cell` and `geo.activity` are
derived from the play sessions.
"""

TABLES = """
select n.nspname as schema, c.relname as name, c.relkind = 'v' as is_view,
       obj_description(c.oid, 'pg_class') as comment
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm')
   and n.nspname <> all(%(not_drawn)s) and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
 order by c.oid -- as the migrations made them, which draws with fewer crossings than the alphabet
"""

COLUMNS = """
select n.nspname as schema, c.relname as "table", a.attname as name,
       format_type(a.atttypid, a.atttypmod) as type, format_type(a.atttypid, null) as base_type,
       a.attnotnull as required, col_description(c.oid, a.attnum) as comment,
       coalesce(a.attnum = any(pk.conkey), false) as is_primary,
       exists (select from pg_constraint u
                where u.conrelid = c.oid and u.contype = 'u' and u.conkey = array[a.attnum]) as is_unique,
       (select string_agg(distinct f.confrelid::regclass::text, ', ') from pg_constraint f
         where f.conrelid = c.oid and f.contype = 'f' and a.attnum = any(f.conkey)) as refers_to
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_constraint pk on pk.conrelid = c.oid and pk.contype = 'p'
 where c.relkind in ('r', 'p', 'v', 'm') and a.attnum > 0 and not a.attisdropped
   and n.nspname <> all(%(not_drawn)s) and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
 order by a.attnum
"""

REFERENCES = """
with reference as (
    select f.conrelid, f.confrelid,
           array_agg(a.attname::text order by k.position) as columns,
           bool_and(a.attnotnull) as is_required,
           exists (select from pg_constraint u where u.conrelid = f.conrelid and u.contype in ('p', 'u')
                      and u.conkey <@ f.conkey) as is_unique,
           exists (select from pg_constraint p where p.conrelid = f.conrelid and p.contype = 'p'
                      and f.conkey <@ p.conkey) as is_identifying
      from pg_constraint f
     cross join lateral unnest(f.conkey) with ordinality as k (attnum, position)
      join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum
     where f.contype = 'f'
     group by f.oid, f.conrelid, f.confrelid, f.conkey
)
select cn.nspname as schema, (cn.nspname || '.' || c.relname) collate "C" as child,
       (pn.nspname || '.' || p.relname) collate "C" as parent,
       r.columns, r.is_required, r.is_unique, r.is_identifying
  from reference r
  join pg_class c on c.oid = r.conrelid
  join pg_namespace cn on cn.oid = c.relnamespace
  join pg_class p on p.oid = r.confrelid
  join pg_namespace pn on pn.oid = p.relnamespace
 order by r.conrelid, 3, 4
"""


@dataclass(frozen=True)
class Column:
    """A column of a table or view, with its keys; `refers_to` names the tables it refers to."""

    schema: str
    table: str
    name: str
    type: str
    base_type: str
    required: bool
    comment: str | None
    is_primary: bool
    is_unique: bool
    refers_to: str | None

    def marks(self) -> list[str]:
        """Return which of PK, FK and UK the column is."""
        marks = {"PK": self.is_primary, "FK": self.refers_to, "UK": self.is_unique}
        return [mark for mark, holds in marks.items() if holds]


@dataclass(frozen=True)
class Table:
    """A table or view."""

    schema: str
    name: str
    is_view: bool
    comment: str | None


@dataclass(frozen=True)
class Reference:
    """A foreign key: rows of `child` refer to rows of `parent` by `columns` of the child."""

    schema: str
    child: str
    parent: str
    columns: list[str]
    is_required: bool
    is_unique: bool
    is_identifying: bool


def _short(type_name: str) -> str:
    """Return a type's usual short name, PostGIS's without their schema."""
    return type_name.replace("timestamp with time zone", "timestamptz").removeprefix("public.")


def _cell(text: str | None) -> str:
    """Return a text as one cell of a Markdown table."""
    return (text or "").replace("|", "\\|").replace("\n", " ")


def _box(table: Table, columns: list[Column]) -> Iterator[str]:
    # Mermaid takes no comma within a type: the precision is in the dictionary below the diagram.
    yield f'    "{table.schema}.{table.name}" {{'
    for column in columns:
        yield f"        {_short(column.base_type)} {column.name} {', '.join(column.marks())}".rstrip()
    yield "    }"


def _line(reference: Reference) -> str:
    parent = "||" if reference.is_required else "|o"
    child = "o|" if reference.is_unique else "o{"
    link = "--" if reference.is_identifying else ".."
    label = ", ".join(reference.columns)
    return f'    "{reference.parent}" {parent}{link}{child} "{reference.child}" : "{label}"'


def _dictionary(table: Table, columns: list[Column]) -> Iterator[str]:
    yield f"\n### {table.schema}.{table.name}{' (view)' if table.is_view else ''}\n"
    if table.comment:
        yield f"{table.comment}.\n"
    yield "| column | type | null | key | meaning |"
    yield "|---|---|---|---|---|"
    for column in columns:
        keys = [f"FK → {column.refers_to}" if mark == "FK" else mark for mark in column.marks()]
        null = "" if column.required or table.is_view else "yes"
        cells = [column.name, _short(column.type), null, ", ".join(keys), _cell(column.comment)]
        yield "| " + " | ".join(cells) + " |"


def _group(
    title: str, tables: list[Table], columns: dict[tuple[str, str], list[Column]], references: list[Reference]
) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield "```mermaid"
    yield "erDiagram"
    for table in tables:
        if not table.is_view:
            yield from _box(table, columns[table.schema, table.name])
    yield from map(_line, references)
    yield "```"
    for table in tables:
        yield from _dictionary(table, columns[table.schema, table.name])


def _without_lineage(columns: list[Column]) -> list[Column]:
    names = {column.name for column in columns}
    return [column for column in columns if not (names >= LINEAGE and column.name in LINEAGE)]


def draw(connection: psycopg.Connection) -> str:
    """Return the page for the database of `connection`.

    Raises ValueError when a schema with tables is in none of GROUPS.
    """
    parameters = {"not_drawn": list(NOT_DRAWN)}
    # With nothing on the path every reference is written with its schema.
    connection.execute("set local search_path to ''")
    with connection.cursor(row_factory=class_row(Table)) as cursor:
        tables = cursor.execute(TABLES, parameters).fetchall()
    with connection.cursor(row_factory=class_row(Column)) as cursor:
        all_columns = cursor.execute(COLUMNS, parameters).fetchall()
    with connection.cursor(row_factory=class_row(Reference)) as cursor:
        references = cursor.execute(REFERENCES).fetchall()

    strangers = {table.schema for table in tables} - {schema for group in GROUPS.values() for schema in group}
    if strangers:
        raise ValueError(f"The schemas {sorted(strangers)} are not drawn: add them to GROUPS in scripts/erd.py.")
    columns = {
        (table.schema, table.name): _without_lineage(
            [column for column in all_columns if (column.schema, column.table) == (table.schema, table.name)]
        )
        for table in tables
    }
    lines = [INTRODUCTION.rstrip("\n")]
    for title, schemas in GROUPS.items():
        group_tables = sorted((t for t in tables if t.schema in schemas), key=lambda t: schemas.index(t.schema))
        group_references = [reference for reference in references if reference.schema in schemas]
        lines += _group(title, group_tables, columns, group_references)
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page, or with --check say whether it is what would be written."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--url", default=os.environ.get("STORE_URL"), help="the store, postgresql://… (default: $STORE_URL)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when docs/erd.md is stale")
    arguments = parser.parse_args()
    if not arguments.url:
        parser.error("no database: give --url, or set STORE_URL as .local/env does")
    try:
        connection = psycopg.connect(arguments.url, connect_timeout=10)
    except psycopg.OperationalError as error:
        sys.exit(f"The store does not answer; is the platform up (make status)?\n{error}")
    with connection:
        page = draw(connection)
    if not arguments.check:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page:
        print("docs/erd.md is stale: the database is not what it shows. Run `make docs`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
