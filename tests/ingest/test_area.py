"""Areas: polygons are stored as they are or rejected with a reason and a place; and what a load tells of activity."""

from __future__ import annotations

import random
from typing import Any

import psycopg

from marketplace import settings

HEADER = "area_id,name,kind,wkt"
SQUARE = "POLYGON((0 0, 1 0, 1 1, 0 1, 0 0))"
SAMPLE = settings.include_dir() / "data" / "area" / "areas.csv"


def put(ingestion: Any, *rows: str, name: str = "a.csv") -> None:
    ingestion.put_bytes(f"landing/area/{name}", "\n".join([HEADER, *rows, ""]).encode())


def loaded(ingestion: Any, *rows: str) -> dict[str, Any]:
    """Load a file of these rows, and return its account without zeros."""
    put(ingestion, *rows)
    (result,) = ingestion.run()
    return {
        name: found for name, found in result["account"].items() if found and name not in ("header", "read", "accepted")
    }


def areas(ingestion: Any) -> list[tuple[Any, ...]]:
    return ingestion.query("select area_id, name, kind, st_astext(boundary) from geo.area order by area_id")


def rejected(ingestion: Any) -> list[tuple[Any, ...]]:
    return ingestion.query(
        "select line_no, column_name, reason, detail from ops.rejected_row order by load_id, line_no"
    )


def test_the_sample_is_loaded_and_rejected_as_meant(ingestion: Any) -> None:
    ingestion.put_bytes("landing/area/areas.csv", SAMPLE.read_bytes())
    (result,) = ingestion.run()

    account = result["account"]
    assert {name: account[name] for name in ("read", "accepted", "rejected", "inserted", "superseded", "issues")} == {
        "read": 28, "accepted": 14, "rejected": 14, "inserted": 13, "superseded": 1, "issues": 1,
    }  # fmt: skip
    assert account["tables_changed"] == ["geo.area"]
    found = ingestion.query(
        "select area_id, kind, st_numgeometries(boundary), st_srid(boundary), geometrytype(boundary), load_line"
        "  from geo.area order by area_id"
    )
    assert [(area_id, kind, parts, line) for area_id, kind, parts, _, _, line in found] == [
        ("AREA-001", "continent", 1, 2),
        ("AREA-002", "continent", 1, 3),
        ("AREA-003", "country", 4, 4),
        ("AREA-004", "region", 1, 5),
        ("AREA-005", "city", 1, 6),
        ("AREA-006", "city", 1, 7),
        ("AREA-007", "city", 1, 30),
        ("AREA-008", "country", 2, 9),
        ("AREA-009", "country", 1, 10),
        ("AREA-010", "country", 1, 13),
        ("AREA-011", "country", 1, 14),
        ("AREA-012", "city", 1, 15),
        ("AREA-013", "country", 1, 16),
    ]
    assert {(srid, shape) for _, _, _, srid, shape, _ in found} == {(4326, "MULTIPOLYGON")}
    assert [row[:3] for row in rejected(ingestion)] == [
        (17, "wkt", "invalid_geometry"),
        (18, "wkt", "invalid_geometry"),
        (19, "wkt", "out_of_range"),
        (20, "wkt", "out_of_range"),
        (21, "wkt", "invalid_geometry"),
        (22, "wkt", "invalid_geometry"),
        (23, "wkt", "invalid_geometry"),
        (24, "wkt", "invalid_geometry"),
        (25, "wkt", "invalid_geometry"),
        (26, "wkt", "invalid_geometry"),
        (27, "wkt", "invalid_geometry"),
        (28, "wkt", "missing"),
        (29, "kind", "unknown_value"),
        (31, None, "too_many_fields"),
    ]
    assert ingestion.query("select line_no, column_name, kind, detail from ops.issue") == [
        (
            16,
            "wkt",
            "wider_than_half_the_globe",
            "one of its parts reaches from longitude -178 to 177: where it was meant to cross the antimeridian, it "
            "must be a MULTIPOLYGON cut there",
        )
    ]


