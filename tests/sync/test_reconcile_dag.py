"""The tasks reconcile and measure_lag as Airflow runs them, in this process, on the platform's real parts."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.observability import stats

from marketplace import connections
from tests.runner import Runner
from tests.sync.conftest import Sync


@pytest.fixture
def gauges(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The metrics that tasks set."""
    found: dict[str, float] = {}
    real = stats.gauge

    def gauge(name: str, value: float, *more: Any, **named: Any) -> None:
        found[name] = value
        real(name, value, *more, **named)

    monkeypatch.setattr(stats, "gauge", gauge)
    return found


@pytest.fixture
def runner(filled: Sync, airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Airflow, whose connection store_writer leads to the test's own store."""
    monkeypatch.setattr(connections, "store", lambda *_role, **_options: filled.connect)
    return Runner(filled.store.platform)


def test_a_difference_fails_the_run_by_its_name_and_a_repair_mends_it(
    filled: Sync, runner: Runner, gauges: dict[str, float], capfd: pytest.CaptureFixture[str]
) -> None:
    first = runner.run("sync_warehouse")
    assert first.state == "success"
    assert gauges["marketplace.sync.differences"] == 0
    filled.spoil("update store.transaction set reported_total = 1 where transaction_id = 'T-2'")
    filled.change("insert into store.game (game_id, title, title_key) values ('G-9', 'New', 'new')")

    capfd.readouterr()
    second = runner.run("sync_warehouse", reconcile="all")
    assert second.state == "failed"
    states = runner.states(second)
    assert (states["apply"], states["reconcile"], states["measure_lag"], states["clean_up"]) == (
        ["success"], ["failed"], ["success"], ["upstream_failed"],
    )  # fmt: skip
    printed = capfd.readouterr().out
    assert 'store.transaction: 1 changed: changed {"transaction_id": "T-2"}' in printed
    assert gauges["marketplace.sync.differences"] == 1

    third = runner.run("sync_warehouse", repair=True, reconcile="all")
    assert third.state == "success"
    assert filled.differences() == []
    assert filled.told("select run_id, repaired_by from ops.sync_difference") == [(second.run_id, third.run_id)]
    assert gauges["marketplace.sync.differences"] == 0


def test_a_run_says_how_far_the_warehouse_is_behind(filled: Sync, runner: Runner, gauges: dict[str, float]) -> None:
    run = runner.run("sync_warehouse", tables=["store.game"])
    assert run.state == "success"
    (result,) = runner.results(run, "measure_lag")
    assert result["behind"].keys() >= {"store.customer", "store.transaction_line"}
    assert "store.game" not in result["behind"]
    assert (result["rows_behind"], result["tables_never_synced"]) == (23, 16)
    assert gauges["marketplace.sync.rows_behind"] == 23


def test_the_lag_is_measured_when_nothing_goes_through(filled: Sync, runner: Runner) -> None:
    filled.change("alter table store.game rename column genre to kind")
    run = runner.run("sync_warehouse")
    states = runner.states(run)
    assert (run.state, states["export"], states["measure_lag"]) == ("failed", ["failed"], ["success"])
    (result,) = runner.results(run, "measure_lag")
    assert result["tables_never_synced"] == 17
