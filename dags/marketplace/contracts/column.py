"""Checking the values of one column."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from marketplace.contracts import amounts, codes, coordinates, dates, people
from marketplace.contracts.model import FOLDS, Column
from marketplace.contracts.names import publisher_key, title_key
from marketplace.contracts.problem import Problem, Severity, shown
from marketplace.contracts.values import Invalid, Parsed, is_missing, parse_id, parse_text, trimmed

Value = str | None
Parser = Callable[[str], Parsed]
Quick = Callable[[str], Value]

NORMALISERS: dict[str, Callable[[str], str]] = {"publisher": publisher_key, "title": title_key}

ACCEPTED_FORMS = {
    "id": "printable characters on one line",
    "date": "YYYY-MM-DD, YYYY/MM/DD, {order}",
    "timestamp": "YYYY-MM-DDTHH:MM:SSZ, YYYY/MM/DD HH:MM:SS, {order} HH:MM",
    "amount": "a decimal such as -1234.50",
    "integer": "a whole number such as 12",
    "number": "a decimal such as -12.5",
    "boolean": "true, false, yes, no, 1, 0",
    "currency": "an ISO 4217 code such as EUR",
    "country": "an ISO 3166 code such as JP or JPN, or the English name",
    "email": "an address such as ann@example.org, of at most {length} characters",
    "locale": "a language and a territory, such as en_US",
    "time_zone": "an IANA name such as Europe/Berlin",
    "latitude": "decimal degrees from -90 to 90, such as 48.8566",
    "longitude": "decimal degrees from -180 to 180, such as 2.3522",
}
_ORDERS = {"month_first": "MM/DD/YYYY", "day_first": "DD/MM/YYYY"}

# How many different texts a column remembers the outcome of: what repeats is met early.
REMEMBERED = 20_000

# Ids that are sure to be no missing marker, since they have a digit, and that folding leaves as they are.
_CLEAN_ID = {
    "none": re.compile(r"[A-Za-z_.:-]*[0-9][A-Za-z0-9_.:-]*"),
    "upper": re.compile(r"[A-Z_.:-]*[0-9][A-Z0-9_.:-]*"),
    "lower": re.compile(r"[a-z_.:-]*[0-9][a-z0-9_.:-]*"),
}


class Outcome(NamedTuple):
    """What a text in a column comes to: its staged values (None is NULL), and what was found."""

    values: tuple[Value, ...]
    problems: tuple[Problem, ...]


class ColumnCheck:
    """The check of one column in one file.

    `quick` has one function for each staged value: it gives the value of a text in a clean form or already
    met, and None for any other text, which `examine` then decides and remembers.
    """

    def __init__(self, column: Column, order: dates.DateOrder) -> None:
        self.column = column
        self._parse = _parser(column, order)
        self._accepted = _accepted(column, order)
        self._key = NORMALISERS[column.normaliser] if column.normaliser else None
        self._nothing: tuple[Value, ...] = (None,) * len(column.stage_columns)
        self._outcomes: dict[str, Outcome] = {}
        self._values_met: tuple[dict[str, str], ...] = tuple({} for _ in column.stage_columns)
        clean = _clean_form(column)
        self.quick: tuple[Quick, ...] = (clean,) if clean else tuple(met.get for met in self._values_met)

    def examine(self, raw: str) -> Outcome:
        """Return what `raw` comes to."""
        outcome = self._outcomes.get(raw)
        if outcome is None:
            outcome = self.decide(raw)
            if len(self._outcomes) < REMEMBERED and len(raw) <= self.column.max_length:
                self._outcomes[raw] = outcome
                if not outcome.problems:
                    for met, value in zip(self._values_met, outcome.values, strict=True):
                        if value is not None:
                            met[raw] = value
        return outcome

    def decide(self, raw: str) -> Outcome:
        """Return what `raw` comes to, without a look at what was met before."""
        if "\0" in raw:
            return self._refused("nul_byte", f"{shown(raw)} has a NUL byte in it")
        text = trimmed(raw)
        longest = self.column.max_length
        if len(text) > longest:
            detail = f"{shown(text)} has {len(text)} characters; accepted: at most {longest}"
            return self._refused("too_long", detail)
        if is_missing(text):
            return self._missing(text)
        try:
            parsed = self._parse(text)
        except Invalid as error:
            detail = f"{shown(text)}: {error}; accepted: {self._accepted}"
            if self.column.required:
                return self._refused(error.kind, detail)
            return self._found(self._nothing, error.kind, detail, "warning")
        values = (parsed.value,) if self._key is None else (parsed.value, self._key(parsed.value))
        if parsed.kind is None:
            return Outcome(values, ())
        return self._found(values, parsed.kind, f"{shown(text)}: {parsed.note}", "warning")

    def _missing(self, text: str) -> Outcome:
        if self.column.required:
            return self._refused("missing", f"{shown(text)}: a value is required; accepted: {self._accepted}")
        if self.column.type == "date":
            return self._found(self._nothing, "missing_date", f"{shown(text)}: no date is given", "warning")
        return Outcome(self._nothing, ())

    def _refused(self, kind: str, detail: str) -> Outcome:
        return self._found(self._nothing, kind, detail, "error")

    def _found(self, values: tuple[Value, ...], kind: str, detail: str, severity: Severity) -> Outcome:
        return Outcome(values, (Problem(self.column.name, kind, detail, severity),))


def _parser(column: Column, order: dates.DateOrder) -> Parser:
    """Return the function that reads a value of `column`, trimmed and not missing."""
    match column.type:
        case "id":
            return _id_parser(column)
        case "text" | "name" | "reference":
            return parse_text
        case "date":
            return partial(dates.parse_date, order=order)
        case "timestamp":
            return partial(dates.parse_timestamp, order=order)
        case "enum":
            accept = column.unknown == "accept"
            return partial(codes.parse_enum, spellings=column.spellings, accept_unknown=accept)
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
        case "email":
            return people.parse_email
        case "locale":
            return people.parse_locale
        case "time_zone":
            return people.parse_time_zone
        case "latitude":
            return partial(coordinates.parse_coordinate, axis=coordinates.LATITUDE)
        case "longitude":
            return partial(coordinates.parse_coordinate, axis=coordinates.LONGITUDE)


def _id_parser(column: Column) -> Parser:
    pattern = re.compile(column.pattern) if column.pattern else None
    fold = FOLDS[column.fold]

    def parse(text: str) -> Parsed:
        value = fold(parse_id(text).value)
        if pattern and value not in column.constants and not pattern.fullmatch(value):
            raise Invalid("invalid_id", "it does not have the form of this column")
        return Parsed(value)

    return parse


def _bounded(parse: Parser, column: Column) -> Parser:
    """Return `parse`, made to refuse what is below the column's minimum or above its maximum."""
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


