"""A seeded marketplace with rules of every kind, and whom they are for, by brute force over a dump of its tables."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.notifications.conftest import Bench

MONDAY = date(2026, 11, 16)
DAYS = [MONDAY + timedelta(days=n) for n in range(5)]
COUNTRIES = ["DE", "AT", "US", "JP", None]
PLATFORMS = ["PC", "Switch", "Xbox"]
PUBLISHERS = [f"P-{n}" for n in range(6)]
GAMES = [f"G-{n:02}" for n in range(20)]

HELLO = "{{ customer.name | default('you') }} ({{ customer.country | default('?') }})"
# By rule: topic, due_kind, due_value, audience, owned game, wishlisted game, enabled, what the body says beside HELLO.
RULES: dict[str, tuple[str, str, str, str, str | None, str | None, bool, str]] = {
    "ALL-16": ("marketing", "month_day", "16", "{}", None, None, True, ""),
    "TUESDAY": ("service", "weekday", "tuesday", '{"countries": ["DE", "AT"]}', None, None, True, ""),
    "ON-18": ("marketing", "date", "2026-11-18", '{"platforms": ["PC", "Switch"]}', None, None, True, ""),
    "OWNED": ("service", "weekday", "thursday", "{}", "G-01", None, True, ""),
    "WISHED": ("marketing", "weekday", "friday", '{"countries": ["DE", "US", "JP"]}', None, "G-02", True, ""),
    "RELEASE": ("marketing", "event", "game_released", "{}", None, None, True,
                ":{% for game in games %} {{ game.title }}{% endfor %}"),
    "REFUND": ("service", "event", "refund_processed", "{}", None, None, True,
               ":{% for refund in refunds %} {{ refund.transaction_id }}{% endfor %}"),
    "BIRTHDAY": ("marketing", "event", "account_anniversary", "{}", None, None, True, ": {{ years }}"),
    "PAYOUT": ("marketing", "event", "publisher_paid", '{"platforms": ["PC"]}', None, None, True,
               ":{% for name in publishers %} {{ name }}{% endfor %}"),
    "EVERYBODY": ("service", "weekday", "wednesday", "{}", None, None, True, ""),
    "DISABLED": ("service", "weekday", "tuesday", "{}", None, None, False, ""),
    "LAST-DAY": ("service", "month_day", "31", "{}", None, None, True, ""),
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What should be in a table: by customer, day and rule its body; and how many had opted out, by day and rule."""

    items: dict[tuple[str, str], str]
    opted_out: dict[str, int]


def fill(bench: Bench, seed: int, customers: int) -> None:
    """Make the marketplace and its rules."""
    chance = random.Random(seed)  # noqa: S311 - reproducible
    _copy(bench, "publisher (publisher_id, name, name_key)", [(p, f"Studio {p}", p.lower()) for p in PUBLISHERS])
    games = [(g, f"Title {g}", g.lower(), chance.choice([*DAYS, DAYS[2], None])) for g in GAMES]
    _copy(bench, "game (game_id, title, title_key, release_date)", games)
    _copy(bench, "game_alias (alias_id, game_id, title, title_key)", [(g, g, t, k) for g, t, k, _ in games])
    releases = [(g, p, chance.choice(PUBLISHERS)) for g in GAMES for p in PLATFORMS]
    _copy(bench, "game_release (game_id, platform, publisher_id)", releases)
    add_customers(bench, chance, customers)
    ids = [customer_id for (customer_id,) in bench.execute("select customer_id from store.customer order by 1")]
    transactions, lines = [], []
    for number in range(2 * customers):
        type_ = chance.choices(["sale", "refund", "payout"], [20, 8, 0.05])[0]
        who = None if type_ == "payout" else chance.choice(ids)
        transaction_id = f"T-{number:06}"
        total = 10 if type_ == "sale" else -10
        transactions.append((transaction_id, type_, _moment(chance), "EUR", total, who))
        for line_no in range(1, chance.choice([2, 2, 3])):
            game, platform, _ = chance.choice(releases)
            lines.append((transaction_id, line_no, game, platform, "EU", total, 0, total))
    columns = "transaction (transaction_id, type, occurred_at, currency, reported_total, customer_id)"
    _copy(bench, columns, transactions)
    columns = "transaction_line (transaction_id, line_no, game_id, platform, region, gross, fee, reported_net)"
    _copy(bench, columns, lines)
    sessions = [
        (f"S-{n:06}", chance.choice(ids), chance.choice(GAMES), chance.choice(PLATFORMS), _moment(chance), "POINT(1 2)")
        for n in range(customers)
    ]
    _copy(bench, "play_session (session_id, customer_id, game_id, platform, started_at, location)", sessions)
    wishes = {
        (chance.choice(ids), chance.choice(GAMES)): chance.choice([_moment(chance), None]) for _ in range(3 * customers)
    }
    _copy(bench, "wishlist (customer_id, game_id, added_at)", [(*key, at) for key, at in wishes.items()])
    for rule_id, (topic, kind, value, audience, owned, wished, enabled, more) in RULES.items():
        bench.execute(
            "insert into store.notification_rule (rule_id, topic, subject, body, locale, due_kind, due_value, audience,"
            " owned_game, wishlisted_game, enabled) values (%s, %s, 'News', %s, 'en', %s, %s, %s::jsonb, %s, %s, %s)",
            rule_id, topic, HELLO + more, kind, value, audience, owned, wished, enabled,
        )  # fmt: skip


