"""What the tasks of `generate_mock_data` run: the generator and the live changes, wired to Airflow's connections."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException

from marketplace import assets, connections, settings
from marketplace.mockdata import live, profile
from marketplace.mockdata.interval import OPENING, Interval

if TYPE_CHECKING:
    from marketplace.mockdata.generate import Order

log = logging.getLogger(__name__)

QUARTER = timedelta(minutes=15)
# How long the late transaction stays open after the others have committed: a load of the files falls into it.
LATE_BY = timedelta(seconds=5)


def choose_intervals(params: dict[str, Any]) -> list[dict[str, str]]:
    """Return the intervals to make files for: the run's own or, with `days_back`, the whole days before it.

    Fails the task for good when the profile or a dial does not exist, or an interval is too early.
    """
    _profile(params)
    own, days = _run_interval(), params["days_back"]
    today = Interval.of_day(own.end)
    intervals = [today.earlier(back) for back in range(days, 0, -1)] or [own]
    if intervals[0].start < OPENING:
        raise AirflowFailException(
            f"The marketplace opened on {OPENING:%Y-%m-%d}: there is no data for {intervals[0].code}."
        )
    return [{"start": one.start.isoformat(), "end": one.end.isoformat()} for one in intervals]


def put_files(interval: dict[str, str], params: dict[str, Any]) -> dict[str, Any]:
    """Make an interval's files and put them, each after its truth; returns what was put.

    A dataset that has no contract is left out: nothing would load it. In the UI the mapped task is named after its
    interval and, when it is done, what it made.
    """
    from marketplace.mockdata.generate import Order

    context: Any = get_current_context()
    span = Interval(*(datetime.fromisoformat(interval[end]) for end in ("start", "end")))
    context["interval"] = span.code
    order = Order(seed=params["seed"], interval=span, rows=params["rows"], profile=_profile(params))
    s3, bucket = S3Hook().conn, settings.landing_bucket()
    files = []
    for truth_key, file in _files(order).items():
        s3.put_object(Bucket=bucket, Key=truth_key, Body=b"".join(file.truth))
        put = s3.put_object(Bucket=bucket, Key=file.key, Body=b"".join(file.data))
        records = sum(file.records)
        log.info("%s: %s records; what is true of them: %s", file.key, records, truth_key)
        files.append({"key": file.key, "version_id": put["VersionId"], "records": records})
    records = sum(file["records"] for file in files)
    context["interval"] = f"{span.code} · {len(files)} files, {records} records"
    return {"interval": span.code, "records": records, "files": files}


def change_store(params: dict[str, Any], outlet_events: Any, timeout: timedelta) -> dict[str, int]:
    """Make the live changes of the run's interval, and announce the tables that they changed; returns the counts.

    A try before may have changed any of them and ended before it could say so: then all are announced.
    """
    context: Any = get_current_context()
    own = _run_interval()
    since = own.start - live.RECENT
    if days := params["days_back"]:
        since = min(since, Interval.of_day(own.end).earlier(days).start)
    changes = live.change(connections.store("writer", timeout), params["seed"], own, since, LATE_BY)
    for table in changes.tables if context["ti"].try_number == 1 else live.WRITTEN:
        outlet_events[assets.CHANGED].add(assets.table(table))
    return asdict(changes)


def _profile(params: dict[str, Any]) -> profile.Profile:
    try:
        return profile.load(params["profile"]).turned(params["dials"])
    except profile.ProfileError as error:
        raise AirflowFailException(str(error)) from error


def _run_interval() -> Interval:
    """Return the run's data interval; for a run that has none, the last full quarter of an hour before it.

    Fails the task for good when it is no interval that data can be made for.
    """
    context: Any = get_current_context()
    run = context["dag_run"]
    start, end = run.data_interval_start, run.data_interval_end
    if start is None or end is None:
        midnight = run.run_after.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        end = midnight + (run.run_after - midnight) // QUARTER * QUARTER
        start = end - QUARTER
    try:
        return Interval(start.astimezone(UTC), end.astimezone(UTC))
    except ValueError as error:
        raise AirflowFailException(str(error)) from error


class _File(NamedTuple):
    """A file as it is put: chunk by chunk, with its truth."""

    key: str
    data: list[bytes]
    truth: list[bytes]
    records: list[int]


def _files(order: Order) -> dict[str, _File]:
    """Return the files of an order whose datasets have a contract, by the key of their truth, in their order."""
    from marketplace.mockdata.generate import generate  # not at the top: the other tasks start sooner without numpy

    contracts = settings.include_dir() / "contracts"
    files: dict[str, _File] = {}
    for chunk in generate(order):
        dataset = chunk.key.split("/")[1]
        if (contracts / f"{dataset}.yaml").is_file():
            file = files.setdefault(chunk.truth_key, _File(chunk.key, [], [], []))
            file.data.append(chunk.data)
            file.truth.append(chunk.truth)
            file.records.append(chunk.records)
    return files