def test_what_is_rejected_says_what_is_wrong_where_and_what_is_accepted(ingestion: Any) -> None:
    loaded(
        ingestion,
        'A-1,Bow,region,"POLYGON((0 0, 10 10, 10 0, 0 10, 0 0))"',
        'A-2,Open,city,"POLYGON((13 52, 14 52, 14 53, 13 53))"',
        'A-3,Swapped,city,"POLYGON((35 139, 36 139, 36 140, 35 139))"',
        'A-4,High,city,"POLYGON((13 52 30, 14 52 30, 14 53 30, 13 52 30))"',
        'A-5,Overlap,city,"MULTIPOLYGON(((0 0, 4 0, 4 4, 0 4, 0 0)), ((1 1, 2 1, 2 2, 1 1)))"',
        "A-6,Point,city,POINT(1 2)",
    )

    rings = "accepted: rings that neither cross nor overlap, the outer one first"
    assert rejected(ingestion) == [
        (
            2, "wkt", "invalid_geometry",
            f"'POLYGON((0 0, 10 10, 10 0, 0 10, 0 0))': Self-intersection at POINT(5 5); {rings}",
        ),
        (
            3, "wkt", "invalid_geometry",
            "'POLYGON((13 52, 14 52, 14 53, 13 53))': geometry contains non-closed rings: "
            '"...(13 52, 14 52, 14 53, 13 53))" <-- parse error at position 45 within geometry; '
            "accepted: WKT such as POLYGON((0 0, 1 0, 1 1, 0 0))",
        ),
        (
            4, "wkt", "out_of_range",
            "'POLYGON((35 139, 36 139, 36 140, 35 139))': longitude from 35 to 36, latitude from 139 to 140; accepted: "
            "longitude first, from -180 to 180, then latitude, from -90 to 90; what crosses the antimeridian is a "
            "MULTIPOLYGON cut there",
        ),
        (
            5, "wkt", "invalid_geometry",
            "'POLYGON((13 52 30, 14 52 30, 14 53 30, 13 52 30))': 3 coordinates a point; accepted: two, longitude and "
            "latitude",
        ),
        (
            6, "wkt", "invalid_geometry",
            "'MULTIPOLYGON(((0 0, 4 0, 4 4, 0 4, 0 0)), ((1 1, 2 1, 2 2, 1 1)))': Nested shells at POINT(1 1); "
            f"{rings}",
        ),
        (
            7, "wkt", "invalid_geometry",
            "'POINT(1 2)': it is not POLYGON or MULTIPOLYGON with numbers in brackets; accepted: WKT in longitude and "
            "latitude such as POLYGON((13 52, 14 52, 14 53, 13 52)) or a MULTIPOLYGON, of at most 8000000 characters, "
            "without SRID, Z and M",
        ),
    ]  # fmt: skip
    assert areas(ingestion) == []
    assert ingestion.query("select raw from ops.rejected_row where line_no = 2") == [
        ('A-1,Bow,region,"POLYGON((0 0, 10 10, 10 0, 0 10, 0 0))"',)
    ]


def test_the_same_area_is_unchanged_and_any_other_point_name_or_kind_updates_it(ingestion: Any) -> None:
    row = f'A-1,One,city,"{SQUARE}"'
    assert loaded(ingestion, row) == {"inserted": 1, "tables_changed": ["geo.area"]}
    assert loaded(ingestion, row) == {"unchanged": 1}
    # Spaces and leading zeros are spelling, points and their order are not.
    assert loaded(ingestion, 'A-1,One,Town,"polygon ((0.0 0,1 0,1 1,0 1,0 0))"') == {"unchanged": 1}
    updated = {"updated": 1, "tables_changed": ["geo.area"]}
    assert loaded(ingestion, 'A-1,One,city,"POLYGON((0 0, 0 1, 1 1, 1 0, 0 0))"') == updated
    assert loaded(ingestion, 'A-1,One,city,"POLYGON((0 0, 0 1, 1 1.000000000000001, 1 0, 0 0))"') == updated
    assert loaded(ingestion, 'A-1,Uno,city,"POLYGON((0 0, 0 1, 1 1.000000000000001, 1 0, 0 0))"') == updated
    assert loaded(ingestion, 'A-1,Uno,region,"POLYGON((0 0, 0 1, 1 1.000000000000001, 1 0, 0 0))"') == updated
    assert [area[:3] for area in areas(ingestion)] == [("A-1", "Uno", "region")]


