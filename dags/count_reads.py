"""
### What it does
Counts how many customers have read each notification, by an index of the marks that `PATCH /notifications/{id}` leaves
in DynamoDB, and enters it in the account that goes to the warehouse. The table itself is never scanned.

### Starts
Every six hours. By hand, with a form: *days*, how long ago a notification may have been found.

### Reads
The index `reads` of the table of notifications; `ops.notification_account`, `ops.notification_due`

### Writes
`ops.notification_account.read`

### Running it again
Counts anew: a mark that was taken back since counts no more. Skips when all are as they were.

### Not guaranteed
Reads come days after the delivery, so what was found in the last 30 days is counted each time. What is read later shows
when a run goes further back (*days*, up to the 400 for which DynamoDB keeps an item). A mark of the last second may be
missing: the index follows the table.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from marketplace import assets

TIMEOUT = timedelta(hours=1)


@dag(
    doc_md=__doc__,
    description="Counts how many customers have read their notifications",
    schedule=CronTriggerTimetable("20 */6 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": True,
        "execution_timeout": TIMEOUT,
    },
    tags=["notifications", "reporting"],
    params={
        "days": Param(
            30, type="integer", minimum=1, maximum=400, description="Count those that were found in the last days"
        ),
    },
)
def count_reads() -> None:
    @task(multiple_outputs=False, outlets=[assets.table("ops.notification_account")])
    def count(params: dict[str, Any]) -> dict[str, int]:
        """Count and enter; the result says how many notifications were looked at, changed, and read in all."""
        from marketplace.notifications import tasks

        return tasks.count_reads(params, TIMEOUT)

    count()


count_reads()
