"""When people play and buy: by their own clock, by the day of their week, by season, and more while there is a sale.

All in whole numbers, and without a zone database, since both must be the same on every machine: cities keep their
winter time.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from marketplace.mockdata import places
from marketplace.mockdata.draws import Draws, Numbers, Weights
from marketplace.mockdata.interval import Interval

# In hundredths of the average, from midnight on; from Monday on; from January on, at the month's middle.
_HOURS: Numbers = np.array(
    [80, 50, 30, 18, 12, 12, 20, 36, 52, 64, 76, 88, 104, 108, 108, 116, 134, 156, 182, 208, 226, 214, 180, 126]
)
_WEEKDAYS: Numbers = np.array([84, 84, 88, 92, 112, 130, 110])
_MONTHS: Numbers = np.array([108, 96, 94, 92, 90, 96, 98, 94, 96, 100, 114, 122])
HOURS = Weights(_HOURS)
# The mean level of a year: sale events raise it above what the tables give.
AVERAGE = 11_300

# Sale events: first day and last day (month * 100 + day), and by how much they raise sales, in hundredths.
_EVENTS = {
    "spring": (314, 321, 150),
    "summer": (624, 708, 210),
    "halloween": (1028, 1101, 140),
    "autumn": (1122, 1130, 200),
}
_WINTER = (1222, 103, 220)
_SLOT = 900
_DAY = 86_400


class Slots(NamedTuple):
    """An interval in quarters of an hour (the first and last may be cut): arrays have a place for each."""

    first: Numbers  # second since 1970 in which it begins
    seconds: Numbers
    level: Numbers  # how much goes on, where AVERAGE is average
    office: Numbers  # the same for what offices do, in UTC
    of_week: Numbers  # which of the week's slots it is, as in Week


class Week(NamedTuple):
    """Any week's quarters of an hour, from Thursday 00:00 UTC on, as 1 January 1970 was."""

    level: Numbers  # how much goes on, where 10,000 is the mean
    totals: Numbers  # what goes on in all cities, in another unit
    befores: Numbers  # the same of all slots before
    sums: Numbers  # running sums of what goes on in each city, slot by slot, flat


@cache
def week() -> Week:
    """Return what goes on in which city in each quarter of an hour of the week: zones are whole quarters from UTC."""
    cities = places.cities()
    local = (np.arange(7 * _DAY // _SLOT) * _SLOT)[:, None] + cities.offset[None, :]
    goings_on = cities.weight * _hourly(local % _DAY) * _WEEKDAYS[(local // _DAY + 3) % 7]
    level = goings_on.sum(axis=1) // int(cities.weight.sum())
    totals = (goings_on // 100).sum(axis=1)
    return Week(level, totals, np.cumsum(totals) - totals, np.cumsum(goings_on // 100))


def slots(seed: int, interval: Interval) -> Slots:
    """Return the quarters of an hour of an interval."""
    begin, end = interval.first_second, interval.first_second + interval.minutes * 60
    firsts = np.arange(begin // _SLOT, -(-end // _SLOT)) * _SLOT
    of_week = firsts // _SLOT % (7 * _DAY // _SLOT)
    noise = 85 + Draws(seed, "noise").below(firsts // _SLOT, 31)
    days = firsts // _DAY
    level = week().level[of_week] * noise // 100 * season(days) // 100 * event_level(days) // 100
    hours = firsts % _DAY // 3600
    at_work = ((days + 3) % 7 < 5) & (hours >= 6) & (hours < 18)
    return Slots(
        first=np.maximum(firsts, begin),
        seconds=np.minimum(firsts + _SLOT, end) - np.maximum(firsts, begin),
        level=level,
        office=np.where(at_work, AVERAGE * 168 // 60, 0),
        of_week=of_week,
    )


def _hourly(seconds: Numbers) -> Numbers:
    """Return the level at a second of the local day, between the hours' middles in a straight line."""
    halves = (seconds - 1800) % _DAY
    hour, rest = halves // 3600, halves % 3600
    return (_HOURS[hour] * (3600 - rest) + _HOURS[(hour + 1) % 24] * rest) // 3600


def season(days: Numbers) -> Numbers:
    """Return the season's level in hundredths on days since 1970."""
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    into = days - months.astype("datetime64[D]").astype(np.int64)
    month = months.astype(np.int64) % 12
    other = np.where(into < 15, month - 1, month + 1) % 12
    near = 15 - abs(into - 15)
    return (_MONTHS[month] * (15 + near) + _MONTHS[other] * (15 - near)) // 30


def event_level(days: Numbers) -> Numbers:
    """Return by how much a sale event raises sales, in hundredths, on days since 1970."""
    of_year = _of_year(days)
    level = np.full(len(days), 100)
    for first, last, raised in _EVENTS.values():
        level[(first <= of_year) & (of_year <= last)] = raised
    level[(of_year >= _WINTER[0]) | (of_year <= _WINTER[1])] = _WINTER[2]
    return level


def sale_event(day: int) -> str | None:
    """Return the name of the sale event that a day lies in, with its year, such as `summer 2025`."""
    of_year = int(_of_year(np.array([day]))[0])
    year = int(np.int64(day).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)) + 1970
    if of_year >= _WINTER[0] or of_year <= _WINTER[1]:
        return f"winter {year if of_year >= _WINTER[0] else year - 1}"
    return next((f"{name} {year}" for name, (first, last, _) in _EVENTS.items() if first <= of_year <= last), None)


def _of_year(days: Numbers) -> Numbers:
    """Return month * 100 + day of days since 1970."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    return (months.astype(np.int64) % 12 + 1) * 100 + (dates - months.astype("datetime64[D]")).astype(np.int64) + 1


class Schedule:
    """So many events over an interval, numbered in the order of time."""

    def __init__(self, slots: Slots, levels: Numbers, average: int, draws: Draws) -> None:
        """Share out events of which there are `average` thousandths in an interval of average activity."""
        self._slots, self._draws = slots, draws
        whole = int(slots.seconds.sum()) * AVERAGE * 1000
        # Whole numbers of any size: a year of millions of rows is beyond 64 bits.
        weights = np.cumsum((slots.seconds * levels).astype(object))
        spare = int(draws.stream("count").below(np.zeros(1, dtype=np.int64), 1_000_000)[0]) * whole // 1_000_000
        self._ends = np.array([(int(weight) * average + spare) // whole for weight in weights], dtype=np.int64)
        self.count = int(self._ends[-1])

    def at(self, numbers: Numbers) -> tuple[Numbers, Numbers]:
        """Return for each of `numbers` the slot in which it takes place, and the second since 1970."""
        slot = np.searchsorted(self._ends, numbers, side="right")
        ends = self._ends[slot]
        begins = np.where(slot > 0, self._ends[slot - 1], 0)
        # In the n-th of as many equal spans of its slot: in order, but not evenly.
        seconds, into = self._slots.seconds[slot], self._draws.stream("second").below(numbers, 1 << 20)
        second = ((numbers - begins) * (1 << 20) + into) * seconds // ((ends - begins) << 20)
        return slot, self._slots.first[slot] + second

    def city(self, numbers: Numbers, slot: Numbers) -> Numbers:
        """Return for each of `numbers` the city where it takes place, by what goes on there at that time."""
        of_week = self._slots.of_week[slot]
        picked = week().befores[of_week] + self._draws.stream("city").below(numbers, week().totals[of_week])
        return np.searchsorted(week().sums, picked, side="right") % len(places.cities().name)
