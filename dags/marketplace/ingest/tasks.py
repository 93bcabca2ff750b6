"""What the tasks of `ingest_files` run: the engine, wired to Airflow's connections."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import get_current_context, timezone
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from marketplace import assets, connections, settings
from marketplace.contracts import ContractError, load_contracts
from marketplace.ingest import held, ledger, objects
from marketplace.ingest.load import load_file
from marketplace.ingest.operators import NAME_LENGTH


def claim(params: dict[str, Any], run_id: str, timeout: timedelta) -> list[dict[str, Any]]:
    """Claim landed files for a run and, if its parameters ask for it, archived ones to reload; the oldest first.

    Fails for good, with nothing claimed, when a contract is wrong or the range to reload makes no sense.
    """
    try:
        load_contracts()
    except ContractError as error:
        raise AirflowFailException(f"No file is loaded until the contract is right: {error}") from error
    reloads = _range_to_reload(params["reload_from"], params["reload_to"])
    landed = objects.list_landed(S3Hook().conn, settings.landing_bucket())
    limit = params["max_files"]
    with connections.store("writer", timeout)() as connection:
        # First what may be refused, so that a refusal leaves nothing claimed.
        claims = ledger.claim_reloads(connection, *reloads, run_id, limit) if reloads else []
        return claims + ledger.claim_files(connection, landed, run_id, limit, retry_failed=params["retry_failed"])


def _range_to_reload(put_from: str | None, put_to: str | None) -> tuple[datetime, datetime] | None:
    """Return the times between which reloaded files were put; None when nothing is to be reloaded.

    A date is its midnight, a time without zone is UTC. Fails the task for good when the range makes no sense.
    """
    if not put_from:
        if put_to:
            raise AirflowFailException("reload_to is set, but reload_from is not: say from when to reload files.")
        return None
    start = _time("reload_from", put_from)
    end = _time("reload_to", put_to) if put_to else timezone.utcnow()
    if start >= end:
        raise AirflowFailException(f"reload_from ({start:%F %T%z}) must be before reload_to ({end:%F %T%z}).")
    return start, end


def _time(name: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise AirflowFailException(
            f"{name} is {text!r}: it must be a date or time such as 2025-01-31 or 2025-01-31T08:00:00Z."
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


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
