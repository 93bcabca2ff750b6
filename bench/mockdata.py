"""Mock data: our generator, with defects and truth, beside libraries that make one value at a time.

The peers make the same columns of the same seven files, each value by the call that is meant for it, and nothing else:
no defect, no truth, no reference that leads anywhere. Everybody writes CSV to nowhere.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.case import Case, Done, Part

DAY = datetime(2026, 1, 5, tzinfo=UTC)
MILLION = 1_000_000
PEER_ROWS = 50_000

# The share of each dataset, in thousandths, is that of our files at a million rows.
SHARES = {
    "publisher": 1, "game": 5, "customer": 28, "transaction": 285, "transaction_detail": 405, "wishlist": 79,
    "play_session": 197,
}  # fmt: skip

CASES = [
    Case("ours_clean", "bench.mockdata:ours", {"profile": "clean", "rows": MILLION}),
    Case("ours_normal", "bench.mockdata:ours", {"profile": "normal", "rows": MILLION}),
    Case("ours_terrible", "bench.mockdata:ours", {"profile": "terrible", "rows": MILLION}),
    Case("ours_normal_5m", "bench.mockdata:ours", {"profile": "normal", "rows": 5 * MILLION}, runs=1),
    Case("faker", "bench.mockdata:faker", {"use_weighting": True}),
    Case("faker_unweighted", "bench.mockdata:faker", {"use_weighting": False}),
    Case("faker_record", "bench.mockdata:faker_record"),
    Case("mimesis", "bench.mockdata:mimesis", requirements="requirements-mockdata.txt"),
]


def ratios(cases: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return how many times the rows of each peer we make, and what five times the rows do to our memory.

    By seconds of the processor: all of it runs on one core, and what else a machine does should not count.
    """
    rate = {name: case["rows"] / case["cpu_seconds"] for name, case in cases.items()}
    peers = [name for name in cases if not name.startswith("ours")]
    memory = cases["ours_normal_5m"]["peak_rss_mb"] / cases["ours_normal"]["peak_rss_mb"]
    return {f"rows: ours_normal / {name}": round(rate["ours_normal"] / rate[name], 1) for name in peers} | {
        "peak memory: ours_normal_5m / ours_normal": round(memory, 2)
    }


def ours(profile: str, rows: int) -> Done:
    """Make the files of a day and their truth, from nothing: the world is part of it."""
    from marketplace.mockdata import profile as profiles
    from marketplace.mockdata.generate import Order, generate
    from marketplace.mockdata.interval import Interval

    made = 0
    with Path(os.devnull).open("wb") as nowhere:
        for chunk in generate(Order(1, Interval.of_day(DAY), rows, profiles.load(profile))):
            nowhere.write(chunk.data)
            nowhere.write(chunk.truth)
            made += chunk.records
    return Done(made)


def faker(use_weighting: bool) -> Done:
    """Make rows with Faker, a call a value, as its documentation does."""
    from faker import Faker

    fake = Faker(use_weighting=use_weighting)
    fake.seed_instance(1)
    year_ago = DAY - timedelta(days=365)

    def moment() -> str:
        return str(fake.date_time_between(year_ago, DAY, UTC).isoformat())

    def customer() -> str:
        return str(fake.numerify("CUST-############"))

    def game() -> str:
        return str(fake.numerify("GAM-####-#######"))

    def detail() -> list[Any]:
        gross = fake.pydecimal(left_digits=3, right_digits=2, positive=True)
        fee = round(gross * 3 / 10, 2)
        return [
            fake.numerify("TXN-###############"), fake.random_int(1, 4), game(), fake.numerify("PUB-####-#######"),
            fake.random_element(REGIONS), fake.random_element(PLATFORMS), gross, fee, gross - fee,
        ]  # fmt: skip

    makers: dict[str, Callable[[], list[Any]]] = {
        "publisher": lambda: [fake.numerify("PUB-####-#######"), fake.company(), fake.country_code()],
        "game": lambda: [game(), fake.catch_phrase(), fake.date_between(year_ago, DAY), fake.random_element(GENRES)],
        "customer": lambda: [
            customer(), fake.name(), fake.email(), fake.country_code(), fake.locale(), fake.timezone(), fake.boolean(),
            moment(),
        ],
        "transaction": lambda: [
            fake.numerify("TXN-###############"), fake.random_element(TYPES), moment(), fake.currency_code(),
            fake.pydecimal(left_digits=3, right_digits=2, positive=True), customer(),
        ],
        "transaction_detail": detail,
        "wishlist": lambda: [customer(), game(), moment()],
        "play_session": lambda: [
            fake.numerify("SES-###############"), customer(), game(), fake.random_element(PLATFORMS), moment(),
            fake.random_int(60, 20_000), *fake.location_on_land(coords_only=True),
        ],
    }  # fmt: skip
    return _row_by_row(makers, SHARES)


