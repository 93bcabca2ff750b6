"""Defects that reject a row, at most one a row. Where the value is optional, it is lost and the row is accepted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from marketplace.mockdata import forms, spellings
from marketplace.mockdata.sheet import AMOUNTS, NOTHING, TIMES, Mask, Sheet

SALE, PAYOUT = 0, 2
KEYS: dict[str, tuple[str, ...]] = {
    "publisher": ("publisher_id",),
    "game": ("game_id",),
    "customer": ("customer_ref",),
    "transaction": ("transaction_id",),
    "transaction_detail": ("transaction_id", "line_no"),
    "wishlist": ("customer_ref", "game_ref"),
    "play_session": ("session_id",),
}
HUGE = "A" * 1_000_000
_TOO_LARGE = ("9" * 15, "1" + "0" * 30 + ".00", "99999999999999999999")
_BELOW_LEAST = {"line_no": ("0", "-1", "-3"), "duration_s": ("-1", "-60", "-3600")}
_BEYOND_POLE = ("95", "-95.25", "123.45678", "90.00001")
_INVALID = {
    "date": "invalid_date", "timestamp": "invalid_timestamp", "amount": "invalid_amount", "number": "invalid_number",
    "integer": "invalid_integer",
}  # fmt: skip


def put(sheet: Sheet) -> None:
    """Reject rows, dial by dial: the first that gets a row keeps it."""
    for dial, spoil in SPOILED.items():
        if sheet.on(dial):
            spoil(sheet)


# --- rows ------------------------------------------------------------------------------------------------------------


def _too_few(sheet: Sheet) -> None:
    rows = sheet.chosen("too_few_fields", can=sheet.sound)
    # At least two are left: a single one that is empty would be a blank line.
    sheet.table.width[rows] = -1 - sheet.which("too_few_fields", "", rows, len(sheet.columns) - 2)
    sheet.reject(rows, "", "too_few_fields")


def _too_many(sheet: Sheet) -> None:
    rows = sheet.chosen("too_many_fields", can=sheet.sound)
    sheet.table.width[rows] = 1 + sheet.which("too_many_fields", "", rows, 3)
    sheet.reject(rows, "", "too_many_fields")


def _all_empty(sheet: Sheet) -> None:
    rows = sheet.chosen("all_empty", can=sheet.sound)
    blank = sheet.which("all_empty", "", rows, 2) == 1
    sheet.table.blank[rows[blank]] = True
    rows = rows[~blank]
    for column in sheet.columns:
        sheet.write(column, rows, [""] * len(rows))
    sheet.reject(rows, next(iter(sheet.columns)), "missing")


def _key_missing(sheet: Sheet) -> None:
    for column, rows in sheet.spread("key_missing", dict.fromkeys(KEYS[sheet.table.dataset])):
        sheet.write(column, rows, [""] * len(rows))
        sheet.reject(rows, column, "missing")


# --- values ----------------------------------------------------------------------------------------------------------


def _nul(sheet: Sheet) -> None:
    for column, rows in sheet.spread("nul_byte", dict.fromkeys(sheet.columns)):
        places = sheet.which("nul_byte", column, rows).tolist()
        texts = sheet.table.text[column][rows].tolist()
        cuts = [(text, place % (len(text) + 1)) for text, place in zip(texts, places, strict=True)]
        sheet.write(column, rows, [f"{text[:cut]}\0{text[cut:]}" for text, cut in cuts])
        sheet.reject(rows, column, "nul_byte")


def _huge(sheet: Sheet) -> None:
    for column, rows in sheet.spread("huge_field", dict.fromkeys(sheet.columns)):
        sheet.write(column, rows, [HUGE] * len(rows))
        sheet.reject(rows, column, "too_long")


def _missing(sheet: Sheet) -> None:
    key = KEYS[sheet.table.dataset]
    required = [name for name, column in sheet.columns.items() if column.required and name not in key]
    _replace(sheet, "missing_value", dict.fromkeys(required), forms.MISSING, "missing")


def _replace(
    sheet: Sheet, dial: str, columns: Mapping[str, Mask | None], texts: tuple[str, ...], reason: str = ""
) -> None:
    """Put one of some texts in the place of a value; without a reason it is the one of the column's kind."""
    for column, rows in sheet.spread(dial, columns):
        draws = sheet.which(dial, column, rows, len(texts)).tolist()
        sheet.write(column, rows, [texts[draw] for draw in draws])
        sheet.lose(column, rows, reason or _INVALID[sheet.columns[column].kind])


