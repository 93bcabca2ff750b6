"""The grid that play is counted by: each place is in the one cell that its arithmetic says."""

from __future__ import annotations

import psycopg
import pytest

# 100,000 places all over the globe, and where a grid may go wrong: poles, antimeridian, meridian, equator.
PLACES = """
create temp table place on commit drop as
select geo.cell_at(st_setsrid(st_point(p.longitude, p.latitude), 4326)) as cell_id, p.longitude, p.latitude
  from (select random() * 360 - 180 as longitude, degrees(asin(random() * 2 - 1)) as latitude
          from generate_series(1, 100000)
         union all
        select longitude, latitude
          from unnest(array[-180, -90, -1e-9, 0, 1e-9, 90, 179.9999999, 180]) longitude
         cross join unnest(array[-90, -89.9999, -60, -1e-9, 0, 1e-9, 45, 89.9999, 90]) latitude) p
"""
# The boundaries of some ten thousand cells, all at the edges among them.
BOUNDARIES = """
create temp table bounded on commit drop as
select cell_id, longitude, latitude, geo.cell_boundary(cell_id) as boundary
  from place
 where mod(hashint4(cell_id), 10) = 0 or abs(longitude) > 179.9 or abs(latitude) > 89.9
"""


@pytest.fixture
def places(owner: psycopg.Connection) -> psycopg.Connection:
    owner.execute("select setseed(0.25)")
    owner.execute(PLACES)
    return owner


@pytest.fixture
def boundaries(places: psycopg.Connection) -> psycopg.Connection:
    places.execute(BOUNDARIES)
    return places


def cell_at(connection: psycopg.Connection, longitude: float, latitude: float) -> int:
    (found,) = connection.execute(
        "select geo.cell_at(st_setsrid(st_point(%s, %s), 4326))", (longitude, latitude)
    ).fetchone()
    return found


def test_a_cell_is_the_hexagon_of_postgis_that_its_places_are_in(places: psycopg.Connection) -> None:
    # By PostGIS's own projection and hexagons: nothing of ours but the id.
    (number, farthest) = places.execute(
        """
        select count(*), max(st_distance(
                   st_setsrid(st_hexagon(10000, cell_id / 10000 - 2000, cell_id % 10000 - 2000), 6933),
                   st_transform(st_setsrid(st_point(case longitude when 180 then -180 else longitude end, latitude),
                                           4326), 6933)))
          from place
        """
    ).fetchone()

    assert number == 100_072
    assert farthest < 0.000_001  # metres


def test_the_cells_are_those_of_a_hexagon_grid(owner: psycopg.Connection) -> None:
    (number, others) = owner.execute(
        """
        select count(*), count(*) filter (
                   where geo.cell_at(st_transform(st_centroid(g.geom), 4326))
                      <> (g.i + 2000) * 10000 + g.j + 2000)
          from st_hexagongrid(10000, st_makeenvelope(-600000, -500000, 500000, 600000, 6933)) g
        """
    ).fetchone()

    assert number > 4_500
    assert others == 0


def test_a_boundary_has_its_places_in_it_but_for_the_bend_of_a_straight_line(boundaries: psycopg.Connection) -> None:
    # What is straight on the map of equal areas is not quite straight in degrees.
    farthest = boundaries.execute(
        """
        select floor(abs(latitude) / 30) * 30,
               max(st_distance(boundary::geography, st_setsrid(st_point(longitude, latitude), 4326)::geography))
          from bounded
         where longitude < 180 and abs(latitude) < 90
         group by 1
         order by 1
        """
    ).fetchall()

    limits = {0: 2, 30: 5, 60: 100}  # metres, from so many degrees on
    assert [band for band, _ in farthest] == list(limits)
    assert [metres < limits[band] for band, metres in farthest] == [True] * 3


def test_boundaries_are_valid_polygons_of_one_side_of_the_antimeridian(boundaries: psycopg.Connection) -> None:
    found = boundaries.execute(
        """
        select count(*) > 9000, bool_and(st_isvalid(boundary)), bool_and(geometrytype(boundary) = 'POLYGON'),
               min(st_xmin(boundary)) between -180 and -179.9999999, max(st_xmax(boundary)) between 179.9999999 and 180,
               min(st_ymin(boundary)) between -90 and -89.99, max(st_ymax(boundary)) between 89.99 and 90,
               max(st_xmax(boundary) - st_xmin(boundary)) < 0.21
          from bounded
        """
    ).fetchone()

    assert found == (True,) * 8


def test_cells_are_of_one_size(boundaries: psycopg.Connection) -> None:
    smallest, largest = boundaries.execute(
        """
        select min(st_area(boundary::geography)) / 1e6, max(st_area(boundary::geography)) / 1e6
          from bounded
         where abs(longitude) < 179.7 and abs(latitude) < 70
        """
    ).fetchone()

    assert 259.80 < smallest < largest < 259.82


@pytest.mark.parametrize(
    ("longitude", "latitude", "cell_id"),
    [
        (0, 0, 20_002_000),
        (13.4, 52.5, 20_862_336),
        (-122.42, 37.77, 12_122_259),
        (151.21, -33.87, 29_731_764),
        (180, 0, 8_422_000),
        (-180, 0, 8_422_000),
        (180, -16.5, 8_421_880),
        (0, 90, 20_002_424),
        (0, -90, 20_001_576),
    ],
)
def test_a_place_keeps_its_cell(owner: psycopg.Connection, longitude: float, latitude: float, cell_id: int) -> None:
    assert cell_at(owner, longitude, latitude) == cell_id


def test_no_place_is_no_cell(owner: psycopg.Connection) -> None:
    assert owner.execute("select geo.cell_at(null)").fetchone() == (None,)
