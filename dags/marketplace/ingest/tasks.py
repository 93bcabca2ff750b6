"""What the tasks of `ingest_files` run: the engine, wired to Airflow's connections."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import get_current_context, timezone
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from marketplace import assets, connections, settings
from marketplace.contracts import ContractError, load_contracts
from marketplace.ingest import again, corrections, expiry, held, ledger, objects, rejections, replay
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
        return _accounts(held.retry_held_rows(connection, run_id))


def replay_rows(params: dict[str, Any], run_id: str, timeout: timedelta) -> list[dict[str, Any]]:
    """Load the rows again that the parameters choose; returns an account for each file that has something new.

    Fails for good when they choose nothing in particular, or when rows cannot be read by their contract any more.
    """
    chosen = {name: params[name] for name in ("dataset", "load_id", "file", "reason")}
    put_from, put_to = (_time(name, params[name]) if params[name] else None for name in ("put_from", "put_to"))
    if chosen["dataset"] and chosen["dataset"] not in (datasets := load_contracts()):
        raise AirflowFailException(
            f"There is no dataset {chosen['dataset']!r}: the datasets are {', '.join(datasets)}."
        )
    if not any((*chosen.values(), put_from, put_to)):
        raise AirflowFailException(
            "Say which rows to load again: at least one of dataset, load_id, file, reason, put_from and put_to."
        )
    selection = replay.Selection(rows=params["rows"], **chosen, put_from=put_from, put_to=put_to)
    with connections.store("writer", timeout)() as connection:
        try:
            return _accounts(replay.replay_rows(connection, run_id, selection))
        except again.UnreadableError as error:
            raise AirflowFailException(str(error)) from None


def correct_alias(params: dict[str, Any], timeout: timedelta) -> dict[str, Any]:
    """Keep what a person says of an alias; returns what has changed. Fails for good when it makes no sense."""
    if bool(params["stands_for"]) == params["remove"]:
        raise AirflowFailException("Give stands_for, the id that is meant, or choose remove: one of the two.")
    context: Any = get_current_context()
    alias = corrections.Alias(params["kind"], params["alias_is"], params["alias"])
    with connections.store("writer", timeout)() as connection:
        try:
            return corrections.correct(
                connection,
                alias,
                params["stands_for"] or None,
                reason=params["reason"],
                made_by=context["dag_run"].triggering_user_name or "nobody by name",
                run=context["run_id"],
                dry_run=params["dry_run"],
            )
        except corrections.CorrectionError as error:
            raise AirflowFailException(str(error)) from None


def changed_by(corrected: dict[str, Any] | None) -> list[str]:
    """Return the tables that a correction has changed: none of one that failed or was only tried."""
    return [] if corrected is None or corrected["dry_run"] else list(corrected["tables_changed"])


def sum_up(loaded: Iterable[dict[str, Any]], retried: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Return what became of rows that a person had loaded again, and of held rows that they resolved."""
    loaded = list(loaded)
    outcomes = ("accepted", "rejected", "held", "inserted", "updated", "unchanged", "superseded")
    return {
        "files": len(loaded),
        "read": sum(account["read"] for account in loaded),
        **{outcome: sum(account[outcome] for account in loaded) for outcome in outcomes},
        "held_rows_resolved": sum(account["accepted"] for account in retried),
    }


def _accounts(loaded: list[again.Loaded]) -> list[dict[str, Any]]:
    return [
        {"load_id": one.load_id, "file": one.object_key, "accepted": account.accepted, **vars(account)}
        for one, account in loaded
    ]


def publish_assets(
    run_id: str,
    outlet_events: Any,
    timeout: timedelta,
    *,
    max_files: int | None = None,
    also_changed: Iterable[str] = (),
) -> list[str]:
    """Announce each table that the run's loads have changed, and those named beside; returns their names.

    A run that claimed as many files as it may (`max_files`) has probably left some: it wakes the next run by the
    landing asset.
    """
    with connections.store("writer", timeout)() as connection:
        summary = ledger.fetch_row(connection, "ledger/run_summary.sql", {"run": run_id})
    changed = sorted({*summary["tables_changed"], *also_changed})
    for table in changed:
        outlet_events[assets.INGESTED].add(assets.table(table), extra={"run_id": run_id})
    if max_files is not None and summary["files"] >= max_files:
        outlet_events[assets.INGESTED].add(assets.landing(), extra={"run_id": run_id, "reason": "files are left"})
    return changed


def check_rejected_share(run_id: str, max_rejected_share: float, timeout: timedelta) -> dict[str, Any]:
    """Fail the run for good when too much of what it has loaded is rejected; returns how much is."""
    with connections.store("writer", timeout)() as connection:
        try:
            return rejections.check_rejected_share(connection, run_id, max_rejected_share)
        except rejections.TooManyRejectedError as error:
            raise AirflowFailException(str(error)) from None


def erase_old_lines(retention_days: int, timeout: timedelta) -> dict[str, int]:
    """Erase the raw lines of files that were put longer ago than so many days; returns counts."""
    with connections.store("writer", timeout)() as connection:
        return expiry.erase_old_lines(connection, timezone.utcnow() - timedelta(days=retention_days))


def erase_lines_of_person(customer_ref: str | None, email_sha256: str | None, timeout: timedelta) -> dict[str, int]:
    """Erase the raw lines that name a person; returns counts. Skips when nobody is named."""
    if not customer_ref and not email_sha256:
        raise AirflowSkipException("Nobody asked to erase a person's lines.")
    with connections.store("writer", timeout)() as connection:
        return expiry.erase_lines_of_person(connection, customer_ref or None, email_sha256 or None)
