"""GET /aggregated-data: the sums of known play, by every filter and every grouping, page by page."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import psycopg
import pytest

from tests.api.conftest import AREAS, GAMES, PLAY, ROME, STOCKHOLM, SUVA, TAVEUNI


def groups(answer: Any) -> dict[str | None, tuple[int, int, int]]:
    """Return the sums of an answer by group."""
    assert answer.status_code == 200, answer.text
    return {
        found["group"]: (found["sessions"], found["timed_sessions"], found["seconds"])
        for found in answer.json()["groups"]
    }


def expected(key: Any, rows: list[Any] = PLAY) -> dict[str | None, tuple[int, int, int]]:
    """Return the same, counted here."""
    sums: dict[str | None, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        found = sums[key(row)]
        found[0] += 1
        found[1] += row[4] is not None
        found[2] += row[4] or 0
    return {group: (*found,) for group, found in sums.items()}


def day(row: Any) -> str:
    return row[3][:10]


def genre(row: Any) -> str | None:
    found = GAMES[row[1]][1]
    return found and found.lower()


@pytest.mark.parametrize(
    ("group_by", "by"),
    [("day", day), ("game", lambda row: row[1]), ("platform", lambda row: row[2]), ("genre", genre)],
)
def test_play_is_summed_up_by_day_and_dimension(get, group_by, by):
    answer = get(group_by=group_by)

    assert groups(answer) == expected(by)
    assert answer.json()["next"] is None


def test_games_and_areas_are_named(get):
    assert {row["group"]: row["name"] for row in get(group_by="game").json()["groups"]} == {
        game: title for game, (title, _genre) in GAMES.items()
    }
    assert {row["group"]: row["name"] for row in get(group_by="area").json()["groups"]} == {
        "NORTH": "The North",
        "WEST": "Europe",
    }


def test_areas_overlap_and_each_counts_all_its_cells(get):
    in_stockholm = [row for row in PLAY if row[5] == STOCKHOLM]
    in_europe = [row for row in PLAY if row[5] in (STOCKHOLM, ROME)]

    assert groups(get(group_by="area")) == {
        "NORTH": expected(lambda _: "", in_stockholm)[""],
        "WEST": expected(lambda _: "", in_europe)[""],
    }
    assert list(groups(get(group_by="area", area="The North"))) == ["NORTH"]
    assert groups(get(group_by="area", point="12.5,41.9", radius_km=50)) == {
        "WEST": expected(lambda _: "", [row for row in PLAY if row[5] == ROME])[""]
    }


def test_cells_are_those_of_the_store(get, played):
    with psycopg.connect(played.url("store_reader")) as connection:
        cells = {
            place: str(connection.execute("select geo.cell_at(st_point(%s, %s, 4326))", place).fetchone()[0])
            for place in (STOCKHOLM, ROME, SUVA, TAVEUNI)
        }

    assert groups(get()) == expected(lambda row: cells[row[5]])


@pytest.mark.parametrize(
    ("place", "there"),
    [
        ({"bbox": "10,55,20,60"}, [STOCKHOLM]),
        ({"bbox": "170,-20,-170,-10"}, [SUVA, TAVEUNI]),
        ({"bbox": "178,-20,180,-10"}, [SUVA]),
        ({"area": "WEST"}, [STOCKHOLM, ROME]),
        ({"area": "the north"}, [STOCKHOLM]),
        ({"area": "SEA"}, []),
        ({"polygon": "POLYGON((10 40, 15 40, 15 45, 10 40))"}, [ROME]),
        (
            {"polygon": "MULTIPOLYGON(((10 40, 15 40, 15 45, 10 40)), ((170 -20, 180 -20, 180 -10, 170 -20)))"},
            [ROME, SUVA],
        ),
        ({"point": "18.07,59.33", "radius_km": 1}, [STOCKHOLM]),
        ({"point": "12.5,41.9", "radius_km": 1000}, [ROME]),
        ({"point": "179.9,-17", "radius_km": 300}, [SUVA, TAVEUNI]),
        ({"point": "-179.9,-17", "radius_km": 50}, [TAVEUNI]),
        ({"point": "0,90", "radius_km": 1000}, []),
    ],
)
def test_play_is_found_by_place(get, place, there):
    assert groups(get(group_by="day", **place)) == expected(day, [row for row in PLAY if row[5] in there])


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        ({"from": "2025-01-06", "to": "2025-01-06"}, lambda row: day(row) == "2025-01-06"),
        ({"game": "G1"}, lambda row: row[1] == "G1"),
        ({"game": "G1-OLD"}, lambda row: row[1] == "G1"),
        ({"genre": "STRATEGY"}, lambda row: row[1] in ("G1", "G2")),
        ({"genre": "poker"}, lambda row: False),
        ({"platform": "PS5"}, lambda row: row[2] == "PS5"),
        ({"platform": "PC", "genre": "strategy", "area": "WEST"}, lambda row: row[2] == "PC" and row[1] != "G3"),
    ],
)
def test_play_is_found_by_day_game_genre_and_platform(get, filters, matches):
    assert groups(get(group_by="day", **filters)) == expected(day, [row for row in PLAY if matches(row)])


def test_an_average_is_of_the_timed_sessions_only(get):
    found = {row["group"]: row["average_seconds"] for row in get(group_by="day").json()["groups"]}

    assert found["2025-01-06"] == 1200.0  # 1800 and 600; the third has no duration
    assert get(group_by="day", game="G2", platform="PC").json()["groups"][0]["average_seconds"] is None


@pytest.mark.parametrize(
    ("group_by", "players"),
    [
        ("platform", {"PC": 3, "PS5": 1, "Switch": 2}),
        ("area", {"NORTH": 2, "WEST": 3}),
        ("genre", {None: 1, "strategy": 4}),
    ],
)
def test_players_are_counted_once_each(get, group_by, players):
    found = get(group_by=group_by, players=True).json()["groups"]

    assert {row["group"]: row["players"] for row in found} == players
    assert {row["players"] for row in get(group_by=group_by).json()["groups"]} == {None}


@pytest.mark.parametrize("group_by", ["cell", "area", "day", "game", "genre", "platform"])
@pytest.mark.parametrize("limit", [1, 2])
def test_pages_have_each_group_once_in_order(get, group_by, limit):
    whole = get(group_by=group_by, players=True).json()["groups"]
    pages, cursor = [], None
    while True:
        page = get(group_by=group_by, players=True, limit=limit, cursor=cursor).json()
        pages.append(page["groups"])
        cursor = page["next"]
        if cursor is None:
            break

    assert [group for page in pages for group in page] == whole
    assert {len(page) for page in pages[:-1]} <= {limit}
    assert len(pages) == -(-len(whole) // limit)


def test_geojson_has_the_outlines(get):
    cells = get(format="geojson")
    assert cells.headers["content-type"] == "application/geo+json"
    assert [(found["id"], found["properties"]) for found in cells.json()["features"]] == [
        (row["group"], row) for row in get().json()["groups"]
    ]
    for found in cells.json()["features"]:
        assert found["geometry"]["type"] == "Polygon"
        (ring,) = found["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        assert len(ring) >= 5

    areas = get(format="geojson", group_by="area").json()["features"]
    assert {found["id"] for found in areas} == {"NORTH", "WEST"}
    assert [found["geometry"]["type"] for found in areas] == ["Polygon", "Polygon"]
    assert sorted(map(tuple, areas[0]["geometry"]["coordinates"][0])) == [(5, 55), (5, 55), (5, 70), (30, 55), (30, 70)]


def test_an_area_with_a_name_of_two_is_asked_for_by_id(get):
    answer = get(area="europe")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["detail"] == "that is the name of SEA, WEST"
    assert {AREAS[area][0] for area in ("SEA", "WEST")} == {"Europe"}


@pytest.mark.parametrize("parameters", [{"area": "Atlantis"}, {"game": "G9"}, {"game": "G3", "genre": "strategy"}])
def test_an_area_or_a_game_that_there_is_not_is_not_found(get, parameters):
    assert get(**parameters).status_code == 404
