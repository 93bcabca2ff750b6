"""The DAGs notify_customers and redrive_notifications as Airflow runs them, in this process, on real parts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from marketplace import connections
from tests.notifications.conftest import DAY, Bench
from tests.runner import Runner

DAG, REDRIVE = "notify_customers", "redrive_notifications"
END = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) + timedelta(days=1)
BROKEN = "Hello\n{{ custommer.name }}"
EVERYTHING = ["find_notifications", "choose_workers", "generate_notifications", "account"]


@pytest.fixture
def runner(bench: Bench, airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Airflow, whose connections lead to the test's own store, queues and table."""
    monkeypatch.setattr(connections, "store", lambda *_, **__: bench.connect)
    monkeypatch.setenv("MARKETPLACE_NOTIFICATION_QUEUE_URL", bench.url)
    monkeypatch.setenv("MARKETPLACE_NOTIFICATION_DEAD_LETTER_QUEUE_URL", bench.dead_url)
    monkeypatch.setenv("MARKETPLACE_NOTIFICATION_TABLE", bench.table)
    return Runner(bench.store.platform)


def due(bench: Bench, rule_id: str, body: str = "Hello {{ customer.name }}", topic: str = "service") -> None:
    """Add a rule that is due on DAY, a Friday."""
    bench.rule(rule_id, body, topic)
    bench.execute(
        "update store.notification_rule set due_kind = 'weekday', due_value = 'friday' where rule_id = %s", rule_id
    )


def test_a_run_delivers_its_day_accounts_for_it_and_changes_nothing_the_next_time(bench: Bench, runner: Runner) -> None:
    due(bench, "R-1")
    due(bench, "R-2", topic="marketing")
    bench.rule("R-3")  # on another day
    bench.customers(3)
    bench.customers(2, marketing_opt_in=None)
    run = runner.run(DAG, logical_date=END)
    assert run.state == "success"
    assert set(runner.states(run)) == set(EVERYTHING)
    assert runner.states(run)["generate_notifications"] == ["success", "success"]
    items = bench.items()
    assert sorted(items) == sorted(
        [(f"CUST-{n}", f"{DAY}#R-1") for n in range(1, 6)] + [(f"CUST-{n}", f"{DAY}#R-2") for n in range(1, 4)]
    )
    (account,) = runner.results(run, "account")
    rules = account.pop("rules")
    assert account == {
        "day": "2026-11-20", "found": 2, "queued": 2, "processed": 2, "expected": 10, "delivered": 8,
        "skipped": {"opted_out": 2}, "problems": [],
    }  # fmt: skip
    assert rules["R-2"]["skipped"] == {"opted_out": 2}
    assert sum(work["delivered"] for work in runner.results(run, "generate_notifications")) == 8
    entry = "select status, run_id, expected, delivered from ops.notification_run where day = %s"
    assert bench.execute(entry, DAY) == [("done", run.run_id, 10, 8)]

    bench.execute("update store.customer set marketing_opt_in = true, name = 'Other'")
    again = runner.run(DAG, logical_date=END + timedelta(seconds=1))
    assert again.state == "success"
    assert runner.results(again, "generate_notifications")[0]["delivered"] == 0
    assert bench.items() == items
    assert bench.execute(entry, DAY) == [("done", again.run_id, 10, 8)]


def test_a_broken_rule_fails_the_run_by_its_line_and_all_others_are_delivered(
    bench: Bench, runner: Runner, capfd: pytest.CaptureFixture[str]
) -> None:
    due(bench, "R-1", BROKEN)
    due(bench, "R-2")
    bench.customers(2)
    run = runner.run(DAG, logical_date=END)
    assert (run.state, runner.states(run)["account"]) == ("failed", ["failed"])
    assert {item for _, item in bench.items()} == {f"{DAY}#R-2"}
    printed = capfd.readouterr().out
    assert "Not all notifications of 2026-11-20 are accounted for" in printed
    assert "rule R-1, chunk 1: failed after 1 attempts: rule R-1, body, line 2: unknown variable custommer" in printed

    bench.execute("update store.notification_rule set body = 'Hello {{ customer.name }}'")
    mended = runner.run(DAG, logical_date=END + timedelta(seconds=1))
    assert mended.state == "success"
    assert {item for _, item in bench.items()} == {f"{DAY}#R-1", f"{DAY}#R-2"}
    assert len(bench.items()) == 4


