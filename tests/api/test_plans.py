"""What the store does to answer: on a large table, by the index on the cells, and from the primary key alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from marketplace import store as store_sql
from marketplace.api import aggregates
from marketplace.api.aggregates import Asked
from marketplace.api.database import SETTINGS

# 4,000 cells of central Europe, each with play on 60 days, of 2 games on one platform: 480,000 groups.
CELLS = """
insert into geo.cell (cell_id, boundary)
select i * 10000 + j, geo.cell_boundary(i * 10000 + j)
from generate_series(2010, 2089) as i cross join generate_series(2300, 2349) as j
"""
ACTIVITY = """
insert into geo.activity
(cell_id, day, game_id, platform, sessions, timed_sessions, seconds, player_ids, player_sessions)
select c.cell_id, date '2025-01-01' + d, 'G' || g, 'PC', 2, 1, 60, array[1, 2], array[1, 1]
from geo.cell as c cross join generate_series(0, 59) as d cross join generate_series(1, 2) as g
"""
GAMES = """
insert into store.game (game_id, title, title_key, genre)
select 'G' || g, 'Game ' || g, 'game ' || g, 'puzzle' from generate_series(1, 2) as g
"""
AREA = """
insert into geo.area (area_id, name, kind, boundary)
select 'SMALL', 'Small', 'city', st_multi(st_buffer(st_centroid(c.boundary), 0.05))
from geo.cell as c where c.cell_id = 20500000 + 2320
"""


@pytest.fixture(scope="module")
def large(store: Any) -> Iterator[psycopg.Connection[Any]]:
    """The reader's connection to a large table, set as the function sets its own."""
    with psycopg.connect(store.url("store_owner"), autocommit=True) as owner:
        for statement in (CELLS, ACTIVITY, GAMES, AREA):
            owner.execute(statement)
        for table in ("geo.cell", "geo.activity", "geo.area", "store.game"):
            owner.execute(f"vacuum analyze {table}")
    options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
    with psycopg.connect(store.url("store_reader"), options=options) as reader:
        yield reader


def plan(connection: psycopg.Connection[Any], **asked: Any) -> tuple[list[tuple[str, str | None]], int]:
    """Return the scans of the statement that answers (kind, index or table), and the rows that it gives."""
    question = Asked.model_validate({"from": "2025-01-01", "to": "2025-12-31", **asked})
    source = aggregates._source(connection, question)
    statement = store_sql.query("api/sums.sql", key=aggregates.KEYS[question.group_by], activity=source.activity)
    parameters = {
        "first_day": question.first_day,
        "last_day": question.last_day,
        "platform": question.platform,
        "games": aggregates._games(connection, question),
        "after": None,
        "goes_on": False,
        "rows": question.limit + 1,
        **source.parameters,
    }
    explained = psycopg.sql.SQL("explain (analyze, format json, costs off, timing off) ") + statement
    (((found,),),) = connection.execute(explained, parameters).fetchall()
    scans: list[tuple[str, str | None]] = []

    def walk(node: dict[str, Any]) -> None:
        if "Scan" in node["Node Type"] and node["Node Type"] != "Subquery Scan":
            scans.append((node["Node Type"], node.get("Index Name") or node.get("Relation Name")))
        for child in node.get("Plans", []):
            walk(child)

    walk(found["Plan"])
    return scans, found["Plan"]["Actual Rows"]


BY_THE_CELLS = {("Index Scan", "cell_boundary"), ("Bitmap Index Scan", "cell_boundary")}


@pytest.mark.parametrize("group_by", ["cell", "day", "game", "genre", "platform"])
@pytest.mark.parametrize(
    "place",
    [
        {"bbox": "8,48,8.5,48.5"},
        {"polygon": "POLYGON((8 48, 8.5 48, 8.5 48.5, 8 48))"},
        {"point": "8.2,48.2", "radius_km": 20},
        {"area": "SMALL"},
    ],
    ids=lambda place: next(iter(place)),
)
def test_a_place_is_found_by_the_index_on_boundaries_and_summed_from_the_key_alone(large, place, group_by):
    scans, rows = plan(large, group_by=group_by, **place)

    assert rows > 0
    assert BY_THE_CELLS & set(scans), scans
    assert ("Index Only Scan", "activity_pkey") in scans
    assert "activity" not in [name for _kind, name in scans]


def test_an_area_of_its_own_group_is_found_by_the_index_as_well(large):
    scans, rows = plan(large, group_by="area", area="SMALL")

    assert rows == 1
    assert BY_THE_CELLS & set(scans), scans
    assert "activity" not in [name for _kind, name in scans]


def test_games_are_looked_at_only_where_the_genre_is_grouped_by(large):
    def read(group_by: str) -> bool:
        return any(str(name).startswith("game") for _kind, name in plan(large, group_by=group_by, area="SMALL")[0])

    assert [read(group_by) for group_by in ("day", "genre")] == [False, True]


def test_a_page_of_all_cells_reads_no_more_than_the_page(large):
    scans, rows = plan(large, limit=100)

    assert rows == 101
    assert scans == [("Index Only Scan", "activity_pkey")]


def test_the_reader_writes_nothing_and_no_statement_lasts(large, store):
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), large.transaction():
        large.execute("delete from geo.activity")
    assert large.execute("show statement_timeout").fetchone() == ("8s",)
    with psycopg.connect(store.url("store_reader")) as unset, pytest.raises(psycopg.errors.InsufficientPrivilege):
        unset.execute("delete from geo.activity")
