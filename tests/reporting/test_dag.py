"""build_marts after a sync, and publish_metrics, as Airflow runs them, on the platform's real parts."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import boto3
import psycopg
import pytest

from marketplace import assets, connections, metrics, settings
from marketplace.reporting import marts, status
from tests.reporting.test_measures import load
from tests.runner import Runner
from tests.sync.conftest import Sync


@pytest.fixture
def runner(filled: Sync, airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Airflow, whose connection store_writer leads to the test's own store."""
    monkeypatch.setattr(connections, "store", lambda *_role, **_options: filled.connect)
    return Runner(filled.store.platform)


def test_each_mart_has_an_asset() -> None:
    assert [f"mart.{name}" for name in marts.marts()] == assets.MARTS


def test_marts_follow_a_sync_that_has_changed_something(filled: Sync, runner: Runner) -> None:
    first = runner.run("sync_warehouse")
    assert runner.announced(first) == ["warehouse"]
    built = runner.run("build_marts")
    assert runner.states(built) == {"build": ["success"]}
    assert runner.announced(built) == assets.MARTS
    (rows,) = runner.results(built, "build")
    assert rows == {
        "data_quality": 2, "notification": 1, "payout": 2, "play": 1, "play_cell": 1, "play_hour": 1, "revenue": 2,
    }  # fmt: skip

    second = runner.run("sync_warehouse")
    assert second.state == "success"
    assert runner.announced(second) == []
    again = runner.run("build_marts")
    assert runner.states(again) == {"build": ["skipped"]}
    assert runner.announced(again) == []


def test_a_warehouse_that_differs_starts_no_marts(filled: Sync, runner: Runner) -> None:
    runner.run("sync_warehouse")
    filled.spoil("update store.transaction set reported_total = 1 where transaction_id = 'T-2'")
    filled.change("update store.game set title = 'Other'")
    run = runner.run("sync_warehouse", reconcile="all")
    assert run.state == "failed"
    assert runner.announced(run) == []


def watched(metric: str, statistic: str = "Maximum") -> list[float]:
    """What CloudWatch has of one of the metrics that the alarms watch."""
    now = datetime.now(UTC)
    points = boto3.client("cloudwatch").get_metric_statistics(
        Namespace="marketplace-local", MetricName=metric, Period=3600, Statistics=[statistic],
        StartTime=now - timedelta(hours=2), EndTime=now + timedelta(hours=1),
    )["Datapoints"]  # fmt: skip
    return [point[statistic] for point in points]


def test_what_the_alarms_watch_goes_to_cloudwatch(filled: Sync, runner: Runner) -> None:
    runner.put("game", "waits.csv", "game_id,title,release_date,genre\n")
    now = datetime.now(UTC)
    with psycopg.connect(filled.store.url("store_owner")) as connection:
        load(connection, "shown", "done", read=1, accepted=1, finished_at=now - timedelta(seconds=9000))
        load(connection, "not shown", "done", read=1, accepted=1, finished_at=now - timedelta(seconds=3000))
    figures = {"Bucket": settings.report_bucket(), "Key": status.FIGURES}
    shown = json.dumps({"as_of": (now - timedelta(seconds=6000)).isoformat()})
    boto3.client("s3").put_object(**figures, Body=shown.encode())

    run = runner.run("publish_metrics")
    (measured,) = runner.results(run, "publish")
    boto3.client("s3").delete_object(**figures)
    assert measured["WaitingFiles"] >= 1
    assert measured["DashboardSecondsBehind"] == pytest.approx(3000, abs=300)
    assert set(measured) == {
        *("WaitingFiles", "OldestWaitingFileSeconds", "RejectedShare", "HeldRows", "NotificationsUnaccounted"),
        "DashboardSecondsBehind",
    }
    for name, value in measured.items():
        assert max(watched(name)) >= value, name

    runner.run("sync_warehouse")
    assert watched("SyncSecondsBehind")
    # The highest may be of another test's sync: CloudWatch is everybody's.
    assert min(watched("SyncDifferences", "Minimum")) == 0.0
    asyncio.run(metrics.deadline_missed(context={}))
    assert sum(watched("DeadlinesMissed", "Sum")) == 1.0