def test_a_dry_run_counts_shows_three_notifications_a_rule_and_writes_nothing(bench: Bench, runner: Runner) -> None:
    due(bench, "R-1", topic="marketing")
    due(bench, "R-2", BROKEN)
    bench.customers(4)
    bench.customers(1, marketing_opt_in=False)
    run = runner.run(DAG, logical_date=END, dry_run=True)
    (found,) = runner.results(run, "find_notifications")
    assert run.state == "success"
    assert (found["day"], found["dry_run"]) == ("2026-11-20", True)
    assert found["rules"]["R-1"] == {
        "customers": 5, "opted_out": 1, "chunks": 1,
        "samples": [{"locale": "en", "subject": "News", "body": "Hello Ada"}] * 3,
    }  # fmt: skip
    assert found["rules"]["R-2"]["error"].startswith("rule R-2, body, line 2: unknown variable custommer")
    assert (runner.states(run)["account"], bench.items(), bench.waiting()) == (["skipped"], {}, 0)
    assert bench.execute("select (select count(*) from ops.notification_due), (select count(*) from"
                         " ops.notification_run)") == [(0, 0)]  # fmt: skip


def test_only_the_named_rules_are_delivered_and_one_that_does_not_exist_fails(
    bench: Bench, runner: Runner, capfd: pytest.CaptureFixture[str]
) -> None:
    due(bench, "R-1")
    due(bench, "R-2")
    bench.customers(1)
    run = runner.run(DAG, logical_date=END, rules=["R-2"])
    assert run.state == "success"
    assert set(bench.items()) == {("CUST-1", f"{DAY}#R-2")}
    wrong = runner.run(DAG, logical_date=END, rules=["R-2", "R-9"])
    assert (wrong.state, runner.states(wrong)["account"]) == ("failed", ["failed"])
    assert "There is no rule R-9. There are: R-1, R-2." in capfd.readouterr().out


def test_after_a_restore_of_the_store_what_was_told_is_kept(bench: Bench, runner: Runner) -> None:
    due(bench, "R-1")
    bench.customers(2)
    runner.run(DAG, logical_date=END)
    told = bench.items()
    # The store as it was before: nothing was found yet; and then a customer more, and other words.
    for table in ("chunk", "due", "run", "account"):
        bench.execute(f"delete from ops.notification_{table}")
    bench.customers(1)
    bench.execute("update store.notification_rule set body = 'Other'")
    run = runner.run(DAG, logical_date=END + timedelta(seconds=1), look_first=True)
    (account,) = runner.results(run, "account")
    assert (run.state, account["delivered"]) == ("success", 3)
    assert {key: item for key, item in bench.items().items() if key in told} == told
    assert len(bench.items()) == 3


def test_dead_letters_are_looked_at_delivered_again_and_deleted(bench: Bench, runner: Runner) -> None:
    due(bench, "R-1")
    order = bench.chunk(bench.customers(2), "R-1", send=False)
    bench.execute("update ops.notification_chunk set state = 'failed', error = 'the table was away', attempts = 6")
    bench.send_raw(order.body(), "no message at all")
    for message in bench.queue.receive(wait_s=1, hidden_s=30, most=10):
        bench.queue.bury(message, "the table was away" if message.body == order.body() else "not JSON")

    def act(**conf: Any) -> tuple[str, dict[str, Any]]:
        run = runner.run(REDRIVE, **conf)
        return run.state, runner.results(run, "look_at_dead_letters")[0]

    state, seen = act()
    assert (state, seen["messages"], seen["days"]) == ("success", 2, [])
    assert seen["by_reason"] == {"the table was away": 1, "not JSON": 1}
    assert sorted(seen["by_day"]) == ["2026-11-20", "?"]
    assert bench.items() == {}
    assert act(rule="R-2")[1]["messages"] == act(reason="nothing like it")[1]["messages"] == 0

    state, seen = act(action="redrive")
    assert (state, seen["messages"], seen["days"]) == ("success", 2, ["2026-11-20"])
    assert len(bench.items()) == 2
    assert bench.execute("select status, delivered from ops.notification_run") == [("done", 2)]
    # What is no message of ours only comes back: it stays, until it is discarded.
    assert act(action="discard", reason="JSON")[1]["first"] == [{"body": "no message at all", "reason": "not JSON"}]
    assert act()[1]["messages"] == 0
    assert bench.waiting() == 0
    assert json.loads(order.body())["rule_id"] == "R-1"
