"""What happens in an interval: it adds up, is the same every time, and names nothing that is not there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from marketplace.contracts.names import title_key
from marketplace.mockdata import places
from marketplace.mockdata.activity import PAYOUT, REFUND, SALE, Activity, Part
from marketplace.mockdata.interval import OPENING, Interval
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.table import DATASETS, Table
from marketplace.mockdata.world import SLOTS, World

MOMENT = datetime(2026, 1, 5, 14, 15, tzinfo=UTC)
QUARTER = Interval(MOMENT, MOMENT + timedelta(minutes=15))
DAY = Interval.of_day(MOMENT)
# Of seed 7, the quarter of an hour above and 2,000 rows: the same on every machine, Python and numpy. Changes with
# every word list, weight and stream, and with nothing else.
DIGEST = "401165045f7b52d05fd891e1b2cd54c1ffe5dd68117466e3a5dea4abbe26d0da"


def together(parts: Iterator[Part]) -> dict[str, dict[str, Any]]:
    """All rows of all parts, text and facts by column: a fact's name has a star where a column has it too."""
    tables: dict[str, list[Table]] = {}
    for part in parts:
        for dataset, table in part._asdict().items():
            tables.setdefault(dataset, []).append(table)
    return {
        dataset: {
            "number": np.concatenate([table.numbers for table in found]),
            **{name: np.concatenate([table.text[name] for table in found]) for name in found[0].text},
            **{f"{name}*": np.concatenate([table.facts[name] for table in found]) for name in found[0].facts},
        }
        for dataset, found in tables.items()
    }


@pytest.fixture(scope="module")
def quarter() -> dict[str, dict[str, Any]]:
    return together(Activity(World.of(7), QUARTER, 20_000).parts())


@pytest.fixture(scope="module")
def day() -> dict[str, dict[str, Any]]:
    activity = Activity(World.of(7), DAY, 250_000)
    assert activity.part_count == 2
    return together(activity.parts())


def digest(activity: Activity) -> str:
    found = hashlib.sha256()
    world, clean = activity.world, Profile("clean")
    tables = [world.publisher_table(activity.publishers, clean), world.game_table(activity.games, clean)]
    for table in [*tables, *(table for part in activity.parts() for table in part)]:
        for name, column in (*table.text.items(), *table.facts.items()):
            found.update("\n".join([name, *map(str, column.tolist())]).encode())
    return found.hexdigest()


def test_seed_and_interval_give_the_same_on_every_machine() -> None:
    assert digest(Activity(World.of(7), QUARTER, 2000)) == DIGEST


def test_what_was_made_before_changes_nothing() -> None:
    world = World(7)
    for hours in (30, 5000, -9000):
        for _ in Activity(
            world, Interval(MOMENT + timedelta(hours=hours), MOMENT + timedelta(hours=hours + 1)), 50
        ).parts():
            pass
    assert digest(Activity(world, QUARTER, 300)) == digest(Activity(World(7), QUARTER, 300))


def test_every_row_has_all_columns_of_its_export_and_they_are_true(quarter: dict[str, dict[str, Any]]) -> None:
    for part in Activity(World.of(7), QUARTER, 500).parts():
        for dataset, table in part._asdict().items():
            assert table.dataset == dataset
            assert list(table.text) == [column.name for column in DATASETS[dataset]]
            for name, truth in table.truth.items():
                assert truth is table.text[name]
                with pytest.raises(ValueError, match="read-only"):
                    truth[0] = "changed"
            assert {len(column) for column in (*table.text.values(), *table.facts.values())} == {len(table)}
            assert all(isinstance(value, str) and value for column in table.text.values() for value in column.tolist())


@pytest.mark.parametrize(
    ("seed", "interval"),
    [(8, QUARTER), (7, QUARTER.earlier(1)), (7, Interval(QUARTER.start, QUARTER.end + timedelta(minutes=1))), (7, DAY)],
    ids=["another seed", "another day", "another length", "the day around it"],
)
def test_ids_of_seeds_and_intervals_never_meet(
    quarter: dict[str, dict[str, Any]], seed: int, interval: Interval
) -> None:
    other = together(Activity(World.of(seed), interval, 2000).parts())
    for dataset, key in (("transaction", "transaction_id"), ("play_session", "session_id")):
        assert len(other[dataset][key]) > 10
        assert not set(other[dataset][key].tolist()) & set(quarter[dataset][key].tolist())


def test_keys_are_unique_in_an_interval_of_several_parts(day: dict[str, dict[str, Any]]) -> None:
    keys = {
        "customer": ("customer_ref",),
        "transaction": ("transaction_id",),
        "transaction_detail": ("transaction_id", "line_no"),
        "wishlist": ("customer_ref", "game_ref"),
        "play_session": ("session_id",),
    }
    for dataset, columns in keys.items():
        rows = list(zip(*(day[dataset][column].tolist() for column in columns), strict=True))
        assert len(rows) > 1000
        assert len(set(rows)) == len(rows)
        assert len(set(day[dataset]["number"].tolist())) == len(rows)


