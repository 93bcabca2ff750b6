"""Checking a row by its contract, and giving its values as Postgres COPY takes them.

A row goes the quick way first: one call a value, with a pattern or a table of spellings already met, that gives the
canonical value or None. Where any value is None the whole row goes the careful way, which decides, finds every problem
and remembers the outcome for the same text in later rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from operator import call
from typing import NamedTuple

from marketplace.contracts import amounts, codes, dates
from marketplace.contracts.model import Column, Contract, Rule
from marketplace.contracts.names import publisher_key, title_key
from marketplace.contracts.problem import Problem, Severity, shown
from marketplace.contracts.values import Invalid, Parsed, is_missing, parse_id, parse_text, trimmed

Value = str | None


class Checked(NamedTuple):
    """A row's values in the order of `Contract.stage_columns`, None for NULL, and what was found.

    `values` is None when a problem is an error.
    """

    values: tuple[Value, ...] | None
    problems: tuple[Problem, ...]


Validator = Callable[[list[str]], Checked]

NORMALISERS: dict[str, Callable[[str], str]] = {"publisher": publisher_key, "title": title_key}

ACCEPTED_FORMS = {
    "id": "printable characters on one line",
    "date": "YYYY-MM-DD, YYYY/MM/DD, MM/DD/YYYY or MM-DD-YYYY, and its kin",
    "timestamp": "YYYY-MM-DDTHH:MM:SSZ, YYYY/MM/DD HH:MM:SS, MM-DD-YYYY HH:MM, and their kin",
    "amount": "a decimal such as -1234.50",
    "integer": "a whole number such as 12",
    "number": "a decimal such as -12.5",
    "boolean": "true, false, yes, no, 1, 0",
    "currency": "an ISO 4217 code such as EUR",
    "country": "an ISO 3166 code such as JP or JPN, or the English name",
}

# How many different texts a column remembers the outcome of: enough for what repeats, little for what does not.
REMEMBERED = 20_000

# Ids that are sure to be no missing marker (they have a digit) and that folding leaves as they are.
_CLEAN_ID = {
    "none": re.compile(r"[A-Za-z_.:-]*[0-9][A-Za-z0-9_.:-]*"),
    "upper": re.compile(r"[A-Z_.:-]*[0-9][A-Z0-9_.:-]*"),
    "lower": re.compile(r"[a-z_.:-]*[0-9][a-z0-9_.:-]*"),
}


class _Outcome(NamedTuple):
    values: tuple[Value, ...]
    problems: tuple[Problem, ...]


class _ColumnCheck:
    """The check of one column: `quick`, one function a staged value, and `examine` for what they do not know."""

    def __init__(self, column: Column, contract: Contract) -> None:
        self.column = column
        self._parse = _parser(column, contract)
        self._accepted = _accepted(column)
        self._key = NORMALISERS[column.normaliser] if column.normaliser else None
        self._outcomes: dict[str, _Outcome] = {}
        self._nothing: tuple[Value, ...] = (None,) * len(column.stage_columns)
        # The clean values met so far, a table for each staged value, for `quick`.
        self._known: tuple[dict[str, str], ...] = tuple({} for _ in column.stage_columns)
        clean = _clean_form(column)
        self.quick: tuple[Callable[[str], Value], ...] = (clean,) if clean else tuple(table.get for table in self._known)

    def examine(self, raw: str) -> _Outcome:
        """Return the staged values and the problems of `raw`."""
        outcome = self._outcomes.get(raw)
        if outcome is None:
            outcome = self._decide(raw)
            if len(self._outcomes) < REMEMBERED and len(raw) <= self.column.max_length:
                self._outcomes[raw] = outcome
                if not outcome.problems:
                    for table, value in zip(self._known, outcome.values, strict=True):
                        if value is not None:
                            table[raw] = value
        return outcome

    def _decide(self, raw: str) -> _Outcome:
        column = self.column
        if "\0" in raw:
            return self._refused("nul_byte", f"{shown(raw)} has a NUL byte in it")
        text = trimmed(raw)
        if len(text) > column.max_length:
            return self._refused(
                "too_long", f"{shown(text)} has {len(text)} characters; accepted: {column.max_length} at most"
            )
        if is_missing(text):
            return self._missing(text)
        try:
            parsed = self._parse(text)
        except Invalid as error:
            detail = f"{shown(text)}: {error}; accepted: {self._accepted}"
            if column.required:
                return self._refused(error.kind, detail)
            return self._finding(self._nothing, error.kind, detail, "warning")
        values = (parsed.value,) if self._key is None else (parsed.value, self._key(parsed.value))
        if parsed.kind is None:
            return _Outcome(values, ())
        return self._finding(values, parsed.kind, f"{shown(text)}: {parsed.note}", "warning")

    def _missing(self, text: str) -> _Outcome:
        if self.column.required:
            return self._refused("missing", f"{shown(text)}: a value is required; accepted: {self._accepted}")
        if self.column.type == "date":
            return self._finding(self._nothing, "missing_date", f"{shown(text)}: no date is given", "warning")
        return _Outcome(self._nothing, ())

    def _refused(self, kind: str, detail: str) -> _Outcome:
        return self._finding(self._nothing, kind, detail, "error")

    def _finding(self, values: tuple[Value, ...], kind: str, detail: str, severity: Severity) -> _Outcome:
        return _Outcome(values, (Problem(self.column.name, kind, detail, severity),))


def compile_validator(contract: Contract, header: Sequence[str]) -> Validator:
    """Return the function that checks the rows of a file whose columns are `header`, in that order.

    `header` is what `check_header` gave. The function never raises on any text; it keeps what it has met, so use one
    for each file.
    """
    checks = [_ColumnCheck(column, contract) for column in contract.columns]
    positions = [header.index(column.name) for column in contract.columns]
    quick = [function for check in checks for function in check.quick]
    quick_positions = [position for check, position in zip(checks, positions, strict=True) for _ in check.quick]
    examinations = [(check.examine, position) for check, position in zip(checks, positions, strict=True)]
    rules = [_compile_rule(rule, contract) for rule in contract.rules]
    width = len(header)

    def validate(fields: list[str]) -> Checked:
        if len(fields) != width:
            return _wrong_width(len(fields), width)
        values = tuple(map(call, quick, map(fields.__getitem__, quick_positions)))
        if None in values:
            return examine(fields)
        for broken in rules:
            if broken(values):
                return examine(fields)
        return Checked(values, ())

    def examine(fields: list[str]) -> Checked:
        values: list[Value] = []
        problems: list[Problem] = []
        for check, position in examinations:
            outcome = check(fields[position])
            values += outcome.values
            problems += outcome.problems
        problems += filter(None, (broken(values) for broken in rules))
        if any(problem.severity == "error" for problem in problems):
            return Checked(None, tuple(problems))
        return Checked(tuple(values), tuple(problems))

    return validate


def _wrong_width(found: int, expected: int) -> Checked:
    kind = "too_few_fields" if found < expected else "too_many_fields"
    detail = f"the row has {found} fields; accepted: {expected}, as the header"
    return Checked(None, (Problem(None, kind, detail, "error"),))


def _parser(column: Column, contract: Contract) -> Callable[[str], Parsed]:
    """Return the function that reads a value of `column`, trimmed and not missing."""
    match column.type:
        case "id":
            return _id_parser(column)
        case "text" | "name" | "reference":
            return parse_text
        case "date":
            return partial(dates.parse_date, order=contract.date_order)
        case "timestamp":
            return partial(dates.parse_timestamp, order=contract.date_order)
        case "enum":
            return partial(
                codes.parse_enum, spellings=column.spellings, accept_unknown=column.unknown == "accept"
            )
        case "amount":
            return _bounded(amounts.parse_amount, column)
        case "integer":
            return _bounded(amounts.parse_integer, column)
        case "number":
            return _bounded(amounts.parse_number, column)
        case "boolean":
            return codes.parse_boolean
        case "currency":
            return codes.parse_currency
        case "country":
            return codes.parse_country


def _id_parser(column: Column) -> Callable[[str], Parsed]:
    pattern = re.compile(column.pattern) if column.pattern else None
    folded = {"upper": str.upper, "lower": str.lower, "none": str}[column.fold]

    def parse(text: str) -> Parsed:
        value = folded(parse_id(text).value)
        if pattern and value not in column.constants and not pattern.fullmatch(value):
            raise Invalid("invalid_id", "it does not have the form of this column")
        return Parsed(value)

    return parse


def _bounded(parse: Callable[[str], Parsed], column: Column) -> Callable[[str], Parsed]:
    """Return `parse`, refusing what is below the column's minimum or above its maximum."""
    if column.minimum is None and column.maximum is None:
        return parse
    minimum = Decimal("-Infinity") if column.minimum is None else Decimal(str(column.minimum))
    maximum = Decimal("Infinity") if column.maximum is None else Decimal(str(column.maximum))

    def parse_bounded(text: str) -> Parsed:
        parsed = parse(text)
        if not minimum <= Decimal(parsed.value) <= maximum:
            raise Invalid("out_of_range", "it is out of range")
        return parsed

    return parse_bounded


