"""What the tasks of `sync_warehouse` run: the sync, wired to Airflow's connections."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.observability import stats

from marketplace import assets, connections, metrics, settings
from marketplace.sync import export as exports
from marketplace.sync import lag
from marketplace.sync import reconcile as reconciliation
from marketplace.sync.differences import count_open
from marketplace.sync.operators import read_plan
from marketplace.sync.tables import SchemaDriftError, read_tables
from marketplace.sync.watermark import SourceError


def export(params: dict[str, Any], run_id: str, timeout: timedelta) -> dict[str, Any]:
    """Export what has changed, or count it in a dry run; returns a summary that names the files' prefix.

    Fails for good what another try would find as it is: schemas that differ, a standby, a table that does not exist.
    """
    # One reader may wait for the other until the last table is written.
    connect = connections.store("writer", timeout, idle_timeout=timeout)
    try:
        with closing(connections.warehouse(timeout)) as warehouse:
            plan = exports.export(
                connect,
                warehouse,
                S3Hook().conn,
                settings.export_bucket(),
                run_id,
                tables=params["tables"],
                full_reload=params["full_reload"],
                repair=params["repair"],
                compare=params["reconcile"],
                dry_run=params["dry_run"],
            )
    except (SchemaDriftError, SourceError, exports.UnknownTableError) as error:
        raise AirflowFailException(str(error)) from None
    return {**plan.summary(), "dry_run": params["dry_run"]}


def reconcile(exported: dict[str, Any], outlet_events: Any, timeout: timedelta) -> None:
    """Compare the warehouse with the store after an apply, as far as the export has provided for it.

    Announces the warehouse when the apply had anything to change.

    Fails for good when they differ, naming tables and keys: the same would be found again.
    """
    connect = connections.store("writer", timeout)
    s3 = S3Hook().conn
    plan = read_plan(s3, exported["bucket"], exported["prefix"])
    with closing(connections.warehouse(timeout)) as warehouse:
        found = reconciliation.reconcile(connect, warehouse, s3, plan)
        # Those of earlier runs too: an alarm is to stay until they are mended, not until the next run looks elsewhere.
        differences = count_open(warehouse)
        stats.gauge("marketplace.sync.differences", differences)
        metrics.publish({"SyncDifferences": differences})
    if found:
        listed = "\n".join(f"  {of}" for of in found)
        raise AirflowFailException(
            f"The warehouse differs from the store:\n{listed}\nThe keys are in its ops.sync_difference; trigger"
            " sync_warehouse with repair to mend them (docs/runbooks/warehouse.md)."
        )
    if any(table.files or table.mode == "full" for table in plan.tables):
        outlet_events[assets.SYNC].add(assets.WAREHOUSE, extra={"run_id": plan.run_id})


def measure_lag(timeout: timedelta) -> dict[str, Any]:
    """Measure how far the warehouse is behind the store, as metrics and as the task's result."""
    with closing(connections.warehouse(timeout)) as warehouse:
        reached = lag.read_reached(warehouse)
    with closing(connections.store("writer", timeout)()) as store:
        measured = lag.measure(store, read_tables(store).values(), reached)
    lag.publish(measured)
    metrics.publish({"SyncSecondsBehind": measured.seconds_behind, "SyncRowsBehind": measured.rows_behind})
    return asdict(measured)
