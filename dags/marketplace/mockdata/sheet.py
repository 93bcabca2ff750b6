"""A table while defects are put into it: who gets one, and what was changed already."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from marketplace.mockdata.draws import Numbers
from marketplace.mockdata.forms import day, decimal, timestamp
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.table import DATASETS, Column, Table
from marketplace.mockdata.world import World

Mask = NDArray[np.bool_]

# The fact that an amount is made from, in hundredths.
AMOUNTS = {"total_amount": "total", "gross_amount": "gross", "platform_fee": "fee", "net_amount": "net"}
# The fact that a column of a kind is made from: days or seconds since 1970, seconds.
TIMES = {"date": "release_day", "timestamp": "at", "integer": "duration"}
# What a fact is when there is no value.
NOTHING = -1
_ANY = 2**31


class Met(Protocol):
    """Whom the interval's rows name."""

    @property
    def publishers(self) -> Numbers:
        """The entities of the publishers, ascending."""


class Sheet:
    """A table, and of each of its values whether it was changed: no value is changed twice.

    The arrays of the table that it is made of stay as they are: one that is to be changed is copied by `own`.
    """

    def __init__(self, table: Table, profile: Profile, world: World, met: Met) -> None:
        self.table = copy.copy(table)
        self.table.text, self.table.truth, self.table.facts = dict(table.text), dict(table.truth), dict(table.facts)
        for name in ("column", "reason", "issues", "width", "blank"):
            setattr(self.table, name, getattr(table, name).copy())
        self.profile, self.world, self.met = profile, world, met
        self.columns: Mapping[str, Column] = {column.name: column for column in DATASETS[table.dataset]}
        self.sound = np.ones(len(table), dtype=bool)  # rows that nothing rejects yet
        self._free = {name: np.ones(len(table), dtype=bool) for name in self.columns}
        self._own: set[tuple[str, str]] = set()

    def own(self, values: Literal["text", "truth", "facts"], name: str) -> NDArray[Any]:
        """Return an array of the table that may be written."""
        arrays = getattr(self.table, values)
        if (values, name) not in self._own:
            arrays[name] = arrays[name].copy()
            self._own.add((values, name))
        return arrays[name]

    def on(self, dial: str) -> bool:
        """Return whether a dial is not at 0."""
        return self.profile.rate(dial) > 0

    def chosen(self, dial: str, column: str = "", can: Mask | None = None) -> Numbers:
        """Return the rows that get a defect: its rate's share of those that `can`, and are free in that column."""
        if not self.on(dial):
            return np.zeros(0, dtype=np.int64)
        hit = self.table.draws.stream(dial, column).chance(self.table.numbers, self.profile.rate(dial))
        if column:
            hit &= self._free[column]
        if can is not None:
            hit &= can
        return np.flatnonzero(hit)

    def which(self, dial: str, column: str, rows: Numbers, limit: int | Numbers = _ANY) -> Numbers:
        """Return a whole number below `limit` for each row: which variant of a defect it gets."""
        return self.table.draws.stream(dial, column, "which").below(self.table.numbers[rows], limit)

    def is_free(self, column: str, rows: Numbers) -> Mask:
        """Return of which rows the value in a column has not been changed."""
        return self._free[column][rows]

    def write(self, column: str, rows: Numbers, texts: Iterable[str]) -> None:
        """Change what the file says in a column."""
        self.own("text", column)[rows] = np.array(list(texts), dtype=object)
        self._free[column][rows] = False

    def say(self, column: str, rows: Numbers, texts: Iterable[str]) -> None:
        """Change what is true in a column, and what the file says, both in the clean form."""
        said = np.array(list(texts), dtype=object)
        self.own("text", column)[rows] = said
        if column in self.table.truth:
            self.own("truth", column)[rows] = said

    def say_amount(self, column: str, rows: Numbers, hundredths: Numbers) -> None:
        """Change an amount, its fact too."""
        self.own("facts", AMOUNTS[column])[rows] = hundredths
        self.say(column, rows, map(decimal, hundredths.tolist()))

    def say_time(self, column: str, rows: Numbers, seconds: Numbers) -> None:
        """Change a moment, its fact too."""
        self.own("facts", "at")[rows] = seconds
        self.say(column, rows, map(timestamp, seconds.tolist()))

    def reject(self, rows: Numbers, column: str, reason: str) -> None:
        """Note why rows must be rejected."""
        self.table.reject(rows, column, reason)
        self.sound[rows] = False

    def lose(self, column: str, rows: Numbers, kind: str) -> None:
        """Note that a value cannot be read: it rejects its row, or is lost with an issue if it is optional."""
        if self.columns[column].required:
            self.reject(rows, column, kind)
        else:
            self.nothing(column, rows)
            self.table.note(rows, kind, column)

    def nothing(self, column: str, rows: Numbers) -> None:
        """Note that NULL must stand in the store."""
        self.own("truth", column)[rows] = ""
        fact = TIMES.get(self.columns[column].kind)
        if fact in self.table.facts:
            self.own("facts", fact)[rows] = NOTHING

    def mean(self, column: str, rows: Numbers, values: Numbers) -> None:
        """Note that another day, or moment, must stand in the store than the clean one."""
        is_date = self.columns[column].kind == "date"
        self.own("facts", "release_day" if is_date else "at")[rows] = values
        texts = [day(value).isoformat() if is_date else timestamp(value) for value in values.tolist()]
        self.own("truth", column)[rows] = np.array(texts, dtype=object)

    def dated(self, *kinds: str) -> dict[str, Mask | None]:
        """Return the columns of dates or times, with the rows that have one."""
        return {name: self.table.facts[TIMES[self.columns[name].kind]] != NOTHING for name in self.of_kind(*kinds)}

    def spread(self, dial: str, columns: Mapping[str, Mask | None]) -> list[tuple[str, Numbers]]:
        """Choose sound rows, and for each one of the columns in which it can have the defect.

        `columns` are those that the dial is for, each with the rows that can have the defect in it (None: all).
        Returns the rows by column.
        """
        names = list(columns)
        rows = self.chosen(dial, "", self.sound) if names else np.zeros(0, dtype=np.int64)
        if not len(rows):
            return []
        pick = self.which(dial, "", rows, len(names))
        found: dict[str, list[Numbers]] = {name: [] for name in names}
        for turn in range(len(names)):  # one that cannot have it in the first column picked has it in the next
            left = np.ones(len(rows), dtype=bool)
            for place, name in enumerate(names):
                can = columns[name]
                fit = ((pick + turn) % len(names) == place) & self._free[name][rows]
                if can is not None:
                    fit &= can[rows]
                found[name].append(rows[fit])
                left &= ~fit
            rows, pick = rows[left], pick[left]
            if not len(rows):
                break
        return [(name, np.sort(np.concatenate(parts))) for name, parts in found.items() if any(map(len, parts))]

    def change(
        self,
        dial: str,
        column: str,
        make: Callable[[str, int], str | None],
        *,
        can: Mask | None = None,
        issue: str = "",
        stands: bool = False,
    ) -> None:
        """Give values another text, made of the clean one and a draw; None if that one has no other.

        `issue` is noted of the rows. `stands` means that the new text, as it is, must stand in the store.
        """
        rows = self.chosen(dial, column, can)
        if not len(rows):
            return
        texts = self.table.text[column][rows].tolist()
        draws = self.which(dial, column, rows).tolist()
        self.put(
            column, rows, [make(text, draw) if text else None for text, draw in zip(texts, draws, strict=True)],
            issue=issue, stands=stands,
        )  # fmt: skip

    def rewrite(
        self, dial: str, column: str, fact: str, make: Callable[[int, int], str | None], *, issue: str = ""
    ) -> None:
        """Give values another text, made of a fact and a draw; None if that one has no other."""
        rows = self.chosen(dial, column)
        if not len(rows):
            return
        values = self.table.facts[fact][rows].tolist()
        draws = self.which(dial, column, rows).tolist()
        self.put(column, rows, list(map(make, values, draws)), issue=issue)

    def put(
        self, column: str, rows: Numbers, texts: Sequence[str | None], *, issue: str = "", stands: bool = False
    ) -> None:
        """Write those texts that are not None."""
        fit = np.array([text is not None for text in texts], dtype=bool)
        rows, made = rows[fit], [text for text in texts if text is not None]
        self.write(column, rows, made)
        if stands and column in self.table.truth:
            self.own("truth", column)[rows] = np.array(made, dtype=object)
        if issue:
            self.table.note(rows, issue, column)

    def of_kind(self, *kinds: str) -> list[str]:
        """Return the columns of these kinds."""
        return [name for name, column in self.columns.items() if column.kind in kinds]
