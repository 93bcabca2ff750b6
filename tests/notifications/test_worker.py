"""One worker: what it writes, what it leaves, and what becomes of messages that are not as they should be."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import replace
from threading import Timer
from typing import Any

import boto3
import psycopg
import pytest
from botocore.exceptions import ClientError

from local.supervisor import wait_for, wait_until
from marketplace.notifications import chunks, facts
from marketplace.notifications.chunks import LeaseLostError
from marketplace.notifications.inbox import CAP_S, CLIENT, Inbox, InboxBusyError
from marketplace.notifications.queue import Order, Queue
from tests.notifications.conftest import DAY, QUICK, Bench, held
from tests.notifications.throttle import Throttled

KEY = f"{DAY}#RULE-1"


def test_each_customer_gets_one_item_with_all_that_the_api_needs(bench: Bench) -> None:
    bench.rule(body="Hello {{ customer.name }} 🌟")
    order = bench.chunk(bench.customers(3))
    work = bench.drain()
    items = bench.items()
    assert set(items) == {(f"CUST-{n}", KEY) for n in (1, 2, 3)}
    item = items["CUST-2", KEY]
    assert item.pop("stored_at")[:2] == "20"
    assert item == {
        "day": "2026-11-20", "rule_id": "RULE-1", "topic": "service", "locale": "en", "subject": "News",
        "body": "Hello Ada 🌟", "expires_at": "1829692800",
    }  # fmt: skip
    assert time.gmtime(1829692800)[:3] == (2027, 12, 25)  # 400 days later
    assert (work.chunks, work.delivered, work.skipped, work.failed) == (1, 3, 0, 0)
    assert bench.chunk_states() == [("done", 3, {}, None)]
    assert bench.waiting() == 0
    assert bench.execute("select attempts, lease_until from ops.notification_chunk where chunk_id = %s",
                         order.chunk_id) == [(1, None)]  # fmt: skip


def test_who_has_opted_out_since_or_is_gone_is_skipped_and_counted(bench: Bench) -> None:
    bench.rule(topic="marketing")
    bench.chunk(bench.customers(5))
    bench.execute("update store.customer set marketing_opt_in = false where ref = 'CUST-1'")
    bench.execute("update store.customer set marketing_opt_in = null where ref = 'CUST-2'")
    bench.execute("delete from store.customer where ref = 'CUST-3'")
    bench.drain()
    assert set(bench.items()) == {("CUST-4", KEY), ("CUST-5", KEY)}
    assert bench.chunk_states() == [("done", 2, {"opted_out": 2, "gone": 1}, None)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("delete from store.notification_rule", "rule_gone"),
        ("update store.notification_rule set enabled = false", "rule_disabled"),
    ],
)
def test_a_rule_that_was_taken_back_is_not_delivered(bench: Bench, change: str, reason: str) -> None:
    bench.rule()
    bench.chunk(bench.customers(2))
    bench.execute(change)
    bench.drain()
    assert bench.items() == {}
    assert bench.chunk_states() == [("done", 0, {reason: 2}, None)]


def test_a_message_that_comes_again_changes_nothing(bench: Bench) -> None:
    bench.rule()
    order = bench.chunk(bench.customers(2))
    bench.drain()
    before = bench.items()
    bench.execute("update store.notification_rule set body = 'Other'")
    bench.queue.send([order, order])
    with closing(bench.connect()) as connection:
        worker = bench.worker(connection)
        for _ in range(2):
            (message,) = bench.queue.receive(wait_s=0, hidden_s=30)
            worker.handle(message)
    assert (bench.items(), bench.waiting(), worker.work.chunks) == (before, 0, 0)


def test_a_later_attempt_keeps_what_an_earlier_one_has_written(bench: Bench) -> None:
    """The first worker ended half way; then the text, two customers and what they want changed."""
    bench.rule(topic="marketing")
    order = bench.chunk(bench.customers(4))
    assert held(bench, order, seconds=0.01).attempts == 1
    written = {"customer_id": {"S": "CUST-1"}, "item": {"S": KEY}, "body": {"S": "as it was said"}}
    bench.dynamodb.put_item(TableName=bench.table, Item=written)
    bench.dynamodb.put_item(TableName=bench.table, Item=written | {"customer_id": {"S": "CUST-3"}})
    bench.execute("update store.notification_rule set body = 'Another text'")
    bench.execute("update store.customer set marketing_opt_in = false where ref in ('CUST-3', 'CUST-4')")
    bench.drain()
    bodies = {ref: item["body"] for (ref, _), item in bench.items().items()}
    assert bodies == {"CUST-1": "as it was said", "CUST-2": "Another text", "CUST-3": "as it was said"}
    assert bench.chunk_states() == [("done", 3, {"opted_out": 1}, None)]


def test_a_chunk_that_another_worker_holds_is_left_to_it(bench: Bench) -> None:
    bench.rule()
    order = bench.chunk(bench.customers(1))
    held(bench, order, seconds=60)
    with closing(bench.connect()) as connection:
        worker = bench.worker(connection)
        (message,) = bench.queue.receive(wait_s=0, hidden_s=1)
        worker.handle(message)
        assert bench.items() == {}
        # It is hidden for as long as the other may take, and not for the second that it was received for.
        assert bench.queue.receive(wait_s=2, hidden_s=1) == []
    assert bench.waiting() == 1


def test_the_lease_and_the_message_are_kept_while_the_work_takes_longer(bench: Bench) -> None:
    bench.rule()
    order = bench.chunk(bench.customers(60))
    limits = replace(QUICK, lease_s=2, margin_s=1.5)
    client = boto3.client("dynamodb", config=CLIENT)
    client.meta.events.register("before-send.dynamodb.BatchWriteItem", lambda **_: time.sleep(0.8))
    with closing(bench.connect()) as connection:
        worker = bench.worker(connection, limits, bench.inbox(client))
        (message,) = bench.queue.receive(wait_s=0, hidden_s=2)
        begun = time.monotonic()
        worker.handle(message)
        assert time.monotonic() - begun > 2
        assert bench.queue.receive(wait_s=0, hidden_s=2) == []
    assert bench.chunk_states() == [("done", 60, {}, None)]
    assert bench.execute("select attempts from ops.notification_chunk") == [(1,)]
    assert order.rule_id == "RULE-1"


def test_who_lost_the_lease_writes_nothing_more_and_ends_nothing(bench: Bench) -> None:
    bench.rule()
    order = bench.chunk(bench.customers(1), send=False)
    mine = held(bench, order, seconds=0.01)
    wait_until(lambda: mine.left_s < 0, 10, lambda: "the lease does not end")
    theirs = held(bench, order)
    with closing(bench.connect()) as connection:
        for end in (
            lambda: chunks.renew(connection, mine, 60),
            lambda: chunks.finish(connection, mine, chunks.Outcome(1, {})),
            lambda: chunks.fail(connection, mine, "x"),
            lambda: chunks.release(connection, mine, "x"),
        ):
            with pytest.raises(LeaseLostError, match="rule RULE-1, chunk 1 of 2026-11-20: another worker has taken"):
                end()
        assert theirs.attempts == 2
        chunks.finish(connection, theirs, chunks.Outcome(1, {}))
    assert bench.chunk_states() == [("done", 1, {}, None)]


def test_no_request_is_made_when_the_lease_is_lost_half_way(bench: Bench) -> None:
    bench.rule()
    order = bench.chunk(bench.customers(60))
    client = boto3.client("dynamodb", config=CLIENT)
    requests: list[Any] = []

    def steal(**_: Any) -> None:
        """The first request takes longer than the lease, and another worker comes."""
        requests.append(_)
        if len(requests) == 1:
            with closing(bench.connect()) as other:
                wait_for(lambda: chunks.take(other, order, "another", 60), 10, lambda: "the lease does not end")

    client.meta.events.register("before-send.dynamodb.BatchWriteItem", steal)
    with closing(bench.connect()) as connection:
        worker = bench.worker(connection, replace(QUICK, lease_s=0.5, margin_s=0.2), bench.inbox(client))
        (message,) = bench.queue.receive(wait_s=0, hidden_s=30)
        worker.handle(message)
    assert len(requests) == 1
    assert (worker.work.chunks, bench.chunk_states()[0][0]) == (0, "queued")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not json", "the body is not JSON"),
        ("[]", "the version is None, and this worker knows 1"),
        ('{"version": 2}', "the version is 2, and this worker knows 1"),
        ('{"version": 1, "day": "2026-02-30", "rule_id": "R", "chunk_id": 1}', "the day is '2026-02-30'"),
        ('{"version": 1, "day": "2026-11-20", "rule_id": "R", "chunk_id": "1"}', "the chunk_id '1'"),
        ('{"version": 1, "day": "2026-11-20", "rule_id": "R", "chunk_id": true}', "the chunk_id True"),
        (Order(DAY, "RULE-1", 999_999).body(), "there is no chunk 999999 of rule RULE-1 on 2026-11-20"),
        ('{"version": 1, "day": "2026-11-20", "rule_id": "R\\u0000", "chunk_id": 1}', "the rule_id is 'R\\x00'"),
        ('{"version": 1, "day": "2026-11-20", "rule_id": "R\\ud800", "chunk_id": 1}', "the rule_id is 'R\\ud800'"),
    ],
)  # fmt: skip
def test_a_message_that_is_none_goes_to_the_dead_letters_with_its_reason_and_stops_nobody(
    bench: Bench, body: str, reason: str
) -> None:
    bench.rule()
    bench.send_raw(body)
    bench.chunk(bench.customers(1))
    work = bench.drain()
    ((buried, why),) = bench.dead()
    assert (buried, work.buried, work.delivered, bench.waiting()) == (body, 1, 1, 0)
    assert reason in why


def test_a_message_that_names_another_rule_than_its_chunk_is_none(bench: Bench) -> None:
    bench.rule()
    order = bench.chunk(bench.customers(1), send=False)
    bench.queue.send([replace(order, rule_id="RULE-2"), order])
    bench.drain()
    assert [reason for _, reason in bench.dead()] == [
        f"there is no chunk {order.chunk_id} of rule RULE-2 on 2026-11-20"
    ]
    assert bench.chunk_states() == [("done", 1, {}, None)]


def test_a_rule_with_a_wrong_text_fails_by_its_line_and_all_others_are_delivered(bench: Bench) -> None:
    customers = bench.customers(2)
    wrong = {
        "RULE-A": ("Hi\n{{ custommer.name }}", "body, line 2: unknown variable custommer"),
        "RULE-B": ("{% for i in range(10**9) %}{% endfor %}", "body, line 1: a call is not allowed here"),
        "RULE-C": ("{{ customer.__class__.__mro__ }}", "body, line 1: unknown variable"),
        "RULE-D": ("{% if %}", "body, line 1: Expected an expression"),
    }
    for rule_id, (body, _) in wrong.items():
        bench.chunk(customers, bench.rule(rule_id, body))
    bench.chunk(customers, bench.rule("RULE-1"))
    work = bench.drain()
    assert set(bench.items()) == {("CUST-1", KEY), ("CUST-2", KEY)}
    *failed, good = bench.chunk_states()
    assert good == ("done", 2, {}, None)
    for (rule_id, (_, reason)), (state, delivered, _, error) in zip(wrong.items(), failed, strict=True):
        assert (state, delivered) == ("failed", 0)
        assert error.startswith(f"rule {rule_id}, {reason}")
    assert (work.failed, bench.waiting(), bench.dead()) == (4, 0, [])


def test_a_chunk_that_fails_again_and_again_goes_to_the_dead_letters_with_its_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.rule("RULE-2")
    poison = bench.chunk(bench.customers(1), "RULE-2")
    bench.chunk(bench.customers(1), bench.rule("RULE-1"))
    read = facts.facts

    def facts_of(connection: Any, rule: Any, *rest: Any) -> Any:
        if rule.rule_id == "RULE-2":
            raise ZeroDivisionError("nobody thought of this")
        return read(connection, rule, *rest)

    monkeypatch.setattr(facts, "facts", facts_of)
    work = bench.drain()
    error = "received 6 times: attempt 5: ZeroDivisionError: nobody thought of this"
    assert bench.dead() == [(poison.body(), f"rule RULE-2, chunk 1 of 2026-11-20: {error}")]
    assert bench.chunk_states() == [("failed", 0, {}, error), ("done", 1, {}, None)]
    assert (work.delivered, work.failed) == (1, 1)


def test_a_chunk_whose_workers_all_end_goes_to_the_dead_letters(bench: Bench) -> None:
    bench.rule()
    order = bench.chunk(bench.customers(1))
    for _ in range(QUICK.max_receives):
        (message,) = bench.queue.receive(wait_s=1, hidden_s=0)
        held(bench, order, seconds=0)  # and nothing more is heard of it
    bench.drain()
    error = "received 6 times: no worker came to an end with it, and none could say why"
    assert bench.chunk_states() == [("failed", 0, {}, error)]
    assert [reason for _, reason in bench.dead()] == [f"rule RULE-1, chunk 1 of 2026-11-20: {error}"]
    assert json.loads(message.body)["chunk_id"] == order.chunk_id


def test_what_is_nobodys_fault_ends_the_worker_and_leaves_the_chunk(bench: Bench) -> None:
    bench.rule()
    bench.chunk(bench.customers(1))
    wrong_table = bench.inbox()
    wrong_table._table = "no-such-table"
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        bench.drain(inbox=wrong_table)
    ((state, _, _, error),) = bench.chunk_states()
    assert state == "queued"
    assert error.startswith("attempt 1: ResourceNotFoundException: ")
    bench.drain()
    assert bench.chunk_states() == [("done", 1, {}, None)]


def test_a_worker_whose_database_goes_away_ends(bench: Bench) -> None:
    bench.rule()
    bench.chunk(bench.customers(1))
    with closing(bench.connect()) as connection:
        worker = bench.worker(connection)
        connection.execute("select 1")
        connection.commit()
        with psycopg.connect(bench.store.url("postgres")) as superuser:
            superuser.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            worker.drain(DAY)
    assert bench.waiting() == 1


def test_what_the_table_leaves_unprocessed_is_written_later(bench: Bench) -> None:
    bench.rule()
    bench.chunk(bench.customers(110))
    throttled = Throttled(lambda request, items: (None, items // 2, items, 0)[request % 4])
    assert bench.drain(inbox=bench.inbox(throttled.client)).delivered == 110
    assert len(bench.items()) == 110
    assert throttled.requests > 8


def test_a_table_that_takes_nothing_is_given_up_after_a_while(bench: Bench) -> None:
    bench.rule()
    bench.chunk(bench.customers(3))
    pauses: list[float] = []
    inbox = Inbox(Throttled(lambda _request, _items: None).client, bench.table, sleep=pauses.append)
    with pytest.raises(InboxBusyError, match=r"took none of 3 items for 9 times"):
        bench.drain(inbox=inbox)
    assert len(pauses) == 8
    assert 0 < max(pauses) <= CAP_S
    assert len(set(pauses)) == 8
    assert bench.chunk_states()[0][:2] == ("queued", 0)


def test_a_message_that_is_lost_is_sent_again(bench: Bench) -> None:
    bench.rule()
    bench.chunk(bench.customers(2), send=False)
    bench.execute("update ops.notification_chunk set queued_at = now() - interval '1 minute'")
    work = bench.drain()
    assert (work.sent_again, work.delivered) == (1, 2)
    assert bench.chunk_states() == [("done", 2, {}, None)]


def test_a_worker_waits_for_who_holds_a_chunk_and_takes_over_when_nothing_more_is_heard(bench: Bench) -> None:
    bench.rule()
    order = bench.chunk(bench.customers(1), send=False)
    held(bench, order, seconds=2)
    begun = time.monotonic()
    work = bench.drain(limits=replace(QUICK, patience_s=0.5))
    assert time.monotonic() - begun > 2
    assert (work.sent_again, work.chunks) == (1, 1)


def test_a_worker_that_waits_for_anothers_last_chunk_waits_for_no_message(bench: Bench) -> None:
    bench.rule()
    order = bench.chunk(bench.customers(1), send=False)
    theirs = held(bench, order)

    def finish() -> None:
        with closing(bench.connect()) as connection:
            chunks.finish(connection, theirs, chunks.Outcome(1, {}))

    begun, other = time.monotonic(), Timer(0.5, finish)
    other.start()
    work = bench.drain(limits=replace(QUICK, wait_s=20))
    other.join()
    assert 0.5 <= time.monotonic() - begun < 10
    assert work.chunks == 0
    assert bench.chunk_states() == [("done", 1, {}, None)]


def test_a_worker_gives_up_when_nothing_moves(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.rule()
    bench.chunk(bench.customers(1), send=False)
    bench.execute("update ops.notification_chunk set queued_at = now() - interval '1 minute'")
    monkeypatch.setattr(Queue, "send", lambda _queue, _orders: None)  # what is sent never comes
    begun = time.monotonic()
    work = bench.drain(limits=replace(QUICK, patience_s=0.5))
    assert 1 < time.monotonic() - begun < 20
    assert (work.sent_again, work.chunks) == (1, 0)
    assert bench.chunk_states() == [("queued", 0, {}, None)]


def test_a_worker_helps_other_days_and_ends_with_its_own(bench: Bench) -> None:
    bench.rule()
    customers = bench.customers(2)
    other = DAY.replace(day=19)
    bench.chunk(customers, day=other)
    bench.chunk(customers, day=DAY)
    work = bench.drain(DAY)
    assert DAY in work.days
    assert bench.drain(other).delivered + work.delivered == 4
    assert len(bench.items()) == 4
