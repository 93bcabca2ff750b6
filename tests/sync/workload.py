"""Writers who change the store at once, in every way that its schema leaves open, as role store_writer.

What a writer does (which statements with which values, how long it stays in a transaction and how it ends it) follows
from the seed and the writer's number alone, never from what the database answers: `plans` is that list. How the
transactions of several writers meet is left to the machine. A statement that the schema or a lock refuses is part of
it: the savepoint or the transaction around it is rolled back, as any client would.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import psycopg
from psycopg import sql

WRITERS = 8
# A row that another holds for seconds is left alone, or the writers would mostly wait for one another.
LOCK_TIMEOUT = "100ms"
# What may go wrong when others change the same rows, or the rows that are referred to. Nothing else may.
REFUSED = (
    psycopg.IntegrityError,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)

# Few keys, so that the writers meet. The first half is referred to by other tables; the rest is free to be deleted.
PUBLISHERS, GAMES, RELEASED, CUSTOMERS, TRANSACTIONS, SESSIONS, RULES = 40, 60, 10, 60, 120, 300, 30
PLATFORMS = ("PC", "PlayStation 5", "Switch", "Größe\t|")
# What is hard on its way through CSV, and in the comparison afterwards. No trailing blanks: Redshift ignores them.
TEXTS = (
    "", "NULL", "@NULL@", "\\N", "@N@", "~", "=", "!", "!!p|", "\\", "\\\\n", '"', '""', "'", ",", "a,b",
    'say "hi", twice', "one\ntwo", "one\r\ntwo", "\ttab", " leading", "Ärger", "日本語のタイトル",
    "\U0001f3ae\U0001f469\u200d\U0001f469\u200d\U0001f467", "e\u0301", "\u00e9", "\ufeffbom", "{}", "0", "t", "nan",
    "\x01\x1f\x7f", "-- x", "%s %(a)s", "$1", "<b>&amp;</b>", "\u2028", "x" * 60,
)  # fmt: skip
AUDIENCES: tuple[dict[str, list[str]], ...] = (
    {},
    {"platforms": ['é"\\\n|~', "", "PC"]},
    {"platforms": ["日本"], "countries": ["DE", "AT"]},
)
LOCALES = ("de", "de-AT", "日本")
AMOUNTS = ("0", "0.0001", "9.99", "19.9900", "1234.5678", "99999999999999.9999", "70")

Kind = Literal["insert", "update", "delete", "key update", "upsert", "copy", "merge"]


@dataclass(frozen=True)
class Change:
    """A statement that writes; `rows` are those of a COPY."""

    kind: Kind
    statement: str
    values: tuple[Any, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True)
class Pause:
    """Time in which the transaction stays open."""

    seconds: float


@dataclass(frozen=True)
class Savepoint:
    """The beginning of a savepoint, or its end: released or rolled back."""

    statement: Literal["savepoint s", "release savepoint s", "rollback to savepoint s"]


Ending = Literal["commit", "rollback", "commit prepared", "rollback prepared"]


@dataclass(frozen=True)
class Plan:
    """A transaction: how it begins, what it does, how it ends.

    A prepared one is left for `held` transactions more of the same writer, and ended after them.
    """

    begin: str
    steps: tuple[Change | Pause | Savepoint, ...]
    ending: Ending
    held: int
    pause_after: float


# ------------------------------------------------------------------------------------------------ what is drawn


class Draw:
    """Keys and values by chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def key(self, prefix: str, of: int, *, free: bool | None = None) -> str:
        """Return a key: one of the half that others refer to (free=False), of the other half (True), or of all."""
        low, high = {None: (1, of), False: (1, of // 2), True: (of // 2 + 1, of)}[free]
        number = self.chance.randint(low, high)
        # Some keys have what is hard to write down.
        return f'{prefix}-"{number}\\é,' if number % 10 == 0 else f"{prefix}-{number}"

    def publisher(self, *, free: bool | None = None) -> str:
        return self.key("P", PUBLISHERS, free=free)

    def game(self, *, free: bool | None = None) -> str:
        return self.key("G", GAMES, free=free)

    def released(self) -> str:
        """Return one of the few games that releases are reported of, so that a line finds its release."""
        return self.key("G", RELEASED)

    def customer(self, *, free: bool | None = None) -> str:
        return self.key("CUST", CUSTOMERS, free=free)

    def transaction(self) -> str:
        return self.key("T", TRANSACTIONS)

    def session(self) -> str:
        return self.key("S", SESSIONS)

    def rule(self) -> str:
        return self.key("R", RULES)

    def platform(self) -> str:
        return self.chance.choice(PLATFORMS)

    def text(self) -> str:
        if self.chance.random() < 0.6:
            return self.chance.choice(TEXTS)
        return "".join(self.chance.choices("abcxyz ÄÖü€😀", k=self.chance.randint(1, 40))).strip()

    def maybe(self, value: Any) -> Any:
        return None if self.chance.random() < 0.2 else value

    def lineage(self) -> tuple[int | None, int | None]:
        return self.maybe(self.chance.randint(1, 2**62)), self.maybe(self.chance.randint(1, 10**6))

    def day(self) -> date:
        return date(1950, 1, 1) + timedelta(days=self.chance.randint(0, 55_000))

    def moment(self) -> datetime:
        seconds = self.chance.choice((0, self.chance.randint(0, 4_102_444_799)))
        microseconds = self.chance.choice((0, 1, 999_999, 500_000, self.chance.randint(0, 999_999)))
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)

    def amount(self) -> Decimal:
        return Decimal(self.chance.choice(AMOUNTS))

    def point(self) -> str:
        longitude = self.chance.choice((0.0, 180.0, -180.0, -0.00000049, self.chance.uniform(-180, 180)))
        latitude = self.chance.choice((0.0, 90.0, -90.0, 12.3456785, self.chance.uniform(-90, 90)))
        return f"SRID=4326;POINT({longitude!r} {latitude!r})"


# -------------------------------------------------------------------------------------------- what a writer does


def report_publisher(draw: Draw) -> list[Change]:
    publisher = draw.publisher()
    # Now and then the name of another: the deferred constraint refuses the commit.
    named = publisher if draw.chance.random() < 0.95 else draw.publisher()
    return [
        Change(
            "upsert",
            "insert into store.publisher (publisher_id, name, name_key, country_code, load_id, load_line)"
            " values (%s, %s, %s, %s, %s, %s) on conflict (publisher_id) do update set name = excluded.name,"
            " name_key = excluded.name_key, country_code = excluded.country_code, load_id = excluded.load_id,"
            " load_line = excluded.load_line",
            (publisher, draw.text(), f"name of {named}", draw.maybe("DE"), *draw.lineage()),
        ),
        Change(
            "upsert",
            "insert into store.publisher_alias (alias_id, publisher_id, name, name_key, load_id, load_line)"
            " values (%s, %s, %s, %s, %s, %s) on conflict (alias_id) do update set"
            " publisher_id = excluded.publisher_id, name = excluded.name, load_id = excluded.load_id",
            (draw.publisher(), publisher, draw.text(), f"name of {named}", *draw.lineage()),
        ),
    ]


def merge_publishers(draw: Draw) -> list[Change]:
    """One stands for the other from now on: a cascade by hand, over a deferred and an immediate foreign key."""
    gone, stays = draw.publisher(), draw.publisher()
    return [
        Change("delete", "delete from store.publisher_alias where publisher_id = %s and alias_id = %s", (gone, gone)),
        Change("update", "update store.publisher_alias set publisher_id = %s where publisher_id = %s", (stays, gone)),
        Change("update", "update store.game_release set publisher_id = %s where publisher_id = %s", (stays, gone)),
        Change("delete", "delete from store.publisher where publisher_id = %s", (gone,)),
    ]


def rename_publisher(draw: Draw) -> list[Change]:
    old, new = draw.publisher(free=True), draw.publisher(free=True)
    return [
        # The row that is referred to goes first: until the commit the aliases hang in the air.
        Change("key update", "update store.publisher set publisher_id = %s where publisher_id = %s", (new, old)),
        Change("update", "update store.publisher_alias set publisher_id = %s where publisher_id = %s", (new, old)),
        Change("key update", "update store.publisher_alias set alias_id = %s where alias_id = %s", (new, old)),
    ]


def report_game(draw: Draw) -> list[Change]:
    game = draw.game()
    return [
        Change(
            "upsert",
            "insert into store.game (game_id, title, title_key, release_date, genre, load_id, load_line)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict (game_id) do update set title = excluded.title,"
            " title_key = excluded.title_key, release_date = excluded.release_date, genre = excluded.genre",
            (game, draw.text(), draw.text(), draw.maybe(draw.day()), draw.maybe("RPG"), *draw.lineage()),
        ),
        Change(
            "upsert",
            "insert into store.game_alias (alias_id, game_id, title, title_key, release_date, load_id, load_line)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict (alias_id) do update set game_id = excluded.game_id,"
            " title = excluded.title",
            (draw.game(), game, draw.text(), draw.text(), draw.maybe(draw.day()), *draw.lineage()),
        ),
    ]


def swap_games(draw: Draw) -> list[Change]:
    """Two games get each other's key: both old keys stay in use, with other values."""
    left, right = draw.game(free=True), draw.game(free=True)
    rekey = "update store.game set game_id = %s where game_id = %s"
    return [
        Change("key update", rekey, ("G-swap", left)),
        Change("key update", rekey, (left, right)),
        Change("key update", rekey, (right, "G-swap")),
    ]


def delete_game(draw: Draw) -> list[Change]:
    game = draw.game(free=True)
    return [
        Change("delete", "delete from store.game where game_id = %s", (game,)),
        Change("delete", "delete from store.game_alias where game_id = %s", (game,)),
    ]


def rename_aliases(draw: Draw) -> list[Change]:
    return [
        Change(
            "key update", "update store.game_alias set alias_id = %s where alias_id = %s", (draw.game(), draw.game())
        )
    ]


def report_release(draw: Draw) -> list[Change]:
    return [
        Change(
            "upsert",
            "insert into store.game_release (game_id, platform, publisher_id, load_id, load_line)"
            " values (%s, %s, %s, %s, %s) on conflict (game_id, platform) do update set"
            " publisher_id = excluded.publisher_id, load_line = excluded.load_line",
            (draw.released(), draw.platform(), draw.publisher(free=False), *draw.lineage()),
        )
    ]


def move_release(draw: Draw) -> list[Change]:
    game = draw.released()
    return [
        Change(
            "key update",
            "update store.game_release set platform = %s where game_id = %s and platform = %s",
            (draw.platform(), game, draw.platform()),
        )
    ]


def delete_release(draw: Draw) -> list[Change]:
    release = (draw.released(), draw.platform())
    return [
        Change("delete", "delete from store.transaction_line where game_id = %s and platform = %s", release),
        Change("delete", "delete from store.game_release where game_id = %s and platform = %s", release),
    ]


def report_customer(draw: Draw) -> list[Change]:
    return [
        Change(
            "upsert",
            "insert into store.customer (ref, name, email, locale, time_zone, country_code, marketing_opt_in,"
            " created_at, load_id, load_line) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (ref) do update set name = excluded.name, email = excluded.email,"
            " marketing_opt_in = excluded.marketing_opt_in, created_at = excluded.created_at",
            (
                draw.customer(), draw.maybe(draw.text()), draw.maybe(draw.text()), draw.maybe("de-AT"),
                draw.maybe("Europe/Vienna"), draw.maybe("AT"), draw.maybe(draw.chance.random() < 0.5),
                draw.maybe(draw.moment()), *draw.lineage(),
            ),
        )
    ]  # fmt: skip


def mention_customer(draw: Draw) -> list[Change]:
    return [Change("insert", "insert into store.customer (ref) values (%s) on conflict do nothing", (draw.customer(),))]


def number_customer_anew(draw: Draw) -> list[Change]:
    """The only other value that an identity column takes is its next one."""
    return [
        Change(
            "key update", "update store.customer set customer_id = default where ref = %s", (draw.customer(free=True),)
        )
    ]


def forget_customer(draw: Draw) -> list[Change]:
    """Everything of a customer goes: a cascade by hand."""
    ref = draw.customer()
    of = "customer_id = (select c.customer_id from store.customer as c where c.ref = %s)"
    return [
        Change("delete", f"delete from store.wishlist where {of}", (ref,)),
        Change("delete", f"delete from store.play_session where {of}", (ref,)),
        Change(
            "delete",
            "delete from store.transaction_line where transaction_id in"
            f" (select t.transaction_id from store.transaction as t where t.{of})",
            (ref,),
        ),
        Change("delete", f"delete from store.transaction where {of}", (ref,)),
        Change("delete", "delete from store.customer where ref = %s", (ref,)),
    ]


def wish(draw: Draw) -> list[Change]:
    either = draw.chance.choice(("do nothing", "(customer_id, game_id) do update set added_at = excluded.added_at"))
    return [
        Change(
            "upsert",
            "insert into store.wishlist (customer_id, game_id, added_at, load_id, load_line)"
            " select c.customer_id, %s, %s, %s, %s from store.customer as c where c.ref = %s"
            f" on conflict {either}",
            (draw.game(free=False), draw.maybe(draw.moment()), *draw.lineage(), draw.customer(free=False)),
        )
    ]


def wish_otherwise(draw: Draw) -> list[Change]:
    return [
        Change(
            "key update",
            "update store.wishlist set game_id = %s where game_id = %s and customer_id in"
            " (select c.customer_id from store.customer as c where c.ref = %s)",
            (draw.game(free=False), draw.game(free=False), draw.customer(free=False)),
        )
    ]


def wish_no_more(draw: Draw) -> list[Change]:
    return [Change("delete", "delete from store.wishlist where game_id = %s", (draw.game(free=False),))]


def sell(draw: Draw) -> list[Change]:
    transaction = draw.transaction()
    kind = draw.chance.choice(("sale", "sale", "refund"))
    total = draw.amount() * (1 if kind == "sale" else -1)
    changes = [
        Change(
            "upsert",
            "insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total, customer_id,"
            " load_id, load_line) select %s, %s, %s, %s, %s, c.customer_id, %s, %s from store.customer as c"
            " where c.ref = %s on conflict (transaction_id) do update set type = excluded.type,"
            " occurred_at = excluded.occurred_at, reported_total = excluded.reported_total,"
            " customer_id = excluded.customer_id",
            (transaction, kind, draw.moment(), "EUR", total, *draw.lineage(), draw.customer(free=False)),
        )
    ]
    for line in range(1, draw.chance.randint(1, 4)):
        changes.append(
            Change(
                "upsert",
                "insert into store.transaction_line (transaction_id, line_no, game_id, platform, region, gross, fee,"
                " reported_net, load_id, load_line) select %s, %s, r.game_id, r.platform, %s, %s, %s, %s, %s, %s"
                " from store.game_release as r where r.game_id = %s and r.platform = %s"
                " on conflict (transaction_id, line_no) do update set gross = excluded.gross, fee = excluded.fee,"
                " region = excluded.region",
                (
                    transaction, line, draw.chance.choice(("EU", "US", "日本")), draw.amount(), draw.amount(),
                    -draw.amount(), *draw.lineage(), draw.released(), draw.platform(),
                ),
            )
        )  # fmt: skip
    return changes


def pay_out(draw: Draw) -> list[Change]:
    return [
        Change(
            "upsert",
            "insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total)"
            " values (%s, 'payout', %s, 'USD', %s) on conflict (transaction_id) do update set"
            " type = excluded.type, reported_total = excluded.reported_total, customer_id = null",
            (draw.transaction(), draw.moment(), -draw.amount()),
        )
    ]


def number_lines_anew(draw: Draw) -> list[Change]:
    by = draw.chance.choice((1, 1000))
    return [
        Change(
            "key update",
            "update store.transaction_line set line_no = line_no + %s where transaction_id = %s and line_no < 1000",
            (by, draw.transaction()),
        )
    ]


def rename_transaction(draw: Draw) -> list[Change]:
    old, new = draw.transaction(), draw.transaction()
    columns = "type, occurred_at, currency, reported_total, customer_id, load_id, load_line"
    return [
        Change(
            "insert",
            f"insert into store.transaction (transaction_id, {columns})"
            f" select %s, {columns} from store.transaction where transaction_id = %s",
            (new, old),
        ),
        Change(
            "key update", "update store.transaction_line set transaction_id = %s where transaction_id = %s", (new, old)
        ),
        Change("delete", "delete from store.transaction where transaction_id = %s", (old,)),
    ]


def cancel(draw: Draw) -> list[Change]:
    transaction = draw.transaction()
    return [
        Change("delete", "delete from store.transaction_line where transaction_id = %s", (transaction,)),
        Change("delete", "delete from store.transaction where transaction_id = %s", (transaction,)),
    ]


_SESSION = "session_id, customer_id, game_id, platform, started_at, duration_s, location, load_id, load_line"


def play(draw: Draw) -> list[Change]:
    return [
        Change(
            "upsert",
            f"insert into store.play_session ({_SESSION}) select %s, c.customer_id, %s, %s, %s, %s, %s, %s, %s"
            " from store.customer as c where c.ref = %s on conflict (session_id) do update set"
            " duration_s = excluded.duration_s, location = excluded.location, started_at = excluded.started_at",
            (
                draw.session(), draw.game(free=False), draw.platform(), draw.moment(),
                draw.maybe(draw.chance.randint(0, 2**31 - 1)), draw.point(), *draw.lineage(),
                draw.customer(free=False),
            ),
        )
    ]  # fmt: skip


def play_longer(draw: Draw) -> list[Change]:
    """Rows of several transactions in one statement."""
    return [
        Change(
            "update",
            "update store.play_session set duration_s = mod(coalesce(duration_s, 0), 1000000) + 1 where game_id = %s",
            (draw.game(free=False),),
        )
    ]


def rename_session(draw: Draw) -> list[Change]:
    return [
        Change(
            "key update",
            "update store.play_session set session_id = %s where session_id = %s",
            (draw.session(), draw.session()),
        )
    ]


def erase_session(draw: Draw) -> list[Change]:
    return [Change("delete", "delete from store.play_session where session_id = %s", (draw.session(),))]


def copy_rules(draw: Draw) -> list[Change]:
    """Rows that go and come again in one transaction, some with other values, by COPY."""
    keys = sorted({draw.rule() for _ in range(draw.chance.randint(1, 8))})
    return [
        Change("delete", "delete from store.notification_rule where rule_id = any(%s)", (keys,)),
        Change(
            "copy",
            "copy store.notification_rule (rule_id, topic, subject, body, due_kind, due_value, audience, load_id)"
            " from stdin",
            rows=tuple(
                (
                    key, "marketing", draw.text(), draw.text(), "date", draw.day().isoformat(),
                    json.dumps(draw.chance.choice(AUDIENCES)), draw.lineage()[0],
                )
                for key in keys
            ),
        ),
    ]  # fmt: skip


def merge_rule(draw: Draw) -> list[Change]:
    return [
        Change(
            "merge",
            "merge into store.notification_rule as r using (values (%s, %s, %s)) as v (rule_id, body, audience)"
            " on r.rule_id = v.rule_id"
            " when matched and r.enabled then update set body = v.body, audience = v.audience::jsonb, enabled = false"
            " when matched then delete"
            " when not matched then insert (rule_id, topic, subject, body, due_kind, due_value, audience)"
            " values (v.rule_id, 'service', '', v.body, 'weekday', 'monday', v.audience::jsonb)",
            (draw.rule(), draw.text(), json.dumps(draw.chance.choice(AUDIENCES))),
        )
    ]


def rename_rule(draw: Draw) -> list[Change]:
    return [
        Change(
            "key update",
            "update store.notification_rule set rule_id = %s, locale = %s where rule_id = %s",
            (draw.rule(), draw.maybe(draw.chance.choice(LOCALES)), draw.rule()),
        )
    ]


def translate_rule(draw: Draw) -> list[Change]:
    return [
        Change(
            "upsert",
            "insert into store.notification_text (rule_id, locale, subject, body, load_id, load_line)"
            " values (%s, %s, %s, %s, %s, %s)"
            " on conflict (rule_id, locale) do update set subject = excluded.subject, body = excluded.body",
            (draw.rule(), draw.chance.choice(LOCALES), draw.text(), draw.text(), *draw.lineage()),
        )
    ]


def relabel_text(draw: Draw) -> list[Change]:
    return [
        Change(
            "key update",
            "update store.notification_text set locale = %s where rule_id = %s and locale = %s",
            (draw.chance.choice(LOCALES), draw.rule(), draw.chance.choice(LOCALES)),
        )
    ]


# How often each is chosen, beside the others.
ACTIONS: dict[Callable[[Draw], list[Change]], int] = {
    report_publisher: 6, merge_publishers: 1, rename_publisher: 3,
    report_game: 8, swap_games: 2, delete_game: 2, rename_aliases: 2,
    report_release: 8, move_release: 4, delete_release: 4,
    report_customer: 8, mention_customer: 2, number_customer_anew: 2, forget_customer: 1,
    wish: 6, wish_otherwise: 2, wish_no_more: 1,
    sell: 10, pay_out: 2, number_lines_anew: 2, rename_transaction: 2, cancel: 3,
    play: 10, play_longer: 2, rename_session: 3, erase_session: 4,
    copy_rules: 2, merge_rule: 3, rename_rule: 2, translate_rule: 4, relabel_text: 1,
}  # fmt: skip
ENDINGS: dict[Ending, int] = {"commit": 76, "rollback": 12, "commit prepared": 8, "rollback prepared": 4}
BEGINNINGS = {"begin": 8, "begin isolation level repeatable read": 1, "begin isolation level serializable": 1}


def plans(seed: int, writer: int) -> Iterator[Plan]:
    """Yield the transactions of a writer, without end."""
    chance = random.Random(f"{seed} {writer}")  # noqa: S311 - nobody guards anything with it
    draw = Draw(chance)
    while True:
        steps: list[Change | Pause | Savepoint] = []
        lingers = chance.random() < 0.02
        for _ in range(chance.randint(1, 4)):
            (action,) = chance.choices(list(ACTIONS), list(ACTIONS.values()))
            changes: list[Change | Pause | Savepoint] = list(action(draw))
            if chance.random() < 0.3:
                end: Any = chance.choice(("release savepoint s", "rollback to savepoint s"))
                changes = [Savepoint("savepoint s"), *changes, Savepoint(end)]
            steps += changes
            if chance.random() < 0.2:
                steps.append(Pause(chance.uniform(0.0, 0.05)))
        if lingers:
            steps.insert(chance.randint(1, len(steps)), Pause(chance.uniform(1.0, 3.0)))
        (begin,) = chance.choices(list(BEGINNINGS), list(BEGINNINGS.values()))
        (ending,) = chance.choices(list(ENDINGS), list(ENDINGS.values()))
        yield Plan(begin, tuple(steps), ending, chance.randint(0, 20), chance.uniform(0.0, 0.02))


# ------------------------------------------------------------------------------------------------- carrying it out


@dataclass
class Account:
    """What the writers have done: statements by kind, transactions by ending, and what was refused by its reason."""

    statements: Counter[str] = field(default_factory=Counter)
    transactions: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


class Writer(threading.Thread):
    """Carries out the plans of one writer until it is told to stop."""

    def __init__(self, url: str, seed: int, number: int, stop: threading.Event) -> None:
        super().__init__(name=f"writer {number}")
        self.account = Account()
        self.error: Exception | None = None
        self._url, self._plans, self._number, self._stop_asked = url, plans(seed, number), number, stop
        self._prepared: list[tuple[int, str, Ending]] = []

    def run(self) -> None:
        """Work; an error that must not happen is kept for whoever started this."""
        try:
            options = f"-c lock_timeout={LOCK_TIMEOUT}"
            with psycopg.connect(self._url, autocommit=True, options=options) as connection:
                for number, plan in enumerate(self._plans):
                    self.carry_out(connection, plan, number)
                    self.end_prepared(connection, number)
                    if self._stop_asked.wait(plan.pause_after):
                        break
                self.end_prepared(connection)
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits for this one
            self.error = error

    def carry_out(self, connection: psycopg.Connection[Any], plan: Plan, number: int) -> None:
        """Carry out a plan, the writer's transaction `number`."""
        connection.execute(plan.begin)
        in_savepoint = False
        for step in plan.steps:
            match step:
                case Pause(seconds):
                    self._stop_asked.wait(seconds)
                case Savepoint(statement):
                    connection.execute(statement)
                    in_savepoint = statement == "savepoint s"
                case Change():
                    try:
                        self._write(connection, step)
                    except REFUSED as error:
                        self._note(error)
                        if not in_savepoint:
                            connection.execute("rollback")
                            self.account.transactions["refused"] += 1
                            return
                        connection.execute("rollback to savepoint s")
        self._end(connection, plan, number)

    def _write(self, connection: psycopg.Connection[Any], change: Change) -> None:
        if change.rows:
            with connection.cursor().copy(change.statement) as copy:
                for row in change.rows:
                    copy.write_row(row)
        else:
            connection.execute(change.statement, change.values)
        self.account.statements[change.kind] += 1

    def _end(self, connection: psycopg.Connection[Any], plan: Plan, number: int) -> None:
        is_prepared = plan.ending.endswith("prepared")
        name = f"{connection.info.dbname}-{self._number}-{number}"
        try:
            connection.execute(f"prepare transaction '{name}'" if is_prepared else plan.ending)
        except REFUSED as error:  # deferred constraints, and serializable ones
            self._note(error)
            self.account.transactions["refused"] += 1
            return
        if is_prepared:
            self._prepared.append((number + plan.held, name, plan.ending))
        else:
            self.account.transactions[plan.ending] += 1

    def end_prepared(self, connection: psycopg.Connection[Any], number: int | None = None) -> None:
        """End the prepared transactions that have been held long enough by transaction `number`; by default, all."""
        due = [held for held in self._prepared if number is None or held[0] <= number]
        for held in due:
            _, name, ending = held
            connection.execute(f"{ending} '{name}'")
            self._prepared.remove(held)
            self.account.transactions[ending] += 1

    def _note(self, error: psycopg.Error) -> None:
        self.account.refused[type(error).__name__] += 1


class Workload:
    """Writers at work."""

    def __init__(self, writers: list[Writer]) -> None:
        self._writers = writers

    def check(self) -> None:
        """Raise what a writer has come to grief over."""
        for writer in self._writers:
            if writer.error:
                raise writer.error

    @property
    def account(self) -> Account:
        """Return what all have done so far."""
        total = Account()
        for writer in self._writers:
            total.statements.update(writer.account.statements)
            total.transactions.update(writer.account.transactions)
            total.refused.update(writer.account.refused)
        return total


@contextmanager
def at_work(url: str, seed: int, writers: int = WRITERS) -> Iterator[Workload]:
    """Have writers change the store at `url` (of store_writer) until the block ends; then nothing is left open."""
    stop = threading.Event()
    threads = [Writer(url, seed, number, stop) for number in range(writers)]
    with ExitStack() as ended:
        ended.callback(_roll_back_prepared, url)
        for thread in threads:
            thread.start()
            ended.callback(thread.join)
        ended.callback(stop.set)
        workload = Workload(threads)
        yield workload
    workload.check()


def _roll_back_prepared(url: str) -> None:
    """Roll back what a writer that came to grief has left prepared: the database could not be dropped."""
    with psycopg.connect(url, autocommit=True) as connection:
        left = connection.execute("select gid from pg_prepared_xacts where database = current_database()").fetchall()
        for (name,) in left:
            connection.execute(sql.SQL("rollback prepared {}").format(sql.Literal(name)))


def fill(url: str, seed: int, transactions: int = 400) -> None:
    """Carry out the first transactions of a writer of its own, so that the others begin with something to change."""
    never = threading.Event()
    never.set()  # no pause is waited for
    writer = Writer(url, seed, WRITERS, never)
    with psycopg.connect(url, autocommit=True, options=f"-c lock_timeout={LOCK_TIMEOUT}") as connection:
        for number, plan in enumerate(itertools.islice(plans(seed, WRITERS), transactions)):
            writer.carry_out(connection, plan, number)
            writer.end_prepared(connection, number)
        writer.end_prepared(connection)
