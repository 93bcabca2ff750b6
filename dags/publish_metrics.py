"""
### What it does
Measures what the alarms watch and nobody else would notice: files that wait under `landing/` and since when, the share
of the last day's rows that was rejected, rows that are held, notifications that are not accounted for, and since when
the dashboard lacks what was loaded. It puts the numbers to CloudWatch. How far the warehouse is behind,
`sync_warehouse` measures: asking here would wake it.

### Starts
Every 5 minutes. Where it does not run the alarm on waiting files goes off, since no number comes.

### Reads
The listing of `landing/`; `ops.load`, `ops.held_row`, `ops.notification_run`, `ops.notification_chunk`; when
`dashboard/latest/figures.json` is of

### Writes
CloudWatch, namespace PROJECT-ENVIRONMENT: `WaitingFiles`, `OldestWaitingFileSeconds`, `RejectedShare` (percent),
`HeldRows`, `NotificationsUnaccounted`, `DashboardSecondsBehind`. docs/monitoring.md says which alarm watches what.

### Running it again
Measures anew; earlier numbers stay.

### Not guaranteed
The numbers are of the moment at which they are taken: what lands and is loaded between two runs is seen by neither.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task

TIMEOUT = timedelta(minutes=4)


@dag(
    doc_md=__doc__,
    description="Measures what the alarms watch, and puts it to CloudWatch",
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=10),
    default_args={
        "owner": "data-platform",
        "retries": 1,
        "retry_delay": timedelta(seconds=10),
        "execution_timeout": TIMEOUT,
    },
    tags=["operations"],
)
def publish_metrics() -> None:
    @task(multiple_outputs=False)
    def publish() -> dict[str, float]:
        """Measure and publish; the result is what was measured."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        from marketplace import connections, metrics, settings
        from marketplace.ingest.objects import list_landed
        from marketplace.reporting.measures import measure
        from marketplace.reporting.status import read_figures

        s3 = S3Hook().conn
        landed = list_landed(s3, settings.landing_bucket())
        dashboard_as_of = read_figures(s3, settings.report_bucket()).get("as_of")
        with connections.store("writer", TIMEOUT)() as connection:
            measured = measure(connection, landed, dashboard_as_of)
        metrics.publish(measured)
        return measured

    publish()


publish_metrics()
