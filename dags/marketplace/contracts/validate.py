"""Checking rows by their contract, and giving their values as Postgres COPY takes them.

Speed comes from checking a column of many rows at once: clean forms and texts already met are known without a step of
Python for each; only what they leave open is examined. A row by itself is examined cell by cell, and comes to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import compress
from typing import Any, NamedTuple

from marketplace.contracts.column import ColumnCheck, Value
from marketplace.contracts.model import Contract, Rule
from marketplace.contracts.problem import Problem, shown


class Checked(NamedTuple):
    """A row's values in the order of `Contract.stage_columns`, None for NULL, and what was found.

    `values` is None when a problem is an error.
    """

    values: tuple[Value, ...] | None
    problems: tuple[Problem, ...]


class CheckedRows(NamedTuple):
    """What many rows come to: which of them are accepted, the values of these, and the problems of all.

    `columns` are in the order of `Contract.stage_columns`, each with a value for each accepted row, None for NULL.
    `problems` are by the position of the row; a row of which one is an error is not accepted.
    `references` are texts of columns of references, each with its column and the key by which a name is looked up: each
    text that the rows have, accepted or not, unless it was met before and is remembered.
    """

    accepted: Sequence[int]
    columns: list[Sequence[Value]]
    problems: dict[int, tuple[Problem, ...]]
    references: list[tuple[str, str, str]]


class Validator:
    """Checks the rows of one file. It raises on no text, and remembers what it has met (bounded).

    Who needs the references of all rows asks `check_rows` of all of them: a row that is checked by itself is met, too.
    """

    def __init__(self, contract: Contract, header: Sequence[str]) -> None:
        self._columns = [
            (ColumnCheck(column, contract.date_order), header.index(column.name)) for column in contract.columns
        ]
        self._rules = [_CompiledRule(rule, contract) for rule in contract.rules]
        self._width = len(header)

    def __call__(self, fields: Sequence[str]) -> Checked:
        """Check one row."""
        if len(fields) != self._width:
            return Checked(None, (self._wrong_width(fields),))
        values: list[Value] = []
        problems: list[Problem] = []
        for check, position in self._columns:
            staged, found = check.examine(fields[position])
            values += staged
            problems += found
        problems += filter(None, (rule.broken(values) for rule in self._rules))
        return Checked(None if _is_error(problems) else tuple(values), tuple(problems))

    def check_rows(self, rows: Sequence[Sequence[str]]) -> CheckedRows:
        """Check many rows; each comes to what it comes to by itself."""
        problems: dict[int, tuple[Problem, ...]] = {}
        positions: Sequence[int] = range(len(rows))
        if set(map(len, rows)) != {self._width}:
            problems = {at: (self._wrong_width(row),) for at, row in enumerate(rows) if len(row) != self._width}
            positions = [at for at in positions if at not in problems]
            rows = [rows[at] for at in positions]
        cells = list(zip(*rows, strict=True)) or [()] * self._width
        columns: list[Sequence[Value]] = []
        references: list[tuple[str, str, str]] = []
        for check, position in self._columns:
            staged, found, named = check.check(cells[position])
            columns += staged
            references += [(check.column.name, text, key) for text, key in named.items()]
            for at, of_column in found:
                problems[positions[at]] = problems.get(positions[at], ()) + of_column
        for rule in self._rules:
            for at in rule.suspects(columns):
                if problem := rule.broken([column[at] for column in columns]):
                    problems[positions[at]] = (*problems.get(positions[at], ()), problem)
        rejected = {at for at, found_in_row in problems.items() if _is_error(found_in_row)}
        if rejected:
            left_out = [at for at, position in enumerate(positions) if position in rejected]
            positions = _without(positions, left_out)
            columns = [_without(column, left_out) for column in columns]
        return CheckedRows(positions, columns, problems, references)

    def _wrong_width(self, fields: Sequence[str]) -> Problem:
        kind = "too_few_fields" if len(fields) < self._width else "too_many_fields"
        detail = f"the row has {len(fields)} fields; accepted: {self._width}, as the header has"
        return Problem(None, kind, detail, "error")


def compile_validator(contract: Contract, header: Sequence[str]) -> Validator:
    """Return what checks the rows of a file whose columns are `header`, in that order: what `check_header` gave."""
    return Validator(contract, header)


def _without(items: Sequence[Any], left_out: Sequence[int]) -> list[Any]:
    """Return `items` without those at some positions: of a few, that is quicker than picking what is left."""
    left = list(items)
    for at in reversed(left_out):
        del left[at]
    return left


def _is_error(problems: Sequence[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


class _CompiledRule:
    """A rule, ready to be asked of a row, and which of many rows may break it."""

    def __init__(self, rule: Rule, contract: Contract) -> None:
        names = [name for name, _type in contract.stage_columns]
        self._rule = rule
        self._position = names.index(rule.column)
        self._conditions = [(name, names.index(name), frozenset(values)) for name, values in rule.when.items()]
        self._breaks, self._may_break, self._accepted = _condition(rule)

    def broken(self, values: Sequence[Value]) -> Problem | None:
        """Return the error of a row that breaks the rule, else None."""
        value = values[self._position]
        if value is None or any(values[index] not in when for _name, index, when in self._conditions):
            return None
        if not self._breaks(value):
            return None
        where = " and ".join(f"{name} is {values[index]}" for name, index, _when in self._conditions)
        detail = f"{shown(value)}; accepted{where and f' where {where}'}: {self._accepted}"
        return Problem(self._rule.column, self._rule.reason, detail, "error")

    def suspects(self, columns: Sequence[Sequence[Value]]) -> list[int]:
        """Return the positions of all rows that break the rule, and perhaps of some that do not."""
        column, may_break = columns[self._position], self._may_break
        positions: Sequence[int] = range(len(column))
        for _name, index, when in self._conditions[:1]:
            positions = list(compress(positions, map(when.__contains__, columns[index])))
        return [at for at in positions if (value := column[at]) is not None and may_break(value)]


def _condition(rule: Rule) -> tuple[Callable[[str], bool], Callable[[str], bool], str]:
    """Return what tells that a value breaks `rule`, what tells quickly that it may, and what the rule accepts.

    The nearest floats of two decimals are in the decimals' order, or equal.
    """
    if rule.at_most is not None:
        most, about = Decimal(str(rule.at_most)), rule.at_most
        return (lambda value: Decimal(value) > most), (lambda value: float(value) >= about), f"at most {about:g}"
    if rule.at_least is not None:
        least, about = Decimal(str(rule.at_least)), rule.at_least
        return (lambda value: Decimal(value) < least), (lambda value: float(value) <= about), f"at least {about:g}"
    if rule.in_ is not None:
        only = frozenset(rule.in_)
        return (lambda value: value not in only), (lambda value: value not in only), ", ".join(rule.in_)
    never = frozenset(rule.not_in or ())
    return never.__contains__, never.__contains__, f"anything but {', '.join(sorted(never))}"
