"""Values of every type: the warehouse holds what the store has, and both write it by the same text."""

from __future__ import annotations

import random
from contextlib import closing
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from marketplace.sync import types
from marketplace.sync.tables import qualified, read_tables, read_warehouse
from marketplace.sync.types import Column, TypeMapError, targets
from tests.sync.conftest import Sync

SIGNS = [*"~=|!\"'\\,\n\t @%éß字🎮", "!p", "!!", "\\N", "\\.", "\r\n"]
VALUES: dict[str, list[Any]] = {
    "short text": [
        "", " ", "a ", " a", "~", "=~", "|", "!", "!p", "!!|", '"', '""', "'", "\\", "\\N", "\\.", ",", "NULL", "null",
        "@null@", "a\nb", "\n", "\r", "\r\n", "\t", "%s", "{x}", "$1",
        "é", "e\u0301", "字", "🎮👩‍👩‍👧", "\u200b", "\u00a0",
        "x" * 256, "é" * 128, "🎮" * 64,
    ],
    "long text": ["", "~", "x" * 65_535, "🎮\n|" * 9_000],
    "integer": [0, -1, 2**31 - 1, -(2**31)],
    "bigint": [0, 2**63 - 1, -(2**63)],
    "boolean": [True, False],
    "date": ["0001-01-01", "2024-02-29", "9999-12-31"],
    "timestamp with time zone": [
        "0001-01-01 00:00:00+00", "1969-12-31 23:59:59.999999+00", "2024-03-31 01:59:59.1+02", "2024-10-27 03:00:00-05",
        "9999-12-31 23:59:59.999999+00",
    ],
    "numeric(18,4)": ["0", "0.0000", "-0.0001", "0.1", "99999999999999.9999", "-99999999999999.9999", "1e5"],
    "numeric(38,0)": ["9" * 38, "-" + "9" * 38],
    "numeric(9,6)": ["-180", "0.000001"],
    "jsonb": ["{}", "null", '"~"', '{"b": [1, null, "x|y!"], "a": {"é": "\\n\\""}}', "1e2", '"@NULL@"'],
    "geography(Point,4326)": [
        "POINT(0 0)", "POINT(180 90)", "POINT(-180 -90)", "POINT(13.40495412345678 -52.52000659999)",
        "POINT(-0.0000004 0.0000005)", "POINT(179.9999999 1)",
    ],
}  # fmt: skip
STORE_TYPES = {"short text": "text", "long text": "text"}
WIDTHS = {"short text": 256, "long text": 65_535}


def column(kind: str) -> Column:
    name = "c_" + kind.split("(")[0].replace(" ", "_")
    if kind.startswith("numeric"):
        name += "_" + kind[8:-1].replace(",", "_")
    return Column(name, STORE_TYPES.get(kind, kind), True)


@pytest.fixture
def sample(sync: Sync) -> Sync:
    """A table that has a column of each type and a row of each value, on both sides."""
    columns = {kind: column(kind) for kind in VALUES}
    ours = ", ".join(f"{c.name} {c.type}" for c in columns.values())
    sync.change(
        f"create table store.sample (id bigint primary key, {ours},"
        " row_xid xid8 not null default pg_current_xact_id())",
        "call ops.track_changes('store.sample')",
        "grant select on store.sample to store_writer",
    )
    theirs = ", ".join(
        f"{target.name} {f'varchar({WIDTHS[kind]})' if kind in WIDTHS else target.type}"
        for kind, c in columns.items()
        for target in targets(c)
    )
    with closing(sync.warehouse()) as warehouse:
        warehouse.cursor().execute(f"create table store.sample (id bigint not null, {theirs}, primary key (id))")
        warehouse.commit()
    made = random.Random(7)  # noqa: S311
    values = VALUES | {
        "short text": VALUES["short text"] + ["".join(made.choices(SIGNS, k=made.randint(1, 30))) for _ in range(300)]
    }
    with psycopg.connect(sync.store.url("store_owner")) as owner:
        number = 0
        for kind, c in columns.items():
            for value in [*values[kind], None]:
                number += 1
                owner.execute(
                    f"insert into store.sample (id, {c.name}) values (%s, %s::text::{c.type})",
                    (number, value if value is None else str(value)),
                )
    return sync


