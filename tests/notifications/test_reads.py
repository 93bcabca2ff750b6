"""How many have read a notification: marked by the API, counted by the DAG count_reads, on real parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from marketplace import connections
from marketplace.api.inbox import Inbox
from marketplace.notifications import reads
from marketplace.notifications.account import RuleAccount, _told
from marketplace.notifications.reads import Told
from tests.notifications.conftest import DAY, Bench
from tests.runner import Runner

END = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) + timedelta(days=1)
ACCOUNT = (
    "select rule_id, expected, delivered, opted_out, gone, rule_disabled, rule_gone, read"
    " from ops.notification_account where day = %s order by 1"
)


@pytest.fixture
def runner(bench: Bench, airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Airflow, whose connections lead to the test's own store, queues and table."""
    monkeypatch.setattr(connections, "store", lambda *_, **__: bench.connect)
    monkeypatch.setenv("MARKETPLACE_NOTIFICATION_QUEUE_URL", bench.url)
    monkeypatch.setenv("MARKETPLACE_NOTIFICATION_DEAD_LETTER_QUEUE_URL", bench.dead_url)
    monkeypatch.setenv("MARKETPLACE_NOTIFICATION_TABLE", bench.table)
    return Runner(bench.store.platform)


def delivered(bench: Bench, runner: Runner) -> None:
    """Deliver R-1 to four customers, and R-2 to the three of them who have opted in."""
    for rule_id, topic in (("R-1", "service"), ("R-2", "marketing")):
        bench.rule(rule_id, topic=topic)
    bench.execute("update store.notification_rule set due_kind = 'weekday', due_value = 'friday'")
    bench.customers(3)
    bench.customers(1, marketing_opt_in=False)
    run = runner.run("notify_customers", logical_date=END)
    assert run.state == "success"
    assert runner.announced(run) == ["ops.notification_account"]


def mark(bench: Bench, customer: int, rule_id: str, *, read: bool = True) -> None:
    """Do what PATCH /notifications/{id} does."""
    assert Inbox(bench.table).mark(f"CUST-{customer}", f"{DAY}#{rule_id}", read=read)


def test_reads_are_counted_and_a_mark_that_was_taken_back_is_not(bench: Bench, runner: Runner) -> None:
    delivered(bench, runner)
    assert bench.execute(ACCOUNT, DAY) == [("R-1", 4, 4, 0, 0, 0, 0, 0), ("R-2", 4, 3, 1, 0, 0, 0, 0)]
    for customer in (1, 2, 3):
        mark(bench, customer, "R-1")
    mark(bench, 1, "R-1")  # again: still one
    mark(bench, 2, "R-2")
    first = runner.run("count_reads")
    assert runner.results(first, "count") == [{"notifications": 2, "changed": 2, "read": 4}]
    assert runner.announced(first) == ["ops.notification_account"]
    assert [row[-1] for row in bench.execute(ACCOUNT, DAY)] == [3, 1]

    again = runner.run("count_reads")
    assert (runner.states(again), runner.announced(again)) == ({"count": ["skipped"]}, [])

    mark(bench, 3, "R-1", read=False)
    mark(bench, 2, "R-2", read=False)
    assert runner.results(runner.run("count_reads"), "count") == [{"notifications": 2, "changed": 2, "read": 2}]
    assert [row[-1] for row in bench.execute(ACCOUNT, DAY)] == [2, 0]

    # The day's account is written anew; what was read stays counted.
    runner.run("notify_customers", logical_date=END + timedelta(seconds=1))
    assert bench.execute(ACCOUNT, DAY) == [("R-1", 4, 4, 0, 0, 0, 0, 2), ("R-2", 4, 3, 1, 0, 0, 0, 0)]


def test_what_was_found_long_ago_is_counted_when_it_is_asked_for(bench: Bench, runner: Runner) -> None:
    delivered(bench, runner)
    mark(bench, 1, "R-1")
    bench.execute("update ops.notification_due set found_at = now() - interval '31 days'")
    assert runner.states(runner.run("count_reads")) == {"count": ["skipped"]}
    assert runner.results(runner.run("count_reads", days=32), "count") == [
        {"notifications": 2, "changed": 1, "read": 1}
    ]


def test_a_count_adds_up_its_pages_and_never_scans(bench: Bench) -> None:
    dynamodb = boto3.client("dynamodb")
    asked: list[str] = []

    def small_pages(params: dict[str, Any], model: Any, **_: Any) -> None:
        asked.append(model.name)
        params["Limit"] = 2

    dynamodb.meta.events.register("provide-client-params.dynamodb", small_pages)
    for n in range(5):
        for rule_id in ("R-1", "R-10"):
            bench.dynamodb.put_item(
                TableName=bench.table,
                Item={
                    "customer_id": {"S": f"CUST-{n}"},
                    "item": {"S": f"read#{DAY}#{rule_id}"},
                    "read_of": {"S": f"{DAY}#{rule_id}"},
                },
            )
    assert reads.count(dynamodb, bench.table, Told(DAY, "R-1")) == 5
    assert asked == ["Query"] * 3
    assert reads.count(dynamodb, bench.table, Told(DAY, "R-2")) == 0


def test_a_reason_that_has_no_column_is_no_account() -> None:
    account = RuleAccount(1, 1, 1, expected=3, delivered=1, skipped={"gone": 1, "tired": 1})
    with pytest.raises(ValueError, match="skipped by tired: add a column"):
        _told(account)
