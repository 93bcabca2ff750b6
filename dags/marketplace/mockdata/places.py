"""Where people play and pay: cities, countries with their languages and regions, currencies with their prices."""

from __future__ import annotations

import csv
from functools import cache
from typing import NamedTuple

import numpy as np

from marketplace import settings
from marketplace.mockdata.draws import Numbers, Weights

# The spellings that the exports use when they are right.
REGIONS = (
    "NA", "LATAM", "SOUTH AMERICA", "CENTRAL AMERICA", "EU", "EMEA", "MEA", "MENA", "MIDDLE EAST", "AFRICA", "APAC",
    "ASIA", "SEA", "OCE", "ANZ", "CIS", "GLOBAL", "ROW", "US", "CA", "MX", "BR", "AR", "UK", "DE", "FR", "ES", "IT",
    "NL", "PL", "SE", "NO", "RU", "TR", "CN", "JP", "KR", "TW", "IN", "AU", "NZ",
)  # fmt: skip
GLOBAL = REGIONS.index("GLOBAL")


class Platform(NamedTuple):
    """What games are played on, for how long games came out for it, and how many of 100 games of its time do."""

    name: str
    first_year: int
    last_year: int
    share: int


_PLATFORMS = (
    Platform("PC", 1990, 2100, 88),
    Platform("macOS", 2001, 2100, 22),
    Platform("Linux", 2013, 2100, 14),
    Platform("Steam Deck", 2022, 2100, 30),
    Platform("PlayStation 3", 2006, 2016, 40),
    Platform("PlayStation 4", 2013, 2025, 42),
    Platform("PlayStation 5", 2020, 2100, 40),
    Platform("PlayStation Vita", 2012, 2018, 12),
    Platform("Xbox 360", 2005, 2016, 40),
    Platform("Xbox One", 2013, 2024, 36),
    Platform("Xbox Series X|S", 2020, 2100, 34),
    Platform("Nintendo Switch", 2017, 2026, 34),
    Platform("Nintendo Switch 2", 2025, 2100, 32),
    Platform("Nintendo 3DS", 2011, 2019, 12),
    Platform("Wii U", 2012, 2016, 10),
    Platform("iOS", 2008, 2100, 18),
    Platform("Android", 2009, 2100, 18),
    Platform("Mobile", 2004, 2009, 8),
    Platform("Web", 2000, 2100, 4),
    Platform("PlayStation VR", 2016, 2100, 4),
    Platform("Meta Quest", 2019, 2100, 6),
)
PLATFORMS = tuple(platform.name for platform in _PLATFORMS)
PLATFORM_SHARES = np.array([platform.share for platform in _PLATFORMS])
PLATFORM_FIRST_DAYS, PLATFORM_LAST_DAYS = (
    np.array([np.datetime64(f"{year}-{rest}", "D").astype(np.int64) for year in years])
    for years, rest in (
        ([platform.first_year for platform in _PLATFORMS], "06-01"),
        ([platform.last_year for platform in _PLATFORMS], "12-31"),
    )
)


class Currency(NamedTuple):
    """What a game of one dollar costs in hundredths, and how prices end: multiples of `step` less `ending`."""

    code: str
    rate: int
    step: int
    ending: int
    whole: bool = False  # has no smaller unit


