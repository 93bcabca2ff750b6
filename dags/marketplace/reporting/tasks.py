"""What the tasks of the reporting DAGs run, wired to Airflow's connections."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.hooks.sqs import SqsHook
from airflow.sdk import timezone
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.observability import stats

from marketplace import connections, settings
from marketplace.reporting import marts, status


def build_marts(timeout: timedelta) -> dict[str, int]:
    """Build the marts; returns how many rows each has. Skips when nothing was synced since the last time."""
    with closing(connections.warehouse(timeout)) as warehouse:
        rows = marts.build(warehouse)
    if rows is None:
        raise AirflowSkipException("Nothing was synced since the marts were built.")
    for mart, count in rows.items():
        stats.gauge("marketplace.marts.rows", count, tags={"mart": mart})
    return rows


def publish_status(timeout: timedelta) -> dict[str, str]:
    """Measure all parts and publish their state; returns why parts could not be measured, by their names."""
    sources = status.Sources(
        store=connections.store("writer", timeout),
        warehouse=lambda: connections.warehouse(timeout),
        s3=S3Hook().conn,
        sqs=SqsHook().conn,
        landing_bucket=settings.landing_bucket(),
        report_bucket=settings.report_bucket(),
        queues={"landing": settings.landing_queue_url(), "notifications": settings.notification_queue_url()},
    )
    unknown = status.publish(sources, timezone.utcnow())
    stats.gauge("marketplace.status.parts_unknown", len(unknown))
    return unknown


def publish_dashboard(params: dict[str, Any], timeout: timedelta) -> dict[str, Any]:
    """Draw the dashboard of the last *days* and write it into the report bucket; returns where it is.

    Skips when the warehouse was synced since the marts were built, and fails for good when they never were.
    """
    from marketplace.reporting import figures, publish

    with closing(connections.warehouse(timeout)) as warehouse:
        try:
            dashboard = figures.read(warehouse, params["days"])
        except figures.MartsAreOldError as error:
            raise AirflowSkipException(str(error)) from None
        except figures.NoMartsError as error:
            raise AirflowFailException(str(error)) from None
    published = publish.publish(dashboard, S3Hook().conn, settings.report_bucket())
    stats.gauge("marketplace.dashboard.figures", published["figures"])
    stats.gauge("marketplace.dashboard.age_seconds", int((datetime.now(UTC) - dashboard.as_of).total_seconds()))
    return {"as_of": dashboard.as_of.isoformat(), **published}
