"""A span of time for which data is made, and what is known of it by its name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# The marketplace opened then: from before it, nothing is known.
OPENING = datetime(2016, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Interval:
    """From `start` up to but not including `end`; both in UTC, in whole minutes."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for moment in (self.start, self.end):
            if moment.tzinfo is None or moment.utcoffset() or moment.second or moment.microsecond:
                raise ValueError(f"{moment.isoformat()} is no whole minute in UTC, such as 2026-01-05T14:15:00+00:00.")
        if self.end <= self.start:
            raise ValueError(f"The interval ends at {self.end:%Y-%m-%dT%H:%MZ}, which is not after its start.")

    @classmethod
    def of_day(cls, day: datetime) -> Interval:
        """Return the whole day, in UTC, that `day` lies in."""
        start = day.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(start, start + timedelta(days=1))

    @property
    def minutes(self) -> int:
        """How long it is."""
        return int((self.end - self.start).total_seconds()) // 60

    @property
    def first_second(self) -> int:
        """Its start, in seconds since 1970."""
        return int(self.start.timestamp())

    @property
    def code(self) -> str:
        """Its name in ids and file names: 20260105T1415-15 for the quarter of an hour from 14:15."""
        return f"{self.start:%Y%m%dT%H%M}-{self.minutes}"

    def earlier(self, days: int) -> Interval:
        """Return the interval of the same length, `days` days before."""
        return Interval(self.start - timedelta(days=days), self.end - timedelta(days=days))