def _accepted(column: Column, order: dates.DateOrder) -> str:
    """Return the words in which a message says what `column` accepts."""
    form = ACCEPTED_FORMS.get(column.type, f"a text of at most {column.max_length} characters")
    form = form.format(order=_ORDERS[order], length=column.max_length)
    if column.type == "enum":
        form = ", ".join(column.values)
    if column.pattern:
        form = ", ".join([f"{column.pattern} (a regular expression)", *column.constants])
    if column.minimum is not None:
        form += f", at least {column.minimum:g}"
    if column.maximum is not None:
        form += f", at most {column.maximum:g}"
    return form


def _clean_form(column: Column) -> Quick | None:
    """Return the function that gives a text in canonical form back and None for any other text.

    Only types whose values seldom repeat have one; for the others (None) the values already met do.
    """
    if column.type == "timestamp":
        return _matching([dates.CLEAN_TIMESTAMP], column.max_length)
    if column.type == "amount" and column.minimum is None and column.maximum is None:
        return _matching([amounts.CLEAN_AMOUNT], column.max_length)
    if column.type == "id":
        clean = _CLEAN_ID[column.fold]
        return _matching([clean, re.compile(column.pattern)] if column.pattern else [clean], column.max_length)
    return None


def _matching(patterns: list[re.Pattern[str]], max_length: int) -> Quick:
    """Return the function that gives a text back when it matches all of one or two patterns, else None."""
    first, last = patterns[0].fullmatch, patterns[-1].fullmatch
    if first == last:
        return lambda raw: raw if len(raw) <= max_length and first(raw) else None
    return lambda raw: raw if len(raw) <= max_length and first(raw) and last(raw) else None
