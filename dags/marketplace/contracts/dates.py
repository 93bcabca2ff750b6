"""Reading dates and times: a closed list of forms, never a guess.

Year first, 2022-10-14 or 2019/11/20, or year last, 03/02/2021; with -, / or . and one or two digits for day and month.
A year-last date that could be read both ways follows the contract's order; one that can be read in one way only is read
that way, with a warning if that is not the contract's, because it casts doubt on its neighbours. A time follows after T
or a space, with seconds and fractions if any; without a zone it is UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from marketplace.contracts.values import Invalid, Parsed

DateOrder = Literal["month_first", "day_first"]

DATE_YEARS = range(1950, 2101)
TIMESTAMP_YEARS = range(1970, 2101)

_DATE = r"(?P<first>[0-9]{1,4})(?P<separator>[-/.])(?P<second>[0-9]{1,2})(?P=separator)(?P<third>[0-9]{1,4})"
_TIME = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<seconds>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,12}))?)?"
    r"(?: ?(?P<zone>Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?"
)
_MOMENT = re.compile(rf"{_DATE}(?:(?:T| +){_TIME})?", re.IGNORECASE)

# The canonical timestamp, impossible days excluded; 29 February takes the long way.
CLEAN_TIMESTAMP = re.compile(
    r"(?:19[7-9][0-9]|20[0-9]{2})-"
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{6})?Z"
)

_WIDEST_OFFSET = timedelta(hours=14)


def parse_date(text: str, order: DateOrder) -> Parsed:
    """Read a date as YYYY-MM-DD. Of a timestamp the date is taken as written, whatever its zone.

    Raises Invalid (invalid_date, implausible_date).
    """
    match = _matched(text, "invalid_date")
    day, note = _day(match, order, "invalid_date", DATE_YEARS)
    if match["hour"] is not None:
        _clock(match, "invalid_date")
    return Parsed(day.isoformat(), *note)


def parse_timestamp(text: str, order: DateOrder) -> Parsed:
    """Read a moment as YYYY-MM-DDTHH:MM:SS[.ffffff]Z, in UTC; a date alone is its midnight.

    Digits beyond the microsecond are cut off with a warning. Raises Invalid (invalid_timestamp, implausible_date).
    """
    match = _matched(text, "invalid_timestamp")
    day, note = _day(match, order, "invalid_timestamp", TIMESTAMP_YEARS)
    if match["hour"] is None:
        return Parsed(f"{day.isoformat()}T00:00:00Z", *note)
    sub_second, offset = _clock(match, "invalid_timestamp")
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "seconds"))
    moment = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC)
    if offset:
        moment -= offset
        _plausible(moment.year, TIMESTAMP_YEARS)
    if len(sub_second) > 6:
        if sub_second[6:].strip("0") and not note:
            note = ("truncated_fraction", "digits beyond the microsecond were cut off")
        sub_second = sub_second[:6]
    fraction = f".{sub_second:0<6}" if sub_second else ""
    return Parsed(f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z", *note)


def _matched(text: str, kind: str) -> re.Match[str]:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise Invalid(kind, "it has none of the accepted forms")
    return match


def _plausible(year: int, years: range) -> None:
    if year not in years:
        raise Invalid("implausible_date", f"its year is not within {years[0]} to {years[-1]}")


def _day(match: re.Match[str], order: DateOrder, kind: str, years: range) -> tuple[date, tuple[str, str] | tuple[()]]:
    """Return the day that `match` names, and the warning that reading it against the contract's order deserves."""
    first, second, third = match["first"], match["second"], match["third"]
    note: tuple[str, str] | tuple[()] = ()
    if len(first) == 4 and len(third) <= 2:
        year, month, day = int(first), int(second), int(third)
    elif len(first) <= 2 and len(third) == 4:
        year, month, day = int(third), int(first), int(second)
        if order == "day_first":
            month, day = day, month
        if month > 12 >= day:
            month, day = day, month
            if order == "month_first":
                note = ("day_first_date", "it can only be day first, the contract says month first")
            else:
                note = ("month_first_date", "it can only be month first, the contract says day first")
    else:
        raise Invalid(kind, "its year needs four digits, day and month one or two")
    _plausible(year, years)
    try:
        return date(year, month, day), note
    except ValueError as error:
        raise Invalid(kind, f"no such day ({error})") from error


def _clock(match: re.Match[str], kind: str) -> tuple[str, timedelta]:
    """Check the time of day in `match`; return the digits of its fraction and its offset from UTC."""
    if int(match["hour"]) > 23 or int(match["minute"]) > 59 or int(match["seconds"] or 0) > 59:
        raise Invalid(kind, "no such time of day (00:00:00 to 23:59:59)")
    zone = (match["zone"] or "Z").upper()
    offset = timedelta()
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        hours, minutes = int(digits[:2]), int(digits[2:])
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
        if minutes > 59 or abs(offset) > _WIDEST_OFFSET:
            raise Invalid(kind, "no such offset from UTC (-14:00 to +14:00)")
    return match["fraction"] or "", offset
