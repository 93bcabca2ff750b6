"""
### What it does
Measures the state of every part and publishes it for the Marketplace page: files, rows, what was rejected and why, what
is held, how far the warehouse is behind, what was reconciled, marts, dashboard, notifications and queues. A part that
does not answer keeps its last good value, with its time and the error; the others are published all the same.

### Starts
Every 15 minutes, as the sync does, since each question wakes the warehouse and is paid for; and when a sync has changed
the warehouse, which follows each change of the store within a minute.

### Reads
Store: `ops.*` and what the sync has not brought yet; warehouse: `ops.*`, `mart.built`; the listing of the landing
bucket; the counts of the queues; `dashboard/latest/figures.json`

### Writes
Report bucket: `status/latest.json`, and under `status/lines/` the newest raw lines of each dataset and reason that was
rejected or held, as long as the store keeps them

### Running it again
Measures anew. Nothing else depends on earlier runs but the last good value of a part that does not answer now.

### Not guaranteed
Numbers of different parts are not of one moment. The page says how old they are, and warns after 25 minutes. A run is
green though a part did not answer: its result, and the metric `marketplace.status.parts_unknown`, say which.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import AssetAny, AssetOrTimeSchedule, CronTriggerTimetable, dag, task

from marketplace import assets

TIMEOUT = timedelta(minutes=4)
STATEMENT_TIMEOUT = timedelta(seconds=30)


@dag(
    doc_md=__doc__,
    description="Publishes the state of every part for the Marketplace page",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("*/15 * * * *", timezone="UTC"),
        assets=AssetAny(assets.WAREHOUSE),
    ),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=10),
    default_args={
        "owner": "data-platform",
        "retries": 1,
        "retry_delay": timedelta(seconds=10),
        "execution_timeout": TIMEOUT,
    },
    tags=["reporting", "operations"],
)
def publish_status() -> None:
    @task(multiple_outputs=False)
    def publish() -> dict[str, str]:
        """Measure all parts and publish their state; the result names the parts that did not answer, and why."""
        from marketplace.reporting import tasks

        return tasks.publish_status(STATEMENT_TIMEOUT)

    publish()


publish_status()
