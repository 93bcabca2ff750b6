"""When things happen: by the local hour, the weekday, the season, and while there is a sale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from marketplace.mockdata import places, rhythm
from marketplace.mockdata.draws import Draws
from marketplace.mockdata.interval import Interval
from marketplace.mockdata.rhythm import AVERAGE, Schedule

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def over(start: datetime, days: float) -> rhythm.Slots:
    return rhythm.slots(7, Interval(start, start + timedelta(days=days)))


def by_city(slots: rhythm.Slots, name: str) -> np.ndarray:
    """What goes on in one city, slot by slot."""
    index = places.cities().name.index(name)
    return np.diff(rhythm.week().sums, prepend=0).reshape(672, -1)[slots.of_week, index]


@pytest.mark.parametrize(("city", "hours_from_utc"), [("New York", -5), ("Berlin", 1), ("Delhi", 5.5), ("Tokyo", 9)])
def test_each_city_is_busiest_in_its_own_evening_and_quietest_in_its_own_night(
    city: str, hours_from_utc: float
) -> None:
    day = by_city(over(MONDAY, 1), city)
    local = (np.arange(96) / 4 + hours_from_utc) % 24
    assert 20 <= local[day.argmax()] <= 21
    assert 4 <= local[day.argmin()] <= 6
    assert day.max() > 15 * day.min()


def test_a_saturday_is_busier_than_a_tuesday() -> None:
    week = by_city(over(MONDAY, 7), "London").reshape(7, 96).sum(axis=1)
    assert week.argmax() == 5
    assert week[5] / week[1] == pytest.approx(130 / 84, rel=0.05)


def test_a_year_has_the_average_level_in_all_and_offices_work_on_weekdays() -> None:
    year = over(datetime(2025, 1, 1, tzinfo=UTC), 365)
    assert year.level.mean() == pytest.approx(AVERAGE, rel=0.02)
    assert year.office.mean() == pytest.approx(AVERAGE, rel=0.02)
    weekend = (year.first // 86_400 + 3) % 7 >= 5
    assert not year.office[weekend].any()


def test_sale_events_raise_the_level_by_what_they_say() -> None:
    days = np.arange(np.datetime64("2025-11-20"), np.datetime64("2025-12-03")).astype(np.int64)
    assert rhythm.event_level(days).tolist() == [100, 100, *[200] * 9, 100, 100]
    assert [rhythm.sale_event(day) for day in days.tolist()][1:3] == [None, "autumn 2025"]


def test_the_winter_sale_is_one_over_the_turn_of_the_year() -> None:
    days = np.array(["2025-12-22", "2025-12-31", "2026-01-03", "2026-01-04"], dtype="datetime64[D]").astype(np.int64)
    assert [rhythm.sale_event(day) for day in days.tolist()] == ["winter 2025", "winter 2025", "winter 2025", None]


def test_the_season_goes_from_month_to_month_without_a_jump() -> None:
    days = np.arange(np.datetime64("2024-01-01"), np.datetime64("2026-01-01")).astype(np.int64)
    season = rhythm.season(days)
    assert abs(np.diff(season)).max() <= 2
    assert season[days == np.datetime64("2024-12-16").astype(np.int64)] == 122
    assert season.argmin() in range(105, 166)


def test_events_lie_in_the_interval_in_order_and_as_many_as_the_level_says() -> None:
    slots = over(MONDAY + timedelta(hours=14, minutes=7), 20 / 1440)
    assert slots.seconds.tolist() == [480, 720]
    schedule = Schedule(slots, slots.level, 100_000 * 1000, Draws(7, "schedule"))
    _, at = schedule.at(np.arange(schedule.count))
    assert (np.diff(at) >= 0).all()
    assert (at[0], at[-1]) == (slots.first[0], slots.first[0] + 1199)
    expected = 100_000 * (slots.level * slots.seconds).sum() / (1200 * AVERAGE)
    assert schedule.count == pytest.approx(expected, abs=1)


def test_rare_events_come_up_as_often_as_on_average() -> None:
    counts = []
    for quarter in range(0, 96 * 7):
        slots = over(MONDAY + timedelta(minutes=15 * quarter), 15 / 1440)
        counts.append(Schedule(slots, np.full(1, AVERAGE), 300, Draws("rare", quarter)).count)
    assert set(counts) == {0, 1}
    assert np.mean(counts) == pytest.approx(0.3, abs=0.05)


def test_what_happens_at_a_time_happens_where_people_are_awake() -> None:
    slots = over(MONDAY + timedelta(hours=11), 15 / 1440)  # the evening of Tokyo, the night of Los Angeles
    schedule = Schedule(slots, slots.level, 20_000_000, Draws(7, "awake"))
    numbers = np.arange(schedule.count)
    cities = schedule.city(numbers, schedule.at(numbers)[0])
    met = np.bincount(cities, minlength=len(places.cities().name))
    assert met.min() >= 0
    tokyo, los_angeles = (met[places.cities().name.index(name)] for name in ("Tokyo", "Los Angeles"))
    assert tokyo > 8 * los_angeles
    goings_on = np.diff(rhythm.week().sums, prepend=0).reshape(672, -1)[slots.of_week[0]]
    shares = goings_on / goings_on.sum()
    assert met / met.sum() == pytest.approx(shares, abs=0.01)
