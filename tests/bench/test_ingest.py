"""What is measured of ingestion is right: a result that differs from the truth ends the benchmark."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bench import ingest, page, run
from bench.case import Case, CaseError, Run, run_here
from bench.ingest import Bench
from bench.ingest_store import DATABASE
from local import postgres

ROWS = 1000


def measure_here(case: Case, _python: str) -> Run:
    """Measure a case in this process: one of its own takes a second to start."""
    module, _, name = case.function.partition(":")
    return run_here(getattr(importlib.import_module(module), name), case.arguments)


@pytest.fixture(scope="module")
def bench(platform: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Files and stores of a tiny size, on the platform of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "measure", measure_here)
        patch.setattr("os.sync", lambda: None)  # the disk is everybody's
        cases = [replace(case, runs=1) for case in ingest.cases([ROWS]) if not case.requirements]
        yield Bench(platform, tmp_path_factory.mktemp("bench"), cases)
    with postgres.connect(platform.state) as connection:
        postgres.drop_database(connection, DATABASE)


def tamper(bench: Bench, statement: str) -> None:
    with psycopg.connect(bench.stores.url("postgres")) as connection:
        assert connection.execute(statement).rowcount == 1


def test_the_job_is_measured_and_its_result_is_checked(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def measuring(cases: list[Case]) -> Iterator[Any]:
        assert cases == bench.cases
        yield bench.measure

    monkeypatch.setattr(ingest, "measuring", measuring)
    monkeypatch.setattr(ingest, "cases", lambda _sizes: bench.cases)
    monkeypatch.setattr(run, "REPO", tmp_path)
    monkeypatch.setattr(run, "RESULTS", tmp_path / "bench")
    assert run.main(["ingest", "--rows", str(ROWS)]) == 0
    result = json.loads((tmp_path / "bench" / f"ingest-{ROWS}.json").read_text())
    cases = {case["name"]: case for case in result["cases"]}
    truth = bench.files[ROWS].lines.outcomes
    assert truth["superseded"] > 0
    assert truth["rejected"] > 0
    assert truth["held"] > 0
    assert {name: case["rows"] for name, case in cases.items()} == {
        **dict.fromkeys(("ours_1k", "ours_again_1k", "ours_corrected_1k"), truth.total()),
        **dict.fromkeys(("copy_1k", "copy_sorted_1k", "copy_no_keys_1k"), truth["accepted"]),
    }
    assert result["command"] == f"make bench JOB=ingest ROWS={ROWS}"
    # Of so small a file the server's processor may take too little for the kernel's clock, which counts in hundredths.
    measurable = {"server_cpu_seconds: ours_1k / copy_1k"} if cases["copy_1k"]["server_cpu_seconds"] else set()
    assert result["ratios"].keys() == measurable | {
        "seconds: copy_1k / ours_1k", "seconds: copy_sorted_1k / ours_1k", "seconds: ours_1k / ours_again_1k",
        "seconds: ours_1k / ours_corrected_1k",
    }  # fmt: skip
    assert page.section(result, "images/x.svg", "seconds")


def test_what_is_not_the_truth_is_found(bench: Bench) -> None:
    (ours,) = (case for case in bench.cases if case.name == "ours_1k")
    bench.measure(ours, "")
    stores, lines = bench.stores, bench.files[ROWS].lines
    key, first = "landing/transaction_detail/ours.csv", "ctid = (select min(ctid) from store.transaction_line)"
    stores.check_rows(lines)
    stores.check_account(key, lines)

    tamper(bench, f"update store.transaction_line set gross = gross + 1 where {first}")
    with pytest.raises(CaseError, match=r"(?s)1 rows differ from the truth:.found \{.*expected \{"):
        stores.check_rows(lines)
    tamper(bench, f"delete from store.transaction_line where {first}")
    with pytest.raises(CaseError, match=r"(?s)2 rows differ from the truth:.*found None, expected \{"):
        stores.check_rows(lines)

    tamper(bench, "delete from ops.rejected_row where ctid = (select max(ctid) from ops.rejected_row)")
    with pytest.raises(CaseError, match=r"ours\.csv: ops\.rejected_row differs in 1 rows, such as"):
        stores.check_account(key, lines)
    tamper(bench, f"update ops.load set held = held - 1, read = read - 1 where object_key = '{key}'")
    records, held = lines.records, lines.outcomes["held"]
    with pytest.raises(CaseError, match=f"read is {records - 1}, not {records}; held is {held - 1}, not {held}; ops"):
        stores.check_account(key, lines)


def test_ratios_are_medians_of_pairs_and_of_the_sizes_there_are() -> None:
    cases = {
        name: {"runs": runs, "server_cpu_seconds": 3.0 * len(runs), "peak_rss_mb": 100.0 + runs[0]}
        for name, runs in {
            "copy_1m": [4.0, 9.0, 10.0], "ours_1m": [8.0, 10.0, 5.0], "ours_again_1m": [4.0, 2.5, 5.0],
            "sling_1m": [16.0, 20.0, 20.0], "ours_5m": [20.0],
        }.items()
    }  # fmt: skip
    assert ingest.ratios(cases) == {
        "seconds: copy_1m / ours_1m": 0.9,
        "seconds: sling_1m / ours_1m": 2.0,
        "seconds: ours_1m / ours_again_1m": 2.0,
        "server_cpu_seconds: ours_1m / copy_1m": 1.0,
        "peak_rss_mb: ours_5m / ours_1m": 1.11,
    }
