"""
### What it does
Finds which notification rules are due on a day and for which customers, sends a message for each thousand of them
to a queue, and has workers render what each customer is told and write it to their inboxes (DynamoDB). Then it
accounts: *found = queued = processed* chunks, *expected = delivered + skipped* customers. A run that cannot fails, and
names rule and chunk.

### Starts
Daily, for the day (UTC) that has just ended. A backfill delivers past days, several at once. By hand, with a form:
*rules* (only these), *workers*, *look_first* (after a restore of the store) and *dry_run*, which counts and renders
three samples a rule, and writes nothing.

### Reads
`store.notification_rule`, `store.notification_text`, `store.customer` and what the rules' events are about

### Writes
`ops.notification_due`, `ops.notification_chunk`, `ops.notification_run`, `ops.notification_account` (which goes to the
warehouse); the queue; an item a customer, rule and day in the table of notifications, which is never changed afterwards

### Running it again
Sends only what is not done, failed chunks included. Who gets a rule's notification of a day is decided once, when the
day is found first: customers that change later change nothing. What was read stays read.

### Not guaranteed
A rule that is entered later than its day was found is found when the day is run again. A rule whose text is wrong fails
alone, with the line; mend it and clear the run. Notifications expire 400 days after their day.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, Param, dag, task

from marketplace import assets, metrics

TIMEOUT = timedelta(hours=2)
FIND_TIMEOUT = timedelta(minutes=30)


@dag(
    doc_md=__doc__,
    description="Finds a day's notifications, and delivers each to its customers' inboxes exactly once",
    # With data intervals, unlike a plain cron expression: an interval is the day that is delivered.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=3,
    dagrun_timeout=timedelta(hours=8),
    deadline=metrics.deadline(hours=2),
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": True,
        "execution_timeout": TIMEOUT,
    },
    tags=["notifications", "store"],
    params={
        "rules": Param(
            [], type="array", items={"type": "string"}, description="Only these rules, by their ids; none named: all"
        ),
        "workers": Param(2, type="integer", minimum=1, maximum=32, description="How many workers deliver at once"),
        "look_first": Param(
            False,
            type="boolean",
            description="Look what is in the table before anything is written: once the store was restored",
        ),
        "dry_run": Param(False, type="boolean", description="Only count, and show three notifications a rule"),
    },
)
def notify_customers() -> None:
    @task(multiple_outputs=False, execution_timeout=FIND_TIMEOUT)
    def find_notifications(params: dict[str, Any], run_id: str) -> dict[str, Any]:
        """Find the day's rules and their customers, and send a message for each chunk; the result counts them."""
        from marketplace.notifications import tasks

        return tasks.find_notifications(params, run_id, FIND_TIMEOUT)

    @task
    def choose_workers(found: dict[str, Any]) -> list[int]:
        """Number the workers: none in a dry run, and no more than there are messages."""
        return list(found["workers"])

    @task(multiple_outputs=False, map_index_template="{{ worker }}")
    def generate_notifications(worker: int, found: dict[str, Any]) -> dict[str, Any]:
        """Render and write until the day is done; the result counts what this worker did."""
        from marketplace.notifications import tasks

        return tasks.generate_notifications(found, worker, TIMEOUT)

    # Whatever became of the workers: it says what is missing.
    @task(
        multiple_outputs=False,
        trigger_rule="all_done",
        execution_timeout=FIND_TIMEOUT,
        outlets=[assets.table("ops.notification_account")],
    )
    def account(params: dict[str, Any], run_id: str, ti: Any) -> dict[str, Any]:
        """Account for the day's chunks and customers; fails when one is missing, and names rule and chunk."""
        from marketplace.notifications import tasks

        return tasks.account_for(ti.xcom_pull(task_ids="find_notifications"), params, run_id, FIND_TIMEOUT)

    found = find_notifications()
    generate_notifications.partial(found=found).expand(worker=choose_workers(found)) >> account()


notify_customers()