def test_every_value_arrives_as_it_is_by_a_full_load_and_by_a_merge(sample: Sync) -> None:
    for full in (True, False):
        if not full:
            sample.change("update store.sample set id = id")
        (plan,) = sample.sync(tables=["store.sample"]).tables
        assert (plan.mode, plan.rows.rows) == ("full" if full else "incremental", sample.asked(
            "select count(*) from store.sample")[0][0])  # fmt: skip
        plain = [column(kind).name for kind in VALUES if not kind.startswith("geography")]
        listed = ", ".join(f"{name}::text" for name in plain)
        here = sample.asked(f"select id, {listed} from store.sample order by 1")
        assert sample.told(f"select id, {listed} from store.sample order by 1") == here
        points = sample.told(
            "select c_geography_longitude, c_geography_latitude from store.sample"
            " where c_geography_longitude is not null order by id"
        )
        assert points == [
            (Decimal(x), Decimal(y))
            for x, y in (
                ("0", "0"), ("180", "90"), ("-180", "-90"), ("13.404954", "-52.520007"), ("0", "0.000001"),
                ("180.000000", "1"),
            )
        ]  # fmt: skip


def test_both_engines_write_every_value_by_the_same_text_and_hash(sample: Sync) -> None:
    sample.sync(tables=["store.sample"])
    table = read_tables(sample.connect())["store.sample"]
    with closing(sample.warehouse()) as warehouse:
        found = read_warehouse(warehouse)["store.sample"].columns
        pairs = [(target.export, types.quoted(target.name), found[target.name]) for target in table.targets]
        texts = {}
        for side, engine in enumerate((types.POSTGRES, types.REDSHIFT)):
            values = [types.Value(pair[side], pair[2]) for pair in pairs]
            texts[engine.name] = (
                ", ".join(engine.text([value]) for value in values), engine.row_hash(values), engine.row_sum(values)
            )  # fmt: skip
        queries = {
            name: f"select {', '.join(written)} from {qualified(table.name)} order by id"
            for name, written in texts.items()
        }
        cursor = warehouse.cursor()
        cursor.execute(queries["Redshift"])
        there = [tuple(row) for row in cursor.fetchall()]
    here = sample.asked(queries["PostgreSQL"])
    assert len(here) > 350
    assert here == there
    # No two values of a column have the same text, NULL included.
    for at, (exported, _, kind) in enumerate(pairs):
        ((distinct,),) = sample.asked(
            f"select count(distinct {exported}) + max(case when {exported} is null then 1 else 0 end) from store.sample"
        )
        assert len({row[at] for row in here}) == distinct, kind


def test_a_table_may_have_more_columns_than_a_function_arguments(sync: Sync) -> None:
    values = [types.Value(f"{n}::bigint", "bigint") for n in range(150)]
    ((text,),) = sync.asked(f"select {types.POSTGRES.text(values)}")
    assert text == "|".join(map(str, range(150)))


@pytest.mark.parametrize("type_", ["real", "numeric", "uuid", "timestamp without time zone", "geography(Polygon,4326)"])
def test_a_type_without_a_place_is_refused(type_: str) -> None:
    with pytest.raises(TypeMapError, match=r"Column x has the type .*, for which the warehouse has no place\. Known"):
        targets(Column("x", type_, True))


BAD = {
    "text": ["@NULL@"],
    "date": ["infinity", "-infinity", "0044-03-15 BC"],
    "timestamp with time zone": ["infinity", "-infinity", "0044-03-15 BC"],
    "numeric(18,4)": ["NaN", "Infinity"],
    "geography(Point,4326)": ["POINT EMPTY", "POINT(NaN NaN)"],
}
# A reference is refused, since the key that it would name is.
REFUSALS = (
    psycopg.errors.CheckViolation,
    psycopg.errors.ForeignKeyViolation,
    psycopg.errors.NumericValueOutOfRange,
)


def test_the_store_refuses_what_the_warehouse_cannot_hold(filled: Sync) -> None:
    tried = 0
    with psycopg.connect(filled.store.url("store_owner")) as owner:
        for table in read_tables(owner).values():
            for found in table.columns:
                for value in BAD.get(found.type, ()):
                    tried += 1
                    with pytest.raises(REFUSALS):
                        owner.execute(f"update {table.name} set {found.name} = %s::{found.type}", [value])
                    owner.rollback()
    assert tried > 60


def test_a_key_cannot_end_in_blanks_which_redshift_would_not_count(filled: Sync) -> None:
    with psycopg.connect(filled.store.url("store_owner")) as owner:
        for table in read_tables(owner).values():
            for name in table.key:
                if next(found.type for found in table.columns if found.name == name) == "text":
                    with pytest.raises(psycopg.IntegrityError):
                        owner.execute(f"update {table.name} set {name} = {name} || ' '")
                    owner.rollback()
