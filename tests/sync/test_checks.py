"""Comparing a table of the store with its copy in the warehouse: PostgreSQL and the Redshift endpoint, filled here."""

from __future__ import annotations

import io
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import redshift_connector
from psycopg import sql

from marketplace.sync import checks, reconcile
from marketplace.sync.differences import Difference, Differences
from marketplace.sync.tables import Table
from marketplace.sync.types import Column, Engine, targets
from tests.conftest import Store
from tests.redshift.clients.conftest import BUCKET, Warehouse, new_schema

NULL = "@null@"

# A key of two columns, and a column of each type that the store has.
COLUMNS = (
    Column("name", "text", False),
    Column("place", "bigint", False),
    Column("title", "text", True),
    Column("size", "integer", True),
    Column("is_open", "boolean", True),
    Column("opened_on", "date", True),
    Column("seen_at", "timestamp with time zone", True),
    Column("price", "numeric(18,4)", True),
    Column("labels", "jsonb", True),
    Column("location", "geography(Point,4326)", True),
)
NOTHING = [None] * 8
# In the order of the columns. Rows with odd values, of which no two may have the same text.
ROWS: list[list[Any]] = [
    ["plain", 1, "Title", 1, True, "2025-01-31", "2025-01-31 10:00:00+00", "1.5", '{"a": 1}', "POINT(13.4 52.5)"],
    ["nothing", 1, *NOTHING],
    ["nothing", 2, *NOTHING],
    ["zeros", 1, "", 0, False, "1950-01-01", "1970-01-01 00:00:00+00", "0", "{}", "POINT(0 0)"],
    ["trailing zeros", 1, "", 0, False, "1950-01-01", "1970-01-01 00:00:00.1+00", "0.1000", "{}", "POINT(0 0.1)"],
    ["negative", -1, "-", -1, False, "2100-12-31", "2100-12-31 23:59:59.999999+00", "-0.5", "[]", "POINT(-180 -90)"],
    ["large", 2**63 - 1, "-", 2**31 - 1, None, None, None, "99999999999999.9999", "[1.50]", "POINT(180 90)"],
    ["zone", 1, None, None, None, None, "2025-07-01 00:30:00+02", None, None, None],
    ["emoji 🎮", 1, "🎮 \N{ZERO WIDTH JOINER}👩‍👩‍👧 é e\N{COMBINING ACUTE ACCENT}", *NOTHING[1:]],
    ["quotes ' \" ` \\", 1, 'it\'s "so" \\n \\N , ; \t', None, None, None, None, None, '{"q": "\\"\\\\"}', None],
    ["lines", 1, "one\ntwo\r\nthree", *NOTHING[1:]],
    ["null as text", 1, "~", *NOTHING[1:]],
    ["null as text", 2, "NULL", *NOTHING[1:]],
    ["long", 1, "x" * 9000, *NOTHING[1:]],
    ["long", 2, "x" * 9000 + "y", *NOTHING[1:]],
    ["long", 3, "🎮" * 257, *NOTHING[1:]],
    # What would be one text if the separator were not told from a value.
    ["a|1", 1, "b|~", *NOTHING[1:]],
    ["a", 11, "b|3|~", *NOTHING[1:]],
    ["1|a|1", 1, "1|b", *NOTHING[1:]],
]
PLACES = {name: position for position, name in enumerate(column.name for column in COLUMNS)}


