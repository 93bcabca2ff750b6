"""What a file reported just as it stood is remembered in packs, and read when an older file is loaded late."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from marketplace.ingest import apply, ledger

SALE = "{},sale,2025-01-05,EUR,{},CUST-0001"
DETAIL = "{},G-1,P-1,EU,PC,{},0,{}"


def sales(*numbers: int, total: int = 1) -> tuple[str, ...]:
    return tuple(SALE.format(f"T-{n}", total) for n in numbers)


def packs(ingestion: Any) -> list[tuple[Any, ...]]:
    return ingestion.query(
        "select load_id, first_key, last_key, keys, load_lines from ops.confirmation order by load_id, first_key"
    )


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three keys in a pack."""
    monkeypatch.setattr(apply, "PACK", 3)


def test_confirmed_keys_stand_in_packs_with_their_lines(ingestion: Any) -> None:
    ingestion.put("transaction", *sales(1, 2, 3, 4, 5))
    ingestion.run()
    assert packs(ingestion) == []
    ingestion.put("transaction", *sales(5, 4, 3, 2, 1))
    ingestion.run()
    assert packs(ingestion) == [
        (2, "T-1", "T-3", ["T-1", "T-2", "T-3"], [6, 5, 4]),
        (2, "T-4", "T-5", ["T-4", "T-5"], [3, 2]),
    ]


def test_what_a_newer_file_confirms_is_kept_for_it_alone(ingestion: Any) -> None:
    for rows in (sales(*range(1, 8)), sales(*range(1, 8)), sales(3, 4, 5, 6)):
        ingestion.put("transaction", *rows)
        ingestion.run()
    assert packs(ingestion) == [
        (2, "T-1", "T-2", ["T-1", "T-2"], [2, 3]),
        (2, "T-7", "T-7", ["T-7"], [8]),
        (3, "T-3", "T-5", ["T-3", "T-4", "T-5"], [2, 3, 4]),
        (3, "T-6", "T-6", ["T-6"], [5]),
    ]


def test_a_small_file_leaves_the_packs_of_others_as_they_are(ingestion: Any) -> None:
    for rows in (sales(1, 2, 3), sales(1, 2, 3), sales(1, 2)):
        ingestion.put("transaction", *rows)
        ingestion.run()
    assert packs(ingestion) == [
        (2, "T-1", "T-3", ["T-1", "T-2", "T-3"], [2, 3, 4]),
        (3, "T-1", "T-2", ["T-1", "T-2"], [2, 3]),
    ]


def test_packs_of_other_keys_and_of_other_datasets_stay(ingestion: Any) -> None:
    for rows in (sales(1, 2, 3, 7, 8, 9), sales(7, 8, 9), sales(1, 2, 3)):
        ingestion.put("transaction", *rows)
        ingestion.run()
    publishers = tuple(f"T-{n},Publisher {n}," for n in range(1, 10))
    for _ in range(2):
        ingestion.put("publisher", *publishers)
        ingestion.run()
    assert [pack[:4] for pack in packs(ingestion)] == [
        (2, "T-7", "T-9", ["T-7", "T-8", "T-9"]),
        (3, "T-1", "T-3", ["T-1", "T-2", "T-3"]),
        *((5, f"T-{n}", f"T-{n + 2}", [f"T-{n}", f"T-{n + 1}", f"T-{n + 2}"]) for n in (1, 4, 7)),
    ]


def test_an_older_file_yields_for_each_key_that_a_later_one_confirmed(ingestion: Any) -> None:
    first, between, last = sales(*range(1, 9)), sales(*range(1, 9), total=2), sales(2, 4, 6, 8)
    for name, rows in (("a.csv", first), ("b.csv", between), ("c.csv", last)):
        ingestion.put("transaction", *rows, name=name)
    results = ingestion.run([0, 2, 1])
    counts = results[2]["account"]
    assert (counts["updated"], counts["superseded"]) == (4, 4)
    totals = ingestion.query("select transaction_id, reported_total::int from store.transaction order by 1")
    assert totals == [(f"T-{n}", 1 if n % 2 == 0 else 2) for n in range(1, 9)]


def test_keys_of_any_text_and_of_several_columns_are_recognised(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,One,")
    ingestion.put("game", "G-1,Starforge,,")
    keys = ["'T,1'", "T(1)", "T\\1", "é 1"]
    quoted = [f'"{key}"' for key in keys]
    ingestion.put("transaction", *(SALE.format(key, 2) for key in quoted))
    ingestion.run()
    for name, gross, line_numbers in (("a.csv", 1, (1, 10)), ("b.csv", 2, (1, 10)), ("c.csv", 1, (1,))):
        lines = (f"{key},{number}" for key in quoted for number in line_numbers)
        ingestion.put("transaction_detail", *(DETAIL.format(line, gross, gross) for line in lines), name=name)
    results = ingestion.run([0, 2, 1])
    assert [(r["account"]["unchanged"], r["account"]["superseded"]) for r in results] == [(0, 0), (4, 0), (0, 4)]
    assert ingestion.query("select line_no, gross::int from store.transaction_line group by 1, 2 order by 1") == [
        (1, 1),
        (10, 2),
    ]


def test_a_reload_of_the_file_itself_yields_to_its_own_later_line_only(ingestion: Any) -> None:
    ingestion.put("transaction", *sales(1, 2, 3))
    ingestion.run()
    ingestion.put("transaction", *sales(1, 2, 3))
    ingestion.run()
    with ingestion.connect() as connection:
        earliest, latest = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        claims = ledger.claim_reloads(connection, earliest, latest, "reload", 500)
    counts = [ingestion.load(claim, "reload")["account"] for claim in claims]
    assert [(c["unchanged"], c["superseded"]) for c in counts] == [(0, 3), (3, 0)]
    assert [pack[0] for pack in packs(ingestion)] == [claims[1]["load_id"]]