_CURRENCIES = (
    Currency("USD", 100, 100, 1), Currency("EUR", 100, 100, 1), Currency("GBP", 84, 100, 1),
    Currency("CAD", 132, 100, 1), Currency("MXN", 1650, 1000, 100), Currency("BRL", 420, 1000, 10),
    Currency("CLP", 82000, 100000, 1000, whole=True), Currency("COP", 370000, 500000, 10000),
    Currency("CHF", 98, 100, 10), Currency("PLN", 410, 1000, 1), Currency("CZK", 2250, 1000, 100),
    Currency("HUF", 33000, 50000, 1000), Currency("SEK", 990, 1000, 100), Currency("NOK", 1010, 1000, 100),
    Currency("DKK", 720, 1000, 100), Currency("UAH", 2400, 1000, 100), Currency("KZT", 24000, 50000, 1000),
    Currency("ILS", 350, 1000, 10), Currency("SAR", 330, 1000, 1), Currency("AED", 330, 1000, 1),
    Currency("EGP", 2200, 1000, 0), Currency("ZAR", 1200, 1000, 100), Currency("INR", 5000, 10000, 100),
    Currency("CNY", 500, 1000, 200), Currency("HKD", 680, 1000, 200), Currency("TWD", 2700, 1000, 100),
    Currency("JPY", 12500, 10000, 2000, whole=True), Currency("KRW", 118000, 100000, 0, whole=True),
    Currency("THB", 2800, 1000, 100), Currency("VND", 1500000, 1000000, 0, whole=True),
    Currency("IDR", 1000000, 1000000, 100000), Currency("PHP", 4000, 10000, 500), Currency("MYR", 330, 1000, 10),
    Currency("SGD", 136, 100, 10), Currency("AUD", 150, 100, 5), Currency("NZD", 165, 100, 5),
)  # fmt: skip
CURRENCIES = tuple(currency.code for currency in _CURRENCIES)
CURRENCY_IS_WHOLE = np.array([currency.whole for currency in _CURRENCIES])


def prices(dollar_cents: Numbers) -> Numbers:
    """Return what games of these prices cost (hundredths), one row for each of CURRENCIES."""
    rows = []
    for currency in _CURRENCIES:
        steps = (dollar_cents * currency.rate + 50 * currency.step) // (100 * currency.step)
        rows.append(np.maximum(steps, 1) * currency.step - currency.ending)
    return np.array(rows, dtype=np.int64)


class Country(NamedTuple):
    """A country by its alpha-2 code; what its people speak and which regions its sales are reported under."""

    code: str
    currency: int
    locales: tuple[str, ...]
    locale_weights: Weights
    regions: tuple[int, ...]  # as often in it as sales are reported under it
    seats: int
    suffixes: tuple[str, ...]


class Cities(NamedTuple):
    """The cities, column by column: `country` is a position in countries(), coordinates are in 1e-5 degrees."""

    name: list[str]
    country: Numbers
    latitude: Numbers
    longitude: Numbers
    weight: Numbers
    time_zone: list[str]
    offset: Numbers  # seconds from UTC, in winter: summer time depends on the machine's zone database


@cache
def countries() -> tuple[Country, ...]:
    """Return the countries of include/mockdata/countries.csv."""
    return tuple(_country(row) for row in _rows("countries.csv"))


@cache
def cities() -> Cities:
    """Return the cities of include/mockdata/cities.csv."""
    rows = _rows("cities.csv")
    position = {country.code: index for index, country in enumerate(countries())}
    return Cities(
        name=[row["city"] for row in rows],
        country=np.array([position[row["country"]] for row in rows]),
        latitude=np.array([int(row["latitude"].replace(".", "")) for row in rows]),
        longitude=np.array([int(row["longitude"].replace(".", "")) for row in rows]),
        weight=np.array([int(row["weight"]) for row in rows]),
        time_zone=[row["time_zone"] for row in rows],
        offset=np.array([int(row["utc_offset_minutes"]) * 60 for row in rows]),
    )


class Markets(NamedTuple):
    """The countries as columns: where each one's regions begin in `regions`, and how many it has there."""

    currency: Numbers
    regions: Numbers
    region_starts: Numbers
    region_counts: Numbers


@cache
def markets() -> Markets:
    """Return the countries as columns."""
    counts = np.array([len(country.regions) for country in countries()])
    return Markets(
        currency=np.array([country.currency for country in countries()]),
        regions=np.array([region for country in countries() for region in country.regions]),
        region_starts=np.cumsum(counts) - counts,
        region_counts=counts,
    )


def _country(row: dict[str, str]) -> Country:
    locales, regions = ([item.rsplit(":", 1) for item in row[column].split(";")] for column in ("locales", "regions"))
    return Country(
        code=row["country"],
        currency=CURRENCIES.index(row["currency"]),
        locales=tuple(name for name, _ in locales),
        locale_weights=Weights([int(weight) for _, weight in locales]),
        regions=tuple(REGIONS.index(name) for name, weight in regions for _ in range(int(weight))),
        seats=int(row["seats"]),
        suffixes=tuple(suffix for suffix in row["suffixes"].split("|") if suffix),
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (settings.include_dir() / "mockdata" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