def _accepted(column: Column) -> str:
    """Return the words in which a message says what `column` accepts."""
    form = ACCEPTED_FORMS.get(column.type, f"a text of at most {column.max_length} characters")
    if column.type == "enum":
        form = ", ".join(column.values)
    if column.pattern:
        form = ", ".join([f"{column.pattern} (a regular expression)", *column.constants])
    if column.minimum is not None:
        form += f", at least {column.minimum:g}"
    if column.maximum is not None:
        form += f", at most {column.maximum:g}"
    return form


def _clean_form(column: Column) -> Callable[[str], Value] | None:
    """Return a function that gives a value in canonical form back and None for any other; None if there is no such form.

    There is one for the types whose values seldom repeat; the others go by the values already met.
    """
    if column.type == "timestamp":
        return _full_match(dates.CLEAN_TIMESTAMP, column)
    if column.type == "amount" and column.minimum is None and column.maximum is None:
        return _full_match(amounts.CLEAN_AMOUNT, column)
    if column.type == "id" and column.pattern is None:
        return _full_match(_CLEAN_ID[column.fold], column)
    return None


def _full_match(pattern: re.Pattern[str], column: Column) -> Callable[[str], Value]:
    full_match = pattern.fullmatch
    max_length = column.max_length

    def match(raw: str) -> Value:
        return raw if full_match(raw) and len(raw) <= max_length else None

    return match


def _compile_rule(rule: Rule, contract: Contract) -> Callable[[Sequence[Value]], Problem | None]:
    """Return the function that gives the error of a row that breaks `rule`, None of one that does not."""
    names = [name for name, _type in contract.stage_columns]
    conditions = [(names.index(name), frozenset(values)) for name, values in rule.when.items()]
    position = names.index(rule.column)
    breaks, wanted = _condition(rule)

    def broken(values: Sequence[Value]) -> Problem | None:
        for index, when in conditions:
            if values[index] not in when:
                return None
        value = values[position]
        if value is None or not breaks(value):
            return None
        circumstances = " and ".join(f"{names[index]} is {values[index]}" for index, _when in conditions)
        where = f" where {circumstances}" if conditions else ""
        return Problem(rule.column, rule.reason, f"{shown(value)}: accepted{where}: {wanted}", "error")

    return broken


def _condition(rule: Rule) -> tuple[Callable[[str], bool], str]:
    """Return what tells that a value breaks `rule`, and the words for what it accepts."""
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
