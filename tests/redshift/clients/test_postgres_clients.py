"""The drivers of PostgreSQL, of which Redshift's users have many in use: psycopg, psycopg2, SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import psycopg2
import pytest
import sqlalchemy
from psycopg import errors

from tests.redshift.clients.conftest import Warehouse

NAMES = [(1, "one"), (2, "it's"), (3, "back\\slash"), (4, None)]


@pytest.fixture
def connection(warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    with psycopg.connect(warehouse.url) as opened:
        opened.execute("create table game (game_id int, title varchar(40)) diststyle even sortkey (game_id)")
        opened.commit()
        yield opened


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("prepare", [False, True])
def test_psycopg_writes_and_reads(
    connection: psycopg.Connection, warehouse: Warehouse, binary: bool, prepare: bool
) -> None:
    cursor = connection.cursor(binary=binary)
    for row in NAMES:
        cursor.execute("insert into game values (%s, %s)", row, prepare=prepare)
    cursor.execute(
        "select game_id, title, nvl(title, 'none') from game where game_id > %s order by 1", [0], prepare=prepare
    )
    assert cursor.fetchall() == [(number, title, title or "none") for number, title in NAMES]
    connection.commit()
    assert warehouse.rows("select * from game order by 1") == NAMES


def test_psycopg_writes_many_rows_at_once(connection: psycopg.Connection, warehouse: Warehouse) -> None:
    rows = [(number, "x" * (number % 40)) for number in range(20_000)]
    connection.cursor().executemany("insert into game values (%s, %s)", rows)
    connection.commit()
    assert warehouse.rows("select * from game order by 1") == rows


def test_copy_takes_a_row_of_two_million_bytes(connection: psycopg.Connection, warehouse: Warehouse) -> None:
    connection.execute("create table document (number int, body super)")
    connection.execute("create table beginning (number int, body varchar(3))")
    place = warehouse.put("long.csv", f'1,"""{"x" * 2_000_000}"""\n2,"""y"""\n')
    connection.execute(f"copy document from '{place}' iam_role default csv")
    connection.execute(f"copy beginning from '{place}' iam_role default csv truncatecolumns")
    connection.commit()
    assert warehouse.rows("select number, octet_length(body::text) from document order by 1") == [
        (1, 2_000_002),
        (2, 3),
    ]
    assert warehouse.rows("select * from beginning order by 1") == [(1, '"xx'), (2, '"y"')]


def test_a_pipeline_with_copy_in_a_transaction_is_done_in_its_order(
    connection: psycopg.Connection, warehouse: Warehouse
) -> None:
    place = warehouse.put("one.csv", "1,one\n2,two\n")
    with connection.pipeline():
        before = connection.execute("select count(*) from game")
        connection.execute(f"copy game from '{place}' iam_role default csv")
        after = connection.execute("select count(*), max(title) from game where game_id > %s", [0])
        assert (before.fetchone(), after.fetchone()) == ((0,), (2, "two"))
    connection.rollback()
    assert warehouse.rows("select count(*) from game") == [(0,)]
    with connection.pipeline():
        connection.execute("insert into game values (7, 'seven')")
        connection.execute(f"copy game from '{place}' iam_role default csv")
    connection.commit()
    assert warehouse.rows("select game_id from game order by 1") == [(1,), (2,), (7,)]


def test_a_pipeline_with_copy_outside_of_a_transaction_is_refused(
    connection: psycopg.Connection, warehouse: Warehouse
) -> None:
    place = warehouse.put("one.csv", "1,one\n2,two\n")
    connection.autocommit = True

    def both() -> None:
        with connection.pipeline():
            connection.execute("insert into game values (%s, 'seven')", [7])
            connection.execute(f"copy game from '{place}' iam_role default csv")

    with pytest.raises(errors.FeatureNotSupported, match="pipeline"):
        both()
    assert connection.execute("select 1").fetchone() == (1,)
    assert warehouse.rows("select count(*) from game where game_id < 7") == [(0,)]


def test_a_pipeline_whose_results_are_large_does_not_stop(connection: psycopg.Connection) -> None:
    with connection.pipeline():
        cursors = [connection.execute("select %s || repeat('x', 60000)", [str(n)]) for n in range(500)]
        assert [len(str(cursor.fetchone()[0])) for cursor in cursors[::100]] == [60001, 60003, 60003, 60003, 60003]
    connection.rollback()


def test_errors_come_in_their_order(connection: psycopg.Connection) -> None:
    with pytest.raises(errors.FeatureNotSupported, match="ON CONFLICT"):
        connection.execute("insert into game values (%s, %s) on conflict do nothing", (1, "one"))
    with pytest.raises(errors.InFailedSqlTransaction):
        connection.execute("select 1")
    connection.rollback()
    with pytest.raises(errors.UndefinedTable):
        connection.execute("select * from nothing_here")
    connection.rollback()
    assert connection.execute("select count(*) from game").fetchone() == (0,)


def test_psycopg2_reads_by_a_named_cursor(connection: psycopg.Connection, warehouse: Warehouse) -> None:
    connection.cursor().executemany("insert into game values (%s, %s)", NAMES * 1000)
    connection.commit()
    with psycopg2.connect(warehouse.url) as opened, opened.cursor("some") as cursor:
        cursor.itersize = 300
        cursor.execute("select game_id, title from game order by game_id")
        rows = list(cursor)
    opened.close()
    assert rows == [row for row in NAMES for _ in range(1000)]


def test_psycopg2_runs_several_statements_of_one_text(connection: psycopg.Connection, warehouse: Warehouse) -> None:
    place = warehouse.put("one.csv", "1,one\n2,two\n")
    opened = psycopg2.connect(warehouse.url)
    with opened.cursor() as cursor:
        cursor.execute(f"delete from game; copy game from '{place}' iam_role default csv; select count(*) from game")
        assert cursor.fetchall() == [(2,)]
        opened.rollback()
        cursor.execute("insert into game values (%s, %s)", (3, "back\\slash and 'quote'"))
        opened.commit()
    opened.close()
    assert warehouse.rows("select * from game") == [(3, "back\\slash and 'quote'")]


def test_sqlalchemy_makes_and_reads_tables(connection: psycopg.Connection, warehouse: Warehouse) -> None:
    engine = sqlalchemy.create_engine(warehouse.url.replace("postgresql:", "postgresql+psycopg2:", 1))
    table = sqlalchemy.Table(
        "sale",
        sqlalchemy.MetaData(schema=warehouse.schema),
        sqlalchemy.Column("sale_id", sqlalchemy.BigInteger, nullable=False),
        sqlalchemy.Column("amount", sqlalchemy.Numeric(10, 2)),
        sqlalchemy.Column("note", sqlalchemy.String(20)),
    )
    with engine.begin() as opened:
        table.create(opened)
        opened.execute(table.insert(), [{"sale_id": n, "amount": n, "note": "a\\b"} for n in range(1, 4)])
        assert opened.execute(sqlalchemy.select(sqlalchemy.func.sum(table.c.amount))).scalar_one() == 6
        opened.execute(table.update().where(table.c.sale_id == 1).values(note="c"))
    with engine.connect() as opened:
        assert sqlalchemy.inspect(opened).has_table("sale", warehouse.schema)
    engine.dispose()
    assert warehouse.rows("select sale_id, note from sale order by 1") == [(1, "c"), (2, "a\\b"), (3, "a\\b")]