def faker_record() -> Done:
    """Make wide rows with Faker: all that there is to say of a sale, the customer's name and address included.

    This is the record of fourteen fields that libraries of mock data are commonly compared by. It is not what our files
    hold, whose rows name a customer by a reference.
    """
    from faker import Faker

    fake = Faker()
    fake.seed_instance(1)

    def record() -> list[Any]:
        return [
            fake.uuid4(), fake.name(), fake.email(), fake.street_address(), fake.city(), fake.country_code(),
            fake.phone_number(), fake.date_time_this_year(), fake.currency_code(), fake.pyfloat(2, 2, positive=True),
            fake.latitude(), fake.longitude(), fake.company(), fake.sentence(nb_words=6),
        ]  # fmt: skip

    return _row_by_row({"record": record}, {"record": 100})


def mimesis() -> Done:
    """Make rows with mimesis, a call a value."""
    from mimesis import Generic, Locale

    fake = Generic(Locale.EN, seed=1)
    code, number, choice = fake.random.generate_string_by_mask, fake.numeric.integer_number, fake.random.choice

    def moment() -> str:
        return str(fake.datetime.datetime(2025, 2025).isoformat())

    def customer() -> str:
        return str(code("CUST-############"))

    def game() -> str:
        return str(code("GAM-####-#######"))

    def detail() -> list[Any]:
        gross = fake.finance.price(1, 999)
        fee = round(gross * 3 / 10, 2)
        return [
            code("TXN-###############"), number(1, 4), game(), code("PUB-####-#######"),
            choice(REGIONS), choice(PLATFORMS), gross, fee, round(gross - fee, 2),
        ]  # fmt: skip

    makers: dict[str, Callable[[], list[Any]]] = {
        "publisher": lambda: [code("PUB-####-#######"), fake.finance.company(), fake.address.country_code()],
        "game": lambda: [
            game(), fake.text.title(), fake.datetime.date(2025, 2025), choice(GENRES)
        ],
        "customer": lambda: [
            customer(), fake.person.full_name(), fake.person.email(), fake.address.country_code(),
            fake.locale.value, fake.datetime.timezone(), fake.development.boolean(), moment(),
        ],
        "transaction": lambda: [
            code("TXN-###############"), choice(TYPES), moment(), fake.finance.currency_iso_code(),
            fake.finance.price(1, 999), customer(),
        ],
        "transaction_detail": detail,
        "wishlist": lambda: [customer(), game(), moment()],
        "play_session": lambda: [
            code("SES-###############"), customer(), game(), choice(PLATFORMS), moment(),
            number(60, 20_000), fake.address.latitude(), fake.address.longitude(),
        ],
    }  # fmt: skip
    return _row_by_row(makers, SHARES)


TYPES = ("sale", "refund", "payout")
GENRES = ("Action", "Adventure", "Puzzle", "Racing", "RPG", "Simulation", "Sports", "Strategy")
REGIONS = ("NA", "LATAM", "EU", "MENA", "APAC", "OCE")
PLATFORMS = ("PC", "macOS", "Linux", "PlayStation 5", "Xbox Series X|S", "Nintendo Switch", "iOS", "Android")


def _row_by_row(makers: dict[str, Callable[[], list[Any]]], shares: dict[str, int]) -> Done:
    """Write as many rows of each kind as its share of PEER_ROWS says, in thousandths."""
    parts = {}
    with Path(os.devnull).open("w", newline="", encoding="utf-8") as nowhere:
        writer = csv.writer(nowhere)
        for dataset, share in shares.items():
            make, rows = makers[dataset], PEER_ROWS * share // 1000
            started = time.perf_counter()
            for _ in range(rows):
                writer.writerow(make())
            parts[dataset] = Part(rows, time.perf_counter() - started)
    return Done(sum(part.rows for part in parts.values()), parts)
