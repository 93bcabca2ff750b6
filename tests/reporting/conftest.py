"""The stores and warehouses of the sync's tests, from which marts are built here."""

from __future__ import annotations

import random
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from marketplace.reporting import marts
from tests.ingest.conftest import ingestion  # noqa: F401 - a fixture
from tests.sync.conftest import Sync, filled, sync, warehouse_template  # noqa: F401 - fixtures

# ruff: noqa: F811 - a fixture's name is a parameter's

SEED = 20261122


def fill(sync: Sync, draw: random.Random, start: datetime = datetime(2025, 1, 30, tzinfo=UTC)) -> None:
    """Put four days of a small marketplace into the store, with areas that overlap and a session in none."""
    with psycopg.connect(sync.store.url("store_owner"), options="-c timezone=UTC") as store:
        cursor = store.cursor()
        publishers = [f"P-{n}" for n in range(4)]
        cursor.executemany(
            "insert into store.publisher (publisher_id, name, name_key) values (%s, %s, %s)",
            [(p, f"Publisher {p}", p) for p in publishers],
        )
        games = [f"G-{n}" for n in range(6)]
        cursor.executemany(
            "insert into store.game (game_id, title, title_key) values (%s, %s, %s)",
            [(g, f"Game {g}", g) for g in games],
        )
        releases = [(game, platform) for game in games for platform in ("PC", "Switch")]
        cursor.executemany(
            "insert into store.game_release (game_id, platform, publisher_id) values (%s, %s, %s)",
            [(*release, draw.choice(publishers)) for release in releases],
        )
        cursor.execute("insert into store.customer (ref) select 'CUST-' || n from generate_series(1, 20) as n")
        customers = [row[0] for row in cursor.execute("select customer_id from store.customer").fetchall()]
        for n in range(300):
            kind = draw.choice(["sale", "sale", "refund", "payout"])
            sign = 1 if kind == "sale" else -1
            lines = [
                (f"T-{n}", line, *draw.choice(releases), draw.choice(["EU", "US"]),
                 sign * Decimal(draw.randint(1, 99_999_999)) / 10_000, sign * Decimal(draw.randint(0, 9_999)) / 10_000)
                for line in range(1, draw.randint(2, 4))
            ]  # fmt: skip
            cursor.execute(
                "insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total,"
                " customer_id) values (%s, %s, %s, %s, %s, %s)",
                (f"T-{n}", kind, start + timedelta(seconds=draw.randint(0, 4 * 86_400)), draw.choice(["EUR", "USD"]),
                 sum(line[5] for line in lines), None if kind == "payout" else draw.choice(customers)),
            )  # fmt: skip
            cursor.executemany(
                "insert into store.transaction_line (transaction_id, line_no, game_id, platform, region, gross, fee,"
                " reported_net) values (%s, %s, %s, %s, %s, %s, %s, 0)",
                lines,
            )
        cursor.executemany(
            "insert into store.play_session (session_id, customer_id, game_id, platform, started_at, duration_s,"
            " location) values (%s, %s, %s, %s, %s, %s, %s)",
            [
                (f"S-{n}", draw.choice(customers), *draw.choice(releases),
                 start + timedelta(minutes=draw.randint(0, 600)), draw.choice([None, draw.randint(1, 9_000)]),
                 f"POINT({draw.uniform(-5, 25)} {draw.uniform(40, 60)})")
                for n in range(400)
            ],
        )  # fmt: skip
        cursor.executemany(
            "insert into geo.area (area_id, name, kind, boundary) values (%s, %s, 'region',"
            " st_multi(st_makeenvelope(%s, %s, %s, %s, 4326)))",
            [("A-1", "West", -5, 40, 10, 60), ("A-2", "Middle", 5, 45, 15, 55), ("A-3", "Nowhere", 100, 0, 101, 1)],
        )
        for load in range(1, 4):
            cursor.execute(
                "insert into ops.load (load_id, kind, dataset, object_key, version_id, put_at, size_bytes,"
                " file_load_id) overriding system value values (%s, 'file', 'game', %s, 'v', '2025-01-05Z', 9, %s)",
                (load, f"landing/game/{load}.csv", load),
            )
            status, reason = ("rejected", "encoding: not UTF-8") if load == 3 else ("done", None)
            cursor.execute(
                "insert into ops.load_account (load_id, kind, dataset, object_key, file_load_id, put_at, finished_at,"
                " status, reason, read, accepted, rejected, held, inserted, updated, unchanged, superseded, issues)"
                " values (%s, 'file', 'game', %s, %s, '2025-01-05Z', '2025-01-06Z', %s, %s, 9, 9, 0, 0, 9, 0, 0, 0, 0)",
                (load, f"landing/game/{load}.csv", load, status, reason),
            )
        cursor.executemany(
            "insert into ops.load_finding (load_id, outcome, column_name, reason, findings)"
            " values (%s, %s, %s, %s, %s)",
            [
                (1, "rejected", "title", "missing", 3),
                (1, "issue", "release_date", "missing", 2),
                (2, "held", "", "x", 1),
            ],
        )
        cursor.executemany(
            "insert into ops.notification_account (day, rule_id, expected, delivered, opted_out, gone, rule_disabled,"
            " rule_gone, read) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (start.date(), "R-1", 10, 6, 2, 1, 0, 0, 4),
                (start.date(), "R-2", 5, 0, 0, 0, 3, 2, 0),
                (start.date() + timedelta(days=1), "R-1", 11, 11, 0, 0, 0, 0, 11),
            ],
        )
        cursor.execute(
            "insert into store.notification_rule (rule_id, topic, subject, body, locale, due_kind, due_value)"
            " values ('R-1', 'marketing', 'News', 'Hello', 'en', 'month_day', '1')"
        )


def build(sync: Sync) -> dict[str, int] | None:
    """Build the marts as the task does."""
    with closing(sync.warehouse()) as warehouse:
        return marts.build(warehouse)


@pytest.fixture
def built(sync: Sync) -> Sync:
    """A store that was synced, and the marts of it."""
    fill(sync, random.Random(SEED))  # noqa: S311 - test data
    sync.sync()
    build(sync)
    return sync
