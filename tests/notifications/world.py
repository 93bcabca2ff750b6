"""A small store by chance, and who must be notified in it, worked out from what its tables have: without a query."""

from __future__ import annotations

import calendar
import random
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Json

PLATFORMS = ("PC", "PlayStation 5", "Nintendo Switch")
COUNTRIES = ("DE", "AT", "FR", "US", None)
EVENTS = ("game_released", "refund_processed", "account_anniversary", "publisher_paid")
DAYS = (date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1), date(2028, 2, 28), date(2028, 2, 29))
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TABLES = (
    "customer", "game", "game_alias", "game_release", "wishlist", "transaction", "transaction_line", "play_session",
    "publisher", "notification_rule",
)  # fmt: skip

Dump = dict[str, list[dict[str, Any]]]


class World:
    """Fills a store; most of what is dated lies around the days that are asked for, often at midnight exactly."""

    def __init__(self, seed: int, customers: int = 250) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - nobody guards anything with it
        self.customers = customers
        self.games = [f"G-{n}" for n in range(1, 9)]

    def moment(self) -> datetime:
        """Return a time near one of the days: within it, at its very beginning or end, or some days off."""
        day = datetime.combine(self.chance.choice(DAYS), datetime.min.time(), UTC)
        return day + self.chance.choice(
            [
                timedelta(0),
                timedelta(days=1),
                timedelta(days=1, microseconds=-1),
                timedelta(microseconds=-1),
                timedelta(days=self.chance.randint(-2, 2), seconds=self.chance.randint(0, 86399)),
            ]
        )

    def maybe(self, value: Any, share: float = 0.2) -> Any:
        return None if self.chance.random() < share else value

    def fill(self, connection: psycopg.Connection[Any]) -> None:
        """Bring rows into every table that notifications look at."""
        cursor, chance = connection.cursor(), self.chance
        cursor.executemany(
            "insert into store.publisher (publisher_id, name, name_key) values (%s, %s, %s)",
            [(f"P-{n}", f"Publisher {n}", f"publisher {n}") for n in range(1, 5)],
        )
        released = [self.maybe(chance.choice(DAYS)) for _ in self.games]
        cursor.executemany(
            "insert into store.game (game_id, title, title_key, release_date) values (%s, %s, %s, %s)",
            [(g, f"Game {g}", g.lower(), day) for g, day in zip(self.games, released, strict=True)],
        )
        # Every game has an alias of another id; the rules name games by either.
        cursor.executemany(
            "insert into store.game_alias (alias_id, game_id, title, title_key) values (%s, %s, '', '')",
            [(alias, g) for g in self.games for alias in (g, f"A-{g}")],
        )
        cursor.executemany(
            "insert into store.game_release (game_id, platform, publisher_id) values (%s, %s, %s)",
            [(g, p, f"P-{chance.randint(1, 4)}") for g in self.games for p in PLATFORMS],
        )
        cursor.executemany(
            "insert into store.customer (ref, name, country_code, marketing_opt_in, created_at)"
            " values (%s, %s, %s, %s, %s)",
            [
                (
                    f"CUST-{n:04}", f"Customer {n}", chance.choice(COUNTRIES), chance.choice([True, True, False, None]),
                    self.maybe(self.moment().replace(year=chance.choice([2024, 2024, 2025, 2026]), day=28)
                               if chance.random() < 0.5 else self.born()),
                )
                for n in range(1, self.customers + 1)
            ],
        )  # fmt: skip
        ids = [i for (i,) in cursor.execute("select customer_id from store.customer order by 1").fetchall()]
        # Ids with gaps between them.
        cursor.execute("delete from store.customer where customer_id = any(%s)", (ids[10::17],))
        ids = [i for i in ids if i not in set(ids[10::17])]
        wishes = {(chance.choice(ids), chance.choice(self.games)) for _ in range(2 * len(ids))}
        cursor.executemany(
            "insert into store.wishlist (customer_id, game_id, added_at) values (%s, %s, %s)",
            [(*wish, self.maybe(self.moment())) for wish in sorted(wishes)],
        )
        for n in range(1, len(ids) + 1):
            kind = chance.choices(["sale", "refund", "payout"], [6, 2, 1])[0]
            sign = 1 if kind == "sale" else -1
            customer = None if kind == "payout" else chance.choice(ids)
            cursor.execute(
                "insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total,"
                " customer_id) values (%s, %s, %s, 'EUR', %s, %s)",
                (f"T-{n}", kind, self.moment(), sign * n, customer),
            )
            cursor.executemany(
                "insert into store.transaction_line (transaction_id, line_no, game_id, platform, region, gross, fee,"
                " reported_net) values (%s, %s, %s, %s, 'EU', 1, 0, 1)",
                [
                    (f"T-{n}", line, chance.choice(self.games), chance.choice(PLATFORMS))
                    for line in range(1, 1 + chance.choice([1, 1, 2]))
                ],
            )
        cursor.executemany(
            "insert into store.play_session (session_id, customer_id, game_id, platform, started_at, location)"
            " values (%s, %s, %s, %s, %s, 'POINT(13.4 52.5)')",
            [
                (f"S-{n}", chance.choice(ids), chance.choice(self.games), chance.choice(PLATFORMS), self.moment())
                for n in range(len(ids) // 3)
            ],
        )
        cursor.executemany(
            "insert into store.notification_rule (rule_id, topic, subject, body, due_kind, due_value, audience,"
            " owned_game, wishlisted_game, enabled) values (%s, %s, 's', 'b', %s, %s, %s, %s, %s, %s)",
            [self.rule(n) for n in range(1, 31)],
        )
        connection.commit()

    def born(self) -> datetime:
        """Return when an account was made: mostly on a 28 or 29 February, or the day before or after."""
        day = self.chance.choice([date(2024, 2, 28), date(2024, 2, 29), date(2025, 2, 28), date(2023, 3, 1)])
        return datetime.combine(day, datetime.min.time(), UTC) + timedelta(
            microseconds=self.chance.choice([0, -1, 86_399_999_999, self.chance.randint(0, 86_399_999_999)])
        )

    def rule(self, n: int) -> tuple[Any, ...]:
        """Return a rule's row: the first few without any condition, one for each event, then of all kinds."""
        chance = self.chance
        kind, value = chance.choice(
            [
                ("date", chance.choice(DAYS).isoformat()),
                ("weekday", WEEKDAYS[chance.choice(DAYS).weekday()]),
                ("month_day", str(chance.choice([1, 27, 28, 29, 30, 31]))),
                ("event", chance.choice(EVENTS)),
            ]
        )
        if n <= 4:
            kind, value = "event", EVENTS[n - 1]
        audience: dict[str, list[str]] = {}
        if n > 4 and chance.random() < 0.4:
            audience["countries"] = chance.sample(["DE", "AT", "FR", "US"], chance.randint(1, 3))
        if n > 4 and chance.random() < 0.4:
            audience["platforms"] = chance.sample(PLATFORMS, chance.randint(1, 2))
        game = chance.choice(["", "A-"]) + chance.choice(self.games)
        owned = game if n > 4 and chance.random() < 0.3 else None
        wished = chance.choice(self.games) if n > 4 and chance.random() < 0.3 else None
        topic = chance.choice(["marketing", "service"])
        return (f"R-{n}", topic, kind, value, Json(audience), owned, wished, chance.random() < 0.9)


def dump(connection: psycopg.Connection[Any]) -> Dump:
    """Return all rows of the tables, as they are."""
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        rows = {name: cursor.execute(f"select * from store.{name}").fetchall() for name in TABLES}
    connection.rollback()
    return rows


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _due(rule: dict[str, Any], day: date) -> bool:
    kind, value = rule["due_kind"], rule["due_value"]
    last = calendar.monthrange(day.year, day.month)[1]
    return {
        "date": lambda: date.fromisoformat(value) == day,
        "weekday": lambda: WEEKDAYS.index(value) == day.weekday(),
        "month_day": lambda: int(value) == day.day or (day.day == last and int(value) > last),
        "event": lambda: True,
    }[kind]()


def expected(rows: Dump, day: date) -> dict[str, tuple[set[int], set[int]]]:
    """Return for each rule that is due on a day the customers it is for, and those of them who have opted out."""
    return {
        rule["rule_id"]: _audience(rows, rule, day)
        for rule in rows["notification_rule"]
        if rule["enabled"] and _due(rule, day)
    }


def _audience(rows: Dump, rule: dict[str, Any], day: date) -> tuple[set[int], set[int]]:
    past = [t for t in rows["transaction"] if _day(t["occurred_at"]) <= day]
    lines = defaultdict(list)
    for line in rows["transaction_line"]:
        lines[line["transaction_id"]].append(line)
    game_of = {alias["alias_id"]: alias["game_id"] for alias in rows["game_alias"]}
    publisher_of = {(r["game_id"], r["platform"]): r["publisher_id"] for r in rows["game_release"]}
    wishes = [w for w in rows["wishlist"] if w["added_at"] is None or _day(w["added_at"]) <= day]

    def bought(customer: int) -> list[dict[str, Any]]:
        return [
            line
            for t in past
            if t["customer_id"] == customer and t["type"] == "sale"
            for line in lines[t["transaction_id"]]
        ]

    def wished(customer: int) -> set[str]:
        return {w["game_id"] for w in wishes if w["customer_id"] == customer}

    def owns(customer: int, game: str) -> bool:
        copies: Counter[str] = Counter()
        for t in past:
            if t["customer_id"] == customer and t["type"] in ("sale", "refund"):
                for line in lines[t["transaction_id"]]:
                    copies[line["game_id"]] += 1 if t["type"] == "sale" else -1
        return copies[game] > 0

    def happened(customer: dict[str, Any]) -> bool:
        who = customer["customer_id"]
        if rule["due_value"] == "game_released":
            return bool(wished(who) & {g["game_id"] for g in rows["game"] if g["release_date"] == day})
        if rule["due_value"] == "refund_processed":
            return any(
                t["type"] == "refund" and t["customer_id"] == who and _day(t["occurred_at"]) == day for t in past
            )
        if rule["due_value"] == "account_anniversary":
            if customer["created_at"] is None or _day(customer["created_at"]).year >= day.year:
                return False
            made = _day(customer["created_at"])
            try:
                return made.replace(year=day.year) == day
            except ValueError:  # 29 February
                return day == date(day.year, 2, 28)
        paid = {
            publisher_of[line["game_id"], line["platform"]]
            for t in past
            if t["type"] == "payout" and _day(t["occurred_at"]) == day
            for line in lines[t["transaction_id"]]
        }
        return bool(paid & {publisher_of[line["game_id"], line["platform"]] for line in bought(who)})

    whom: set[int] = set()
    opted_out: set[int] = set()
    for customer in rows["customer"]:
        who = customer["customer_id"]
        if customer["created_at"] is not None and _day(customer["created_at"]) > day:
            continue
        countries, platforms = rule["audience"].get("countries"), rule["audience"].get("platforms")
        if countries is not None and customer["country_code"] not in countries:
            continue
        if platforms is not None:
            used = {
                s["platform"] for s in rows["play_session"] if s["customer_id"] == who and _day(s["started_at"]) <= day
            } | {line["platform"] for line in bought(who)}
            if not used & set(platforms):
                continue
        if rule["owned_game"] and not owns(who, game_of[rule["owned_game"]]):
            continue
        if rule["wishlisted_game"] and game_of[rule["wishlisted_game"]] not in wished(who):
            continue
        if rule["due_kind"] == "event" and not happened(customer):
            continue
        whom.add(who)
        if rule["topic"] == "marketing" and customer["marketing_opt_in"] is not True:
            opted_out.add(who)
    return whom, opted_out