@dataclass
class Sides:
    """A table of the store and its copy in the warehouse, which the test fills and changes."""

    table: Table
    store: psycopg.Connection[Any]
    behind: psycopg.Connection[Any]  # the PostgreSQL behind the endpoint, past it
    warehouse: redshift_connector.Connection
    s3: Any

    def __post_init__(self) -> None:
        self.relation = sql.Identifier(*self.table.name.split("."))
        self.targets = [target for column in self.table.columns for target in targets(column)]

    def insert(self, rows: list[list[Any]]) -> None:
        """Insert rows into the store."""
        places = sql.SQL(", ").join(sql.SQL("%s::{}").format(sql.SQL(c.type)) for c in self.table.columns)
        names = sql.SQL(", ").join(sql.Identifier(c.name) for c in self.table.columns)
        with self.store.cursor() as cursor:
            cursor.executemany(sql.SQL("insert into {} ({}) values ({})").format(self.relation, names, places), rows)

    def write(self, statement: str) -> None:
        """Run a statement on the store's {table}."""
        self.store.execute(sql.SQL(statement).format(table=self.relation))

    def spoil(self, statement: str, *parameters: Any) -> None:
        """Run a statement on the warehouse's {table}."""
        changed = self.behind.execute(sql.SQL(statement).format(table=self.relation), parameters).rowcount
        assert changed > 0

    def copy_over(self) -> None:
        """Make the warehouse's table what the store's is."""
        exports = sql.SQL(", ").join(sql.SQL(target.export) for target in self.targets)
        names = sql.SQL(", ").join(sql.Identifier(target.name) for target in self.targets)
        rows = self.store.execute(sql.SQL("select {} from {}").format(exports, self.relation)).fetchall()
        self.behind.execute(sql.SQL("delete from {}").format(self.relation))
        with self.behind.cursor() as cursor:
            cursor.executemany(
                sql.SQL("insert into {} ({}) values ({})").format(
                    self.relation, names, sql.SQL(", ").join([sql.Placeholder()] * len(self.targets))
                ),
                rows,
            )

    def snapshot(self) -> str:
        """Return what is visible in the store now."""
        (snapshot,) = self.store.execute("select pg_current_snapshot()::text").fetchone()
        return snapshot

    def load(self, query: sql.Composed) -> Callable[[], None]:
        """Return what fills sync_reference with a query of the store, by way of S3."""

        def load_reference() -> None:
            text = io.BytesIO()
            with self.store.cursor().copy(
                sql.SQL("copy ({}) to stdout (format csv, null {})").format(query, sql.Literal(NULL))
            ) as copy:
                for part in copy:
                    text.write(part)
            key = f"{self.table.name}/{uuid.uuid4().hex}.csv"
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=text.getvalue())
            names = ", ".join(f'"{name}"' for name in checks.reference_columns(self.table))
            self.warehouse.cursor().execute(
                f"copy sync_reference ({names}) from 's3://{BUCKET}/{key}' iam_role default csv null as '{NULL}'"
            )

        return load_reference

    def store_groups(self) -> reconcile.Groups:
        return reconcile.groups_of(self.store.execute(checks.store_groups(self.table)).fetchall())

    def differing_groups(self, of_store: reconcile.Groups | None = None) -> list[str]:
        cursor = self.warehouse.cursor()
        cursor.execute(checks.warehouse_groups(self.table))
        here = reconcile.groups_of(cursor.fetchall())
        return reconcile.differing_groups(self.store_groups() if of_store is None else of_store, here)

    def differences(self, snapshot: str, groups: list[str]) -> Differences:
        """Compare the rows of these groups with the store as it is now, the warehouse being at `snapshot`."""
        rows = self.load(checks.store_rows(self.table, groups, snapshot))
        found = reconcile.compare_rows(self.warehouse.cursor(), self.table, rows, groups)
        self.warehouse.rollback()
        return found

    def all_differences(self) -> Differences:
        """Compare all rows, as long as nothing is written."""
        groups = self.differing_groups()
        return self.differences(self.snapshot(), groups or ["000"])


WAREHOUSE_TYPES = {"character varying": "varchar(65535)"}


@pytest.fixture(scope="module")
def both_schemas(store: Store) -> Iterator[tuple[Store, Warehouse]]:
    platform = store.platform
    with new_schema(platform, platform.state.ports["redshift"]) as warehouse:
        with psycopg.connect(store.url("store_owner"), autocommit=True) as connection:
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(warehouse.schema)))
        yield store, warehouse


@pytest.fixture
def sides(both_schemas: tuple[Store, Warehouse]) -> Iterator[Sides]:
    """An empty table on both sides."""
    store, warehouse = both_schemas
    table = Table(f"{warehouse.schema}.t_{uuid.uuid4().hex[:8]}", COLUMNS, ("name", "place"))
    with (
        psycopg.connect(store.url("store_owner"), autocommit=True) as of_store,
        psycopg.connect(warehouse.platform.store_url("postgres", "warehouse"), autocommit=True) as behind,
        redshift_connector.connect(**warehouse.login, ssl=False) as connection,
    ):
        of_store.execute("set timezone = 'UTC'")
        columns = ", ".join(f'"{c.name}" {c.type}{"" if c.nullable else " not null"}' for c in COLUMNS)
        of_store.execute(
            f"create table {table.name} ({columns}, row_xid xid8 not null default pg_current_xact_id(),"
            " primary key (name, place))"
        )
        of_store.execute("call ops.track_changes(%s)", (table.name,))
        there = ", ".join(
            f'"{t.name}" {WAREHOUSE_TYPES.get(t.type, t.type)}{"" if t.nullable else " not null"}'
            for c in COLUMNS
            for t in targets(c)
        )
        connection.cursor().execute(f"create table {table.name} ({there}, primary key (name, place))")
        connection.commit()
        yield Sides(table, of_store, behind, connection, warehouse.s3)


def plain(name: str, place: int = 1, title: str | None = "Title", price: str | None = "1.5000") -> list[Any]:
    return [name, place, title, 1, True, "2025-01-31", "2025-01-31 10:00:00+00", price, "{}", "POINT(13.4 52.5)"]


