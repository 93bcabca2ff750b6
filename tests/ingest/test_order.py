"""Files count in the order in which they were put: loading them in any other order ends the same."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
INTERDEPENDENT = {
    "publisher": ("P-7,Nova,DE", "P-3,NOVA inc.,US", "P-5,Valve,US"),
    "game": ("G-9,Comet,2020-01-01,", "G-4,COMET,,Puzzle", "G-1,Starforge,2022-10-14,RPG"),
    "transaction": (
        "T-1,sale,2025-01-05,EUR,31,CUST-0001",
        "T-2,refund,2025-01-06,EUR,-10,CUST-0002",
        "T-3,payout,2025-01-07,EUR,-7,PLATFORM",
    ),
    "transaction_detail": (
        "T-1,1,comet,Nova,EU,PC,20,6,14",
        "T-1,2,G-1,P-5,EU,PC,11,3,8",
        "T-2,1,G-9,P-7,EU,PC,-10,-3,-7",
        "T-3,1,G-1,P-7,EU,Switch,-10,-3,-7",
    ),
}


def check_interdependent(ingestion: Any) -> None:
    tables = ingestion.clean_tables()
    assert [p[:2] for p in tables["publisher"]] == [("P-3", "NOVA inc."), ("P-5", "Valve")]
    assert [g[0] for g in tables["game"]] == ["G-1", "G-4"]
    assert tables["release"] == [
        ("G-1", "Nintendo Switch", "P-3"),
        ("G-1", "PC", "P-5"),
        ("G-4", "PC", "P-3"),
    ]
    assert [line[:4] for line in tables["line"]] == [
        ("T-1", 1, "G-4", "PC"), ("T-1", 2, "G-1", "PC"), ("T-2", 1, "G-4", "PC"), ("T-3", 1, "G-1", "Nintendo Switch"),
    ]  # fmt: skip
    assert [c[0] for c in tables["customer"]] == ["CUST-0001", "CUST-0002"]
    assert ingestion.query("select count(*) from ops.held_row where retried_load_id is null") == [(0,)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_four_files_that_need_one_another_load_in_any_order(ingestion: Any, order: tuple[int, ...]) -> None:
    for dataset, rows in INTERDEPENDENT.items():
        ingestion.put(dataset, *rows)
    ingestion.run(order)
    check_interdependent(ingestion)


def test_each_in_a_run_of_its_own_in_the_worst_order(ingestion: Any) -> None:
    for dataset in ("transaction_detail", "transaction", "game", "publisher"):
        ingestion.put(dataset, *INTERDEPENDENT[dataset])
        ingestion.run()
    check_interdependent(ingestion)


def test_four_files_at_once(ingestion: Any) -> None:
    for dataset, rows in INTERDEPENDENT.items():
        ingestion.put(dataset, *rows)
    assert load_at_once(ingestion, ingestion.claim()) == []
    check_interdependent(ingestion)


def load_at_once(ingestion: Any, claims: list[dict[str, Any]]) -> list[Exception]:
    """Load claims in threads that start together, each with its retry of held rows; returns what was raised."""
    together = threading.Barrier(len(claims))
    failures: list[Exception] = []

    def load(claim: dict[str, Any]) -> None:
        together.wait()
        try:
            ingestion.load(claim)
            ingestion.retry()
        except Exception as error:  # noqa: BLE001 - told to the test by the list
            failures.append(error)

    threads = [threading.Thread(target=load, args=(claim,)) for claim in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


RULE = "R-1,marketing,Hello,there,en,weekday,monday"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
@pytest.mark.parametrize(
    "dataset",
    [
        "publisher", "game", "transaction", "transaction_detail", "customer", "wishlist", "play_session",
        "notification_rule", "notification_text",
    ],
)  # fmt: skip
def test_the_last_of_three_files_wins_even_when_it_repeats_the_first(
    ingestion: Any, dataset: str, order: tuple[int, ...]
) -> None:
    first_and_last, between = {
        "publisher": ("P-3,Valve,US", "P-3,Valve Software,DE"),
        "game": ("G-1,Starforge,2022-10-14,RPG", "G-1,Starforge II,2023-01-01,"),
        "transaction": ("T-1,sale,2025-01-05,EUR,30,CUST-0001", "T-1,sale,2025-01-06,USD,31,CUST-0009"),
        "transaction_detail": ("T-1,1,G-1,P-3,EU,PC,30,9,21", "T-1,1,G-1,P-3,NA,PC,31,9,22"),
        "customer": ("CUST-0001,Ann,ann@example.org,,,,,", "CUST-0001,Bob,,DE,de_DE,Europe/Berlin,yes,2025-01-01"),
        "wishlist": ("CUST-0001,G-1,2025-01-05", "CUST-0001,Starforge,"),
        "play_session": ("S-1,CUST-0001,G-1,PC,2025-01-05,,1,2", "S-1,CUST-0002,G-1,PC,2025-01-05,60,1.5,2"),
        "notification_rule": (f"{RULE},DE,PC,,,yes", "R-1,service,Other,Text,,month_day,3,,,,G-1,no"),
        "notification_text": ("R-1,de,Neu,Da", "R-1,de,Alt,Weg"),
    }[dataset]
    needs = {
        "transaction_detail": ("publisher", "game", "transaction"),
        "wishlist": ("game",),
        "play_session": ("game",),
        "notification_rule": ("game",),
        "notification_text": ("notification_rule",),
    }
    if dataset in needs:
        for needed in needs[dataset]:
            ingestion.put(needed, {"publisher": "P-3,Valve,US", "game": "G-1,Starforge,,",
                                   "transaction": "T-1,sale,2025-01-05,EUR,30,CUST-0001",
                                   "notification_rule": f"{RULE},,,,,yes"}[needed])  # fmt: skip
        ingestion.run()
    for name, row in (("c.csv", first_and_last), ("b.csv", between), ("a.csv", first_and_last)):
        ingestion.put(dataset, row, name=name)
    ingestion.run(order)
    expected = {
        "publisher": [("P-3", "Valve", "valve", "US")],
        "game": [("Starforge",)],
        "transaction": [("EUR",)],
        "transaction_detail": [("EU",)],
        "customer": [("CUST-0001", "Ann", "ann@example.org", None, None, None, None, None)],
        "wishlist": [("CUST-0001", "G-1", datetime(2025, 1, 5, tzinfo=UTC))],
        "play_session": [("S-1", "CUST-0001", "G-1", "PC", datetime(2025, 1, 5, tzinfo=UTC), None, 2.0, 1.0)],
        "notification_rule": [
            (
                "R-1",
                "marketing",
                "Hello",
                "there",
                "en",
                "weekday",
                "monday",
                {"countries": ["DE"], "platforms": ["PC"]},
                None,
                None,
                True,
            )
        ],
        "notification_text": [("R-1", "de", "Neu", "Da")],
    }[dataset]
    if dataset not in ("publisher", "game", "transaction", "transaction_detail"):
        tables = ingestion.clean_tables()
        names = {
            "wishlist": "wish",
            "play_session": "session",
            "notification_rule": "rule",
            "notification_text": "text",
        }
        assert tables[names.get(dataset, dataset)] == expected
        return
    found = {
        "publisher": "select publisher_id, name, name_key, country_code from store.publisher",
        "game": "select title from store.game",
        "transaction": "select currency from store.transaction",
        "transaction_detail": "select region from store.transaction_line",
    }[dataset]
    assert ingestion.query(found) == expected


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_a_release_belongs_to_its_earliest_report(ingestion: Any, order: tuple[int, ...]) -> None:
    ingestion.put("publisher", "P-1,One,", "P-2,Two,", "P-3,Three,")
    ingestion.put("game", "G-1,Starforge,,")
    ingestion.put("transaction", "T-1,sale,2025-01-05,EUR,30,CUST-0001")
    ingestion.run()
    for number in (2, 1, 3):
        row = f"T-1,{number},G-1,P-{number},EU,PC,10,3,7"
        ingestion.put("transaction_detail", row, name=f"{number}.csv")
    ingestion.run(order)
    assert ingestion.clean_tables()["release"] == [("G-1", "PC", "P-2")]
    assert ingestion.query("select count(*) from ops.issue where kind = 'publisher_mismatch'") >= [(2,)]


def test_a_release_that_a_person_set_stands(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,One,", "P-2,Two,")
    ingestion.put("game", "G-1,Starforge,,")
    ingestion.put("transaction", "T-1,sale,2025-01-05,EUR,30,CUST-0001")
    ingestion.put("transaction_detail", "T-1,1,G-1,P-1,EU,PC,10,3,7")
    ingestion.run()
    ingestion.execute("update store.game_release set publisher_id = 'P-2', load_id = null, load_line = null")
    ingestion.put("transaction_detail", "T-1,1,G-1,P-1,EU,PC,10,3,7")
    ingestion.run()
    assert ingestion.clean_tables()["release"] == [("G-1", "PC", "P-2")]


def test_the_same_file_twice_changes_nothing(ingestion: Any) -> None:
    for dataset, rows in INTERDEPENDENT.items():
        ingestion.put(dataset, *rows)
    ingestion.run()
    before, stamps = ingestion.clean_tables(), all_stamps(ingestion)
    for dataset, rows in INTERDEPENDENT.items():
        ingestion.put(dataset, *rows)
    for result in ingestion.run():
        assert (result["account"]["unchanged"], result["account"]["tables_changed"]) == (
            result["account"]["read"],
            [],
        )
    assert ingestion.clean_tables() == before
    assert all_stamps(ingestion) == stamps


def all_stamps(ingestion: Any) -> list[tuple[Any, ...]]:
    tables = [
        row[0] for row in ingestion.query("select tablename from pg_tables where schemaname = 'store' order by 1")
    ]
    union = " union all ".join(f"select '{t}', row_xid::text, ctid::text from store.{t}" for t in tables)
    return sorted(ingestion.query(union))


def test_a_corrected_file_updates_what_differs_and_nothing_else(ingestion: Any) -> None:
    ingestion.put("transaction", *(f"T-{n},sale,2025-01-05,EUR,{n},CUST-0001" for n in range(1, 6)))
    ingestion.run()
    ingestion.put("transaction", *(f"T-{n},sale,2025-01-05,EUR,{n if n != 3 else 33},CUST-0001" for n in range(1, 7)))
    (result,) = ingestion.run()
    counts = result["account"]
    assert (counts["inserted"], counts["updated"], counts["unchanged"]) == (1, 1, 4)
    assert ingestion.query("select reported_total::int from store.transaction where transaction_id = 'T-3'") == [(33,)]


def reload_everything(ingestion: Any) -> list[dict[str, Any]]:
    from marketplace.ingest import ledger

    with ingestion.connect() as connection:
        claims = ledger.claim_reloads(connection, EARLIEST, LATEST, "reload", 500)
    return [ingestion.load(claim, "reload") for claim in claims]


def test_an_older_file_reloaded_after_a_newer_changes_nothing(ingestion: Any) -> None:
    ingestion.put("transaction", "T-1,sale,2025-01-05,EUR,1,CUST-0001", name="old.csv")
    ingestion.put("transaction", "T-1,sale,2025-01-05,EUR,2,CUST-0001", name="new.csv")
    ingestion.run()
    before = all_stamps(ingestion)
    old, new = reload_everything(ingestion)
    assert (old["source_key"], old["account"]["superseded"]) == ("landing/transaction/old.csv", 1)
    assert (new["source_key"], new["account"]["unchanged"]) == ("landing/transaction/new.csv", 1)
    assert (old["destination_key"], len(ingestion.keys("archive/"))) == (None, 2)
    assert all_stamps(ingestion) == before


def test_a_reload_restores_what_was_changed_by_hand(ingestion: Any) -> None:
    ingestion.put("transaction", "T-1,sale,2025-01-05,EUR,1,CUST-0001")
    ingestion.run()
    ingestion.execute("update store.transaction set reported_total = 5")
    (result,) = reload_everything(ingestion)
    assert result["account"]["updated"] == 1


def test_a_range_with_too_many_files_to_reload_is_refused(ingestion: Any) -> None:
    from marketplace.ingest import ledger

    for n in range(3):
        ingestion.put("publisher", f"P-{n},Publisher {n},", name=f"{n}.csv")
    ingestion.run()
    with ingestion.connect() as connection:
        with pytest.raises(
            ValueError,
            match=r"^3 files were put from 2000-01-01 00:00:00 to 2100-01-01 00:00:00, and a run.* at most 2",
        ):
            ledger.claim_reloads(connection, EARLIEST, LATEST, "reload", 2)
        claims = [ledger.claim_reloads(connection, EARLIEST, LATEST, "reload", 3) for _ in range(2)]
    assert claims[0] == claims[1]
    assert [load["kind"] for load in ingestion.loads()] == ["file"] * 3 + ["reload"] * 3


def test_a_reload_settles_a_release_anew_when_its_publisher_was_split_off(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,Valve,", "P-2,Valve,")
    ingestion.put("game", "G-1,Starforge,,")
    ingestion.put("transaction", "T-1,sale,2025-01-05,EUR,30,CUST-0001")
    ingestion.put("transaction_detail", "T-1,1,G-1,P-2,EU,PC,30,9,21")
    ingestion.run()
    assert ingestion.clean_tables()["release"] == [("G-1", "PC", "P-1")]
    ingestion.put("publisher", "P-1,Nova,", name="b.csv")
    ingestion.run()
    reload_everything(ingestion)
    assert ingestion.clean_tables()["release"] == [("G-1", "PC", "P-2")]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_a_line_is_never_rejected_for_what_another_file_says(ingestion: Any, order: tuple[int, ...]) -> None:
    ingestion.put("publisher", "P-1,One,")
    ingestion.put("game", "G-1,Starforge,,")
    ingestion.run()
    ingestion.put("transaction", "T-1,refund,2025-01-05,EUR,-1,CUST-0001", name="a.csv")
    ingestion.put("transaction_detail", "T-1,1,G-1,P-1,EU,PC,1,0,1")
    ingestion.put("transaction", "T-1,sale,2025-01-05,EUR,1,CUST-0001", name="b.csv")
    ingestion.run(order)
    tables = ingestion.clean_tables()
    assert (tables["transaction"][0][1], [line[:2] for line in tables["line"]]) == ("sale", [("T-1", 1)])


def test_publishers_and_games_that_settle_at_once_do_not_collide(ingestion: Any) -> None:
    for round_number in range(5):
        high, low = f"P-{900 - round_number}", f"P-{100 + round_number}"
        ingestion.put("publisher", f"{high},Nova {round_number},")
        ingestion.put("game", f"G-{high},Echo {round_number},,")
        ingestion.put("transaction", f"T-{round_number},sale,2025-01-05,EUR,30,CUST-0001")
        ingestion.put("transaction_detail", f"T-{round_number},1,G-{high},{high},EU,PC,30,9,21")
        ingestion.run()
        ingestion.put("publisher", f"{low},Nova {round_number},")
        ingestion.put("game", f"G-{low},Echo {round_number},,")
        assert load_at_once(ingestion, ingestion.claim()) == []
    assert [r[2] for r in ingestion.clean_tables()["release"]] == [f"P-{100 + n}" for n in range(5)]


def test_a_held_line_does_not_overtake_a_later_line_of_its_file(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,One,")
    ingestion.put("game", "G-1,Starforge,,")
    ingestion.put("transaction", "T-1,sale,2025-01-05,EUR,30,CUST-0001")
    ingestion.put("transaction_detail", "T-1,1,Comet,P-1,EU,PC,10,3,7", "T-1,1,G-1,P-1,EU,PC,30,9,21")
    ingestion.run()
    ingestion.put("game", "G-2,Comet,,", name="b.csv")
    ingestion.run()
    assert [line[2] for line in ingestion.clean_tables()["line"]] == ["G-1"]
    (retry,) = [load for load in ingestion.loads() if load["kind"] == "retry"]
    assert (retry["read"], retry["superseded"]) == (1, 1)
