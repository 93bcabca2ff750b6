"""
### What it does
Erases the raw lines of rejected and held rows, and what quotes them (details of rows and issues, why a file failed or
was set aside), once their file is *retention_days* old: they hold personal data. A held row that still waited is closed
as expired. With *customer_ref* or *email_sha256* it also erases, at once, every raw line that names that person. Last
it deletes the copies that the Marketplace page shows; `publish_status` writes those anew that are left.

### Starts
Daily at 03:00 UTC; by hand, with a form, to erase one person's lines.

### Reads
`ops.load`, `ops.rejected_row`, `ops.held_row`, `ops.issue`, and the e-mail address of that person in `store.customer`

### Writes
`ops.rejected_row`, `ops.held_row`, `ops.issue` (the text becomes null, `erased_at` is set), `ops.load`
(`raw_erased_at`, `reason`). Accounts, line numbers, columns and reasons stay. The tasks' results are counts. Deletes
`status/lines/` of the report bucket.

### Running it again
Changes nothing: what is erased is erased.

### Not guaranteed
Files under `archive/` and `rejected/` are the bucket's to expire (`RawFileRetentionDays` of the storage stack): give
both the same time. This does not erase a customer from the clean tables, nor from files. A `publish_status` that has
read a line before it was erased may show it until its next run, five minutes later.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.operators.s3 import S3DeleteObjectsOperator
from airflow.sdk import CronTriggerTimetable, Param, dag, task

from marketplace import settings

TIMEOUT = timedelta(hours=1)


@dag(
    doc_md=__doc__,
    description="Erases raw lines that are old, or that name a person who asks for it",
    schedule=CronTriggerTimetable("0 3 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": TIMEOUT,
    },
    tags=["operations", "store"],
    params={
        "retention_days": Param(
            90, type="integer", minimum=1, maximum=3650, description="Erase the raw lines of files put so long ago"
        ),
        "customer_ref": Param(
            None,
            type=["null", "string"],
            pattern="^[Cc][Uu][Ss][Tt]-[0-9]+$",
            description="Erase the raw lines that name this customer now, or the e-mail address the store has of them",
        ),
        # A run's parameters are kept and shown: an address has no business there.
        "email_sha256": Param(
            None,
            type=["null", "string"],
            pattern="^[0-9a-f]{64}$",
            description="The same for an e-mail address that the store does not have, as its SHA-256 in lower case "
            "(printf %s ADDRESS | sha256sum). Never the address itself: a run keeps what is entered here",
        ),
    },
)
def expire_raw_lines() -> None:
    @task(multiple_outputs=False)
    def erase_old_lines(params: dict[str, Any]) -> dict[str, int]:
        """Erase the raw lines of files that are older than the retention; the result counts them."""
        from marketplace.ingest import tasks

        return tasks.erase_old_lines(params["retention_days"], TIMEOUT)

    @task(multiple_outputs=False)
    def erase_lines_of_person(params: dict[str, Any]) -> dict[str, int]:
        """Erase the raw lines that name a person, if the run is asked to; the result counts them."""
        from marketplace.ingest import tasks

        return tasks.erase_lines_of_person(params["customer_ref"], params["email_sha256"], TIMEOUT)

    delete_shown_lines = S3DeleteObjectsOperator(
        task_id="delete_shown_lines",
        bucket=settings.report_bucket(),
        prefix="status/lines/",
        trigger_rule="none_failed",  # on most days nobody's lines are asked for
    )
    [erase_old_lines(), erase_lines_of_person()] >> delete_shown_lines


expire_raw_lines()