def _of_number(sheet: Sheet) -> dict[str, Mask | None]:
    return dict.fromkeys(sheet.of_kind("amount", "integer", "number"))


def _exponent(sheet: Sheet) -> None:
    facts = sheet.table.facts
    numbers = {name: facts[AMOUNTS[name]] for name in sheet.of_kind("amount")}
    numbers |= {name: facts[name] // 1_000 for name in sheet.of_kind("number")}  # of 1e-5 degrees
    for column, rows in sheet.spread("exponent", dict.fromkeys(numbers)):
        draws = sheet.which("exponent", column, rows).tolist()
        sheet.write(column, rows, map(forms.exponent, numbers[column][rows].tolist(), draws))
        sheet.lose(column, rows, _INVALID[sheet.columns[column].kind])


def _wrong_sign(sheet: Sheet) -> None:
    if "total" not in sheet.table.facts:
        return
    total = sheet.table.facts["total"]
    for column, rows in sheet.spread("wrong_sign", {"total_amount": total != 0}):
        sheet.write(column, rows, map(forms.decimal, (-total[rows]).tolist()))
        sale = total[rows] > 0
        sheet.reject(rows[sale], column, "negative_amount")
        sheet.reject(rows[~sale], column, "positive_amount")


def _negative(sheet: Sheet) -> None:
    for column, texts in _BELOW_LEAST.items():
        if column in sheet.columns:
            _replace(sheet, "negative_number", {column: None}, texts, "out_of_range")


def _moments(
    dial: str, day: Callable[[int, int], str], time: Callable[[int, int], str], reason: str = ""
) -> Callable[[Sheet], None]:
    """Return what writes dates and times in a way that cannot be read; the reason is the one of the kind if none."""

    def spoil(sheet: Sheet) -> None:
        for column, rows in sheet.spread(dial, sheet.dated("date", "timestamp")):
            kind = sheet.columns[column].kind
            values, draws = sheet.table.facts[TIMES[kind]][rows].tolist(), sheet.which(dial, column, rows).tolist()
            sheet.write(column, rows, map(day if kind == "date" else time, values, draws))
            sheet.lose(column, rows, reason or _INVALID[kind])

    return spoil


def _february_29(sheet: Sheet) -> None:
    """Write 29 February: of a leap year it is true, of another it cannot be read."""
    for column, rows in sheet.spread("february_29", sheet.dated("date", "timestamp")):
        is_date = sheet.columns[column].kind == "date"
        fact = sheet.table.facts[TIMES[sheet.columns[column].kind]]
        days, times = (fact[rows], fact[rows] * 0) if is_date else (fact[rows] // 86_400, fact[rows] % 86_400)
        draws = sheet.which("february_29", column, rows).tolist()
        texts, leap = [], []
        for number, seconds, draw in zip(days.tolist(), times.tolist(), draws, strict=True):
            written = forms.february_29(number, draw)
            text = written.text if written else forms.no_february_29(number, draw)
            texts.append(text if is_date else f"{text} {forms.moment(seconds):%H:%M:%S}")
            leap.append(written.value if written else NOTHING)
        sheet.write(column, rows, texts)
        named = np.array(leap, dtype=np.int64)
        there = named != NOTHING
        sheet.mean(column, rows[there], named[there] if is_date else named[there] * 86_400 + times[there])
        sheet.lose(column, rows[~there], _INVALID[sheet.columns[column].kind])


def _epoch(sheet: Sheet) -> None:
    for column, rows in sheet.spread("epoch_seconds", sheet.dated("timestamp")):
        draws = sheet.which("epoch_seconds", column, rows, 3).tolist()
        seconds = sheet.table.facts["at"][rows].tolist()
        sheet.write(column, rows, [f"{at}{('', '000', '.0')[draw]}" for at, draw in zip(seconds, draws, strict=True)])
        sheet.lose(column, rows, "invalid_timestamp")


def _leap_second(sheet: Sheet) -> None:
    for column, rows in sheet.spread("leap_second", sheet.dated("timestamp")):
        seconds = sheet.table.facts["at"][rows].tolist()
        sheet.write(column, rows, [f"{forms.moment(at):%Y-%m-%dT%H:%M}:60Z" for at in seconds])
        sheet.lose(column, rows, "invalid_timestamp")


def _customer_on_payout(sheet: Sheet) -> None:
    if sheet.table.dataset != "transaction":
        return
    payout = sheet.table.facts["kind"] == PAYOUT
    for column, rows in sheet.spread("customer_on_payout", {"customer_ref": payout}):
        numbers = sheet.which("customer_on_payout", column, rows, 10**6).tolist()
        sheet.write(column, rows, [f"CUST-{sheet.world.seed:04d}{number:08d}" for number in numbers])
        sheet.reject(rows, column, "customer_on_payout")


def _no_customer(sheet: Sheet) -> None:
    if sheet.table.dataset != "transaction":
        return
    paid = sheet.table.facts["kind"] != PAYOUT
    for column, rows in sheet.spread("no_customer_on_sale", {"customer_ref": paid}):
        empty = sheet.which("no_customer_on_sale", column, rows, 2) == 1
        sheet.write(column, rows, ["" if nobody else "PLATFORM" for nobody in empty.tolist()])
        sheet.reject(rows[empty], column, "missing")
        sheet.reject(rows[~empty], column, "platform_on_sale")


def _kind(sheet: Sheet, *kinds: str) -> dict[str, Mask | None]:
    return dict.fromkeys(sheet.of_kind(*kinds))


def _types(sheet: Sheet) -> dict[str, Mask | None]:
    return dict.fromkeys(name for name in sheet.columns if name == "txn_type")


def _latitude(sheet: Sheet) -> dict[str, Mask | None]:
    return dict.fromkeys(name for name in sheet.columns if name == "latitude")


# In the order of DIALS: the first that gets a row keeps it.
SPOILED: dict[str, Callable[[Sheet], None]] = {
    "too_few_fields": _too_few,
    "too_many_fields": _too_many,
    "all_empty": _all_empty,
    "key_missing": _key_missing,
    "nul_byte": _nul,
    "huge_field": _huge,
    "missing_value": _missing,
    "invalid_id": lambda s: _replace(s, "invalid_id", _kind(s, "customer"), spellings.INVALID_CUSTOMERS, "invalid_id"),
    "unknown_currency": lambda s: _replace(
        s, "unknown_currency", _kind(s, "currency"), spellings.UNKNOWN_CURRENCIES, "unknown_currency"
    ),
    "not_boolean": lambda s: _replace(s, "not_boolean", _kind(s, "boolean"), spellings.NO_BOOLEANS, "invalid_boolean"),
    "invalid_email": lambda s: _replace(
        s, "invalid_email", _kind(s, "email"), spellings.INVALID_EMAILS, "invalid_email"
    ),
    "unknown_locale": lambda s: _replace(
        s, "unknown_locale", _kind(s, "locale"), spellings.UNKNOWN_LOCALES, "unknown_locale"
    ),
    "unknown_time_zone": lambda s: _replace(
        s, "unknown_time_zone", _kind(s, "time_zone"), spellings.UNKNOWN_TIME_ZONES, "unknown_time_zone"
    ),
    "infinity": lambda s: _replace(s, "infinity", _of_number(s), forms.INFINITIES),
    "exponent": _exponent,
    "too_large": lambda s: _replace(s, "too_large", _of_number(s), _TOO_LARGE, "out_of_range"),
    "wrong_sign": _wrong_sign,
    "negative_number": _negative,
    "impossible_date": _moments("impossible_date", forms.impossible_day, forms.impossible_time),
    "unreadable_date": _moments("unreadable_date", forms.unreadable_day, forms.unreadable_time),
    "february_29": _february_29,
    "epoch_seconds": _epoch,
    "leap_second": _leap_second,
    "implausible_year": _moments(
        "implausible_year", forms.implausible_day, forms.implausible_time, reason="implausible_date"
    ),
    "latitude_95": lambda s: _replace(s, "latitude_95", _latitude(s), _BEYOND_POLE, "out_of_range"),
    "unknown_type": lambda s: _replace(s, "unknown_type", _types(s), spellings.UNKNOWN_TYPES, "unknown_value"),
    "customer_on_payout": _customer_on_payout,
    "no_customer_on_sale": _no_customer,
}
