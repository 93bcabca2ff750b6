"""geo.area_cell is what a query of areas and cells by their outlines gives, whoever changes what in which order."""

from __future__ import annotations

import random

import psycopg
import pytest

from tests.conftest import Store

SEED = 20261122
ASKED = """
select a.area_id, c.cell_id from geo.area a join geo.cell c on st_intersects(a.boundary, c.boundary) order by 1, 2
"""


def box(draw: random.Random) -> str:
    """Return an outline somewhere in Europe, in EWKT."""
    west, south = draw.uniform(-5, 20), draw.uniform(40, 55)
    east, north = west + draw.uniform(0.1, 8), south + draw.uniform(0.1, 5)
    ring = f"{west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}"
    return f"SRID=4326;MULTIPOLYGON((({ring})))"


def test_after_any_changes_the_areas_of_a_cell_are_those_that_touch_it(fresh_store: Store) -> None:
    draw = random.Random(SEED)  # noqa: S311 - test data
    with psycopg.connect(fresh_store.url("store_owner"), autocommit=True) as store:
        store.execute("insert into store.game (game_id, title, title_key) values ('G-1', 'One', 'one')")
        store.execute("insert into store.customer (ref) values ('CUST-1')")
        seen = set()
        for n in range(60):
            what = draw.choice(["area", "area", "outline", "name", "id", "gone", "play"])
            if what == "area":
                store.execute(
                    "insert into geo.area (area_id, name, kind, boundary) values (%s, 'Here', 'region', %s)",
                    [f"A-{n}", box(draw)],
                )
            elif what == "outline":
                store.execute("update geo.area set boundary = %s where area_id = (select max(area_id) from geo.area)",
                              [box(draw)])  # fmt: skip
            elif what == "name":
                store.execute("update geo.area set name = 'There' where area_id = (select min(area_id) from geo.area)")
            elif what == "gone":
                store.execute("delete from geo.area where area_id = (select min(area_id) from geo.area)")
            elif what == "play":
                store.execute(
                    "insert into store.play_session (session_id, customer_id, game_id, platform, started_at, location)"
                    " select 'S-' || %s || '-' || n, customer_id, 'G-1', 'PC', '2025-01-05Z',"
                    " st_makepoint(-5 + 28 * random(), 40 + 20 * random()) from store.customer,"
                    " generate_series(1, 150) as n",
                    [n],
                )
            kept = store.execute("select area_id, cell_id from geo.area_cell order by 1, 2").fetchall()
            assert kept == store.execute(ASKED).fetchall(), what
            seen.add(len(kept))
        assert max(seen) > 50
        assert len(seen) > 10


def test_a_session_is_in_the_cell_that_it_is_counted_in(fresh_store: Store) -> None:
    with psycopg.connect(fresh_store.url("store_owner"), autocommit=True) as store:
        store.execute("insert into store.game (game_id, title, title_key) values ('G-1', 'One', 'one')")
        store.execute("insert into store.customer (ref) values ('CUST-1')")
        store.execute(
            "insert into store.play_session (session_id, customer_id, game_id, platform, started_at, location)"
            " select 'S-' || n, customer_id, 'G-1', 'PC', '2025-01-05Z', st_makepoint(n - 180, n / 2.0 - 90)"
            " from store.customer, generate_series(0, 360, 7) as n"
        )
        counted = store.execute("select cell_id, sum(sessions) from geo.activity group by 1 order by 1").fetchall()
        assert store.execute("select cell_id, count(*) from store.play_session group by 1 order by 1").fetchall() == (
            counted
        )


@pytest.mark.parametrize("role", ["store_writer", "store_reader"])
def test_nobody_writes_it_but_the_store(fresh_store: Store, role: str) -> None:
    with psycopg.connect(fresh_store.url(role)) as store, pytest.raises(psycopg.errors.InsufficientPrivilege):
        store.execute("delete from geo.area_cell")
