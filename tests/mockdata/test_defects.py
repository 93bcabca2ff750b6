"""Each defect comes out of the ingestion as it was noted when it was made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest

from marketplace.mockdata import accepted, rejected
from marketplace.mockdata.activity import Activity
from marketplace.mockdata.defects import mess
from marketplace.mockdata.dials import DIALS
from marketplace.mockdata.interval import Interval
from marketplace.mockdata.places import CURRENCIES, PLATFORMS, REGIONS, countries
from marketplace.mockdata.profile import Profile, load
from marketplace.mockdata.spellings import COUNTRIES, ENUM_SPELLINGS
from marketplace.mockdata.table import DATASETS, Table
from marketplace.mockdata.world import World
from tests.mockdata.validated import disagreements

SEED = 7
# A Monday, since payouts are made in office hours; after the 12th, so that a day that comes first can be seen.
INTERVAL = Interval(datetime(2026, 1, 19, 14, 15, tzinfo=UTC), datetime(2026, 1, 19, 15, 15, tzinfo=UTC))

# What a table is made of, and which file comes when: not a matter of defects in the rows of a table.
ELSEWHERE = {"several_publisher_ids", "several_game_ids", "same_title", "late_reference"}
# What is only the clean rows with other values: nothing that a line alone could show.
TRUE = {"other_publisher", "total_mismatch", "net_mismatch", "line_sign", "refund_too_large"}
HERE = [dial for dial, what in DIALS.items() if what.level not in ("file", "header") and dial not in ELSEWHERE]


@cache
def activity(rows: int = 300) -> Activity:
    return Activity(World.of(SEED), INTERVAL, rows)


def tables(profile: Profile, rows: int = 300) -> Iterator[Table]:
    """Return the clean tables of an interval."""
    world, met = World.of(SEED), activity(rows)
    yield world.publisher_table(met.publishers, profile)
    yield world.game_table(met.games, profile)
    for part in met.parts():
        yield from part


def messed(table: Table, profile: Profile, rows: int = 300) -> Table:
    return mess(table, profile, World.of(SEED), activity(rows))


def only(**rates: float) -> Profile:
    return Profile("test", rates)


def changes(clean: Table, table: Table) -> int:
    """Return how many rows are not as they were, or new."""
    was = {number: at for at, number in enumerate(clean.numbers.tolist())}
    at = np.array([was[number % 2**40] for number in table.numbers.tolist()], dtype=np.int64)
    other = (table.numbers >= 2**40) | (table.width != 0) | table.blank
    for column, texts in table.text.items():
        other |= texts != clean.text[column][at]
    return int(other.sum())


def test_each_dial_has_its_place_and_keeps_the_order_of_the_list():
    order = [dial for dial in DIALS if dial in rejected.SPOILED or dial in accepted.VARIED]
    assert [*rejected.SPOILED, *accepted.VARIED] == order
    values = {dial for dial, what in DIALS.items() if what.level in ("row", "value")}
    assert values - set(order) == {"exact_duplicate", "same_key_other_values"}


@pytest.mark.parametrize("dial", HERE)
def test_a_dial_at_one_does_something_and_all_that_is_noted_of_it_is_so(dial: str):
    profile = only(**{dial: 1.0})
    changed = {}
    for clean in tables(profile):
        some = clean.take(np.arange(min(len(clean), 4 if dial == "huge_field" else 100)))
        table = messed(some, profile)
        assert disagreements(table, World.of(SEED)) == []
        changed[table.dataset] = changes(some, table)
    assert sum(changed.values()) > 0, changed


@pytest.mark.parametrize("rate", [0.03, 0.3])
def test_all_dials_together_agree_with_the_ingestion(rate: float):
    profile = only(**dict.fromkeys(set(HERE) - {"huge_field"} | ELSEWHERE, rate))
    reasons, issues = set(), set()
    for clean in tables(profile, 1500):
        table = messed(clean, profile, 1500)
        assert disagreements(table, World.of(SEED)) == []
        reasons |= {f"{reason}@{column}" for reason, column in zip(table.reason, table.column, strict=True)}
        issues |= {issue for noted in table.issues for issue in noted.split()}
    assert len(reasons) > 40
    assert len(issues) > 15


def test_names_are_known_by_any_of_their_spellings():
    profile = only(by_name=1.0, letter_case=0.3, legal_suffix=0.3, look_alike=0.4, decomposed=0.5, quoted_newline=0.5)
    for clean in tables(profile, 1500):
        table = messed(clean, profile, 1500)
        assert disagreements(table, World.of(SEED)) == []
        if "game_title" in table.facts:
            assert (table.facts["game_title"] >= 0).all()
            assert len(set(table.text["game_ref"])) > len(set(table.facts["game_title"].tolist()))


def test_without_a_dial_nothing_happens():
    for clean in tables(load("clean")):
        table = messed(clean, load("clean"))
        for column, texts in clean.text.items():
            assert table.text[column].tolist() == texts.tolist()
        assert set(table.reason) | set(table.column) | set(table.issues) == {""}
        assert not table.width.any()
        assert not table.blank.any()


def test_the_clean_table_stays_as_it_is_and_the_same_comes_of_it_again():
    profile = only(**dict.fromkeys(set(HERE) - {"huge_field"}, 0.2))
    for clean in tables(profile):
        before = clean.take(np.arange(len(clean)))
        first, second = messed(clean, profile), messed(clean, profile)
        for column, texts in clean.text.items():
            assert before.text[column].tolist() == texts.tolist()
            assert first.text[column].tolist() == second.text[column].tolist()
        assert first.numbers.tolist() == second.numbers.tolist()
        assert first.reason.tolist() == second.reason.tolist()
        assert {name: facts.tolist() for name, facts in before.facts.items()} == {
            name: facts.tolist() for name, facts in clean.facts.items()
        }


@pytest.mark.parametrize("dataset", ["publisher", "game"])
def test_a_row_of_the_catalogue_is_the_same_whatever_stands_beside_it(dataset: str):
    profile = only(**dict.fromkeys(set(HERE) - {"huge_field", "exact_duplicate", "same_key_other_values"}, 0.2))
    clean = next(table for table in tables(profile) if table.dataset == dataset)
    every, other = messed(clean, profile), messed(clean.take(np.arange(1, len(clean), 2)), profile)
    for column, texts in other.text.items():
        assert every.text[column][1::2].tolist() == texts.tolist()
    assert every.issues[1::2].tolist() == other.issues.tolist()


def test_a_row_is_rejected_for_one_thing_at_most_and_has_no_issues_then():
    profile = only(**dict.fromkeys(set(rejected.SPOILED) - {"huge_field"}, 1.0))
    for clean in tables(profile):
        table = messed(clean, profile)
        assert set(table.reason) <= {"too_few_fields"}  # the first in the list has them all
        assert set(table.issues) == {""}


def test_exact_duplicates_and_corrected_rows_stand_near_their_own():
    clean = next(table for table in tables(only(), 1500) if table.dataset == "transaction")
    table = messed(clean, only(exact_duplicate=0.2, same_key_other_values=0.2))
    place = {number: at for at, number in enumerate(table.numbers.tolist())}
    rows = list(zip(*(table.text[column].tolist() for column in table.text), strict=True))
    twice, earlier = 0, 0
    for number, at in place.items():
        if number >= 2**41:
            twice += 1
            assert rows[at] == rows[place[number - 2**41]]
            assert place[number - 2**41] < at
        elif number >= 2**40:
            earlier += 1
            own = place[number - 2**40]
            assert at < own < at + 60
            assert rows[at][0] == rows[own][0]
            assert rows[at] != rows[own]
            assert int(table.facts["total"][at]) != int(table.facts["total"][own])
    assert (twice, earlier) == (len(place) - len(clean) - earlier, len(place) - len(clean) - twice)
    assert twice > 20
    assert earlier > 20


def test_a_refund_and_its_lines_grow_alike():
    profile = only(refund_too_large=0.5)
    part = next(activity(5000).parts())
    transaction, detail = messed(part.transaction, profile, 5000), messed(part.transaction_detail, profile, 5000)
    sums = np.zeros(len(transaction), dtype=np.int64)
    np.add.at(sums, detail.facts["parent"], detail.facts["gross"])
    refunds = np.flatnonzero(transaction.facts["kind"] == 1)
    grown = transaction.facts["total"][refunds] != part.transaction.facts["total"][refunds]
    assert 0 < grown.sum() < len(refunds)
    assert (transaction.facts["total"][refunds] == sums[refunds]).all()
    assert (transaction.facts["total"] == part.transaction.facts["total"])[transaction.facts["kind"] != 1].all()


def test_facts_follow_what_is_true():
    profile = only(total_mismatch=0.5, net_mismatch=0.5, line_sign=0.3, other_publisher=0.5, unknown_reference=0.3)
    part = next(activity().parts())
    table = messed(part.transaction, profile)
    hundredths = [round(float(text) * 100) for text in table.truth["total_amount"]]
    assert hundredths == table.facts["total"].tolist()
    table = messed(part.transaction_detail, profile)
    for column, fact in (("gross_amount", "gross"), ("platform_fee", "fee"), ("net_amount", "net")):
        assert [round(float(text) * 100) for text in table.truth[column]] == table.facts[fact].tolist()
    assert (table.facts["publisher"] != part.transaction_detail.facts["publisher"]).sum() > len(table) // 3
    by_id = table.facts["publisher_alias"] >= 0
    assert (table.facts["publisher_alias"] == table.facts["publisher"] * 4)[by_id].all()
    unknown = {
        "transaction_id": table.facts["parent"] < 0,
        "game_ref": (table.facts["game_alias"] < 0) & (table.facts["game_title"] < 0),
        "publisher_ref": (table.facts["publisher_alias"] < 0) & (table.facts["publisher_name"] < 0),
    }
    for column, rows in unknown.items():
        assert rows.any()
        assert [text.endswith("X") for text in table.text[column]] == rows.tolist()


def test_a_row_with_too_few_fields_has_two_at_least():
    for clean in tables(only()):
        width = len(clean.text) + messed(clean, only(too_few_fields=1.0)).width
        assert set(width.tolist()) <= set(range(2, len(clean.text)))


def test_rows_put_into_a_table_whose_text_is_its_truth_leave_the_truth_alone():
    clean = next(table for table in tables(only()) if table.dataset == "publisher")
    table, other = clean.take(np.arange(3)), clean.take(np.arange(1))
    other.text["name"] = np.array(["  Other  "], dtype=object)
    table.put(np.array([1]), other)
    assert (table.text["name"][1], table.truth["name"][1]) == ("  Other  ", clean.truth["name"][0])
    assert table.truth["country"][1] == table.text["country"][1] == clean.truth["country"][0]


def test_there_are_other_spellings_for_all_that_the_marketplace_has():
    assert set(PLATFORMS) <= ENUM_SPELLINGS.keys()
    without = {region for region in REGIONS if region not in ENUM_SPELLINGS}
    assert without <= {"ASIA", "AFRICA"}  # which have one name only
    assert {country.code for country in countries()} <= COUNTRIES.keys()
    assert "XQX" not in CURRENCIES


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_terrible_file_has_defects_in_a_fifth_to_a_half_of_its_rows(dataset: str):
    profile, rows = load("terrible"), 4000
    clean = next(table for table in tables(profile, rows) if table.dataset == dataset)
    share = changes(clean, messed(clean, profile, rows)) / len(clean)
    assert 0.2 <= share <= 0.5


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_normal_file_has_defects_in_a_few_rows_of_a_hundred(dataset: str):
    profile, rows = load("normal"), 4000
    clean = next(table for table in tables(profile, rows) if table.dataset == dataset)
    assert 0.01 <= changes(clean, messed(clean, profile, rows)) / len(clean) <= 0.12
