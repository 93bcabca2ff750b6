"""Checking the values of one column."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from marketplace.contracts import amounts, codes, coordinates, dates, people, shapes
from marketplace.contracts.model import FOLDS, Column
from marketplace.contracts.names import publisher_key, title_key
from marketplace.contracts.problem import Problem, Severity, shown
from marketplace.contracts.values import (
    SEPARATOR,
    Invalid,
    Parsed,
    is_missing,
    parse_id,
    parse_lines,
    parse_many,
    parse_text,
    trimmed,
)

Value = str | None
Parser = Callable[[str], Parsed]
Positions = list[int]

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
    "wkt": "WKT in longitude and latitude such as POLYGON((13 52, 14 52, 14 53, 13 52)) or a MULTIPOLYGON, of at most"
    " {length} characters, without SRID, Z and M",
}
_ORDERS = {"month_first": "MM/DD/YYYY", "day_first": "DD/MM/YYYY"}

# How many different texts a column remembers the outcome of, and how long ones: what repeats is short, and met early.
REMEMBERED = 20_000
# In a column that has a clean form: what is not in it seldom repeats, and would only take memory as a file goes on.
REMEMBERED_BESIDE_CLEAN = 1_000
REMEMBERED_LENGTH = 200

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


class CheckedColumn(NamedTuple):
    """What many texts in a column come to.

    `columns` are the staged values, a sequence for each; `found` says where problems are, with them; `references` has
    the keys of references by their text, unless it was met before and is remembered.
    """

    columns: list[Sequence[Value]]
    found: list[tuple[int, tuple[Problem, ...]]]
    references: dict[str, str]


class ColumnCheck:
    """The check of one column in one file: `decide` tells what a text comes to, `examine` remembers it.

    `check` comes to the same for many texts, and is quick with those in a clean form or met before.
    """

    def __init__(self, column: Column, order: dates.DateOrder) -> None:
        self.column = column
        self._parse = _parser(column, order)
        self._accepted = _accepted(column, order)
        key = NORMALISERS[column.normaliser] if column.normaliser else None
        self._key_of_name = key if column.type == "name" else None
        self._key_of_reference = key if column.type == "reference" else None
        self._nothing: tuple[Value, ...] = (None,) * len(column.stage_columns)
        self._outcomes: dict[str, Outcome] = {}
        self._values_met: tuple[dict[str, str], ...] = tuple({} for _ in column.stage_columns)
        self._clean = _clean_form(column)
        self._most = REMEMBERED_BESIDE_CLEAN if self._clean else REMEMBERED

    def check(self, raws: Sequence[str]) -> CheckedColumn:
        """Check many texts of the column."""
        columns: list[Any]
        if self._clean:
            columns, left = [raws], self._clean(raws)
            if left:
                columns = [list(raws)]
        else:
            columns = [list(map(met.get, raws)) for met in self._values_met]
            left = [at for at, value in enumerate(columns[0]) if value is None] if None in columns[0] else []
        found = []
        references = {}
        for at in left:
            values, problems = self.examine(raws[at])
            for column, value in zip(columns, values, strict=True):
                column[at] = value
            if problems:
                found.append((at, problems))
            if self._key_of_reference and values[0] is not None:
                references[values[0]] = self._key_of_reference(values[0])
        return CheckedColumn(columns, found, references)

    def examine(self, raw: str) -> Outcome:
        """Return what `raw` comes to."""
        outcome = self._outcomes.get(raw)
        if outcome is None:
            outcome = self.decide(raw)
            if len(self._outcomes) < self._most and len(raw) <= REMEMBERED_LENGTH:
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
            if self.column.required or self.column.invalid == "reject":
                return self._refused(error.kind, detail)
            return self._found(self._nothing, error.kind, detail, "warning")
        values: tuple[Value, ...] = (parsed.value,)
        if self._key_of_name:
            values = (parsed.value, self._key_of_name(parsed.value))
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
    """Return the function that reads what stands in `column`, trimmed and not missing."""
    parse = _value_parser(column, order)
    return partial(parse_many, parse=parse) if column.many else parse


def _value_parser(column: Column, order: dates.DateOrder) -> Parser:
    match column.type:
        case "id":
            return _id_parser(column)
        case "text" | "name" | "reference":
            return parse_lines if column.keep_lines else parse_text
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
        case "wkt":
            return shapes.parse_wkt


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
    if column.many:
        form += f"; several with {SEPARATOR} between them"
    if column.minimum is not None:
        form += f", at least {column.minimum:g}"
    if column.maximum is not None:
        form += f", at most {column.maximum:g}"
    return form


def _clean_form(column: Column) -> Callable[[Sequence[str]], Positions] | None:
    """Return the function that tells which of some texts are not in the canonical form, which is their value.

    Only types whose values seldom repeat have one; for the others (None) the values already met do.
    """
    if column.type == "timestamp":
        return partial(_unlike, _repeated(dates.CLEAN_TIMESTAMP), None, column.max_length)
    if column.type == "amount" and column.minimum is None and column.maximum is None:
        return partial(_unlike, _repeated(amounts.CLEAN_AMOUNT), None, column.max_length)
    if column.type == "id":
        own = re.compile(column.pattern) if column.pattern else None
        return partial(_unlike, _repeated(_CLEAN_ID[column.fold]), own, column.max_length)
    return None


# Between texts that are matched as one: no clean form has it.
_BORDER = "\x1f"


def _repeated(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """Return the pattern of as many texts of `pattern` as come one after the other, each with a border after it."""
    return re.compile(rf"(?:(?:{pattern.pattern}){_BORDER})*+")


def _unlike(clean: re.Pattern[str], own: re.Pattern[str] | None, max_length: int, raws: Sequence[str]) -> Positions:
    """Return the positions of texts that are too long, or do not match both patterns; `clean` is a repeated one.

    All texts are matched as one text, which takes half the time of matching each.
    """
    joined = _BORDER.join(raws) + _BORDER
    if joined.count(_BORDER) != len(raws):  # a text has a border in it: none is taken for clean
        return list(range(len(raws)))
    unlike: Positions = []
    at, start = 0, 0
    while (end := clean.match(joined, start).end()) < len(joined):  # type: ignore[union-attr]  # it matches nothing, too
        at += joined.count(_BORDER, start, end)
        unlike.append(at)
        at += 1
        start = joined.index(_BORDER, end) + 1
    if own and not all(map(own.fullmatch, raws)):
        unlike = sorted({*unlike, *(at for at, raw in enumerate(raws) if not own.fullmatch(raw))})
    if max(map(len, raws), default=0) > max_length:
        unlike = sorted({*unlike, *(at for at, raw in enumerate(raws) if len(raw) > max_length)})
    return unlike
