"""What the tasks of `notify_customers` and `redrive_notifications` run, wired to Airflow's connections and metrics."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from airflow.providers.amazon.aws.hooks.sqs import SqsHook
from airflow.sdk import get_current_context, timezone
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.observability import stats

from marketplace import connections, settings
from marketplace.notifications import account as accounts
from marketplace.notifications import chunks, deliver, facts, find, reads, redrive
from marketplace.notifications.chunks import Lease, Outcome
from marketplace.notifications.inbox import CLIENT, Inbox
from marketplace.notifications.queue import Order, Queue
from marketplace.notifications.render import TemplateError

log = logging.getLogger(__name__)

# A day's chunks are kept for as long; its account, and that it was found, for ever.
KEPT_CHUNKS = timedelta(days=90)
# How many problems a failed run names; all are in ops.notification_chunk.
NAMED = 50
SAMPLES = 3


def find_notifications(params: dict[str, Any], run_id: str, timeout: timedelta) -> dict[str, Any]:
    """Find what is due on the run's day, and send a message a chunk that is not done; in a dry run only count.

    Fails for good when a rule that is named does not exist.
    """
    day, rules = run_day(), params["rules"] or None
    with closing(connections.store("writer", timeout)()) as connection:
        try:
            if params["dry_run"]:
                return {"day": day.isoformat(), "dry_run": True, "workers": [], **_preview(connection, day, rules)}
            accounts.start(connection, day, run_id)
            connection.commit()
            found = find.plan(connection, day, rules)
            connection.commit()
        except find.UnknownRuleError as error:
            raise AirflowFailException(str(error)) from None
        if params["look_first"]:
            chunks.look_first(connection, day)
        sent = _send(connection, day, rules)
        find.prune(connection, KEPT_CHUNKS)
    return {
        "day": day.isoformat(),
        "dry_run": False,
        "rules": {one.rule_id: {"customers": one.customers, "chunks": one.chunks} for one in found},
        "sent": sent,
        # Without messages one worker is enough, which looks whether an earlier run's are still on their way.
        "workers": list(range(1, (min(params["workers"], sent) or 1) + 1)),
    }


def _send(connection: psycopg.Connection[Any], day: date, rules: Collection[str] | None) -> int:
    """Send a message for each chunk that has none, and return how many.

    First the message, then the mark: a task that ends between the two sends them twice, which is no harm.
    """
    waiting = find.to_send(connection, day, rules)
    connection.commit()
    queue = _queue()
    for start in range(0, len(waiting), 1_000):
        group = waiting[start : start + 1_000]
        queue.send([Order(day, chunk.rule_id, chunk.chunk_id) for chunk in group])
        find.mark_queued(connection, [chunk.chunk_id for chunk in group])
        connection.commit()
    log.info("%s: %s messages sent", day, len(waiting))
    return len(waiting)


def _preview(connection: psycopg.Connection[Any], day: date, rules: Collection[str] | None) -> dict[str, Any]:
    """Return what a run would find, a rule each: counts, and the first customers' notifications or what is wrong."""
    counted: dict[str, dict[str, Any]] = {}
    for one in find.preview(connection, day, rules):
        rule = facts.rule(connection, one.rule_id)
        counts: dict[str, Any] = {"customers": one.customers, "opted_out": one.opted_out, "chunks": one.chunks}
        if rule is not None:
            try:
                wording = deliver.wording(rule)
                shown = [deliver.render(wording, day, person) for person in one.samples[:SAMPLES]]
                counts["samples"] = [sample._asdict() for sample in shown]
            except TemplateError as error:
                counts["error"] = str(error)
        counted[one.rule_id] = counts
    connection.rollback()
    return {"rules": counted}


def generate_notifications(found: dict[str, Any], worker: int, timeout: timedelta) -> dict[str, Any]:
    """Work until the run's day is done, as one of its workers; returns what this one did.

    In the UI the mapped task is named after its number and, when it is done, what it delivered.
    """
    context: Any = get_current_context()
    context["worker"] = f"worker {worker}"
    name = f"{context['run_id']} {worker}/{context['ti'].try_number}"
    with closing(connections.store("writer", timeout)()) as connection:
        work = _worker(connection, name).drain(date.fromisoformat(found["day"]))
    context["worker"] = f"worker {worker} · {work.delivered} delivered"
    return {**asdict(work), "days": sorted(day.isoformat() for day in work.days)}


def _worker(connection: psycopg.Connection[Any], name: str) -> deliver.Worker:
    dynamodb: Any = AwsGenericHook(client_type="dynamodb", config=CLIENT).conn
    inbox = Inbox(dynamodb, settings.notification_table())
    return deliver.Worker(connection, _queue(), inbox, name, told=_publish)


