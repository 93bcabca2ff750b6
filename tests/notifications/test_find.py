"""What is due on a day and for whom, beside what a second reckoning says that shares no query with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from marketplace.notifications import account, days, facts, find
from tests.notifications import world

DAY = date(2026, 2, 28)  # a Saturday
SEEDS = [1, 2, 3]


@pytest.fixture
def open_store(fresh_store: Any) -> Iterator[Callable[[], psycopg.Connection]]:
    """Opens connections to an empty store as its writer."""
    opened: list[psycopg.Connection] = []

    def connect() -> psycopg.Connection:
        opened.append(psycopg.connect(fresh_store.url("store_writer")))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def store(open_store: Callable[[], psycopg.Connection]) -> psycopg.Connection:
    return open_store()


def chunks(connection: psycopg.Connection, day: date) -> dict[str, list[list[int]]]:
    """Return the chunks of each rule of a day, in their order."""
    rows = connection.execute(
        "select rule_id, customers from ops.notification_chunk where day = %s order by rule_id, chunk_no", [day]
    ).fetchall()
    found: dict[str, list[list[int]]] = {}
    for rule, customers in rows:
        found.setdefault(rule, []).append(customers)
    return found


def add_customers(connection: psycopg.Connection, number: int, **columns: Any) -> list[int]:
    """Add customers who have opted in, and return their ids."""
    row = {"country_code": "DE", "marketing_opt_in": True, "created_at": None} | columns
    added = connection.execute(
        "insert into store.customer (ref, name, country_code, marketing_opt_in, created_at)"
        " select 'CUST-' || lpad((n + (select count(*) from store.customer))::text, 4, '0'), 'Name ' || n,"
        " %(country_code)s, %(marketing_opt_in)s, %(created_at)s from generate_series(1, %(number)s) as n"
        " returning customer_id",
        row | {"number": number},
    ).fetchall()
    connection.commit()
    return [customer for (customer,) in added]


def add_rule(connection: psycopg.Connection, rule_id: str, **columns: Any) -> None:
    row = {
        "topic": "marketing", "due_kind": "date", "due_value": DAY.isoformat(), "audience": "{}", "owned_game": None,
        "wishlisted_game": None, "enabled": True, "rule_id": rule_id,
    } | columns  # fmt: skip
    connection.execute(
        "insert into store.notification_rule (rule_id, topic, subject, body, due_kind, due_value, audience,"
        " owned_game, wishlisted_game, enabled) values (%(rule_id)s, %(topic)s, 'subject', 'body', %(due_kind)s,"
        " %(due_value)s, %(audience)s, %(owned_game)s, %(wishlisted_game)s, %(enabled)s)",
        row,
    )
    connection.commit()


def finish_chunks(connection: psycopg.Connection, where: str = "true") -> None:
    """Do to chunks what a worker does that has delivered all of them."""
    connection.execute(
        "update ops.notification_chunk set state = 'done', queued_at = coalesce(queued_at, now()),"
        f" delivered = cardinality(customers), finished_at = now(), attempts = attempts + 1 where {where}"
    )
    connection.commit()


# ------------------------------------------------------------------------------------------------- when


@pytest.mark.parametrize(
    ("kind", "value", "due"),
    [
        ("date", "2026-02-28", [date(2026, 2, 28)]),
        ("date", "2026-02-30", []),
        ("weekday", "saturday", [date(2026, 2, 28)]),
        ("weekday", "sunday", [date(2026, 3, 1)]),
        ("month_day", "28", [date(2026, 2, 28), date(2028, 2, 28)]),
        ("month_day", "29", [date(2026, 2, 28), date(2028, 2, 29)]),
        ("month_day", "31", [date(2026, 2, 28), date(2028, 2, 29), date(2026, 4, 30)]),
        ("month_day", "1", [date(2026, 3, 1)]),
    ],
)
def test_a_rule_is_due_on_its_days(kind: str, value: str, due: list[date]) -> None:
    asked = [date(2026, 2, 27), DAY, date(2026, 3, 1), date(2028, 2, 28), date(2028, 2, 29), date(2026, 4, 30)]
    assert [day for day in asked if days.is_due(kind, value, day)] == due


def test_another_kind_of_due_is_an_error() -> None:
    with pytest.raises(ValueError, match="not by 'hour'"):
        days.is_due("hour", "1", DAY)


# ------------------------------------------------------------------------------------------------- for whom


@pytest.mark.parametrize("seed", SEEDS)
def test_whom_it_finds_is_what_a_second_reckoning_says(store: psycopg.Connection, seed: int) -> None:
    world.World(seed).fill(store)
    rows = world.dump(store)
    notified = opted_out = 0
    for day in world.DAYS:
        wanted = world.expected(rows, day)
        found = {one.rule_id: one for one in find.plan(store, day)}
        assert {rule: (one.customers, one.opted_out) for rule, one in found.items()} == {
            rule: (len(whom), len(out)) for rule, (whom, out) in wanted.items()
        }
        frozen = chunks(store, day)
        assert {rule: [who for chunk in of for who in chunk] for rule, of in frozen.items()} == {
            rule: sorted(whom - out) for rule, (whom, out) in wanted.items() if whom - out
        }
        notified += sum(len(whom - out) for whom, out in wanted.values())
        opted_out += sum(len(out) for _, out in wanted.values())
        # Nothing of what is said depends on the rest: each customer who was found has facts, and nobody else has.
        everybody = [row["customer_id"] for row in rows["customer"]]
        for rule_id in (f"R-{n}" for n in range(1, 5)):
            rule = facts.rule(store, rule_id)
            assert rule is not None
            if rule_id in wanted:
                told = facts.facts(store, rule, day, everybody)
                # Who came later may have an anniversary of before: the day's audience has them not.
                there = {
                    row["customer_id"]
                    for row in rows["customer"]
                    if row["created_at"] is None or row["created_at"].astimezone(UTC).date() <= day
                }
                assert {one.customer_id for one in told if one.customer_id in there} == wanted[rule_id][0]
                assert {one.customer_id for one in told if one.opted_in} & wanted[rule_id][1] == set()
    assert (notified > 1000, opted_out > 300) == (True, True), (notified, opted_out)


def test_each_of_a_rules_conditions_must_hold(store: psycopg.Connection) -> None:
    germans = add_customers(store, 3)
    add_customers(store, 2, country_code="AT")
    add_rule(store, "R-1", audience='{"countries": ["DE"], "platforms": ["PC"]}')
    store.execute("insert into store.game (game_id, title, title_key) values ('G-1', 'One', 'one')")
    store.execute(
        "insert into store.play_session (session_id, customer_id, game_id, platform, started_at, location)"
        " select 'S-' || customer_id, customer_id, 'G-1', 'PC', '2026-02-28 23:59:59Z', 'POINT(1 2)'"
        " from store.customer where customer_id <> %s",
        [germans[1]],
    )
    (found,) = find.plan(store, DAY)
    assert found == find.Found("R-1", customers=2, opted_out=0, chunks=1, is_new=True)
    assert chunks(store, DAY) == {"R-1": [[germans[0], germans[2]]]}


# ------------------------------------------------------------------------------------------------- once


def test_chunks_have_at_most_a_thousand_customers_each_once(store: psycopg.Connection) -> None:
    ids = add_customers(store, 2001)
    out = add_customers(store, 5, marketing_opt_in=False) + add_customers(store, 2, marketing_opt_in=None)
    add_rule(store, "R-1")
    add_rule(store, "R-2", topic="service")
    assert find.plan(store, DAY) == [
        find.Found("R-1", 2008, 7, 3, is_new=True),
        find.Found("R-2", 2008, 0, 3, is_new=True),
    ]
    assert chunks(store, DAY) == {
        "R-1": [ids[:1000], ids[1000:2000], ids[2000:]],
        "R-2": [ids[:1000], ids[1000:2000], ids[2000:] + out],
    }


def test_what_was_found_stays_whatever_changes(store: psycopg.Connection) -> None:
    add_customers(store, 3)
    add_rule(store, "R-1")
    add_rule(store, "R-2", audience='{"countries": ["FR"]}')
    find.plan(store, DAY)
    before = chunks(store, DAY)
    add_customers(store, 4)
    add_customers(store, 1, country_code="FR")
    store.execute("update store.customer set marketing_opt_in = false where customer_id = (select min(customer_id)"
                  " from store.customer)")  # fmt: skip
    add_rule(store, "R-3")
    again = find.plan(store, DAY)
    # A rule that came since is found now; one that was for nobody stays so.
    assert again == [
        find.Found("R-1", 3, 0, 1),
        find.Found("R-2", 0, 0, 0),
        find.Found("R-3", 8, 1, 1, is_new=True),
    ]
    assert {rule: of for rule, of in chunks(store, DAY).items() if rule != "R-3"} == before
    assert [len(of[0]) for of in chunks(store, date(2026, 3, 7)).values()] == []


def test_two_runs_of_a_day_and_one_of_another_at_once_find_each_rule_once(
    open_store: Callable[[], psycopg.Connection],
) -> None:
    connection = open_store()
    ids = add_customers(connection, 1500)
    for n in range(1, 9):
        add_rule(connection, f"R-{n}", due_kind="weekday", due_value="saturday" if n % 2 else "sunday")
    found: list[tuple[date, list[find.Found]]] = []

    def run(own: psycopg.Connection, day: date) -> None:
        found.append((day, find.plan(own, day)))

    sunday = date(2026, 3, 1)
    threads = [threading.Thread(target=run, args=(open_store(), day)) for day in (DAY, DAY, sunday, sunday, DAY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 5
    for day, rules in ((DAY, (1, 3, 5, 7)), (sunday, (2, 4, 6, 8))):
        news = [one.rule_id for of, all_found in found if of == day for one in all_found if one.is_new]
        assert sorted(news) == [f"R-{n}" for n in rules]
        assert chunks(connection, day) == {f"R-{n}": [ids[:1000], ids[1000:]] for n in rules}


def test_only_the_rules_that_are_asked_for_are_found(store: psycopg.Connection) -> None:
    add_customers(store, 1)
    for rule in ("R-1", "R-2", "R-10"):
        add_rule(store, rule)
    assert [one.rule_id for one in find.plan(store, DAY, ["R-10", "R-2"])] == ["R-2", "R-10"]
    assert [one.rule_id for one in find.to_send(store, DAY, ["R-2"])] == ["R-2"]
    with pytest.raises(find.UnknownRuleError, match=r"no rule R-3, R-4\. There are: R-1, R-2, R-10\."):
        find.plan(store, DAY, ["R-4", "R-1", "R-3"])


# ------------------------------------------------------------------------------------------------- again


def test_what_is_not_done_is_sent_again_and_nothing_else(store: psycopg.Connection) -> None:
    add_customers(store, 4000)
    add_rule(store, "R-1")
    find.plan(store, DAY)
    sent = find.to_send(store, DAY)
    assert [(one.rule_id, one.chunk_no, one.customers) for one in sent] == [("R-1", n, 1000) for n in (1, 2, 3, 4)]
    find.mark_queued(store, [one.chunk_id for one in sent])
    assert find.to_send(store, DAY) == []
    finish_chunks(store, "chunk_no = 1")
    store.execute(
        "update ops.notification_chunk set state = 'failed', error = 'no', lease_until = case chunk_no"
        " when 4 then now() + interval '1 minute' end where chunk_no in (2, 4)"
    )
    find.plan(store, DAY)
    # Of the failed ones that which nobody works on any more; the third has its message still.
    assert find.to_send(store, DAY) == [sent[1]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("update store.notification_rule set enabled = false where rule_id = 'R-1'", "rule_disabled"),
        ("delete from store.notification_rule where rule_id = 'R-1'", "rule_gone"),
    ],
)
def test_chunks_of_a_rule_that_was_withdrawn_end(store: psycopg.Connection, change: str, reason: str) -> None:
    add_customers(store, 2500)
    add_rule(store, "R-1")
    add_rule(store, "R-2")
    find.plan(store, DAY)
    finish_chunks(store, "rule_id = 'R-1' and chunk_no = 1")
    store.execute(
        "update ops.notification_chunk set state = 'failed', error = 'line 3', delivered = 10"
        " where rule_id = 'R-1' and chunk_no = 2"
    )
    store.execute(change)
    assert [one.rule_id for one in find.plan(store, DAY)] == ["R-1", "R-2"]
    assert {one.rule_id for one in find.to_send(store, DAY)} == {"R-2"}
    found = account.account(store, DAY, ["R-1"])
    assert (found.found, found.processed, found.expected, found.delivered) == (3, 3, 2500, 1010)
    assert (found.skipped, found.problems) == ({reason: 1490}, [])


# ------------------------------------------------------------------------------------------------- before


def test_a_preview_says_what_would_be_found_and_writes_nothing(store: psycopg.Connection) -> None:
    world.World(7).fill(store)
    before = world.dump(store)
    previews = {one.rule_id: one for one in find.preview(store, DAY)}
    assert store.execute("select count(*) from ops.notification_due").fetchone() == (0,)
    store.rollback()
    found = {one.rule_id: one for one in find.plan(store, DAY)}
    frozen = chunks(store, DAY)
    assert {(p.rule_id, p.customers, p.opted_out, p.chunks) for p in previews.values()} == {
        (f.rule_id, f.customers, f.opted_out, f.chunks) for f in found.values()
    }
    for rule, preview in previews.items():
        first = frozen.get(rule, [[]])[0][: find.SAMPLES]
        assert [one.customer_id for one in preview.samples] == first
    assert sum(len(preview.samples) for preview in previews.values()) > 15
    assert world.dump(store) == before


# ------------------------------------------------------------------------------------------------- facts


@pytest.fixture
def told(store: psycopg.Connection) -> psycopg.Connection:
    """A store with two customers, to whom all kinds of things happen on the day."""
    store.execute(
        """
        insert into store.customer (customer_id, ref, name, locale, time_zone, country_code, marketing_opt_in,
        created_at) overriding system value values
        (1, 'CUST-0001', 'Ada', 'de-AT', 'Europe/Vienna', 'AT', true, '2024-02-29 23:00Z'),
        (2, 'CUST-0002', null, null, null, null, null, null);
        insert into store.publisher (publisher_id, name, name_key) values ('P-1', 'Valve', 'v'), ('P-2', 'Acme', 'a');
        insert into store.game (game_id, title, title_key, release_date) values
        ('G-1', 'Starforge', 's', '2026-02-28'), ('G-2', 'Aurora', 'a', '2026-02-28'), ('G-3', 'Old', 'o', null);
        insert into store.game_release (game_id, platform, publisher_id) values
        ('G-1', 'PC', 'P-1'), ('G-2', 'PC', 'P-2'), ('G-3', 'PC', 'P-1');
        insert into store.wishlist (customer_id, game_id, added_at) values
        (1, 'G-1', null), (1, 'G-2', '2026-02-28 23:59:59Z'), (1, 'G-3', null), (2, 'G-1', '2026-03-01 00:00Z');
        insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total, customer_id)
        values ('T-1', 'refund', '2026-02-28 10:00Z', 'EUR', -9.5, 1), ('T-2', 'refund', '2026-02-28 00:00Z', 'USD',
        -20, 1), ('T-3', 'refund', '2026-03-01 00:00Z', 'USD', -1, 1), ('T-4', 'sale', '2026-01-01Z', 'EUR', 5, 1),
        ('T-5', 'payout', '2026-02-28 12:00Z', 'EUR', -70, null);
        insert into store.transaction_line (transaction_id, line_no, game_id, platform, region, gross, fee,
        reported_net) values ('T-4', 1, 'G-1', 'PC', 'EU', 5, 1, 4), ('T-4', 2, 'G-3', 'PC', 'EU', 5, 1, 4),
        ('T-5', 1, 'G-1', 'PC', 'EU', -50, 0, -50), ('T-5', 2, 'G-2', 'PC', 'EU', -20, 0, -20);
        """
    )
    return store


NOBODY = facts.Facts(2, "CUST-0002", None, None, None, None, opted_in=False, event={})
ADA = facts.Facts(1, "CUST-0001", "Ada", "de-AT", "Europe/Vienna", "AT", opted_in=True, event={})


def happened(connection: psycopg.Connection, event: str | None) -> list[facts.Facts]:
    rule = facts.Rule("R-1", "marketing", "", "", None, event, enabled=True, texts={})
    return facts.facts(connection, rule, DAY, [3, 2, 1])


def test_who_is_gone_has_no_facts_and_opting_in_depends_on_the_topic(told: psycopg.Connection) -> None:
    assert happened(told, None) == [ADA, NOBODY]
    rule = facts.Rule("R-1", "service", "", "", None, None, enabled=True, texts={})
    assert facts.facts(told, rule, DAY, [2]) == [replace(NOBODY, opted_in=True)]


def test_the_facts_of_each_event(told: psycopg.Connection) -> None:
    games = [{"title": "Aurora", "release_date": DAY}, {"title": "Starforge", "release_date": DAY}]
    assert happened(told, "game_released") == [replace(ADA, event={"games": games})]
    midnight = datetime(2026, 2, 28, tzinfo=UTC)
    refunds = [
        {"transaction_id": "T-2", "amount": 20, "currency": "USD", "occurred_at": midnight},
        {
            "transaction_id": "T-1",
            "amount": Decimal("9.5"),
            "currency": "EUR",
            "occurred_at": midnight.replace(hour=10),
        },
    ]
    assert happened(told, "refund_processed") == [replace(ADA, event={"refunds": refunds})]
    assert happened(told, "account_anniversary") == [replace(ADA, event={"years": 2})]
    assert happened(told, "publisher_paid") == [replace(ADA, event={"publishers": ["Valve"]})]


def test_lists_are_cut_off(told: psycopg.Connection) -> None:
    told.execute(
        "insert into store.game (game_id, title, title_key, release_date)"
        " select 'X-' || n, 'Game ' || lpad(n::text, 3, '0'), '', '2026-02-28' from generate_series(1, 50) as n"
    )
    told.execute("insert into store.wishlist (customer_id, game_id) select 1, game_id from store.game"
                 " where game_id like 'X-%'")  # fmt: skip
    (ada,) = happened(told, "game_released")
    assert [game["title"] for game in ada.event["games"]] == ["Aurora", *(f"Game {n:03}" for n in range(1, 20))]


def test_a_rule_comes_with_its_texts(store: psycopg.Connection) -> None:
    add_rule(store, "R-1", due_kind="event", due_value="publisher_paid")
    add_rule(store, "R-2", enabled=False)
    store.execute("insert into store.notification_text (rule_id, locale, subject, body) values"
                  " ('R-1', 'de', 'Betreff', 'Text'), ('R-1', 'de-AT', 'Servus', E'zwei\nZeilen')")  # fmt: skip
    assert facts.rule(store, "R-1") == facts.Rule(
        "R-1", "marketing", "subject", "body", None, "publisher_paid", enabled=True,
        texts={"de": facts.Text("Betreff", "Text"), "de-AT": facts.Text("Servus", "zwei\nZeilen")},
    )  # fmt: skip
    assert facts.rule(store, "R-2") == facts.Rule(
        "R-2", "marketing", "subject", "body", None, None, enabled=False, texts={}
    )
    assert facts.rule(store, "R-3") is None


# ------------------------------------------------------------------------------------------------- the account


@pytest.fixture
def found(store: psycopg.Connection) -> psycopg.Connection:
    """2,500 customers who have opted in and 7 who have not; two rules with three chunks each, one for nobody."""
    add_customers(store, 2500)
    add_customers(store, 7, marketing_opt_in=None)
    add_rule(store, "R-1")
    add_rule(store, "R-2")
    add_rule(store, "R-3", audience='{"countries": ["FR"]}')
    find.plan(store, DAY)
    return store


def test_a_day_that_is_done_adds_up(found: psycopg.Connection) -> None:
    finish_chunks(found)
    found.execute("update ops.notification_chunk set delivered = 498, skipped = '{\"gone\": 1, \"opted_out\": 1}'"
                  " where chunk_no = 3 and rule_id = 'R-1'")  # fmt: skip
    counted = account.account(found, DAY)
    assert counted == account.Account(
        found=6, queued=6, processed=6, expected=5014, delivered=4998, skipped={"gone": 1, "opted_out": 15},
        rules={
            "R-1": account.RuleAccount(3, 3, 3, 2507, 2498, {"gone": 1, "opted_out": 8}),
            "R-2": account.RuleAccount(3, 3, 3, 2507, 2500, {"opted_out": 7}),
            "R-3": account.RuleAccount(0, 0, 0, 0, 0, {}),
        },
        problems=[],
    )  # fmt: skip
    account.start(found, DAY, "first")
    account.finish(found, DAY, "first", counted)
    account.start(found, DAY, "second")
    assert found.execute("select run_id, status, finished_at from ops.notification_run").fetchall() == [
        ("second", "running", None)
    ]
    account.finish(found, DAY, "second", counted)
    assert found.execute(
        "select day, run_id, status, found, queued, processed, expected, delivered, skipped, rules -> 'R-2'"
        " from ops.notification_run where finished_at is not null"
    ).fetchall() == [
        (
            DAY, "second", "done", 6, 6, 6, 5014, 4998, {"gone": 1, "opted_out": 15},
            {"found": 3, "queued": 3, "processed": 3, "expected": 2507, "delivered": 2500, "skipped": {"opted_out": 7}},
        )
    ]  # fmt: skip


def test_what_is_missing_is_named_by_rule_and_chunk(found: psycopg.Connection) -> None:
    finish_chunks(found, "rule_id = 'R-1' and chunk_no > 1")
    found.execute("update ops.notification_chunk set queued_at = now(), attempts = 2 where rule_id = 'R-1'"
                  " and chunk_no = 1")  # fmt: skip
    found.execute("update ops.notification_chunk set state = 'failed', error = 'body, line 3: no such', attempts = 1,"
                  " queued_at = now() where rule_id = 'R-2' and chunk_no < 3")  # fmt: skip
    counted = account.account(found, DAY)
    assert (counted.found, counted.queued, counted.processed, counted.delivered) == (6, 5, 2, 1500)
    assert counted.problems == [
        "rule R-1, chunk 1: its message was sent, and it is not done after 2 attempts",
        "rule R-2, chunk 1: failed after 1 attempts: body, line 3: no such",
        "rule R-2, chunk 2: failed after 1 attempts: body, line 3: no such",
        "rule R-2, chunk 3: its message was not sent",
    ]
    account.finish(found, DAY, "run", counted)
    assert found.execute("select status, processed from ops.notification_run").fetchall() == [("failed", 2)]


def test_of_a_rule_that_fails_as_a_whole_a_few_chunks_are_named(store: psycopg.Connection) -> None:
    add_customers(store, 5500)
    add_rule(store, "R-1")
    find.plan(store, DAY)
    store.execute("update ops.notification_chunk set state = 'failed', error = 'no', attempts = 1")
    assert account.account(store, DAY).problems == [
        f"rule R-1, chunk {n}: failed after 1 attempts: no (and 3 more chunks)" for n in (1, 2, 3)
    ]


def test_chunks_that_are_gone_are_missed(found: psycopg.Connection) -> None:
    finish_chunks(found)
    found.execute("delete from ops.notification_chunk where rule_id = 'R-2' and chunk_no = 2")
    assert account.account(found, DAY).problems == ["rule R-2: 3 chunks were found, and 2 are there"]


def test_a_day_on_which_nothing_is_due_is_done(store: psycopg.Connection) -> None:
    counted = account.account(store, DAY)
    assert counted == account.Account(0, 0, 0, 0, 0, {}, {}, [])
    account.finish(store, DAY, "run", counted)
    assert store.execute("select status from ops.notification_run").fetchall() == [("done",)]


# ------------------------------------------------------------------------------------------------- long ago


def test_old_chunks_go_and_the_account_stays(found: psycopg.Connection) -> None:
    finish_chunks(found)
    found.execute("update ops.notification_chunk set delivered = 499, skipped = '{\"gone\": 1}' where chunk_no = 3")
    before = account.account(found, DAY)
    found.commit()
    assert find.prune(found, timedelta(days=40)) == 0
    found.execute("update ops.notification_due set found_at = now() - interval '41 days' where rule_id <> 'R-2'")
    assert find.prune(found, timedelta(days=40)) == 2
    assert list(chunks(found, DAY)) == ["R-2"]
    assert account.account(found, DAY) == before
    # And what is pruned is not found anew.
    assert [one.is_new for one in find.plan(found, DAY)] == [False, False, False]
    assert find.to_send(found, DAY) == []
    assert account.account(found, DAY) == before
    assert find.prune(found, timedelta(days=40)) == 0


def test_what_was_not_done_before_it_was_pruned_is_told(found: psycopg.Connection) -> None:
    finish_chunks(found, "rule_id <> 'R-2' or chunk_no = 1")
    found.execute("update ops.notification_due set found_at = now() - interval '41 days'")
    assert find.prune(found, timedelta(days=40)) == 3
    assert account.account(found, DAY).problems == ["rule R-2: 2 of 3 chunks were not done when they were pruned"]


def test_pruning_goes_on_until_nothing_old_is_left(store: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "PRUNED_AT_ONCE", 2)
    add_customers(store, 1)
    for n in range(5):
        add_rule(store, f"R-{n}")
    find.plan(store, DAY)
    assert find.prune(store, timedelta(0)) == 5
    assert chunks(store, DAY) == {}
