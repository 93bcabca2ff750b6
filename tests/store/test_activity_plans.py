"""The queries for which geo.activity is made go by its indexes, on a million groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

# 20,000 cells from the Atlantic to the Urals, each with 50 groups: 10 days, 5 games.
CELLS = """
insert into geo.cell (cell_id, boundary)
select g.cell_id, geo.cell_boundary(g.cell_id)
  from (select (i + 2000) * 10000 + j + 2000 as cell_id
          from generate_series(1, 200) i cross join generate_series(250, 349) j) g
"""
GROUPS = """
insert into geo.activity
       (cell_id, day, game_id, platform, sessions, timed_sessions, seconds, player_ids, player_sessions)
select c.cell_id, date '2025-01-01' + day, 'GAM-' || game, 'PC', 2, 2, 600, array[1, 1000 + game], array[1, 1]
  from geo.cell c cross join generate_series(0, 9) day cross join generate_series(1, 5) game
"""
AREA = """
insert into geo.area (area_id, name, kind, boundary)
values ('A-1', 'Around Berlin', 'region',
        st_multi(st_setsrid('POLYGON((13 52.3, 13.8 52.3, 13.8 52.7, 13 52.7, 13 52.3))'::geometry, 4326)))
"""


@pytest.fixture(scope="module")
def million(store: Any) -> Iterator[psycopg.Connection]:
    """A reader of a store with a million groups."""
    with psycopg.connect(store.url("store_owner"), autocommit=True) as owner:
        owner.execute(CELLS)
        owner.execute(GROUPS)
        owner.execute(AREA)
        owner.execute("vacuum (analyze) geo.activity, geo.cell, geo.area")
    with psycopg.connect(store.url("store_reader"), autocommit=True) as reader:
        assert reader.execute("select count(*) from geo.activity").fetchone() == (1_000_000,)
        yield reader


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def scans(connection: psycopg.Connection, query: str) -> set[tuple[str, str]]:
    """Return how a query reads its tables: kind of scan, and the index or table."""
    (plan,) = connection.execute(f"explain (format json) {query}").fetchone()
    return {
        (node["Node Type"], node.get("Index Name") or node["Relation Name"])
        for node in nodes(plan[0]["Plan"])
        if node["Node Type"].endswith("Scan") and ("Index Name" in node or "Relation Name" in node)
    }


BY_SPACE = {("Index Scan", "cell_boundary"), ("Bitmap Index Scan", "cell_boundary"), ("Bitmap Heap Scan", "cell")}
SUMS = "sum(a.sessions), sum(a.seconds), sum(a.timed_sessions)"
POLYGON = "st_geomfromtext('POLYGON((13 52.3, 13.8 52.3, 13.4 52.7, 13 52.3))', 4326)"
QUERIES = {
    "a polygon": f"""
        select a.day, {SUMS} from geo.cell c join geo.activity a on a.cell_id = c.cell_id
         where st_intersects(c.boundary, {POLYGON}) group by a.day""",
    "a polygon, some days and a game": f"""
        select a.cell_id, {SUMS} from geo.cell c join geo.activity a on a.cell_id = c.cell_id
         where st_intersects(c.boundary, {POLYGON}) and a.day between '2025-01-02' and '2025-01-04'
           and a.game_id = 'GAM-3' group by a.cell_id""",
    "a box": f"""
        select a.platform, {SUMS} from geo.cell c join geo.activity a on a.cell_id = c.cell_id
         where st_intersects(c.boundary, st_makeenvelope(13, 52, 14, 53, 4326)) group by a.platform""",
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_sums_within_a_polygon_are_read_by_the_spatial_index_and_from_an_index_alone(
    million: psycopg.Connection, query: str
) -> None:
    found = scans(million, query)

    assert found & BY_SPACE
    assert found - BY_SPACE == {("Index Only Scan", "activity_pkey")}


def test_a_named_area_and_its_players_are_read_by_indexes(million: psycopg.Connection) -> None:
    query = """
        select count(distinct p.id)
          from geo.area r
          join geo.cell c on st_intersects(c.boundary, r.boundary)
          join geo.activity a on a.cell_id = c.cell_id
         cross join lateral unnest(a.player_ids) as p (id)
         where r.area_id = 'A-1'
    """
    found = scans(million, query)

    # One row of geo.area there is; an index would be no help.
    found -= {("Seq Scan", "area")}
    assert found & BY_SPACE
    assert found - BY_SPACE == {("Index Scan", "activity_pkey")}
    assert million.execute(query).fetchone() == (6,)


def test_the_days_of_a_cell_are_read_from_the_primary_key_alone(million: psycopg.Connection) -> None:
    query = f"""
        select a.day, {SUMS} from geo.activity a
         where a.cell_id = 21002300 and a.day between '2025-01-03' and '2025-01-05' group by a.day order by a.day
    """

    assert scans(million, query) == {("Index Only Scan", "activity_pkey")}
    assert [sums for _, *sums in million.execute(query).fetchall()] == [[10, 3000, 10]] * 3


def test_a_point_and_a_radius_are_read_by_the_spatial_index(million: psycopg.Connection) -> None:
    query = f"""
        select a.cell_id, {SUMS} from geo.cell c join geo.activity a on a.cell_id = c.cell_id
         where st_intersects(c.boundary, st_buffer('SRID=4326;POINT(13.4 52.5)'::geography, 20000)::geometry)
         group by a.cell_id
    """
    found = scans(million, query)

    assert found & BY_SPACE
    assert found - BY_SPACE == {("Index Only Scan", "activity_pkey")}
    assert len(million.execute(query).fetchall()) == 11
