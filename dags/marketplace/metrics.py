"""What the alarms watch, put to CloudWatch.

Airflow's own metrics (`stats`) are for those who run a collector of them: Amazon MWAA forwards to CloudWatch those that
Airflow itself sends, and no others. So the few numbers that page somebody go there directly, by name, without
dimensions: an alarm watches one name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from marketplace import settings


def publish(values: Mapping[str, float]) -> None:
    """Put numbers under their names into the namespace of this deployment; nothing where none is set.

    Raises what boto3 raises.
    """
    namespace = settings.metrics_namespace()
    if not namespace:
        return
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

    cloudwatch: Any = AwsGenericHook(client_type="cloudwatch").conn
    data = [{"MetricName": name, "Value": float(value)} for name, value in values.items()]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)


def deadline(*, hours: int) -> Any:
    """Return a DAG's deadline: a run that is not over so long after it was due is counted, and an alarm tells."""
    # They are there, but not in airflow.sdk's stub.
    from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference  # type: ignore[attr-defined]

    interval = timedelta(hours=hours)
    return DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, interval, AsyncCallback(deadline_missed))


async def deadline_missed(**_context: Any) -> None:
    """Count a run that is not over in its time; the triggerer calls it when a DAG's deadline has passed."""
    await asyncio.to_thread(publish, {"DeadlinesMissed": 1})
