"""The forms in which exports write a date, an amount or a name, made from the value itself.

Each function takes a `draw`, any whole number from 0, which says in which of the forms; one that finds nothing to
change returns None.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1)

MISSING = ("", "NULL", "nan", "N/A", "-", "null", "  ", "None", "n/a", "NaN")
# White space and invisible characters, before and after a value.
PADDING = (
    (" ", ""), ("", " "), ("  ", "\t"), ("\xa0", "\xa0"), ("\u200b", ""), ("", "\ufeff"), ("\u2060", "\u200b"),
    (" \u200b", " "), ("\ufeff \u200b", "\u2060\xa0\u200b"), ("\u3000", "  "), ("\t", ""), ("", "\n"),
)  # fmt: skip
LEGAL_SUFFIXES = (
    " Corp", ", Inc.", " Co., Ltd.", " GmbH", " S.A.", " Ltd", " K.K.", " A/S", " GmbH & Co. KG", ", LLC", " Limited",
)  # fmt: skip
CURRENCY_SIGNS = ("$", "€", "£", "¥", "US$", "USD", "EUR")
INFINITIES = ("inf", "-inf", "Infinity", "∞", "-Infinity")
# Minutes ahead of UTC.
OFFSETS = (120, -300, 330, -480, 540, -210, 60, 840, -720)


class Written(NamedTuple):
    """A date or time as written, and what it says: days or seconds since 1970, and the fraction of a second."""

    text: str
    value: int
    fraction: str = ""


def moment(at: int) -> datetime:
    """Return the moment `at` seconds after the start of 1970, in UTC."""
    return _EPOCH + timedelta(seconds=at)


def day(number: int) -> date:
    """Return the day `number` days after the first of 1970."""
    return _FIRST_DAY + timedelta(days=number)


def timestamp(at: int) -> str:
    """Return a moment as the store has it: 2026-01-05T14:15:10Z."""
    return f"{moment(at):%Y-%m-%dT%H:%M:%SZ}"


def decimal(hundredths: int) -> str:
    """Return an amount as the store has it: -12.50."""
    whole, part = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else ''}{whole}.{part:02}"


# --- dates and times -------------------------------------------------------------------------------------------------

_DATE_FORMS: tuple[Callable[[date], str], ...] = (
    lambda d: f"{d:%Y/%m/%d}",
    lambda d: f"{d:%m/%d/%Y}",
    lambda d: f"{d:%m-%d-%Y}",
    lambda d: f"{d:%m.%d.%Y}",
    lambda d: f"{d.month}/{d.day}/{d.year}",
    lambda d: f"{d.year}-{d.month}-{d.day}",
    lambda d: f"{d.year}.{d.month}.{d.day}",
)
_TIME_FORMS: tuple[Callable[[datetime], str], ...] = (
    lambda t: f"{t:%Y-%m-%d %H:%M:%S}",
    lambda t: f"{t:%Y/%m/%d %H:%M:%S}",
    lambda t: f"{t:%m/%d/%Y %H:%M:%S}",
    lambda t: f"{t:%Y-%m-%dT%H:%M:%S}",
    lambda t: f"{t:%m.%d.%Y %H:%M:%S}",
    lambda t: f"{t:%Y-%m-%d  %H:%M:%S UTC}",
    lambda t: f"{t:%m-%d-%YT%H:%M:%SZ}",
    lambda t: f"{t.year}/{t.month}/{t.day} {t.hour}:{t:%M:%S}",
)
_MINUTE_FORMS: tuple[Callable[[datetime], str], ...] = (
    lambda t: f"{t.month}/{t.day}/{t.year} {t.hour}:{t:%M}",
    lambda t: f"{t:%m-%d-%Y %H:%M}",
    lambda t: f"{t:%Y-%m-%dT%H:%MZ}",
    lambda t: f"{t:%Y/%m/%d %H:%M UTC}",
)
_FRACTIONS = ("25", "5", "007", "123456", "000001")


def date_form(number: int, draw: int) -> Written:
    """Return a day in another accepted form, the month before the day if the year is last."""
    draw, form = divmod(draw, len(_DATE_FORMS) + 1)
    if form == len(_DATE_FORMS):
        return Written(f"{day(number):%Y-%m-%d}{('T00:00:00Z', ' 23:30:00', 'T12:00:00-05:00')[draw % 3]}", number)
    return Written(_DATE_FORMS[form](day(number)), number)


def time_form(at: int, draw: int) -> Written:
    """Return a moment in another accepted form; some have no seconds, or no time of day."""
    draw, kind = divmod(draw, 10)
    if kind < 6:
        return Written(_TIME_FORMS[draw % len(_TIME_FORMS)](moment(at)), at)
    if kind < 8:
        return Written(_MINUTE_FORMS[draw % len(_MINUTE_FORMS)](moment(at)), at - at % 60)
    if kind < 9:
        fraction = _FRACTIONS[draw % len(_FRACTIONS)]
        return Written(f"{moment(at):%Y-%m-%dT%H:%M:%S}.{fraction}Z", at, f"{fraction:0<6}")
    return Written(_DATE_FORMS[draw % len(_DATE_FORMS)](moment(at)), at - at % 86_400)


def day_first(number: int, draw: int) -> Written | None:
    """Return a day with the day first, if that can be seen."""
    then = day(number)
    sign = "/-."[draw % 3]
    return None if then.day <= 12 else Written(f"{then:%d}{sign}{then:%m}{sign}{then:%Y}", number)


def day_first_time(at: int, draw: int) -> Written | None:
    """Return a moment with the day first, if that can be seen."""
    first = day_first(at // 86_400, draw)
    return first and Written(f"{first.text} {moment(at):%H:%M:%S}", at)


def zone_offset(at: int, draw: int) -> Written:
    """Return a moment in local time, with its offset from UTC."""
    draw, which = divmod(draw, len(OFFSETS))
    ahead = OFFSETS[which]
    hours, minutes = divmod(abs(ahead), 60)
    sign = "-" if ahead < 0 else "+"
    zones = [f"{sign}{hours:02}:{minutes:02}", f"{sign}{hours:02}{minutes:02}"]
    if not minutes:
        zones.append(f"{sign}{hours:02}")
    local = moment(at + ahead * 60)
    return Written(f"{local:%Y-%m-%d}{'T '[draw // 3 % 2]}{local:%H:%M:%S}{zones[draw % len(zones)]}", at)


def long_fraction(at: int, draw: int) -> Written:
    """Return a moment with more digits than a microsecond has; the rest is cut off, not rounded."""
    fraction = f"{draw % 1_000_000:06}"
    return Written(f"{moment(at):%Y-%m-%dT%H:%M:%S}.{fraction}{draw % 9 + 1}Z", at, fraction)


def february_29(number: int, draw: int) -> Written | None:
    """Return the 29 February of a leap year near a day; None if it is to be that of another year."""
    if draw % 2:
        return None
    year = day(number).year
    leap = max(year - year % 4, 1972)
    text = f"02/29/{leap}" if draw // 2 % 2 else f"{leap}-02-29"
    return Written(text, (date(leap, 2, 29) - _FIRST_DAY).days)


def no_february_29(number: int, draw: int) -> str:
    """Return the 29 February of a common year near a day."""
    year = day(number).year
    common = year if year % 4 else year - 1
    return f"02/29/{common}" if draw // 2 % 2 else f"{common}-02-29"


def impossible_day(number: int, draw: int) -> str:
    """Return a day that no calendar has, of the year of a day."""
    year = day(number).year
    forms = ("{}-09-31", "{}/04/31", "06/31/{}", "31/11/{}", "{}-02-30", "{}-13-05", "00/10/{}", "14/14/{}", "{}-00-00")
    return forms[draw % len(forms)].format(year)


def impossible_time(at: int, draw: int) -> str:
    """Return a moment that no calendar or no clock has."""
    draw, kind = divmod(draw, 4)
    if kind:
        return f"{impossible_day(at // 86_400, draw)} {moment(at):%H:%M:%S}"
    return f"{moment(at):%Y-%m-%d}{('T24:00:00Z', ' 12:60:00', 'T25:01:00Z', 'T10:00:00+15:00')[draw % 4]}"


def unreadable_day(number: int, draw: int) -> str:
    """Return a day in a form that is never accepted."""
    then = day(number)
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[then.month - 1]
    forms = (
        f"{then.day} {month} {then.year}", f"{month} {then.day}, {then.year}", f"{then:%m/%d/}{then.year % 100:02}",
        f"{then:%d%m%Y}", "yesterday", f"{then:%Y-%m}", f"{then:%Y-%m/%d}",
    )  # fmt: skip
    return forms[draw % len(forms)]


def unreadable_time(at: int, draw: int) -> str:
    """Return a moment in a form that is never accepted."""
    draw, kind = divmod(draw, 2)
    then = moment(at)
    if kind:
        return f"{unreadable_day(at // 86_400, draw)} {then:%H:%M}"
    return f"{then:%m/%d/%Y} {(then.hour + 11) % 12 + 1}:{then:%M} {'AM' if then.hour < 12 else 'PM'}"


def implausible_day(_number: int, draw: int) -> str:
    """Return a day in a year of which no game is."""
    return ("0001-01-01", "9999-12-31", "12/31/9999", "1900-01-01", "1/1/1900")[draw % 5]


def implausible_time(_at: int, draw: int) -> str:
    """Return a moment in a year in which nobody sold anything."""
    forms = (
        "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "12/31/9999 00:00", "1900-01-01 00:00:00",
        "1969-12-31T23:59:59Z",
    )  # fmt: skip
    return forms[draw % len(forms)]


# --- amounts and numbers ---------------------------------------------------------------------------------------------


def decimal_comma(hundredths: int, _draw: int) -> str:
    """Return an amount such as -12,50."""
    return decimal(hundredths).replace(".", ",")


def thousands(hundredths: int, draw: int) -> str | None:
    """Return an amount with its thousands separated, if it has any."""
    if abs(hundredths) < 100_000:
        return None
    whole, part = divmod(abs(hundredths), 100)
    sign = "-" if hundredths < 0 else ""
    if not part and draw % 7 == 0:
        return f"{sign}{whole:,}"
    group, point = ((",", "."), (" ", ","), (".", ","), ("'", "."), ("\xa0", ","), (" ", "."))[draw % 6]
    return f"{sign}{whole:,}".replace(",", group) + f"{point}{part:02}"


def with_currency(hundredths: int, draw: int, code: str = "") -> str:
    """Return an amount with a currency's sign or code, the code being `code` if given."""
    draw, form = divmod(draw, 5)
    sign = code if code and draw % 2 else CURRENCY_SIGNS[draw // 2 % len(CURRENCY_SIGNS)]
    digits, minus = decimal(abs(hundredths)), "-" if hundredths < 0 else ""
    return (
        f"{minus}{sign}{digits}", f"{minus}{sign} {digits}", f"{sign}{minus}{digits}", f"{minus}{digits} {sign}",
        f"{minus}{digits}{sign}",
    )[form]  # fmt: skip


def exponent(hundredths: int, draw: int) -> str:
    """Return a number such as 1.5E3, from its hundredths."""
    digits = str(abs(hundredths))
    power = len(digits) - 3
    fraction = digits[1:].rstrip("0")
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{digits[0]}{'.' + fraction if fraction else ''}{'eE'[draw % 2]}{'+' if power >= 0 else ''}{power}"


def loose(hundredths: int, draw: int) -> str:
    """Return an amount with zeros before it, or without the one before its point."""
    sign, digits = "-" if hundredths < 0 else "", decimal(abs(hundredths))
    return f"{sign}{digits[1:] if digits[0] == '0' and draw % 2 else '00' + digits}"


def too_many_digits(hundredths: int, draw: int) -> str:
    """Return an amount with more than four decimals, which rounds to the amount: down, up, or half to even."""
    if draw % 5 == 4 and hundredths:
        return ("-" if hundredths < 0 else "") + decimal(abs(hundredths) - 1) + "99995"
    return decimal(hundredths) + ("00001", "0000499", "005", "000000000001", "00005")[draw % 5]


# --- names -----------------------------------------------------------------------------------------------------------

_CYRILLIC = dict(zip("ABEKMHOPCTXaeopcxyijs", "АВЕКМНОРСТХаеорсхуіјѕ", strict=True))
_GREEK = _CYRILLIC | dict(zip("ABEZHIKMNOPTYXo", "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", strict=True))
_LATIN_WORD = re.compile("[A-Za-z]{2,}")


def look_alike(text: str, draw: int) -> str | None:
    """Return `text` with letters of one word as the Cyrillic or Greek ones that look like them, but not all of it."""
    alphabet = (_CYRILLIC, _GREEK)[draw % 2]
    words = [word for word in _LATIN_WORD.finditer(text) if not alphabet.keys().isdisjoint(word[0])]
    if not words:
        return None
    word = words[draw // 2 % len(words)]
    alike = [place for place, letter in enumerate(word[0]) if letter in alphabet]
    if len(alike) == len(word[0]):
        alike = alike[1:]
    letters = list(word[0])
    for place in alike if draw // 4 % 2 else alike[:1]:
        letters[place] = alphabet[letters[place]]
    return text[: word.start()] + "".join(letters) + text[word.end() :]


def other_case(text: str, draw: int) -> str | None:
    """Return `text` in another case, composed again."""
    changed = (text.upper, text.lower, text.swapcase)[draw % 3]()
    if changed == text:
        changed = text.swapcase()
    return None if changed == text else unicodedata.normalize("NFC", changed)


def decomposed(text: str, _draw: int) -> str | None:
    """Return `text` with its accents as characters of their own, if it has any."""
    if text.isascii():
        return None
    changed = unicodedata.normalize("NFD", text)
    return None if changed == text else changed


def broken_line(text: str, draw: int) -> str | None:
    """Return `text` with a line break for one of its spaces, if it has any."""
    if " " not in text:
        return None
    words = text.split(" ")
    at = 1 + draw % (len(words) - 1)
    return " ".join(words[:at]) + ("\n", "\r\n", "\n  ", " \n")[draw // 8 % 4] + " ".join(words[at:])
