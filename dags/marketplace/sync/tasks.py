"""What the tasks of `sync_warehouse` run: the sync, wired to Airflow's connections."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk.exceptions import AirflowFailException

from marketplace import connections, settings
from marketplace.sync import export as exports
from marketplace.sync.tables import SchemaDriftError
from marketplace.sync.watermark import SourceError


def export(params: dict[str, Any], run_id: str, timeout: timedelta) -> dict[str, Any]:
    """Export what has changed, or count it in a dry run; returns a summary that names the files' prefix.

    Fails for good what another try would find as it is: schemas that differ, a standby, a table that does not exist.
    """
    # One reader may wait for the other until the last table is written.
    connect = connections.store("writer", timeout, idle_timeout=timeout)
    try:
        with closing(connections.warehouse()) as warehouse:
            plan = exports.export(
                connect,
                warehouse,
                S3Hook().conn,
                settings.export_bucket(),
                run_id,
                tables=params["tables"],
                full_reload=params["full_reload"],
                dry_run=params["dry_run"],
            )
    except (SchemaDriftError, SourceError, exports.UnknownTableError) as error:
        raise AirflowFailException(str(error)) from None
    return {**plan.summary(), "dry_run": params["dry_run"]}
