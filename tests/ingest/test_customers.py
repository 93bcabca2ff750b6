"""Customers, their wishes and their play sessions: completed, named by reference, held, placed, and merged."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.ingest.test_order import all_stamps, reload_everything

GAMES = ("G-1,Starforge,2022-10-14,RPG", "G-2,Echo,2001-02-03,Puzzle", "G-3,ECHO,2015-06-07,Puzzle")
ANN = ("CUST-0001", "Ann", "ann@example.org", "DE", "de_DE", "Europe/Berlin", True, datetime(2024, 5, 6, tzinfo=UTC))
ANN_ROW = "CUST-0001,Ann,ann@example.org,DE,de-de,europe/berlin,yes,2024-05-06"
NOTHING = (None,) * 7


def day(number: int) -> datetime:
    return datetime(2025, 1, number, tzinfo=UTC)


def put_games(ingestion: Any) -> None:
    ingestion.put("game", *GAMES)
    ingestion.run()


def account(result: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in result["account"].items() if isinstance(count, int) and count}


def found(ingestion: Any, table: str) -> list[tuple[Any, ...]]:
    reason = "kind" if table == "issue" else "reason"
    return ingestion.query(
        f"select line_no, column_name, {reason} from ops.{table} order by load_id, line_no, column_name"
    )


def origins(ingestion: Any, table: str, key: str) -> list[tuple[Any, ...]]:
    """Return key, file and line of each row of a table."""
    return ingestion.query(
        f"select {key}, l.object_key, r.load_line from store.{table} r join ops.load l using (load_id) order by 1"
    )


# --- customers -------------------------------------------------------------------------------------------------------


def test_a_customer_file_is_accounted_for_row_by_row(ingestion: Any) -> None:
    ingestion.put(
        "customer",
        ANN_ROW,
        "cust-0002,Bo,bo.example.org,Atlantis,klingon,Mars/Olympus,maybe,yesterday",
        "CUST-0003,,,,,,,",
        "CUST-12A,Cy,,,,,,",
        ",Di,,,,,,",
        "PLATFORM,Everyone,,,,,,",
        "CUST-0004,Old,old@example.org,,,,,",
        "CUST-0004,New,,,,,0,",
    )
    (result,) = ingestion.run()
    assert account(result) == {
        "read": 8, "accepted": 5, "rejected": 3, "inserted": 4, "superseded": 1, "issues": 6,
    }  # fmt: skip
    assert result["account"]["tables_changed"] == ["store.customer"]
    assert ingestion.clean_tables()["customer"] == [
        ANN,
        ("CUST-0002", "Bo", *(None,) * 6),
        ("CUST-0003", *NOTHING),
        ("CUST-0004", "New", None, None, None, None, False, None),
    ]
    assert found(ingestion, "rejected_row") == [
        (5, "customer_ref", "invalid_id"),
        (6, "customer_ref", "missing"),
        (7, "customer_ref", "invalid_id"),
    ]
    assert found(ingestion, "issue") == [
        (3, "country", "unknown_country"),
        (3, "created_at", "invalid_timestamp"),
        (3, "email", "invalid_email"),
        (3, "locale", "unknown_locale"),
        (3, "marketing_opt_in", "invalid_boolean"),
        (3, "time_zone", "unknown_time_zone"),
    ]
    assert [line for *_, line in origins(ingestion, "customer", "r.ref")] == [2, 3, 4, 9]


# Every fourth order and the last, each time.
ORDERS = [
    order if number % 4 == 0 or number == 23 else pytest.param(order, marks=pytest.mark.full)
    for number, order in enumerate(itertools.permutations(range(4)))
]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_a_customer_known_by_reference_is_completed_whatever_comes_first(
    ingestion: Any, order: tuple[int, ...]
) -> None:
    put_games(ingestion)
    ingestion.put("customer", ANN_ROW)
    ingestion.put("transaction", "T-1,sale,2025-01-05,EUR,30,cust-0001")
    ingestion.put("wishlist", "CUST-0001,G-1,2025-01-05")
    ingestion.put("play_session", "S-1,CUST-0001,G-1,PC,2025-01-05,60,48.2,16.4")
    results = ingestion.run(order)
    tables = ingestion.clean_tables()
    assert tables["customer"] == [ANN]
    assert [tables["transaction"][0][-1], tables["wish"][0][0], tables["session"][0][1]] == ["CUST-0001"] * 3
    assert origins(ingestion, "customer", "r.ref") == [("CUST-0001", "landing/customer/a.csv", 2)]
    (of_customer,) = (r for r in results if r["source_key"] == "landing/customer/a.csv")
    first = order[0] == 0
    assert account(of_customer) == {"read": 1, "accepted": 1, "inserted" if first else "updated": 1}


def test_a_bare_row_comes_from_the_first_line_that_names_the_customer(ingestion: Any) -> None:
    put_games(ingestion)
    ingestion.put("wishlist", "CUST-0002,G-1,", "CUST-0001,G-1,2025-01-05", "CUST-0001,Starforge,2025-01-06")
    ingestion.run()
    ingestion.put("transaction", "T-1,sale,2025-01-05,EUR,30,CUST-0001", "T-2,payout,2025-01-05,EUR,-3,PLATFORM")
    ingestion.run()
    assert ingestion.clean_tables()["customer"] == [("CUST-0001", *NOTHING), ("CUST-0002", *NOTHING)]
    assert origins(ingestion, "customer", "r.ref") == [
        ("CUST-0001", "landing/wishlist/a.csv", 3),
        ("CUST-0002", "landing/wishlist/a.csv", 2),
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=str)
def test_what_a_later_customer_file_leaves_empty_is_empty(ingestion: Any, order: tuple[int, ...]) -> None:
    ingestion.put("customer", ANN_ROW, name="b.csv")
    ingestion.put("customer", "CUST-0001,Anna,,,,,,", name="a.csv")
    ingestion.run(order)
    assert ingestion.clean_tables()["customer"] == [("CUST-0001", "Anna", *(None,) * 6)]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)], ids=str)
def test_a_file_that_knows_nothing_of_a_bare_customer_is_the_latest_report_all_the_same(
    ingestion: Any, order: tuple[int, ...]
) -> None:
    ingestion.put("customer", ANN_ROW, name="b.csv")
    ingestion.put("transaction", "T-1,sale,2025-01-05,EUR,30,CUST-0001")
    ingestion.put("customer", "CUST-0001,,,,,,,", name="a.csv")
    ingestion.run(order)
    assert ingestion.clean_tables()["customer"] == [("CUST-0001", *NOTHING)]


# --- wishes ----------------------------------------------------------------------------------------------------------


def test_a_wish_is_one_whatever_names_its_game(ingestion: Any) -> None:
    put_games(ingestion)
    ingestion.put(
        "wishlist",
        "CUST-0001,G-1,2025-01-05",
        "cust-0001,starforge®,01/06/2025",
        "CUST-0001,G-2,",
        "CUST-0002,STARFORGE,2025-02-30",
    )
    (result,) = ingestion.run()
    assert account(result) == {"read": 4, "accepted": 4, "inserted": 3, "superseded": 1, "issues": 1}
    assert result["account"]["tables_changed"] == ["store.wishlist", "store.customer"]
    assert ingestion.clean_tables()["wish"] == [
        ("CUST-0001", "G-1", day(6)),
        ("CUST-0001", "G-2", None),
        ("CUST-0002", "G-1", None),
    ]
    assert found(ingestion, "issue") == [(5, "added_at", "invalid_timestamp")]
    assert sorted(line for *_, line in origins(ingestion, "wishlist", "r.game_id")) == [3, 4, 5]


@pytest.mark.parametrize(
    ("dataset", "rows", "table"),
    [
        ("wishlist", ("CUST-0001,{},2025-01-05", "CUST-0002,{},"), "wish"),
        ("play_session", ("S-1,CUST-0001,{},PC,2025-01-05,60,1,2", "S-2,CUST-0002,{},PC,2025-01-05,60,1,2"), "session"),
    ],
)
def test_what_names_no_game_or_two_is_held_and_its_customer_with_it(
    ingestion: Any, dataset: str, rows: tuple[str, str], table: str
) -> None:
    put_games(ingestion)
    ingestion.put(dataset, rows[0].format("Comet"), rows[1].format("echo"))
    (result,) = ingestion.run()
    assert account(result) == {"read": 2, "held": 2}
    assert result["account"]["tables_changed"] == []
    assert found(ingestion, "held_row") == [(2, "game_ref", "unknown_game"), (3, "game_ref", "ambiguous_game")]
    assert ingestion.clean_tables()["customer"] == []

    ingestion.put("game", "G-3,Echo II,2015-06-07,", "G-4,COMET,2020-01-01,", name="b.csv")
    ingestion.run()
    tables = ingestion.clean_tables()
    assert [customer[0] for customer in tables["customer"]] == ["CUST-0001", "CUST-0002"]
    games = [row[1 if table == "wish" else 2] for row in tables[table]]
    assert games == ["G-4", "G-2"]
    (retry,) = (load for load in ingestion.loads() if load["kind"] == "retry")
    assert (retry["read"], retry["inserted"], retry["object_key"]) == (2, 2, f"landing/{dataset}/a.csv")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=str)
def test_of_two_wishes_that_become_one_the_later_stands(ingestion: Any, order: tuple[int, ...]) -> None:
    ingestion.put("game", "G-5,Nova,,", "G-9,Comet,,")
    ingestion.run()
    ingestion.put("wishlist", "CUST-0001,G-9,2025-01-01", "CUST-0002,G-5,2025-01-02", name="b.csv")
    ingestion.put("wishlist", "CUST-0001,G-5,2025-01-03", "CUST-0002,G-9,2025-01-04", name="a.csv")
    ingestion.run(order)
    ingestion.put("game", "G-9,Nova,,", name="b.csv")
    (result,) = ingestion.run()
    assert ingestion.clean_tables()["wish"] == [("CUST-0001", "G-5", day(3)), ("CUST-0002", "G-5", day(4))]
    assert {file for _, file, _ in origins(ingestion, "wishlist", "r.game_id")} == {"landing/wishlist/a.csv"}
    assert "store.wishlist" in result["account"]["tables_changed"]
    assert ingestion.query("select key from ops.tombstone where table_name = 'store.wishlist' order by 1") == [
        ({"game_id": "G-9", "customer_id": customer},) for customer in (1, 2)
    ]


# --- play sessions ---------------------------------------------------------------------------------------------------


def test_a_session_file_is_accounted_for_row_by_row(ingestion: Any) -> None:
    put_games(ingestion)
    ingestion.put(
        "play_session",
        "S-1,CUST-0001,starforge,ps5,01/05/2025,5400.0,48.2082,16.3738",
        'S-2,cust-0002,G-2,Amiga,2025-01-06,,33.86 S,"151,21"',
        "S-3,CUST-0002,G-2,PC,2025-01-07,-1,0.0,0",
        "S-4,CUST-0002,G-2,PC,2025-01-07,1,95,0",
        "S-5,CUST-0002,G-2,PC,2025-01-07,1,1,",
        "S-6,CUST-0002,G-2,PC,,1,1,1",
        "S-7,CUST-0003,G-1,PC,2025-01-07,1,0,0",
        "S-7,CUST-0004,G-1,PC,2025-01-07,1,-90,-180",
    )
    (result,) = ingestion.run()
    assert account(result) == {
        "read": 8, "accepted": 5, "rejected": 3, "inserted": 4, "superseded": 1, "issues": 7,
    }  # fmt: skip
    assert ingestion.clean_tables()["session"] == [
        ("S-1", "CUST-0001", "G-1", "PlayStation 5", day(5), 5400, 16.3738, 48.2082),
        ("S-2", "CUST-0002", "G-2", "AMIGA", day(6), None, 151.21, -33.86),
        ("S-3", "CUST-0002", "G-2", "PC", day(7), None, 0.0, 0.0),
        ("S-7", "CUST-0004", "G-1", "PC", day(7), 1, -180.0, -90.0),
    ]
    assert found(ingestion, "rejected_row") == [
        (5, "latitude", "out_of_range"),
        (6, "longitude", "missing"),
        (7, "started_at", "missing"),
    ]
    assert found(ingestion, "issue") == [
        (2, "duration_s", "reformatted_integer"),
        (3, "latitude", "reformatted_number"),
        (3, "longitude", "reformatted_number"),
        (3, "platform", "unknown_value"),
        (4, "duration_s", "out_of_range"),
        (4, "latitude", "null_island"),
        (8, "latitude", "null_island"),
    ]
    assert ingestion.query("select distinct detail from ops.issue where kind = 'null_island'") == [
        ("latitude and longitude are both 0, a place in the Atlantic that stands for no place",)
    ]
    # Superseded or not: whom an accepted line names is known.
    assert [customer[0] for customer in ingestion.clean_tables()["customer"]] == [f"CUST-000{n}" for n in (1, 2, 3, 4)]
    assert ingestion.query("select count(*) from store.game_release") == [(0,)]


def test_a_session_near_a_place_is_found_there(ingestion: Any) -> None:
    put_games(ingestion)
    ingestion.put("play_session", "S-1,CUST-0001,G-1,PC,2025-01-05,60,48.2082,16.3738")
    ingestion.run()
    near = "select st_dwithin(location, 'point({})'::geography, 5000) from store.play_session"
    assert ingestion.query(near.format("16.3713 48.2081")) == [(True,)]
    assert ingestion.query(near.format("48.2081 16.3713")) == [(False,)]


def test_sessions_and_wishes_follow_a_game_to_its_lower_id(ingestion: Any) -> None:
    ingestion.put("game", "G-9,Nova,,")
    ingestion.run()
    ingestion.put("wishlist", "CUST-0001,Nova,2025-01-05")
    ingestion.put("play_session", "S-1,CUST-0001,G-9,PC,2025-01-05,60,1,2")
    ingestion.run()
    ingestion.put("game", "G-2,NOVA,,", name="b.csv")
    (result,) = ingestion.run()
    tables = ingestion.clean_tables()
    assert (tables["wish"], tables["session"][0][2]) == ([("CUST-0001", "G-2", day(5))], "G-2")
    assert {"store.wishlist", "store.play_session"} <= set(result["account"]["tables_changed"])
    assert origins(ingestion, "play_session", "r.session_id") == [("S-1", "landing/play_session/a.csv", 2)]


# --- all three -------------------------------------------------------------------------------------------------------

ROWS = {
    "customer": (ANN_ROW, "CUST-0002,,,,,,,"),
    "wishlist": ("CUST-0001,G-1,2025-01-05", "CUST-0003,Starforge,"),
    "play_session": ("S-1,CUST-0001,G-1,PC,2025-01-05,60,48.2,16.4", "S-2,CUST-0003,G-1,PC,2025-01-05,,-33.86,151.21"),
}


def test_the_same_files_twice_change_nothing(ingestion: Any) -> None:
    put_games(ingestion)
    for _ in range(2):
        before = all_stamps(ingestion)
        for dataset, rows in ROWS.items():
            ingestion.put(dataset, *rows)
        results = ingestion.run()
    assert [account(r) for r in results] == [{"read": 2, "accepted": 2, "unchanged": 2}] * 3
    assert [r["account"]["tables_changed"] for r in results] == [[], [], []]
    assert all_stamps(ingestion) == before


def test_a_reload_brings_back_what_applications_have_changed(ingestion: Any) -> None:
    put_games(ingestion)
    for dataset, rows in ROWS.items():
        ingestion.put(dataset, *rows)
    ingestion.run()
    before = ingestion.clean_tables()
    # As the live changes of mock data do it.
    ingestion.execute(
        "update store.customer set locale = 'ja_JP', marketing_opt_in = false, load_id = null where ref <> 'CUST-0003'"
    )
    ingestion.execute("delete from store.wishlist where added_at is not null")
    results = {r["source_key"].split("/")[1]: account(r) for r in reload_everything(ingestion)}
    assert ingestion.clean_tables() == before
    assert results["customer"] == {"read": 2, "accepted": 2, "updated": 2}
    assert results["wishlist"] == {"read": 2, "accepted": 2, "inserted": 1, "unchanged": 1}
    assert results["play_session"] == {"read": 2, "accepted": 2, "unchanged": 2}
