"""Checking a row by its contract, and giving its values as Postgres COPY takes them.

Speed comes from asking each column's quick functions first, which know clean forms and texts already met;
only the columns that they leave open are examined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import call
from typing import NamedTuple

from marketplace.contracts.column import ColumnCheck, Value
from marketplace.contracts.model import Contract, Rule
from marketplace.contracts.problem import Problem, shown


class Checked(NamedTuple):
    """A row's values in the order of `Contract.stage_columns`, None for NULL, and what was found.

    `values` is None when a problem is an error.
    """

    values: tuple[Value, ...] | None
    problems: tuple[Problem, ...]


Validator = Callable[[list[str]], Checked]
_Broken = Callable[[Sequence[Value]], Problem | None]


def compile_validator(contract: Contract, header: Sequence[str]) -> Validator:
    """Return the function that checks the rows of a file whose columns are `header`, in that order.

    `header` is what `check_header` gave. The function raises on no text. It remembers what it has met
    (bounded), so make one for each file.
    """
    quick: list[Callable[[str], Value]] = []
    quick_positions: list[int] = []
    columns: list[tuple[ColumnCheck, int, slice]] = []
    for column in contract.columns:
        check = ColumnCheck(column, contract.date_order)
        position = header.index(column.name)
        columns.append((check, position, slice(len(quick), len(quick) + len(check.quick))))
        quick += check.quick
        quick_positions += [position] * len(check.quick)
    rules = [_compile_rule(rule, contract) for rule in contract.rules]
    width = len(header)

    def validate(fields: list[str]) -> Checked:
        if len(fields) != width:
            return _wrong_width(len(fields), width)
        values = list(map(call, quick, map(fields.__getitem__, quick_positions)))
        problems: list[Problem] = []
        if None in values:
            for check, position, staged in columns:
                if values[staged.start] is None:
                    values[staged], found = check.examine(fields[position])
                    problems += found
        for broken in rules:
            if problem := broken(values):
                problems.append(problem)
        if not problems:
            return Checked(tuple(values), ())
        if any(problem.severity == "error" for problem in problems):
            return Checked(None, tuple(problems))
        return Checked(tuple(values), tuple(problems))

    return validate


def _wrong_width(found: int, expected: int) -> Checked:
    kind = "too_few_fields" if found < expected else "too_many_fields"
    detail = f"the row has {found} fields; accepted: {expected}, as the header has"
    return Checked(None, (Problem(None, kind, detail, "error"),))


def _compile_rule(rule: Rule, contract: Contract) -> _Broken:
    """Return the function that gives the error of a row that breaks `rule`, else None."""
    names = [name for name, _type in contract.stage_columns]
    conditions = [(names.index(name), frozenset(values)) for name, values in rule.when.items()]
    position = names.index(rule.column)
    breaks, accepted = _condition(rule)

    def broken(values: Sequence[Value]) -> Problem | None:
        for index, when in conditions:
            if values[index] not in when:
                return None
        value = values[position]
        if value is None or not breaks(value):
            return None
        where = " and ".join(f"{names[index]} is {values[index]}" for index, _when in conditions)
        detail = f"{shown(value)}; accepted{where and f' where {where}'}: {accepted}"
        return Problem(rule.column, rule.reason, detail, "error")

    return broken


def _condition(rule: Rule) -> tuple[Callable[[str], bool], str]:
    """Return what tells that a value breaks `rule`, and the words for what the rule accepts."""
    if rule.at_most is not None:
        most = Decimal(str(rule.at_most))
        return (lambda value: Decimal(value) > most), f"at most {rule.at_most:g}"
    if rule.at_least is not None:
        least = Decimal(str(rule.at_least))
        return (lambda value: Decimal(value) < least), f"at least {rule.at_least:g}"
    if rule.in_ is not None:
        only = frozenset(rule.in_)
        return (lambda value: value not in only), ", ".join(rule.in_)
    never = frozenset(rule.not_in or ())
    return (lambda value: value in never), f"anything but {', '.join(sorted(never))}"
