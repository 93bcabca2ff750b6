"""What is measured of the warehouse sync is right: a warehouse that differs from the store ends the benchmark."""

from __future__ import annotations

import gzip
import importlib
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest

from bench import page, run, sync
from bench.case import Case, CaseError, Run, run_here
from bench.sync import BUCKET, DATABASE, Bench
from local import postgres, warehouse
from local.platform import Platform
from marketplace import warehouse as warehouse_schema
from tests.sync.conftest import SET_ASIDE, rename

ROWS = 1000


def measure_here(case: Case, _python: str) -> Run:
    """Measure a case in this process: one of its own takes a second to start."""
    module, _, name = case.function.partition(":")
    return run_here(getattr(importlib.import_module(module), name), case.arguments)


@pytest.fixture(scope="module")
def bench(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A tiny store and its warehouse, which takes the place of the tests' platform's."""
    rename(platform, warehouse.DATABASE, SET_ASIDE)
    bucket = boto3.resource("s3").create_bucket(Bucket=BUCKET)
    with postgres.connect(platform.state) as connection:
        postgres.create_database(connection, warehouse.DATABASE, warehouse.USER)
    postgres.prepare_warehouse(platform.state, warehouse.DATABASE)
    with closing(warehouse.connect(platform.state)) as connection:
        warehouse_schema.migrate(connection)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sync, "measure", measure_here)
        patch.setattr("os.sync", lambda: None)  # the disk is everybody's
        cases = [replace(case, runs=1) for case in sync.cases([ROWS]) if not case.requirements]
        yield Bench(platform, tmp_path_factory.mktemp("bench"), cases)
    with postgres.connect(platform.state) as connection:
        for name in (warehouse.DATABASE, DATABASE):
            postgres.drop_database(connection, name)
    rename(platform, SET_ASIDE, warehouse.DATABASE)
    bucket.objects.all().delete()
    bucket.delete()


def case(bench: Bench, name: str) -> Case:
    (found,) = (case for case in bench.cases if case.name == name)
    return found


def tamper(bench: Bench, statement: str) -> None:
    url = bench.platform.store_url("postgres", warehouse.DATABASE)
    with psycopg.connect(url) as connection:
        assert connection.execute(statement.encode()).rowcount == 1


def test_the_job_is_measured_and_its_result_is_checked(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def measuring(cases: list[Case]) -> Iterator[Any]:
        assert cases == bench.cases
        yield bench.measure

    monkeypatch.setattr(sync, "measuring", measuring)
    monkeypatch.setattr(sync, "cases", lambda _sizes: bench.cases)
    monkeypatch.setattr(run, "REPO", tmp_path)
    monkeypatch.setattr(run, "RESULTS", tmp_path / "bench")
    assert run.main(["sync", "--rows", str(ROWS)]) == 0
    result = json.loads((tmp_path / "bench" / f"sync-{ROWS}.json").read_text())
    assert {case["name"]: case["rows"] for case in result["cases"]} == {
        "empty_of_1k": 0,
        "ours_20_of_1k": 20,
        "ours_60_of_1k": 60,
        "copy_gzip_200_of_1k": 198,  # the keys that are gone are not its business
        "export_200_of_1k": 200,
        "export_checked_200_of_1k": 200,
        "unchecked_200_of_1k": 200,
        "ours_200_of_1k": 200,
        "reconcile_200_of_1k": 200,
    }
    assert result["ratios"].keys() >= {
        f"seconds: copy_gzip_200_of_1k / {name}_200_of_1k" for name in ("export", "export_checked")
    }
    assert page.section(result, "images/x.svg", "seconds")
    for name in ("a.svg", "b.svg"):
        page.plot_growth(result, tmp_path / name, "ours_")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_each_change_is_of_the_size_that_was_asked_for_and_gets_to_the_warehouse(bench: Bench) -> None:
    bench.measure(case(bench, "copy_gzip_200_of_1k"), "")
    lines = gzip.decompress((bench.directory / "changed.csv.gz").read_bytes()).decode().splitlines()
    with psycopg.connect(bench.stores.url("postgres", DATABASE)) as store:
        assert store.execute("select count(*) from bench.deleted").fetchone() == (2,)
    assert len(lines) == len({tuple(line.split(",")[:2]) for line in lines}) == 198
    bench.measure(case(bench, "ours_200_of_1k"), "")
    with psycopg.connect(bench.platform.store_url("postgres", warehouse.DATABASE)) as behind:
        found = behind.execute(
            "select exported, deleted from ops.sync_run where table_name = 'store.transaction_line'"
            " order by synced_at desc limit 1"
        ).fetchone()
    assert found == (198, 2)


def test_a_warehouse_that_differs_is_found(bench: Bench) -> None:
    bench.measure(case(bench, "empty_of_1k"), "")
    key = "(transaction_id, line_no)"
    first = f"{key} = (select transaction_id, line_no from store.transaction_line order by 1, 2 limit 1)"
    tamper(bench, f"update store.transaction_line set gross = gross + 1 where {first}")
    with pytest.raises(CaseError, match=r"store\.transaction_line: the store has \(rows, checksum\) \((\d+), .*\(\1, "):
        bench.measure(case(bench, "empty_of_1k"), "")
    tamper(bench, f"update store.transaction_line set gross = gross - 1 where {first}")
    bench.check()
    tamper(bench, "delete from store.game where game_id = 'G-1'")
    with pytest.raises(CaseError, match=r"store\.game: .* \(1000, .*\(999, "):
        bench.check()


def test_ratios_are_medians_of_pairs() -> None:
    cases = {
        name: {"runs": runs, "rows": rows, "seconds": sorted(runs)[1], "peak_rss_mb": peak}
        for name, runs, rows, peak in [
            ("empty_of_5m", [1.0, 1.0, 1.0], 0, 80.0),
            ("ours_100k_of_5m", [2.0, 3.0, 4.0], 100_000, 80.0),
            ("copy_gzip_1m_of_5m", [3.0, 4.0, 4.0], 990_000, 5.0),
            ("export_1m_of_5m", [5.0, 5.0, 5.0], 1_000_000, 90.0),
            ("export_checked_1m_of_5m", [8.0, 8.0, 8.0], 1_000_000, 90.0),
            ("dlt_1m_of_5m", [60.0, 80.0, 90.0], 990_000, 500.0),
            ("unchecked_1m_of_5m", [10.0, 16.0, 30.0], 1_000_000, 100.0),
            ("ours_1m_of_5m", [20.0, 20.0, 20.0], 1_000_000, 100.0),
            ("reconcile_1m_of_5m", [5.0, 7.0, 9.0], 1_000_000, 80.0),
        ]
    }  # fmt: skip
    assert sync.ratios(cases) == {
        "seconds: copy_gzip_1m_of_5m / export_1m_of_5m": 0.8,
        "seconds: copy_gzip_1m_of_5m / export_checked_1m_of_5m": 0.5,
        "seconds: dlt_1m_of_5m / ours_1m_of_5m": 4.0,
        "seconds: dlt_1m_of_5m / unchecked_1m_of_5m": 5.0,
        "microseconds a changed row: ours_100k_of_5m": 30.0,
        "microseconds a changed row: ours_1m_of_5m": 20.0,
        "seconds: ours_1m_of_5m and reconcile_1m_of_5m": 27.0,
        "peak memory: ours_1m_of_5m / ours_100k_of_5m": 1.25,
    }