def _publish(lease: Lease, outcome: Outcome, seconds: float) -> None:
    stats.incr("marketplace.notifications.delivered", outcome.delivered)
    stats.incr("marketplace.notifications.skipped", sum(outcome.skipped.values()))
    stats.timing("marketplace.notifications.chunk", timedelta(seconds=seconds))
    if lease.attempts > 1:
        stats.incr("marketplace.notifications.attempted_again")


def account_for(found: dict[str, Any] | None, params: dict[str, Any], run_id: str, timeout: timedelta) -> Any:
    """Say what became of the day's notifications; fails for good when not all are accounted for, and names which."""
    if found is None:
        raise AirflowFailException("Nothing was found, since the task before has failed: see its log.")
    if found["dry_run"]:
        raise AirflowSkipException("A dry run: nothing was sent.")
    with closing(connections.store("writer", timeout)()) as connection:
        return _account(connection, date.fromisoformat(found["day"]), params["rules"] or None, run_id)


def _account(
    connection: psycopg.Connection[Any], day: date, rules: Collection[str] | None, run_id: str
) -> dict[str, Any]:
    account = accounts.account(connection, day, rules)
    accounts.finish(connection, day, run_id, account)
    connection.commit()
    for name, count in _queue().counts().items():
        stats.gauge(f"marketplace.notifications.queue_{name}", count)
    stats.gauge("marketplace.notifications.open_chunks", account.found - account.processed)
    if account.problems:
        listed = "\n".join(f"  {problem}" for problem in account.problems[:NAMED])
        more = len(account.problems) - NAMED
        raise AirflowFailException(
            f"Not all notifications of {day} are accounted for:\n{listed}"
            + (f"\n  and {more} more, in ops.notification_chunk" if more > 0 else "")
            + "\nWhat to do: docs/runbooks/notifications.md"
        )
    return {"day": day.isoformat(), **asdict(account)}


def look_at_dead_letters(params: dict[str, Any], timeout: timedelta) -> dict[str, Any]:
    """Look at the dead-letter queue, and have its chosen messages delivered again or deleted, as the form says."""
    queue = _queue()
    chosen = redrive.look(queue, redrive.Choice(params["rule"] or None, params["reason"] or None, params["messages"]))
    days: list[date] = []
    if params["action"] == "redrive":
        with closing(connections.store("writer", timeout)()) as connection:
            days = redrive.redrive(connection, queue, chosen)
    elif params["action"] == "discard":
        redrive.discard(queue, chosen)
    else:
        redrive.leave(queue, chosen)
    seen = redrive.summary(chosen)
    log.info("%s: %s", params["action"], seen)
    return {"action": params["action"], **seen, "days": [day.isoformat() for day in days]}


def deliver_again(looked: dict[str, Any], run_id: str, timeout: timedelta) -> list[dict[str, Any]]:
    """Work until the days of the redriven messages are done, and account for them; fails as `account_for` does."""
    if not looked["days"]:
        raise AirflowSkipException("No message was taken back into the queue.")
    days = [date.fromisoformat(day) for day in looked["days"]]
    with closing(connections.store("writer", timeout)()) as connection:
        worker = _worker(connection, run_id)
        for day in days:
            worker.drain(day)
        return [_account(connection, day, None, run_id) for day in days]


def count_reads(params: dict[str, Any], timeout: timedelta) -> dict[str, int]:
    """Count who has read what was found in the last *days*, and enter it; skips when nothing has changed."""
    dynamodb: Any = AwsGenericHook(client_type="dynamodb").conn
    table = settings.notification_table()
    with closing(connections.store("writer", timeout)()) as connection:
        delivered = reads.delivered(connection, timedelta(days=params["days"]))
        connection.commit()  # no transaction stays open while DynamoDB is asked
        counts = {told: reads.count(dynamodb, table, told) for told in delivered}
        changed = reads.enter(connection, counts)
        connection.commit()
    stats.gauge("marketplace.notifications.read", sum(counts.values()))
    if not changed:
        raise AirflowSkipException(f"Of {len(counts)} notifications as many are read as were before.")
    return {"notifications": len(counts), "changed": changed, "read": sum(counts.values())}


def run_day() -> date:
    """Return the day that a run is for: its data interval's; of a run that has none, the last that is over."""
    run = get_current_context()["dag_run"]
    start: datetime | None = run.data_interval_start
    if start is None:
        start = (run.run_after or timezone.utcnow()).astimezone(UTC) - timedelta(days=1)
    return start.astimezone(UTC).date()


def _queue() -> Queue:
    return Queue(SqsHook().conn, settings.notification_queue_url(), settings.notification_dead_letter_queue_url())
