"""Reading values that come from a list: currencies (ISO 4217), countries (ISO 3166), enums, yes and no.

Spellings are compared by `squash`, so that PlayStation 5, PLAYSTATION-5 and playstation5 are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from babel import Locale
from babel.core import get_global

from marketplace.contracts.names import fold
from marketplace.contracts.values import Invalid, Parsed, clean_text

# What CLDR lists beside the countries: unions, pseudo-territories, and parts of countries with a code.
_NO_COUNTRIES = frozenset({"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"})

# English names in common use that are not CLDR's.
_OTHER_COUNTRY_NAMES = {
    "BA": ["Bosnia"],
    "CD": ["DR Congo", "Democratic Republic of the Congo"],
    "CG": ["Congo", "Republic of the Congo"],
    "CI": ["Ivory Coast"],
    "CN": ["Peoples Republic of China", "Mainland China"],
    "CV": ["Cabo Verde"],
    "CZ": ["Czech Republic"],
    "GB": ["UK", "Great Britain", "Britain", "England", "Scotland", "Wales", "Northern Ireland"],
    "HK": ["Hong Kong"],
    "IR": ["Islamic Republic of Iran"],
    "KP": ["DPRK"],
    "KR": ["Korea", "Republic of Korea", "Korea Republic of"],
    "LA": ["Lao"],
    "MD": ["Republic of Moldova"],
    "MK": ["Macedonia"],
    "MM": ["Myanmar", "Burma"],
    "MO": ["Macao", "Macau"],
    "NL": ["The Netherlands", "Holland"],
    "PS": ["Palestine"],
    "RU": ["Russian Federation"],
    "SY": ["Syrian Arab Republic"],
    "SZ": ["Swaziland"],
    "TL": ["East Timor"],
    "TR": ["Turkey"],
    "TW": ["Taiwan Province of China"],
    "TZ": ["United Republic of Tanzania"],
    "US": ["United States of America", "America"],
    "VA": ["Vatican", "Holy See"],
    "VN": ["Viet Nam"],
}

_BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), "true"),
    **dict.fromkeys(("false", "f", "no", "n", "0"), "false"),
}


def squash(text: str) -> str:
    """Return `text` as spellings are compared: folded like a name, and without spaces.

    >>> squash("Xbox Series X|S"), squash("xbox-series-xs"), squash("U.S.A.")
    ('xboxseriesxs', 'xboxseriesxs', 'usa')
    """
    return fold(text).replace(" ", "")


@cache
def currencies() -> frozenset[str]:
    """Return the codes of all currencies that are or were legal tender somewhere, by CLDR."""
    uses = (use for territory in get_global("territory_currencies").values() for use in territory)
    return frozenset(code for code, _start, _end, tender in uses if tender)


@cache
def _country_spellings() -> dict[str, str]:
    """Map each squashed spelling, alpha-2, alpha-3 and English name, to the alpha-2 code."""
    names = {
        code: name
        for code, name in Locale("en").territories.items()
        if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRIES
    }
    spellings = {squash(name): code for code, name in names.items()}
    for code, others in _OTHER_COUNTRY_NAMES.items():
        spellings |= {squash(name): code for name in others}
    for alias, codes in get_global("territory_aliases").items():  # alpha-3 codes are aliases in CLDR
        if len(alias) == 3 and alias.isalpha() and len(codes) == 1 and codes[0] in names:
            spellings[squash(alias)] = codes[0]
    return spellings | {squash(code): code for code in names}


def parse_currency(text: str) -> Parsed:
    """Read a currency's ISO 4217 code, in any case. Raises Invalid (unknown_currency)."""
    code = text.upper()
    if code not in currencies():
        raise Invalid("unknown_currency", "it is no ISO 4217 code of a currency")
    return Parsed(code)


def parse_country(text: str) -> Parsed:
    """Read a country as its ISO 3166 alpha-2 code. Raises Invalid (unknown_country)."""
    code = _country_spellings().get(squash(text))
    if code is None:
        raise Invalid("unknown_country", "it is no code and no English name of a country")
    return Parsed(code)


def parse_boolean(text: str) -> Parsed:
    """Read yes or no as true or false. Raises Invalid (invalid_boolean)."""
    value = _BOOLEANS.get(text.casefold())
    if value is None:
        raise Invalid("invalid_boolean", "it is neither yes nor no")
    return Parsed(value)


def parse_enum(text: str, spellings: Mapping[str, str], *, accept_unknown: bool) -> Parsed:
    """Read one of a list of values; `spellings` maps each squashed spelling to its canonical value.

    A value that is not in the list is kept in upper case with a warning, or raises Invalid (unknown_value).
    """
    value = spellings.get(squash(text))
    if value is not None:
        return Parsed(value)
    if not accept_unknown:
        raise Invalid("unknown_value", "it is none of the column's values")
    value = clean_text(text).upper()
    return Parsed(value, "unknown_value", f"not in the contract's list, kept as {value}")
