"""Replaying rejected and held rows: under their file and line, in its order, each once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from marketplace.ingest import ledger
from marketplace.ingest.again import UnreadableError
from marketplace.ingest.replay import Selection, replay_rows

Mend = Callable[[str, str, str], None]
OUTCOMES = ("read", "rejected", "held", "inserted", "updated", "unchanged", "superseded")


def replay(ingestion: Any, run: str = "replay", **selection: Any) -> list[tuple[str, dict[str, int]]]:
    """Replay, and return of each file its key and the outcomes that are not 0."""
    with ingestion.connect() as connection:
        loaded = replay_rows(connection, run, Selection(**selection))
    return [
        (load.object_key, {name: getattr(account, name) for name in OUTCOMES if getattr(account, name)})
        for load, account in loaded
    ]


def standing(ingestion: Any) -> list[tuple[int, str]]:
    return ingestion.query(
        "select line_no, reason from ops.rejected_row where retried_load_id is null order by load_id, line_no"
    )


def put_gifts(ingestion: Any) -> None:
    """Put a file of which the contract rejects four rows, and a later file that knows better about one of them."""
    ingestion.put(
        "transaction",
        "T-1,sale,2025-01-05,EUR,10,CUST-0001",
        "T-2,gift,2025-01-05,EUR,20,CUST-0002",
        "T-3,gift,2025-01-05,EUR,30,CUST-0003",
        "T-4,gift,2025-01-05,EUR,free,CUST-0004",
        "T-5,gift,2025-01-05,EUR,50,CUST-0005",
        "T-5,sale,2025-01-05,EUR,55,CUST-0005",
        name="a.csv",
    )
    ingestion.put("transaction", "T-3,sale,2025-01-05,EUR,33,CUST-0003", name="b.csv")
    ingestion.run()


def test_rows_enter_under_their_line_and_in_the_order_of_their_file(ingestion: Any, mend: Mend) -> None:
    put_gifts(ingestion)
    assert standing(ingestion) == [
        (3, "unknown_value"),
        (4, "unknown_value"),
        (5, "unknown_value"),
        (6, "unknown_value"),
    ]
    mend("transaction", "sale: []", "sale: [gift]")

    done = replay(ingestion, dataset="transaction")

    assert done == [
        ("landing/transaction/a.csv", {"read": 4, "rejected": 1, "inserted": 1, "superseded": 2}),
    ]
    *_, entry = ingestion.loads()
    assert (entry["kind"], entry["file_load_id"], entry["claimed_by"], entry["status"]) == (
        "replay",
        1,
        "replay",
        "done",
    )
    assert ingestion.query(
        "select transaction_id, reported_total::int, load_id, load_line from store.transaction order by 1"
    ) == [("T-1", 10, 1, 2), ("T-2", 20, entry["load_id"], 3), ("T-3", 33, 2, 2), ("T-5", 55, 1, 7)]
    # Which load took each row; what is rejected again is so once, for its new reason, by that load.
    assert ingestion.query("select load_id, line_no, reason, retried_load_id from ops.rejected_row order by 1, 2") == [
        (1, line, "unknown_value", entry["load_id"]) for line in (3, 4, 5, 6)
    ] + [(entry["load_id"], 5, "invalid_amount", None)]


@pytest.mark.parametrize("mended", [False, True], ids=["for the first time", "again"])
def test_what_ends_as_before_changes_nothing_at_all(ingestion: Any, mend: Mend, mended: bool) -> None:
    put_gifts(ingestion)
    if mended:
        mend("transaction", "sale: []", "sale: [gift]")
        assert replay(ingestion, dataset="transaction") != []
    before = ingestion.everything()
    assert replay(ingestion, dataset="transaction") == replay(ingestion, rows="both", load_id=1) == []
    assert ingestion.everything() == before


def test_two_replays_at_once_take_each_row_once(ingestion: Any, mend: Mend) -> None:
    put_gifts(ingestion)
    mend("transaction", "sale: []", "sale: [gift]")
    together = threading.Barrier(2)
    done: list[Any] = []

    def run(name: str) -> None:
        together.wait()
        done.extend(replay(ingestion, name, dataset="transaction"))

    threads = [threading.Thread(target=run, args=(f"replay-{n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [account["read"] for _, account in done if "inserted" in account] == [4]
    assert standing(ingestion) == [(5, "invalid_amount")]
    assert ingestion.query("select count(*) from ops.load where kind = 'replay'") == [(1,)]


def test_held_rows_are_tried_by_name_and_stay_held_without_doubling(ingestion: Any, mend: Mend) -> None:
    ingestion.put("transaction_detail", "T-2,1,G-1,P-1,EU,PC,20,6,14", "T-9,1,G-1,P-1,EU,PC,20,6,14")
    ingestion.put("publisher", "P-1,Valve,US")
    ingestion.put("game", "G-1,Starforge,2022-10-14,")
    put_gifts(ingestion)
    before = ingestion.everything()
    assert replay(ingestion, rows="held", reason="unknown_transaction") == []
    assert ingestion.everything() == before
    # The transaction enters by a replay, and its line by the retry that follows.
    mend("transaction", "sale: []", "sale: [gift]")
    assert replay(ingestion, rows="both", put_from=datetime(2000, 1, 1, tzinfo=UTC)) == [
        ("landing/transaction/a.csv", {"read": 4, "rejected": 1, "inserted": 1, "superseded": 2}),
    ]
    assert [(one["read"], one["inserted"]) for one in ingestion.retry()] == [(1, 1)]
    assert ingestion.query("select line_no, reason from ops.held_row where retried_load_id is null") == [
        (3, "unknown_transaction")
    ]


def test_only_what_is_chosen_is_tried(ingestion: Any, mend: Mend) -> None:
    for name in ("a_1", "ab1"):
        ingestion.put("transaction", f"T-{name},gift,2025-01-05,EUR,20,CUST-0002", name=f"{name}.csv")
    ingestion.put("publisher", "P-1,,US")
    ingestion.put("transaction", "T-c,sale,,EUR,20,CUST-0002", name="c.csv")
    ingestion.run()
    mend("transaction", "sale: []", "sale: [gift]")
    put_at = {load["object_key"][-7:-4]: load["put_at"] for load in ingestion.loads()}
    a_moment = timedelta(microseconds=1)
    for nothing in (
        {"dataset": "publisher"}, {"dataset": "game"}, {"rows": "held", "dataset": "transaction"},
        {"load_id": 3}, {"load_id": 99}, {"file": "a_1.csv"}, {"file": "landing/transaction/c*"},
        {"reason": "missing"}, {"reason": "unknown"}, {"put_from": max(put_at.values()) + a_moment},
        {"put_to": min(put_at.values())},
    ):  # fmt: skip
        assert replay(ingestion, **nothing) == [], nothing
    assert [key for key, _ in replay(ingestion, file="*/a_1.csv")] == ["landing/transaction/a_1.csv"]
    assert [key for key, _ in replay(ingestion, load_id=2)] == ["landing/transaction/ab1.csv"]


def test_a_load_chooses_what_its_replays_left_over(ingestion: Any, mend: Mend) -> None:
    ingestion.put("transaction", "T-1,gift,2025-01-05,EUR,10,CUST-1", "T-2,loan,2025-01-05,EUR,10,CUST-1")
    ingestion.run()
    mend("transaction", "sale: []", "sale: [gift]")
    assert replay(ingestion, load_id=1) == [("landing/transaction/a.csv", {"read": 2, "rejected": 1, "inserted": 1})]
    mend("transaction", "sale: [gift]", "sale: [gift, loan]")
    assert replay(ingestion, load_id=1) == [("landing/transaction/a.csv", {"read": 1, "inserted": 1})]
    assert standing(ingestion) == []


def test_what_a_later_reload_has_read_is_not_tried_again(ingestion: Any, mend: Mend) -> None:
    put_gifts(ingestion)
    mend("transaction", "sale: []", "sale: [gift]")
    with ingestion.connect() as connection:
        times = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        claims = ledger.claim_reloads(connection, *times, "reload", 10)
    for claim in claims:
        ingestion.load(claim, "reload")
    before = ingestion.everything()
    assert replay(ingestion, dataset="transaction") == []
    assert ingestion.everything() == before


def test_a_nul_byte_is_still_there(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,Val\0ve,US")
    ingestion.run()
    assert standing(ingestion) == [(2, "nul_byte")]
    assert replay(ingestion, dataset="publisher") == []
    assert ingestion.query("select count(*) from store.publisher") == [(0,)]


def test_a_file_that_the_contract_can_no_longer_read_is_named_when_the_others_are_done(
    ingestion: Any, mend: Mend
) -> None:
    ingestion.put("publisher", "P-1,,US")
    put_gifts(ingestion)
    mend("transaction", "sale: []", "sale: [gift]")
    mend("publisher", "- name: country", "- name: land")
    with pytest.raises(UnreadableError, match=r"landing/publisher/a\.csv: The header does not fit publisher"):
        replay(ingestion, put_from=datetime(2000, 1, 1, tzinfo=UTC))
    assert ingestion.query("select count(*) from store.transaction where transaction_id = 'T-2'") == [(1,)]
    assert (2, "missing") in standing(ingestion)
