"""What a day is to notifications: when rules are due, and the values by which the SQL knows a day. Days are UTC."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EVENTS = ("game_released", "refund_processed", "account_anniversary", "publisher_paid")


def is_due(kind: str, value: str, day: date) -> bool:
    """Tell whether a rule is due on a day; one that waits for an event always is, for those who had one.

    A day of the month that a shorter month lacks is its last one.
    """
    if kind == "date":
        return value == day.isoformat()
    if kind == "weekday":
        return value == WEEKDAYS[day.weekday()]
    if kind == "month_day":
        return min(int(value), calendar.monthrange(day.year, day.month)[1]) == day.day
    if kind == "event":
        return value in EVENTS
    raise ValueError(f"Rules are due by a date, weekday, month_day or event, not by {kind!r}.")


def parameters(day: date) -> dict[str, Any]:
    """Return what the SQL is told of a day: when it begins and ends, and which anniversaries fall on it."""
    since = datetime.combine(day, time(), UTC)
    anniversaries = [f"{day:%m-%d}"]
    if (day.month, day.day) == (2, 28) and not calendar.isleap(day.year):
        anniversaries.append("02-29")
    return {
        "day": day,
        "since": since,
        "until": since + timedelta(days=1),
        "year": day.year,
        "anniversaries": anniversaries,
    }