# ------------------------------------------------------------------------------------------------- both sides agree


def test_both_engines_give_each_row_the_same_checksum_and_no_two_rows_the_same(sides: Sides):
    sides.insert(ROWS)
    sides.copy_over()
    key = sql.SQL("select name, place, {} from {} order by name, place")
    of_store = sides.store.execute(key.format(checks.store_row_hash(sides.table), sides.relation)).fetchall()
    cursor = sides.warehouse.cursor()
    cursor.execute(f"select name, place, {checks.warehouse_row_hash(sides.table)} from {sides.table.name} as t")
    assert sorted(map(tuple, cursor.fetchall())) == sorted(of_store)
    assert len({row_hash for _, _, row_hash in of_store}) == len(ROWS)


@pytest.mark.parametrize("column", [column.name for column in COLUMNS[2:]])
def test_null_differs_from_every_value(sides: Sides, column: str):
    sides.insert(ROWS)
    hashes = sql.SQL("select {} from {}").format(checks.store_row_hash(sides.table), sides.relation)
    before = sides.store.execute(hashes).fetchall()
    with_value = sum(row[PLACES[column]] is not None for row in ROWS)
    sides.write(f'update {{table}} set "{column}" = null')
    after = sides.store.execute(hashes).fetchall()
    assert sum((Counter(before) - Counter(after)).values()) == with_value > 0


def test_rows_that_are_the_same_make_no_difference(sides: Sides):
    sides.insert(ROWS)
    sides.copy_over()
    assert sides.differing_groups() == []
    assert sum(group.rows for group in sides.store_groups().values()) == len(ROWS)


def test_empty_tables_make_no_difference(sides: Sides):
    assert sides.differing_groups() == []
    found = sides.differences(sides.snapshot(), ["000"])
    assert (found.counts, found.listed, found.groups) == ({}, [], ("000",))


def test_a_table_that_is_empty_on_one_side(sides: Sides):
    sides.insert(ROWS)
    assert sides.all_differences().counts == {"missing": len(ROWS)}
    sides.copy_over()
    sides.write("delete from {table}")
    found = sides.differences(sides.snapshot(), sides.differing_groups())
    assert found.counts == {"extra": len(ROWS)}


# ---------------------------------------------------------------------------------------------- what is wrong is named

