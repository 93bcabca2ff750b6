"""Amazon's own driver for Python."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
import redshift_connector

from tests.redshift.clients.conftest import Warehouse

GAME = """
create table game (
    game_id int not null, title varchar(40), price decimal(8,2), released date, primary key (game_id)
)
"""


@pytest.fixture
def connection(warehouse: Warehouse) -> Iterator[redshift_connector.Connection]:
    with redshift_connector.connect(**warehouse.login, ssl=False) as opened:
        with opened.cursor() as cursor:
            cursor.execute(f"set search_path to {warehouse.schema}")
            cursor.execute(GAME)
        opened.commit()
        yield opened


@pytest.mark.parametrize(
    ("style", "statement", "parameters"),
    [
        ("qmark", "insert into game values (?, ?, ?, ?)", (1, "O'Hara's", Decimal("9.95"), date(2024, 2, 29))),
        ("numeric", "insert into game values (:1, :2, :3, :4)", (1, "O'Hara's", Decimal("9.95"), date(2024, 2, 29))),
        ("format", "insert into game values (%s, %s, %s, %s)", (1, "O'Hara's", Decimal("9.95"), date(2024, 2, 29))),
        (
            "named",
            "insert into game values (:id, :title, :price, :released)",
            {"id": 1, "title": "O'Hara's", "price": Decimal("9.95"), "released": date(2024, 2, 29)},
        ),
        (
            "pyformat",
            "insert into game values (%(id)s, %(title)s, %(price)s, %(released)s)",
            {"id": 1, "title": "O'Hara's", "price": Decimal("9.95"), "released": date(2024, 2, 29)},
        ),
    ],
)
def test_parameters_of_every_style_arrive(
    connection: redshift_connector.Connection, warehouse: Warehouse, style: str, statement: str, parameters: object
) -> None:
    cursor = connection.cursor()
    cursor.paramstyle = style
    cursor.execute(statement, parameters)
    assert cursor.rowcount == 1
    connection.commit()
    assert warehouse.rows("select * from game") == [(1, "O'Hara's", Decimal("9.95"), date(2024, 2, 29))]


def test_many_rows_and_data_frames_go_in_and_come_back(
    connection: redshift_connector.Connection, warehouse: Warehouse, tmp_path: Path
) -> None:
    cursor = connection.cursor()
    cursor.executemany("insert into game (game_id, title) values (%s, %s)", [(1, "one"), (2, None)])
    assert cursor.rowcount == 2
    file = tmp_path / "games.csv"
    file.write_text("id;title\n3;three\n4;four\n5;five\n", encoding="utf-8")
    cursor.insert_data_bulk(str(file), "game", [0, 1], ["game_id", "title"], ";", batch_size=2)
    frame = pd.DataFrame({"game_id": [6], "title": ["six"], "price": [1.25], "released": ["2025-01-02"]})
    cursor.write_dataframe(frame, "game")
    cursor.execute("select game_id, title from game order by game_id")
    read = cursor.fetch_dataframe()
    connection.commit()
    assert list(read.columns) == ["game_id", "title"]
    assert read["game_id"].tolist() == [1, 2, 3, 4, 5, 6]
    assert warehouse.rows("select game_id, title, price from game order by game_id") == [
        (1, "one", None), (2, None, None), (3, "three", None), (4, "four", None), (5, "five", None),
        (6, "six", Decimal("1.25")),
    ]  # fmt: skip


def test_what_is_there_is_told(connection: redshift_connector.Connection, warehouse: Warehouse) -> None:
    cursor = connection.cursor()
    schema = warehouse.schema
    cursor.execute("create view cheap as select game_id from game where price < 5")
    assert [schema] in [list(row[:1]) for row in cursor.get_schemas(schema_pattern=schema)]
    # Here a key has an index; the driver would ask for types only by SHOW.
    tables = cursor.get_tables(schema_pattern=schema)
    assert sorted((row[1], row[2], row[3]) for row in tables if row[3] != "INDEX") == [
        (schema, "cheap", "VIEW"),
        (schema, "game", "TABLE"),
    ]
    columns = cursor.get_columns(schema_pattern=schema, tablename_pattern="game")
    assert [(row[3], row[5], row[6]) for row in columns] == [
        ("game_id", "int4", 10), ("title", "varchar", 40), ("price", "numeric", 8), ("released", "date", 13),
    ]  # fmt: skip
    keys = cursor.get_primary_keys(schema=schema, table="game")
    assert [(row[1], row[2], row[3]) for row in keys] == [(schema, "game", "game_id")]


def test_values_of_every_type_come_back_as_they_went(connection: redshift_connector.Connection) -> None:
    cursor = connection.cursor()
    cursor.execute(
        "select 1::smallint, 2::int, 3::bigint, 1.5::decimal(4,2), 1.5::real, 2.5::double precision, true,"
        " 'x'::char(3), 'y'::varchar, '2024-02-29'::date, '2024-02-29 12:30:00.5'::timestamp, null::int"
    )
    assert cursor.fetchone() == [
        1, 2, 3, Decimal("1.50"), 1.5, 2.5, True, "x  ", "y", date(2024, 2, 29),
        datetime.fromisoformat("2024-02-29T12:30:00.500000"), None,
    ]  # fmt: skip


@pytest.mark.parametrize("autocommit", [False, True])
def test_what_is_not_committed_is_gone(
    connection: redshift_connector.Connection, warehouse: Warehouse, autocommit: bool
) -> None:
    place = warehouse.put("one.csv", "1,one\n2,two\n")
    connection.autocommit = autocommit
    cursor = connection.cursor()
    cursor.execute(f"copy game (game_id, title) from '{place}' iam_role default csv")
    cursor.execute("select count(*) from game")
    assert cursor.fetchone() == [2]
    connection.rollback()
    assert warehouse.rows("select count(*) from game") == [(2 if autocommit else 0,)]


@pytest.mark.parametrize(
    "wrong",
    [
        "select * from nothing_here",
        "select 1 +",
        "insert into game values (null)",
        "copy game from 's3://redshift-clients/nothing/here' iam_role default csv",
        "copy game from 's3://no-bucket-of-ours/x' iam_role default csv",
        "copy game from 's3://redshift-clients/x' iam_role default avro 'auto'",
        "unload ('select * from game limit 1') to 's3://redshift-clients/x' iam_role default",
        "create index i on game (title)",
    ],
)
@pytest.mark.parametrize("autocommit", [False, True])
def test_an_error_leaves_the_connection_usable(
    connection: redshift_connector.Connection, warehouse: Warehouse, wrong: str, autocommit: bool
) -> None:
    connection.autocommit = autocommit
    cursor = connection.cursor()
    cursor.execute("insert into game (game_id) values (1)")
    with pytest.raises(redshift_connector.ProgrammingError):
        cursor.execute(wrong)
    if not autocommit:
        with pytest.raises(redshift_connector.ProgrammingError, match="25P02"):
            cursor.execute("select 1")
        connection.rollback()
    cursor.execute("insert into game (game_id) values (2)")
    if not autocommit:
        connection.commit()
    assert warehouse.rows("select game_id from game order by 1") == ([(1,), (2,)] if autocommit else [(2,)])


def test_texts_with_backslashes_are_read_as_redshift_reads_them(connection: redshift_connector.Connection) -> None:
    cursor = connection.cursor()
    cursor.execute(r"select 'it\'s', 'a\\b', len('a\\b')")
    assert cursor.fetchone() == ["it's", "a\\b", 3]
    cursor.execute("select %s, %s", ("it's", "a\\b"))
    assert cursor.fetchone() == ["it's", "a\\b"]
