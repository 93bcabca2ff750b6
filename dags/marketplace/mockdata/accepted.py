"""Defects that a value may have and be accepted all the same, at most one a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import numpy as np

from marketplace.mockdata import forms, spellings
from marketplace.mockdata.forms import Written
from marketplace.mockdata.sheet import AMOUNTS, NOTHING, TIMES, Mask, Sheet

# By a reference, the fact that says whether it is by name.
_NAMED = {"game_ref": "game_title", "publisher_ref": "publisher_name"}
_LARGEST_LATITUDE = 90 * 10**5  # of 1e-5 degrees
_ZEROS = ("0", "0.0", "0.00000")


def put(sheet: Sheet) -> None:
    """Change how values look, dial by dial: the first that gets a value keeps it."""
    for column in sheet.of_kind("date"):
        undated = np.flatnonzero((sheet.table.facts[TIMES["date"]] == NOTHING) & (sheet.table.issues == ""))
        sheet.table.note(undated, "missing_date", column)
    for dial, vary in VARIED.items():
        if sheet.on(dial):
            vary(sheet)


# --- any value -------------------------------------------------------------------------------------------------------


def _missing_optional(sheet: Sheet) -> None:
    for name, column in sheet.columns.items():
        if column.required:
            continue
        rows = sheet.chosen("missing_optional", name)
        rows = rows[sheet.table.truth[name][rows] != ""]
        draws = sheet.which("missing_optional", name, rows, len(forms.MISSING)).tolist()
        sheet.write(name, rows, [forms.MISSING[draw] for draw in draws])
        sheet.nothing(name, rows)
        if column.kind == "date":
            sheet.table.note(rows, "missing_date", name)


def _padding(sheet: Sheet) -> None:
    def padded(text: str, draw: int) -> str:
        before, after = forms.PADDING[draw % len(forms.PADDING)]
        return f"{before}{text}{after}"

    for column in sheet.columns:
        sheet.change("padding", column, padded)


# --- names -----------------------------------------------------------------------------------------------------------


def _named(sheet: Sheet) -> dict[str, Mask]:
    """Return the references, with the rows that refer by name."""
    return {name: sheet.table.facts[_NAMED[name]] != NOTHING for name in sheet.of_kind("reference")}


def _letter_case(sheet: Sheet) -> None:
    for column in sheet.of_kind("name"):
        sheet.change("letter_case", column, forms.other_case, stands=True)
    for column in sheet.of_kind("currency", "country", "enum", "customer", "boolean", "locale", "time_zone"):
        sheet.change("letter_case", column, forms.other_case)
    for column, can in _named(sheet).items():
        sheet.change("letter_case", column, forms.other_case, can=can)


def _legal_suffix(sheet: Sheet) -> None:
    def suffixed(text: str, draw: int) -> str:
        return text + forms.LEGAL_SUFFIXES[draw % len(forms.LEGAL_SUFFIXES)]

    if sheet.table.dataset == "publisher":
        sheet.change("legal_suffix", "name", suffixed, stands=True)
    if "publisher_ref" in sheet.columns:
        sheet.change("legal_suffix", "publisher_ref", suffixed, can=_named(sheet)["publisher_ref"])


def _look_alike(sheet: Sheet) -> None:
    for column in sheet.of_kind("name"):
        sheet.change("look_alike", column, forms.look_alike, stands=True)
    for column, can in _named(sheet).items():
        sheet.change("look_alike", column, forms.look_alike, can=can)


def _of_text(dial: str, make: Callable[[str, int], str | None]) -> Callable[[Sheet], None]:
    """Return what writes names and texts in a way that leaves no trace in the store."""

    def vary(sheet: Sheet) -> None:
        for column in sheet.of_kind("name", "text"):
            sheet.change(dial, column, make)
        for column, can in _named(sheet).items():
            sheet.change(dial, column, make, can=can)

    return vary


# --- amounts and numbers ---------------------------------------------------------------------------------------------


def _of_amount(dial: str, make: Callable[[int, int], str | None], issue: str) -> Callable[[Sheet], None]:
    def vary(sheet: Sheet) -> None:
        for column in sheet.of_kind("amount"):
            sheet.rewrite(dial, column, AMOUNTS[column], make, issue=issue)

    return vary


def _decimal_comma(sheet: Sheet) -> None:
    _of_amount("decimal_comma", forms.decimal_comma, "reformatted_amount")(sheet)
    for column in sheet.of_kind("number"):
        sheet.change(
            "decimal_comma", column, lambda text, _: text.replace(".", ",") if "." in text else None,
            issue="reformatted_number",
        )  # fmt: skip


def _thousands(sheet: Sheet) -> None:
    _of_amount("thousands_separator", forms.thousands, "reformatted_amount")(sheet)
    if "duration" in sheet.table.facts:
        sheet.rewrite(
            "thousands_separator", "duration_s", "duration",
            lambda seconds, _: f"{seconds:,}" if seconds >= 1_000 else None, issue="reformatted_integer",
        )  # fmt: skip


def _currency_sign(sheet: Sheet) -> None:
    for column in sheet.of_kind("amount"):
        rows = sheet.chosen("currency_sign", column)
        draws = sheet.which("currency_sign", column, rows).tolist()
        amounts = sheet.table.facts[AMOUNTS[column]][rows].tolist()
        codes = sheet.table.truth["currency"][rows] if "currency" in sheet.columns else [""] * len(rows)
        sheet.put(column, rows, list(map(forms.with_currency, amounts, draws, codes)), issue="reformatted_amount")


def _extra_digits(sheet: Sheet) -> None:
    for column in sheet.of_kind("amount"):
        sheet.rewrite("extra_digits", column, AMOUNTS[column], forms.too_many_digits, issue="rounded_amount")
    _moments("extra_digits", None, forms.long_fraction, "truncated_fraction")(sheet)


def _float_for_integer(sheet: Sheet) -> None:
    for column in sheet.of_kind("integer"):
        sheet.change(
            "float_for_integer", column, lambda text, draw: text + (".0", ".00")[draw % 2], issue="reformatted_integer"
        )


# --- dates and times -------------------------------------------------------------------------------------------------


def _moments(
    dial: str,
    day: Callable[[int, int], Written | None] | None,
    time: Callable[[int, int], Written | None],
    issue: str = "",
) -> Callable[[Sheet], None]:
    """Return what writes dates (unless `day` is None) and times in another way, and notes what they say then."""

    def vary(sheet: Sheet) -> None:
        for column, can in sheet.dated(*(("date", "timestamp") if day else ("timestamp",))).items():
            kind = sheet.columns[column].kind
            fact, make = sheet.table.facts[TIMES[kind]], day if day and kind == "date" else time
            rows = sheet.chosen(dial, column, can)
            draws = sheet.which(dial, column, rows).tolist()
            found = [make(value, draw) for value, draw in zip(fact[rows].tolist(), draws, strict=True)]
            written = [form for form in found if form]
            rows = rows[np.array([form is not None for form in found], dtype=bool)]
            sheet.put(column, rows, [form.text for form in written], issue=issue)
            said = np.array([form.value for form in written], dtype=np.int64)
            less = said != fact[rows]
            sheet.mean(column, rows[less], said[less])
            for row, form in zip(rows.tolist(), written, strict=True):
                if form.fraction:
                    sheet.own("truth", column)[row] = f"{forms.timestamp(form.value)[:-1]}.{form.fraction}Z"

    return vary


# --- places ----------------------------------------------------------------------------------------------------------


def _letters(sheet: Sheet) -> None:
    def lettered(text: str, draw: int, letters: str) -> str:
        number, letter = text.removeprefix("-"), letters[text.startswith("-")]
        return (f"{number}{letter}", f"{number} {letter}", f"{number}°{letter}", f"{letter}{number}")[draw % 4]

    for column, letters in (("latitude", "NS"), ("longitude", "EW")):
        if column in sheet.columns:
            sheet.change("coordinate_letters", column, partial(lettered, letters=letters), issue="reformatted_number")


def _swapped(sheet: Sheet) -> None:
    if "latitude" not in sheet.columns:
        return
    every = np.arange(len(sheet.table))
    rows = sheet.chosen("swapped_coordinates", "latitude", sheet.sound & sheet.is_free("longitude", every))
    every_value: tuple[Literal["text", "truth", "facts"], ...] = ("text", "truth", "facts")
    for values in every_value:
        latitudes, longitudes = sheet.own(values, "latitude"), sheet.own(values, "longitude")
        latitudes[rows], longitudes[rows] = longitudes[rows], latitudes[rows]
    for column in ("latitude", "longitude"):
        sheet.write(column, rows, sheet.table.text[column][rows])
    beyond = np.abs(sheet.table.facts["latitude"][rows]) > _LARGEST_LATITUDE
    sheet.reject(rows[beyond], "latitude", "out_of_range")


def _null_island(sheet: Sheet) -> None:
    if "latitude" not in sheet.columns:
        return
    every = np.arange(len(sheet.table))
    rows = sheet.chosen("null_island", "latitude", sheet.is_free("longitude", every))
    draws = sheet.which("null_island", "", rows, len(_ZEROS)).tolist()
    for column in ("latitude", "longitude"):
        sheet.write(column, rows, [_ZEROS[draw] for draw in draws])
        sheet.own("truth", column)[rows], sheet.own("facts", column)[rows] = "0", 0
    sheet.table.note(rows, "null_island", "latitude")


# --- what comes from a list ------------------------------------------------------------------------------------------


def _from_list(dial: str, kind: str, others: Mapping[str, tuple[str, ...]]) -> Callable[[Sheet], None]:
    """Return what writes values of a kind under another of their names."""

    def other(text: str, draw: int) -> str | None:
        names = others.get(text)
        return names[draw % len(names)] if names else None

    def vary(sheet: Sheet) -> None:
        for column in sheet.of_kind(kind):
            sheet.change(dial, column, other)

    return vary


def _locale_form(sheet: Sheet) -> None:
    for column in sheet.of_kind("locale"):
        sheet.change("locale_form", column, lambda text, _: text.replace("_", "-"))


def _unknown_enum(sheet: Sheet) -> None:
    for column, texts in spellings.UNKNOWN_VALUES.items():
        if column not in sheet.columns:
            continue
        rows = sheet.chosen("unknown_enum", column)
        said = [texts[draw] for draw in sheet.which("unknown_enum", column, rows, len(texts)).tolist()]
        sheet.put(column, rows, said, issue="unknown_value")
        sheet.own("truth", column)[rows] = np.array([text.upper() for text in said], dtype=object)
        sheet.own("facts", column)[rows] = NOTHING


def _unknown_country(sheet: Sheet) -> None:
    for column in sheet.of_kind("country"):
        rows = sheet.chosen("unknown_country", column)
        draws = sheet.which("unknown_country", column, rows, len(spellings.UNKNOWN_COUNTRIES)).tolist()
        sheet.put(column, rows, [spellings.UNKNOWN_COUNTRIES[draw] for draw in draws], issue="unknown_country")
        sheet.nothing(column, rows)


# In the order of DIALS: the first that gets a value keeps it.
VARIED: dict[str, Callable[[Sheet], None]] = {
    "missing_optional": _missing_optional,
    "padding": _padding,
    "letter_case": _letter_case,
    "legal_suffix": _legal_suffix,
    "look_alike": _look_alike,
    "decomposed": _of_text("decomposed", forms.decomposed),
    "quoted_newline": _of_text("quoted_newline", forms.broken_line),
    "decimal_comma": _decimal_comma,
    "thousands_separator": _thousands,
    "currency_sign": _currency_sign,
    "loose_number": _of_amount("loose_number", forms.loose, "reformatted_amount"),
    "extra_digits": _extra_digits,
    "float_for_integer": _float_for_integer,
    "date_form": _moments("date_form", forms.date_form, forms.time_form),
    "day_first": _moments("day_first", forms.day_first, forms.day_first_time, "day_first_date"),
    "zone_offset": _moments("zone_offset", None, forms.zone_offset),
    "coordinate_letters": _letters,
    "swapped_coordinates": _swapped,
    "null_island": _null_island,
    "enum_spelling": _from_list("enum_spelling", "enum", spellings.ENUM_SPELLINGS),
    "unknown_enum": _unknown_enum,
    "locale_form": _locale_form,
    "boolean_form": _from_list("boolean_form", "boolean", spellings.BOOLEANS),
    "country_form": _from_list("country_form", "country", spellings.COUNTRIES),
    "unknown_country": _unknown_country,
}