def add_customers(bench: Bench, chance: random.Random, count: int) -> None:
    """Add customers, some of whom nobody knows much of."""
    ((before,),) = bench.execute("select count(*) from store.customer")
    rows = []
    for number in range(before + 1, before + count + 1):
        # Many on the days of the test, in other years and in this one.
        day = chance.choice([*DAYS, MONDAY - timedelta(days=chance.randrange(400))])
        created = _at(day.replace(year=day.year - chance.choice([0, 0, 1, 3])), chance)
        name = chance.choice([f"Näme {number}", None])
        opt_in = chance.choice([True, True, True, False, None])
        rows.append((f"CUST-{number:05}", name, chance.choice(COUNTRIES), opt_in, chance.choice([created, None])))
    _copy(bench, "customer (ref, name, country_code, marketing_opt_in, created_at)", rows)


def change(bench: Bench, seed: int) -> None:
    """Change what customers are and want, and take wishes back."""
    chance = random.Random(seed)  # noqa: S311 - reproducible
    refs = [ref for (ref,) in bench.execute("select ref from store.customer order by 1")]
    for statement in (
        "update store.customer set marketing_opt_in = not coalesce(marketing_opt_in, false) where ref = any(%s)",
        "update store.customer set name = name || ' the Second', country_code = 'JP' where ref = any(%s)",
        "delete from store.wishlist as w using store.customer as c"
        " where w.customer_id = c.customer_id and c.ref = any(%s)",
    ):
        bench.execute(statement, chance.sample(refs, len(refs) // 5))
    bench.execute("update store.notification_rule set body = 'Changed: ' || body where rule_id = 'RELEASE'")
    bench.execute("update store.notification_rule set body = substr(body, 10) where rule_id = 'RELEASE'")
    add_customers(bench, chance, 10)


def told(bench: Bench, day: date) -> Told:
    """Return what customers are to be told of a day, by the store as it is now: from rows, without a join."""
    tables = {
        name: [row for (row,) in bench.execute(f"select to_jsonb(t) from store.{name} as t")]
        for name in ("customer", "game", "publisher", "game_release", "transaction", "transaction_line",
                     "play_session", "wishlist")
    }  # fmt: skip
    until = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    since = until - timedelta(days=1)
    lines_of = defaultdict(list)
    for line in tables["transaction_line"]:
        lines_of[line["transaction_id"]].append(line)
    publisher_of = {(r["game_id"], r["platform"]): r["publisher_id"] for r in tables["game_release"]}
    names = {p["publisher_id"]: p["name"] for p in tables["publisher"]}
    titles = {g["game_id"]: g["title"] for g in tables["game"]}
    released = {g["game_id"] for g in tables["game"] if g["release_date"] == day.isoformat()}
    paid, bought, refunded, balance, used, wishes = set(), defaultdict(set), defaultdict(list), defaultdict(int), \
        defaultdict(set), defaultdict(set)  # fmt: skip
    for row in tables["transaction"]:
        at, who, lines = _time(row["occurred_at"]), row["customer_id"], lines_of[row["transaction_id"]]
        if at >= until:
            continue
        for line in lines:
            publisher = publisher_of[line["game_id"], line["platform"]]
            if row["type"] == "payout" and at >= since:
                paid.add(publisher)
            if row["type"] == "sale":
                bought[who].add(publisher)
                used[who].add(line["platform"])
            if row["type"] != "payout":
                balance[who, line["game_id"]] += 1 if row["type"] == "sale" else -1
        if row["type"] == "refund" and at >= since:
            refunded[who].append((at, row["transaction_id"]))
    for row in tables["play_session"]:
        if _time(row["started_at"]) < until:
            used[row["customer_id"]].add(row["platform"])
    for row in tables["wishlist"]:
        if row["added_at"] is None or _time(row["added_at"]) < until:
            wishes[row["customer_id"]].add(row["game_id"])

    def more(rule_id: str, event: str | None, customer: dict[str, Any]) -> str | None:
        """What the event adds to the text; None when there was none for this customer."""
        who = customer["customer_id"]
        if event == "game_released":
            found = sorted(titles[game] for game in wishes[who] & released)
        elif event == "refund_processed":
            found = [transaction for _, transaction in sorted(refunded[who])]
        elif event == "publisher_paid":
            found = sorted(names[publisher] for publisher in bought[who] & paid)
        elif event == "account_anniversary":
            at = _time(customer["created_at"]) if customer["created_at"] else until
            return f": {day.year - at.year}" if (at.month, at.day) == (day.month, day.day) and at < since else None
        else:
            return ""
        return "".join([":", *(f" {text}" for text in found[:20])]) if found else None

    items, opted_out = {}, {}
    for rule_id, (topic, kind, value, audience, owned, wished, enabled, _) in RULES.items():
        due = {"date": day.isoformat(), "weekday": f"{day:%A}".lower(), "month_day": str(day.day), "event": value}
        if not enabled or due[kind] != value:
            continue
        key = f"{day}#{rule_id}"
        opted_out[key] = 0
        for customer in tables["customer"]:
            who = customer["customer_id"]
            added = more(rule_id, value if kind == "event" else None, customer)
            if (
                added is None
                or (customer["created_at"] and _time(customer["created_at"]) >= until)
                or ("countries" in audience and customer["country_code"] not in _quoted(audience))
                or ("platforms" in audience and not used[who] & set(_quoted(audience)))
                or (owned and balance[who, owned] <= 0)
                or (wished and wished not in wishes[who])
            ):
                continue
            if topic == "marketing" and customer["marketing_opt_in"] is not True:
                opted_out[key] += 1
            else:
                hello = f"{customer['name'] or 'you'} ({customer['country_code'] or '?'})"
                items[customer["ref"], key] = hello + added
    return Told(items, opted_out)


def _quoted(audience: str) -> Iterator[str]:
    """The values in an audience: what stands between quotes, but for its key."""
    return iter(audience.split('"')[3::2])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _at(day: date, chance: random.Random) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=chance.randrange(86_400))


def _moment(chance: random.Random) -> datetime:
    """A moment on one of the days, or before or after them; now and then exactly midnight."""
    day = MONDAY + timedelta(days=chance.randrange(-3, 7))
    return _at(day, chance) if chance.random() < 0.9 else datetime(day.year, day.month, day.day, tzinfo=UTC)


def _copy(bench: Bench, columns: str, rows: list[tuple[Any, ...]]) -> None:
    with bench.owner() as connection, connection.cursor().copy(f"copy store.{columns} from stdin".encode()) as copy:
        for row in rows:
            copy.write_row(row)
