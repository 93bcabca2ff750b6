"""Reading dates and times: a closed list of forms, never a guess.

Year first, 2022-10-14 or 2019/11/20, or year last, 03/02/2021; with -, / or . and one or two digits for day
and month. A year-last date that could be read both ways follows the contract's order; one that can be read
in one way only is read that way, with a warning if that is not the contract's, because it casts doubt on
its neighbours. A time follows after T or spaces, with seconds and a fraction if any; without a zone it is
UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal

from marketplace.contracts.values import Invalid, Parsed

DateOrder = Literal["month_first", "day_first"]

DATE_YEARS = range(1950, 2101)
TIMESTAMP_YEARS = range(1970, 2101)

_MOMENT = re.compile(
    r"(?P<day>[0-9][0-9/.-]{4,8}[0-9])"
    r"(?:(?:T| +)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,12}))?)?"
    r"(?: ?(?P<zone>Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?)?",
    re.IGNORECASE,
)
_YEAR_FIRST = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})")
_YEAR_LAST = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})")

# The canonical timestamp, impossible days excluded; 29 February takes the long way.
CLEAN_TIMESTAMP = re.compile(
    r"(?:19[7-9][0-9]|20[0-9]{2})-"
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{6})?Z"
)

_WIDEST_OFFSET = timedelta(hours=14)
_MICROSECOND_DIGITS = 6


def parse_date(text: str, order: DateOrder) -> Parsed:
    """Read a date as YYYY-MM-DD. Of a timestamp the date is taken as written, whatever its zone.

    Raises Invalid (invalid_date, implausible_date).
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise Invalid("invalid_date", "it has none of the accepted forms")
    day, kind, note = _day(match["day"], order, "invalid_date", DATE_YEARS)
    if match["hour"] is not None:
        _check_clock(match, "invalid_date")
        _offset(match["zone"], "invalid_date")
    return Parsed(day.isoformat(), kind, note)


def parse_timestamp(text: str, order: DateOrder) -> Parsed:
    """Read a moment as YYYY-MM-DDTHH:MM:SS[.ffffff]Z, in UTC; a date alone is its midnight.

    Digits beyond the microsecond are cut off, with a warning. Raises Invalid (invalid_timestamp,
    implausible_date).
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise Invalid("invalid_timestamp", "it has none of the accepted forms")
    day, kind, note = _day(match["day"], order, "invalid_timestamp", TIMESTAMP_YEARS)
    if match["hour"] is None:
        return Parsed(f"{day.isoformat()}T00:00:00Z", kind, note)
    _check_clock(match, "invalid_timestamp")
    moment = f"{day.isoformat()}T{match['hour']:0>2}:{match['minute']}:{match['second'] or '00'}"
    offset = _offset(match["zone"], "invalid_timestamp")
    if offset:
        utc = datetime.fromisoformat(moment).replace(tzinfo=UTC) - offset
        _check_year(utc.year, TIMESTAMP_YEARS)
        moment = f"{utc:%Y-%m-%dT%H:%M:%S}"
    digits = match["fraction"] or ""
    if digits[_MICROSECOND_DIGITS:].strip("0") and kind is None:
        kind, note = "truncated_fraction", "digits beyond the microsecond were cut off"
    fraction = f".{digits[:_MICROSECOND_DIGITS]:0<6}" if digits else ""
    return Parsed(f"{moment}{fraction}Z", kind, note)


@lru_cache(maxsize=4096)  # a file has few days
def _day(text: str, order: DateOrder, kind: str, years: range) -> tuple[date, str | None, str]:
    """Return the day that `text` names, and the kind and note of its warning (None and '' if none)."""
    warning, note = None, ""
    if match := _YEAR_FIRST.fullmatch(text):
        year, month, day = int(match[1]), int(match[3]), int(match[4])
    elif match := _YEAR_LAST.fullmatch(text):
        year, month, day = int(match[4]), int(match[1]), int(match[3])
        if order == "day_first":
            month, day = day, month
        if month > 12:
            month, day = day, month
            other, contracts = ("day", "month") if order == "month_first" else ("month", "day")
            warning, note = (
                f"{other}_first_date",
                f"it can only be {other} first, the contract is {contracts} first",
            )
    else:
        raise Invalid(kind, "it has none of the accepted forms")
    _check_year(year, years)
    try:
        return date(year, month, day), warning, note
    except ValueError as error:
        raise Invalid(kind, "there is no such day") from error


def _check_year(year: int, years: range) -> None:
    if year not in years:
        raise Invalid("implausible_date", f"its year is not within {years[0]} to {years[-1]}")


def _check_clock(match: re.Match[str], kind: str) -> None:
    if int(match["hour"]) > 23 or int(match["minute"]) > 59 or int(match["second"] or 0) > 59:
        raise Invalid(kind, "there is no such time of day")


def _offset(zone: str | None, kind: str) -> timedelta:
    """Return how far `zone` (None, Z, +02:00, +0200 or +02) is ahead of UTC."""
    if zone is None or zone[0] not in "+-":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    offset = timedelta(hours=hours, minutes=minutes)
    if minutes > 59 or offset > _WIDEST_OFFSET:
        raise Invalid(kind, "there is no such offset from UTC")
    return -offset if zone[0] == "-" else offset
