"""What the tasks of `ingest_files` run: the engine, wired to Airflow's connections."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import get_current_context, timezone
from airflow.sdk.exceptions import AirflowSkipException

from marketplace import assets, connections, settings
from marketplace.ingest import held, ledger, objects
from marketplace.ingest.load import load_file

# What Airflow's metadata keeps of a mapped task's name (task_instance.rendered_map_index).
NAME_LENGTH = 250


def claim(params: dict[str, Any], run_id: str, timeout: timedelta) -> list[dict[str, Any]]:
    """Claim landed files for a run and, if its parameters ask for it, archived ones to reload; the oldest first."""
    if params["reload_to"] and not params["reload_from"]:
        raise ValueError("reload_to is set, but reload_from is not: say from when files are to be reloaded.")
    landed = objects.list_landed(S3Hook().conn, settings.landing_bucket())
    with connections.store("writer", timeout)() as connection:
        claims = ledger.claim_files(
            connection, landed, run_id, params["max_files"], retry_failed=params["retry_failed"]
        )
        if params["reload_from"]:
            claims += ledger.claim_reloads(
                connection,
                params["reload_from"],
                params["reload_to"] or timezone.utcnow().isoformat(),
                run_id,
                params["max_files"],
            )
    return claims


def load(claimed: dict[str, Any], run_id: str, timeout: timedelta) -> dict[str, Any]:
    """Load one claimed file; skips when another run has taken it over.

    In the UI the mapped task is named after its file and, when it is done, what became of it.
    """
    context: Any = get_current_context()
    context["file"] = claimed["object_key"][:NAME_LENGTH]
    connect = connections.store("writer", timeout)
    try:
        result = load_file(connect, S3Hook().conn, settings.landing_bucket(), claimed["load_id"], run_id)
    except ledger.ClaimLostError as lost:
        raise AirflowSkipException(str(lost)) from lost
    context["file"] = f"{claimed['object_key']} · {result['status']}: {result['summary']}"[:NAME_LENGTH]
    return result


def retry_held_rows(run_id: str, timeout: timedelta) -> list[dict[str, Any]]:
    """Load held rows again where their reference can be resolved by now; returns an account a file."""
    with connections.store("writer", timeout)() as connection:
        retried = held.retry_held_rows(connection, run_id)
    return [
        {"load_id": one.load_id, "file": one.object_key, "accepted": account.accepted, **vars(account)}
        for one, account in retried
    ]


def publish_assets(run_id: str, params: dict[str, Any], outlet_events: Any, timeout: timedelta) -> list[str]:
    """Announce each table that the run's loads have changed; returns their names.

    A run that claimed as many files as it may has probably left some: it wakes the next run by the landing asset.
    """
    with connections.store("writer", timeout)() as connection:
        summary = ledger.fetch_row(connection, "ledger/run_summary.sql", {"run": run_id})
    for table in summary["tables_changed"]:
        outlet_events[assets.INGESTED].add(assets.table(table), extra={"run_id": run_id})
    if summary["files"] >= params["max_files"]:
        outlet_events[assets.INGESTED].add(assets.landing(), extra={"run_id": run_id, "reason": "files are left"})
    return list(summary["tables_changed"])