SPOILED: dict[str, tuple[str, list[tuple[str, int, str]]]] = {
    "a row is deleted": ("delete from {table} where name = 'right'", [("right", 1, "missing")]),
    "a row is added": (
        "insert into {table} (name, place) values ('x \U0001f3ae ''quoted'' \"so\"', 7)",
        [("x 🎮 'quoted' \"so\"", 7, "extra")],
    ),
    "a digit is changed": ("update {table} set price = price + 0.0001 where name = 'right'", [("right", 1, "changed")]),
    "a microsecond is changed": (
        "update {table} set seen_at = seen_at + interval '1 microsecond' where name = 'right'",
        [("right", 1, "changed")],
    ),
    "a text gets a blank at its end": (
        "update {table} set title = title || ' ' where name = 'right'",
        [("right", 1, "changed")],
    ),
    "a column becomes NULL": ("update {table} set is_open = null where name = 'right'", [("right", 1, "changed")]),
    "NULL becomes an empty text": ("update {table} set title = '' where name = 'none'", [("none", 1, "changed")]),
    "a point moves": (
        "update {table} set location_latitude = 52.500001 where name = 'right'",
        [("right", 1, "changed")],
    ),
    "a row is doubled": ("insert into {table} select * from {table} where name = 'right'", [("right", 1, "doubled")]),
    "a row has two versions": (
        "with one as (insert into {table} select * from {table} where name = 'right') "
        "update {table} set title = 'Other' where name = 'right'",
        [("right", 1, "doubled")],
    ),
    "a key is changed": (
        "update {table} set place = 2 where name = 'right'",
        [("right", 1, "missing"), ("right", 2, "extra")],
    ),
    "two rows swap a value": (
        "update {table} set price = case name when 'right' then 10 else 20 end where name in ('left', 'right')",
        [("left", 1, "changed"), ("right", 1, "changed")],
    ),
    "two rows swap their values": (
        "update {table} set title = case name when 'right' then 'A' else 'B' end,"
        " price = case name when 'right' then 10 else 20 end where name in ('left', 'right')",
        [("left", 1, "changed"), ("right", 1, "changed")],
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_is_wrong_in_the_warehouse_is_named_by_its_key(sides: Sides, case: str):
    sides.insert(
        [plain("left", title="A", price="10"), plain("right", title="B", price="20"), plain("none", title=None), *ROWS]
    )
    sides.copy_over()
    statement, expected = SPOILED[case]
    sides.spoil(statement)
    found = sides.all_differences()
    assert found.listed == [Difference({"name": name, "place": place}, kind) for name, place, kind in expected]
    assert found.counts == Counter(kind for _, _, kind in expected)


def test_values_swapped_within_a_group_do_not_cancel_out(sides: Sides, monkeypatch: pytest.MonkeyPatch):
    """All rows in one group: the sum must tell what a sum of values would not."""
    monkeypatch.setattr(Engine, "key_group", lambda _engine, _key: "'000'")
    sides.insert([plain("a", price="10"), plain("b", price="20")])
    sides.copy_over()
    assert sides.differing_groups() == []
    sides.spoil("update {table} set price = case name when 'b' then 10 else 20 end")
    assert sides.differing_groups() == ["000"]
    (group,) = sides.store_groups().values()
    assert group.rows == 2


def test_of_very_many_differences_the_first_are_listed_and_all_are_counted(sides: Sides):
    sides.insert([plain("many", place) for place in range(1500)])
    sides.copy_over()
    sides.spoil("update {table} set price = 0 where place < 1400")
    sides.spoil("delete from {table} where place >= 1400")
    found = sides.all_differences()
    assert found.counts == {"changed": 1400, "missing": 100}
    assert [difference.key["place"] for difference in found.listed] == list(range(1000))
    assert str(found).endswith("; and 1,490 more")
    assert str(found).startswith(f"{sides.table.name}: 1,400 changed, 100 missing: changed {{")


# ------------------------------------------------------------------------------------ what the store has changed since


def test_what_the_store_has_changed_since_is_not_called_a_difference(sides: Sides):
    sides.insert([plain(name) for name in ("same", "spoiled", "updated", "deleted", "rekeyed", "reborn", "both")])
    sides.copy_over()
    snapshot = sides.snapshot()
    of_store = sides.store_groups()
    sides.spoil("update {table} set price = 7 where name in ('spoiled', 'both')")
    sides.write("update {table} set title = 'New' where name in ('updated', 'both')")
    sides.write("delete from {table} where name = 'deleted'")
    sides.write("update {table} set place = 9 where name = 'rekeyed'")
    sides.write("delete from {table} where name = 'reborn'")
    sides.insert([plain("reborn", title="Again"), plain("born")])
    every = sorted(sides.store_groups().keys() | of_store.keys())
    # The sums were taken when the snapshot was: they tell the two that are spoiled.
    assert len(sides.differing_groups(of_store)) == 2
    found = sides.differences(snapshot, every)
    assert found.listed == [Difference({"name": "spoiled", "place": 1}, "changed")]


def test_a_change_that_was_open_at_the_snapshot_is_a_later_one(sides: Sides, both_schemas: tuple[Store, Warehouse]):
    sides.insert([plain("a"), plain("b")])
    sides.copy_over()
    with psycopg.connect(both_schemas[0].url("store_owner")) as slow:
        slow.execute(sql.SQL("update {} set title = 'Late' where name = 'a'").format(sides.relation))
        slow.execute(sql.SQL("delete from {} where name = 'b'").format(sides.relation))
        snapshot = sides.snapshot()
        of_store = sides.store_groups()
        slow.commit()
    assert sides.differing_groups(of_store) == []
    assert sides.differences(snapshot, sorted(of_store)).listed == []
    # Without the snapshot it would be one.
    assert sides.differences(sides.snapshot(), sorted(of_store)).counts == {"changed": 1, "extra": 1}


def test_only_the_rows_of_the_groups_asked_for_are_compared(sides: Sides):
    sides.insert([plain("many", place) for place in range(50)])
    sides.copy_over()
    sides.spoil("delete from {table}")
    groups = sorted(sides.store_groups())[:3]
    found = sides.differences(sides.snapshot(), groups)
    assert 3 <= found.total < 50


def test_rows_by_key_are_compared_without_looking_at_others(sides: Sides):
    sides.insert([plain("many", place) for place in range(9)])
    sides.copy_over()
    sides.spoil("update {table} set price = 0 where place in (1, 2, 3)")
    sides.spoil("delete from {table} where place in (4, 5)")
    sides.spoil("insert into {table} select * from {table} where place = 6")
    # Asked: what the store says of the rows 1, 4, 6 and 7, and that it has no 8 nor 99.
    reference = sql.SQL(
        "select name, place, {} as row_hash, false as is_later from {} where place in (1, 4, 6, 7)"
        " union all select 'many', 8, null, false union all select 'many', 99, null, false"
    ).format(checks.store_row_hash(sides.table), sides.relation)
    found = reconcile.compare_rows(sides.warehouse.cursor(), sides.table, sides.load(reference), None)
    assert [(one.key["place"], one.kind) for one in found.listed] == [
        (1, "changed"),
        (4, "missing"),
        (6, "doubled"),
        (8, "extra"),
    ]
