"""Every mart equals what plain Python makes of the store's own rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from marketplace.reporting import marts
from tests.reporting.conftest import build
from tests.sync.conftest import Sync

GRAINS = {
    "revenue": ("day", "publisher_id", "game_id", "platform", "region", "currency"),
    "payout": ("month", "publisher_id", "currency"),
    "play": ("hour", "area_id"),
    "play_hour": ("hour",),
    "play_cell": ("day", "cell_id"),
    "notification": ("day", "rule_id"),
    "data_quality": ("load_id", "outcome", "column_name", "reason"),
}


def lines(sync: Sync) -> list[dict[str, Any]]:
    """Return each line with its transaction and publisher, joined in Python."""

    def rows(query: str) -> list[dict[str, Any]]:
        with psycopg.connect(sync.store.url("store_owner"), row_factory=psycopg.rows.dict_row) as store:
            return store.execute(query).fetchall()

    transactions = {t["transaction_id"]: t for t in rows("select * from store.transaction")}
    publisher = {(r["game_id"], r["platform"]): r["publisher_id"] for r in rows("select * from store.game_release")}
    return [
        {
            **line,
            **transactions[line["transaction_id"]],
            "publisher_id": publisher[line["game_id"], line["platform"]],
        }
        for line in rows("select * from store.transaction_line")
    ]


def test_revenue_is_what_was_sold_and_refunded(built: Sync) -> None:
    expected: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, Decimal(0), Decimal(0)] * 2)
    for line in lines(built):
        if line["type"] == "payout":
            continue
        day = line["occurred_at"].astimezone(UTC).date()
        key = (day, line["publisher_id"], line["game_id"], line["platform"], line["region"], line["currency"])
        first = 0 if line["type"] == "sale" else 3
        for n, value in enumerate((1, line["gross"], line["fee"])):
            expected[key][first + n] += value
    found = {
        tuple(row[:6]): list(row[8:])
        for row in built.told(
            "select day, publisher_id, game_id, platform, region, currency, publisher, game, sold_lines, sold_gross,"
            " sold_fee, refunded_lines, refunded_gross, refunded_fee from mart.revenue"
        )
    }
    assert len(expected) > 100
    assert found == expected
    assert {(p, g) for p, g in built.told("select distinct publisher, publisher_id from mart.revenue")} == {
        (f"Publisher {p}", p) for p in {key[1] for key in expected}
    }


def test_payouts_are_what_is_owed_and_paid(built: Sync) -> None:
    expected: dict[tuple[Any, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for line in lines(built):
        at = line["occurred_at"].astimezone(UTC)
        net = line["gross"] - line["fee"]
        entry = expected[date(at.year, at.month, 1), line["publisher_id"], line["currency"]]
        if line["type"] == "payout":
            entry[1] -= net
        else:
            entry[0] += net
    rows = built.told("select month, publisher_id, currency, earned, paid from mart.payout")
    assert {tuple(row[:3]): list(row[3:]) for row in rows} == expected


def test_play_is_counted_in_every_area_that_touches_the_cell(built: Sync) -> None:
    expected: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, 0, 0, set()])
    with psycopg.connect(built.store.url("store_owner"), options="-c timezone=UTC") as store:
        for at, seconds, customer, area in store.execute(
            "select s.started_at, s.duration_s, s.customer_id, a.area_id from store.play_session as s"
            " join geo.cell as c on c.cell_id = geo.cell_at(s.location::geometry)"
            " join geo.area as a on st_intersects(a.boundary, c.boundary)"
        ):
            entry = expected[at.replace(minute=0, second=0, microsecond=0), area]
            entry[0] += 1
            entry[1] += seconds is not None
            entry[2] += seconds or 0
            entry[3].add(customer)
    found = {
        (hour, area): numbers
        for hour, area, *numbers in built.told(
            "select hour, area_id, sessions, timed_sessions, seconds, players from mart.play"
        )
    }
    assert {area for _, area in found} == {"A-1", "A-2"}
    assert found == {key: [a, b, c, len(players)] for key, (a, b, c, players) in expected.items()}


def test_play_without_areas_counts_each_session_once(built: Sync) -> None:
    hours: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, 0, set()])
    cells: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, 0, Decimal(0), Decimal(0)])
    for at, seconds, customer, cell, longitude, latitude in built.asked(
        "select started_at, duration_s, customer_id, geo.cell_at(location::geometry),"
        " st_x(location::geometry)::numeric(9, 6), st_y(location::geometry)::numeric(9, 6) from store.play_session"
    ):
        hour, place = hours[at.replace(minute=0, second=0, microsecond=0)], cells[at.astimezone(UTC).date(), cell]
        for entry in (hour, place):
            entry[0] += 1
            entry[1] += seconds is not None
            entry[2] += seconds or 0
        hour[3].add(customer)
        place[3] += longitude
        place[4] += latitude
    found = built.told("select hour, sessions, timed_sessions, seconds, players from mart.play_hour")
    assert {hour: list(numbers) for hour, *numbers in found} == {
        hour: [*numbers, len(players)] for hour, (*numbers, players) in hours.items()
    }
    found = built.told(
        "select day, cell_id, sessions, timed_sessions, seconds, longitudes, latitudes from mart.play_cell"
    )
    assert {(day, cell): numbers for day, cell, *numbers in found} == cells
    assert sum(numbers[0] for numbers in cells.values()) == 400


def test_notifications_are_accounted_for_by_rule_and_day(built: Sync) -> None:
    (first,) = built.asked("select min(day) from ops.notification_account")[0]
    columns = "rule_id, topic, expected, delivered, opted_out, gone, rule_disabled, rule_gone, read"
    assert built.told(f"select day = %s, {columns} from mart.notification order by day, rule_id", first) == [
        (True, "R-1", "marketing", 10, 6, 2, 1, 0, 0, 4),
        (True, "R-2", None, 5, 0, 0, 0, 3, 2, 0),  # the rule is gone
        (False, "R-1", "marketing", 11, 11, 0, 0, 0, 0, 11),
    ]


def test_data_quality_says_what_was_found_in_which_file(built: Sync) -> None:
    assert built.told(
        "select load_id, object_key, outcome, column_name, reason, findings from mart.data_quality order by 1, 3, 4"
    ) == [
        (1, "landing/game/1.csv", "issue", "release_date", "missing", 2),
        (1, "landing/game/1.csv", "rejected", "title", "missing", 3),
        (2, "landing/game/2.csv", "held", "", "x", 1),
        (3, "landing/game/3.csv", "file", "", "encoding", 1),
    ]


def test_no_mart_has_two_rows_of_one_grain(built: Sync) -> None:
    assert marts.marts().keys() == GRAINS.keys()
    for mart, grain in GRAINS.items():
        keys = built.told(f"select {', '.join(grain)} from mart.{mart}")
        assert keys
        assert [key for key, n in Counter(keys).items() if n > 1] == [], mart
        noted = built.told(
            "select a.attname from pg_index i, unnest(i.indkey) with ordinality k (attnum, n), pg_attribute a"
            " where i.indrelid = %s::regclass and a.attrelid = i.indrelid and a.attnum = k.attnum order by k.n",
            f"mart.{mart}",
        )
        assert not noted or tuple(name for (name,) in noted) == grain, mart


def test_marts_are_built_anew_only_when_something_was_synced(built: Sync) -> None:
    (before,) = built.told("select distinct run_id, as_of, built_at from mart.built")
    built.sync()
    assert build(built) is None
    assert built.told("select distinct run_id, as_of, built_at from mart.built") == [before]

    built.change("update store.game set title = 'Other'")
    plan = built.sync()
    rows = build(built)
    assert rows is not None
    assert rows.keys() == GRAINS.keys()
    ((run_id, _, built_at),) = built.told("select distinct run_id, as_of, built_at from mart.built")
    assert run_id == plan.run_id
    assert built_at > before[2]
    assert built.told("select distinct game from mart.revenue") == [("Other",)]


def test_a_build_that_fails_leaves_the_last_marts(built: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    before = built.told("select * from mart.revenue order by 1, 2, 4, 6, 7, 8")
    built.change("update store.game set title = 'Other'")
    built.sync()
    broken = {**marts.marts(), "zero": ["select 1 / 0"]}
    monkeypatch.setattr(marts, "marts", lambda: broken)
    with pytest.raises(Exception, match="division by zero"):
        build(built)
    assert built.told("select * from mart.revenue order by 1, 2, 4, 6, 7, 8") == before


def test_without_a_sync_there_is_nothing_to_build_of(sync: Sync) -> None:
    with pytest.raises(marts.NothingSyncedError):
        build(sync)
