"""What is measured of the notifications is right: items that are missing end the benchmark."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import psycopg
import pytest

from bench import notify
from bench.case import Case, CaseError, Run, run_here
from bench.ingest_store import DATABASE
from bench.notify import Bench
from local import postgres
from local.platform import Platform
from marketplace.notifications import facts

ROWS = 100
CASES = {case.name: replace(case, runs=1) for case in notify.cases([ROWS]) if "2" not in case.name}


def measure_here(case: Case, _python: str) -> Run:
    """Measure a case in this process: one of its own takes a second to start."""
    module, _, name = case.function.partition(":")
    return run_here(getattr(importlib.import_module(module), name), case.arguments)


@pytest.fixture(scope="module")
def bench(platform: Platform) -> Iterator[Bench]:
    """A tiny store, and a stub."""
    with pytest.MonkeyPatch.context() as patch, notify._stub() as port:
        patch.setattr(notify, "measure", measure_here)
        patch.setattr(notify, "CHUNK", 10)
        patch.setattr("os.sync", lambda: None)  # the disk is everybody's
        yield Bench(platform, port, 10 * ROWS)
    boto3.client("dynamodb").delete_table(TableName=notify.TABLE)
    with postgres.connect(platform.state) as connection:
        postgres.drop_database(connection, DATABASE)


@pytest.mark.parametrize("name", CASES)
def test_a_case_writes_all_its_items(bench: Bench, name: str) -> None:
    case = CASES[name]
    run = bench.measure(case, "")
    assert run.rows == case.arguments["rows"] == {"bare_emulator": 20, "ours_emulator": 20, "ours_stub_x10": 1000}.get(
        name, ROWS
    )  # fmt: skip


@pytest.mark.parametrize("name", ["ours_stub", "ours_emulator"])
def test_items_that_are_missing_end_the_benchmark(bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = facts.facts
    monkeypatch.setattr(facts, "facts", lambda *given: read(*given)[1:])
    with pytest.raises(CaseError, match=rf"^{name} has written \d+ items, not \d+$"):
        bench.measure(CASES[name], "")


def test_ratios_are_of_the_same_number_of_processes() -> None:
    def measured(name: str, seconds: float, peak: float) -> dict[str, Any]:
        return {"name": name, "runs": [seconds], "rows_per_s": round(100 / seconds), "peak_rss_mb": peak}

    cases = [
        measured("bare_stub", 7.0, 50.0), measured("ours_stub", 10.0, 80.0), measured("bare_stub_2", 4.0, 50.0),
        measured("ours_stub_2", 5.0, 80.0), measured("ours_stub_x10", 100.0, 84.0),
    ]  # fmt: skip
    assert notify.ratios({case["name"]: case for case in cases}) == {
        "items/s: ours_stub / bare_stub": 0.7,
        "items/s: ours_stub_2 / bare_stub_2": 0.8,
        "items/s: ours_stub_2 / ours_stub": 2.0,
        "peak memory: ours_stub_x10 / ours_stub": 1.05,
    }


def test_the_store_is_the_one_that_was_filled(bench: Bench) -> None:
    with psycopg.connect(bench._url) as connection:
        assert connection.execute("select count(*) from store.customer").fetchone() == (10 * ROWS,)