def test_a_rejected_polygon_replaces_nothing(ingestion: Any) -> None:
    account = loaded(ingestion, f'A-1,One,city,"{SQUARE}"', 'A-1,One,city,"POLYGON((0 0, 1 1, 1 0, 0 1, 0 0))"')
    assert account == {"rejected": 1, "inserted": 1, "tables_changed": ["geo.area"]}
    assert loaded(ingestion, 'A-1,One,city,"POLYGON((0 0, 1 1, 1 0, 0 1, 0 0))"') == {"rejected": 1}

    assert areas(ingestion) == [("A-1", "One", "city", "MULTIPOLYGON(((0 0,1 0,1 1,0 1,0 0)))")]


def test_an_outline_of_many_points_is_stored_whole(ingestion: Any) -> None:
    steps = 20_000
    # Out along a saw, back along a line.
    points = [f"{n / steps * 90:.7f} {10 + n % 2 * 0.001:.3f}" for n in range(steps)]
    ring = ", ".join([*points, "89 20", "0 20", points[0]])
    assert len(ring) > 300_000
    assert loaded(ingestion, f'A-1,Saw,country,"POLYGON(({ring}))"')["inserted"] == 1
    assert ingestion.query("select st_npoints(boundary) from geo.area") == [(steps + 3,)]


def test_no_text_is_an_error_of_the_database(ingestion: Any) -> None:
    chance = random.Random(4)  # noqa: S311 - nobody guards anything with it
    words = ["POLYGON", "MULTIPOLYGON", "((", "))", "(", ")", ",", " ", "0 0", "1 1", "1e308", "-1e-320", "1e400", "-",
             "EMPTY", "Z", "ZM", "SRID=4326;", "SRID=-1;", "NaN", "inf", "POINT", "CURVEPOLYGON", "GEOMETRYCOLLECTION",
             "CIRCULARSTRING", "TRIANGLE", "{}", "é", "99999999999999999999", "0 0, 1 0, 1 1, 0 0"]  # fmt: skip
    texts = ["".join(chance.choices(words, k=chance.randint(1, 12))) for _ in range(2_000)]
    whole = list("MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0),(1 1,2 1,2 2,1 1)),((5 5,6 5,6 6,5 5)))")
    for _ in range(2_000):
        torn = whole.copy()
        for _ in range(chance.randint(1, 4)):
            torn[chance.randrange(len(torn))] = chance.choice("(), -.0123456789eE")
        texts.append("".join(torn))
    with psycopg.connect(ingestion._url) as connection:
        found = connection.execute(
            "select b.boundary is null, b.reason, b.detail, st_isvalid(b.boundary), st_srid(b.boundary)"
            "  from unnest(%s::text[]) as t (wkt) cross join lateral geo.read_boundary(t.wkt) as b",
            [texts],
        ).fetchall()

    assert len(found) == 4_000
    accepted = [row for row in found if not row[0]]
    assert len(accepted) > 50
    assert set(accepted) == {(False, None, None, True, 4326)}
    assert all(
        reason in ("invalid_geometry", "out_of_range") and detail for empty, reason, detail, *_ in found if empty
    )


def test_a_load_that_merges_games_tells_that_activity_has_changed(ingestion: Any) -> None:
    game = "game_id,title,release_date,genre\n"
    ingestion.put_bytes("landing/game/a.csv", f"{game}G-1,Starforge,2022-10-14,RPG\nG-2,Echo,2001-02-03,\n".encode())
    ingestion.run()
    ingestion.execute("insert into store.customer (ref) values ('CUST-1')")
    ingestion.execute(
        "insert into store.play_session (session_id, customer_id, game_id, platform, started_at, location) "
        "select 'S-' || n, customer_id, 'G-' || n, 'PC', '2025-01-05Z', 'POINT(13.4 52.5)' "
        "from store.customer cross join generate_series(1, 2) n"
    )
    ingestion.put_bytes("landing/game/b.csv", f"{game}G-2,Starforge,2022-10-14,RPG\n".encode())
    (result,) = ingestion.run()

    assert result["account"]["tables_changed"] == [
        "store.game",
        "store.game_alias",
        "store.play_session",
        "geo.activity",
    ]
    assert ingestion.query("select game_id, sessions, players from geo.activity") == [("G-1", 2, 1)]

    ingestion.put_bytes("landing/game/c.csv", f"{game}G-1,Starforge,2022-10-14,Space\n".encode())
    (result,) = ingestion.run()
    assert result["account"]["tables_changed"] == ["store.game", "store.game_alias"]