def test_the_longest_number_of_an_id_has_seven_digits_and_they_follow_one_another(
    day: dict[str, dict[str, Any]],
) -> None:
    numbers = day["transaction"]["number"]
    assert numbers.tolist() == list(range(len(numbers)))
    ids = [f"TXN-0007-20260105T0000-1440-{number:07d}" for number in numbers.tolist()]
    assert day["transaction"]["transaction_id"].tolist() == ids


@pytest.mark.parametrize("interval", [QUARTER, DAY], ids=["quarter", "day"])
def test_everything_happens_in_the_interval_and_transactions_in_order(interval: Interval) -> None:
    begin, end = interval.first_second, interval.first_second + interval.minutes * 60
    for part in Activity(World.of(7), interval, 5000).parts():
        for table in (part.transaction, part.wishlist, part.play_session):
            at = table.facts["at"]
            assert begin <= at.min() <= at.max() < end
            assert (np.diff(at) >= 0).all()


def test_texts_say_what_the_facts_say(quarter: dict[str, dict[str, Any]]) -> None:
    transaction, detail, session = (quarter[name] for name in ("transaction", "transaction_detail", "play_session"))
    moments = [datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z") for text in transaction["txn_ts"].tolist()]
    assert [int(moment.timestamp()) for moment in moments] == transaction["at*"].tolist()
    for dataset, column, fact in (
        (transaction, "total_amount", "total*"),
        (detail, "gross_amount", "gross*"),
        (detail, "platform_fee", "fee*"),
        (detail, "net_amount", "net*"),
    ):
        assert [round(float(text) * 100) for text in dataset[column].tolist()] == dataset[fact].tolist()
        assert all(text[-3] == "." for text in dataset[column].tolist())
    for column, fact in (("latitude", "latitude*"), ("longitude", "longitude*")):
        assert [round(float(text) * 100_000) for text in session[column].tolist()] == session[fact].tolist()
        assert [repr(float(text)).removesuffix(".0") for text in session[column].tolist()] == session[column].tolist()
    assert [places.PLATFORMS[index] for index in detail["platform*"].tolist()] == detail["platform"].tolist()
    assert [places.REGIONS[index] for index in detail["region*"].tolist()] == detail["region"].tolist()
    assert [f"GAM-0007-{alias:07d}" for alias in detail["game_alias*"].tolist()] == detail["game_ref"].tolist()
    assert (detail["game_alias*"] == detail["game*"] * SLOTS).all()
    assert (detail["publisher_alias*"] == detail["publisher*"] * SLOTS).all()
    assert {(detail["game_title*"].max()), detail["publisher_name*"].max()} == {-1}


def test_totals_are_the_sums_of_their_lines(day: dict[str, dict[str, Any]]) -> None:
    transaction, detail = day["transaction"], day["transaction_detail"]
    lines = np.bincount(detail["parent*"], minlength=len(transaction["number"]))
    assert (lines.min(), lines.max()) == (1, 4)
    assert (transaction["kind*"][detail["parent*"]] == detail["kind*"]).all()
    assert (detail["number"] // 4 == detail["parent*"]).all()
    assert (detail["number"] % 4 + 1 == detail["line_no"].astype(np.int64)).all()
    counted = np.where(detail["kind*"] == PAYOUT, detail["net*"], detail["gross*"])
    sums = np.zeros(len(transaction["number"]), dtype=np.int64)
    np.add.at(sums, detail["parent*"], counted)
    assert (sums == transaction["total*"]).all()
    assert (detail["net*"] == detail["gross*"] - detail["fee*"]).all()
    for kind, sign in ((SALE, 1), (REFUND, -1), (PAYOUT, -1)):
        assert (np.sign(transaction["total*"][transaction["kind*"] == kind]) == sign).all()
        assert (np.sign(detail["gross*"][detail["kind*"] == kind]) == sign).all()


def test_a_transaction_is_in_the_currency_of_its_customer_and_names_no_game_twice(
    day: dict[str, dict[str, Any]],
) -> None:
    transaction, detail, world = day["transaction"], day["transaction_detail"], World.of(7)
    people = transaction["kind*"] != PAYOUT
    countries = places.cities().country[world.city_of(transaction["customer*"][people])]
    expected = [places.countries()[index].currency for index in countries.tolist()]
    assert transaction["currency*"][people].tolist() == expected
    assert set(transaction["customer_ref"][~people].tolist()) == {"PLATFORM"}
    assert (
        transaction["customer_ref"][people].tolist() == world.customer_refs(transaction["customer*"][people]).tolist()
    )
    sold = detail["kind*"] == SALE
    pairs = set(zip(detail["parent*"][sold].tolist(), detail["game*"][sold].tolist(), strict=True))
    assert len(pairs) == sold.sum()


def test_a_game_sells_from_its_release_day_on_and_on_the_platforms_of_that_day(day: dict[str, dict[str, Any]]) -> None:
    world, today = World.of(7), DAY.first_second // 86_400
    detail, session, wishlist = (day[name] for name in ("transaction_detail", "play_session", "wishlist"))
    sold = detail["kind*"] == SALE
    assert (world.release_days[detail["game*"][sold]] <= today).all()
    releases = set(zip(world.release_games.tolist(), world.release_platforms.tolist(), strict=True))
    named = set(zip(detail["game*"].tolist(), detail["platform*"].tolist(), strict=True))
    named |= set(zip(session["game*"].tolist(), session["platform*"].tolist(), strict=True))
    assert named <= releases
    publishers = dict(
        zip(
            zip(world.release_games.tolist(), world.release_platforms.tolist(), strict=True),
            world.release_publishers.tolist(),
            strict=True,
        )
    )
    assert [
        publishers[release] for release in zip(detail["game*"].tolist(), detail["platform*"].tolist(), strict=True)
    ] == detail["publisher*"].tolist()
    ahead = world.release_days[wishlist["game*"]] - today
    assert 0.01 < (ahead > 0).mean() < 0.3
    assert ahead.max() <= 300


def test_a_payout_is_one_publishers(day: dict[str, dict[str, Any]]) -> None:
    detail = day["transaction_detail"]
    paid = detail["kind*"] == PAYOUT
    owners: dict[int, set[int]] = {}
    releases: dict[int, list[tuple[int, int]]] = {}
    for parent, publisher, game, platform in zip(
        *(detail[name][paid].tolist() for name in ("parent*", "publisher*", "game*", "platform*")), strict=True
    ):
        owners.setdefault(parent, set()).add(publisher)
        releases.setdefault(parent, []).append((game, platform))
    assert len(owners) > 100
    assert {len(found) for found in owners.values()} == {1}
    assert all(len(set(found)) == len(found) for found in releases.values())
    assert set(detail["region"][paid].tolist()) == {"GLOBAL"}


def test_each_refund_is_of_a_sale_some_days_before() -> None:
    world, rows = World.of(7), 40_000
    quiet = Interval(datetime(2025, 2, 19, 18, 30, tzinfo=UTC), datetime(2025, 2, 19, 18, 45, tzinfo=UTC))
    earlier: dict[tuple[Any, ...], list[int]] = {}
    for days in range(1, 15):
        found = together(Activity(world, quiet.earlier(days), rows).parts())
        for sale in lines_of(found, SALE):
            earlier.setdefault(sale, []).append(days)
    now = together(Activity(world, quiet, rows).parts())
    refunds = list(lines_of(now, REFUND))
    assert 0.02 < len(refunds) / len(list(lines_of(now, SALE))) < 0.06
    # To the game and the hundredth; soon more often than late.
    after = [earlier[refund][0] for refund in refunds]
    assert set(after) == set(range(1, 15))
    assert sum(days <= 5 for days in after) > len(after) / 2


def test_a_sale_is_refunded_once_at_most() -> None:
    world, rows = World.of(7), 20_000
    sales = set(lines_of(together(Activity(world, QUARTER, rows).parts()), SALE))
    refunded = [
        refund
        for days in range(1, 16)
        for refund in lines_of(together(Activity(world, QUARTER.earlier(-days), rows).parts()), REFUND)
        if refund in sales
    ]
    assert len(set(refunded)) == len(refunded)
    assert 0.02 < len(refunded) / len(sales) < 0.06


def lines_of(found: dict[str, dict[str, Any]], kind: int) -> Iterator[tuple[Any, ...]]:
    """Who, what, where and for how much."""
    transaction, detail = found["transaction"], found["transaction_detail"]
    rows = np.flatnonzero(detail["kind*"] == kind)
    parents = detail["parent*"][rows]
    return zip(
        transaction["customer*"][parents].tolist(),
        transaction["currency*"][parents].tolist(),
        *(detail[name][rows].tolist() for name in ("game*", "publisher*", "platform*", "region*")),
        abs(detail["gross*"][rows]).tolist(),
        strict=True,
    )


def test_nothing_is_refunded_that_was_sold_before_the_opening() -> None:
    second_day = Interval.of_day(OPENING + timedelta(days=1))
    first = together(Activity(World.of(7), Interval.of_day(OPENING), 40_000).parts())
    second = together(Activity(World.of(7), second_day, 40_000).parts())
    assert not (first["transaction"]["kind*"] == REFUND).any()
    assert 0.002 < (second["transaction"]["kind*"] == REFUND).mean() < 0.02


@pytest.mark.parametrize("interval", [QUARTER, DAY], ids=["quarter", "day"])
def test_the_catalogue_of_an_interval_is_what_its_rows_name(interval: Interval) -> None:
    activity = Activity(World.of(7), interval, 240_000)
    found = together(activity.parts())
    named = [found[dataset]["game*"] for dataset in ("transaction_detail", "wishlist", "play_session")]
    assert activity.games.tolist() == np.unique(np.concatenate(named)).tolist()
    assert activity.publishers.tolist() == np.unique(found["transaction_detail"]["publisher*"]).tolist()


def test_new_customers_are_in_the_file_and_the_others_were_there_before(day: dict[str, dict[str, Any]]) -> None:
    world, customer = World.of(7), day["customer"]
    begin = DAY.first_second
    new = world.sign_ups(begin, begin + 86_400)
    signed = customer["at*"] >= begin
    assert set(customer["customer*"][signed].tolist()) == set(new.tolist())
    assert (customer["at*"] == world.signed_up(customer["customer*"])).all()
    assert 0.4 < (customer["marketing_opt_in"] == "true").mean() < 0.7


def test_sessions_are_played_around_the_customers_city(day: dict[str, dict[str, Any]]) -> None:
    session, cities = day["play_session"], places.cities()
    home = World.of(7).city_of(session["customer*"])
    assert abs(session["latitude*"] - cities.latitude[home]).max() <= 30_000
    assert abs(session["longitude*"] - cities.longitude[home]).max() <= 30_000
    duration = np.sort(session["duration*"])
    assert duration[0] >= 60
    assert 1800 < np.median(duration) < 5400
    assert 10_000 < duration[len(duration) * 95 // 100] < 30_000


def test_what_is_popular_is_played_and_bought_most(day: dict[str, dict[str, Any]]) -> None:
    for dataset in ("transaction_detail", "play_session"):
        counts = np.sort(np.bincount(day[dataset]["game*"]))[::-1]
        assert counts[: len(counts) // 10].sum() > 0.6 * counts.sum()
        assert counts[0] < 0.1 * counts.sum()


@pytest.mark.parametrize("rows", [100, 1000, 10_000, 200_000])
def test_an_average_day_has_about_as_many_rows_as_are_asked_for(rows: int) -> None:
    # A day in each quarter of the year, one of them in a sale: together about the average.
    counted = []
    for start in ("2025-02-05", "2025-05-07", "2025-08-13", "2025-11-26"):
        activity = Activity(World.of(7), Interval.of_day(datetime.fromisoformat(start).replace(tzinfo=UTC)), rows)
        counted.append(len(activity.games) + len(activity.publishers))
        counted[-1] += sum(len(table) for part in activity.parts() for table in part)
    assert np.mean(counted) == pytest.approx(rows, rel=0.25)


def test_a_part_has_at_most_50000_transactions_with_their_lines() -> None:
    sizes = []
    for part in Activity(World.of(7), DAY, 450_000).parts():
        sizes.append(len(part.transaction))
        assert (np.unique(part.transaction_detail.facts["parent"]) == part.transaction.numbers).all()
    assert len(sizes) == 3
    assert max(sizes) <= 50_000
    assert max(sizes) - min(sizes) < 100


def test_an_interval_without_rows_has_one_empty_part() -> None:
    activity = Activity(World.of(7), QUARTER, 0)
    assert [[len(table) for table in part] for part in activity.parts()] == [[0, 0, 0, 0, 0]]
    assert len(activity.games) == len(activity.publishers) == 0


def test_intervals_of_any_length_work_and_the_world_ends_late() -> None:
    minute = Interval(MOMENT + timedelta(minutes=7), MOMENT + timedelta(minutes=8))
    month = Interval(MOMENT, MOMENT + timedelta(days=30))
    late = Interval.of_day(datetime(2060, 1, 1, tzinfo=UTC))
    for interval in (minute, month, late):
        found = together(Activity(World.of(7), interval, 3000).parts())
        assert len(found["transaction"]["number"]) > 500
        assert all(title_key(title) for title in World.of(7).titles[found["wishlist"]["game*"]].tolist())


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match="before 2016-01-01"):
        Activity(World.of(7), Interval.of_day(OPENING - timedelta(days=1)), 10)
    with pytest.raises(ValueError, match="too many"):
        Activity(World.of(7), Interval.of_day(OPENING), 100_000_000)
    with pytest.raises(ValueError, match="-1 rows"):
        Activity(World.of(7), QUARTER, -1)
