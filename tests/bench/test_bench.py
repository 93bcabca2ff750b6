"""Cases are measured in processes of their own, and what is written of them is what was measured."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import mockdata, page, run
from bench.case import LOOK_SECONDS, Case, CaseError, Part, Run, measure, run_program, summary
from marketplace.mockdata import profile
from marketplace.mockdata.generate import Order, generate
from marketplace.mockdata.interval import Interval


def test_a_case_has_the_memory_of_a_process_of_its_own() -> None:
    big, small = (
        measure(Case("allocate", "tests.bench.work:allocate", {"megabytes": megabytes}), sys.executable)
        for megabytes in (200, 2)
    )
    assert (big.rows, big.parts) == (200, {"half": Part(100, 0.5)})
    assert 150 < big.peak_rss_mb - small.peak_rss_mb < 250
    assert small.seconds > 0


def test_a_case_that_fails_says_why() -> None:
    with pytest.raises(CaseError, match=r"(?s)broken ended with status 1:.*there is nothing to measure"):
        measure(Case("broken", "tests.bench.work:fail"), sys.executable)


def test_a_program_has_its_own_memory_and_its_last_words_when_it_fails() -> None:
    # Its memory is looked up while it runs: one that is gone before the next look has none to be read.
    stay = f"import time; time.sleep({5 * LOOK_SECONDS})"
    hold = f"held = bytearray(100_000_000); held[::1024] = bytes(len(held[::1024])); {stay}"
    assert 100 < run_program([sys.executable, "-c", hold], {}) < 200
    fail = "import os; print(os.environ['WHY']); raise SystemExit(3)"
    with pytest.raises(CaseError, match=r"(?s)ended with status 3:.*no such table"):
        run_program([sys.executable, "-c", fail], {"WHY": "no such table"})


def test_what_is_kept_of_runs_are_their_medians() -> None:
    runs = [
        Run(1000, seconds, cpu, peak, {"half": Part(500, seconds / 4)}, server_cpu_seconds=cpu * 3, phases=phases)
        for seconds, cpu, peak, phases in [
            (4.0, 1.0, 90.0, {"copy": 1.0}),
            (1.0, 3.0, 80.0, {"copy": 3.0, "commit": 0.5}),
            (2.0, 2.0, 50.0, {"copy": 1.5}),
        ]
    ]  # fmt: skip
    assert summary(Case("some", "a:b"), runs) == {
        "name": "some", "rows": 1000, "seconds": 2.0, "cpu_seconds": 2.0, "rows_per_s": 500, "peak_rss_mb": 80.0,
        "runs": [4.0, 1.0, 2.0], "parts": {"half": {"rows": 500, "rows_per_s": 1000}}, "server_cpu_seconds": 6.0,
        "phases": {"copy": 1.5, "commit": 0.0},
    }  # fmt: skip


HALF = {"rows": 5, "rows_per_s": 7_000}


def measured(name: str, rows: int, peak_rss_mb: float = 100.0) -> dict[str, Any]:
    return {
        "name": name, "rows": rows, "seconds": 2.0, "cpu_seconds": 0.5, "rows_per_s": rows // 2, "runs": [2.0],
        "peak_rss_mb": peak_rss_mb, "parts": {}, "server_cpu_seconds": 0.0, "phases": {},
    }  # fmt: skip


def test_ratios_compare_us_with_each_peer_and_five_times_the_rows_with_once() -> None:
    cases = [measured("ours_normal", 300_000), measured("ours_normal_5m", 300_000, 130.0), measured("faker", 20_000)]
    assert mockdata.ratios({case["name"]: case for case in cases}) == {
        "rows: ours_normal / faker": 15.0,
        "peak memory: ours_normal_5m / ours_normal": 1.3,
    }


@pytest.mark.full
def test_peers_make_as_many_rows_of_each_dataset_as_we_do() -> None:
    assert sum(mockdata.SHARES.values()) == 1000
    order = Order(1, Interval.of_day(mockdata.DAY), mockdata.MILLION, profile.load("normal"))
    records: Counter[str] = Counter()
    for chunk in generate(order):
        records[chunk.key.split("/")[1]] += chunk.records
    ours = {dataset: round(1000 * count / records.total()) for dataset, count in records.items()}
    assert ours == pytest.approx(mockdata.SHARES, abs=2)


def test_a_job_is_measured_printed_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [
        Case("ours_normal", "tests.bench.work:allocate", {"megabytes": 2}, runs=2),
        Case("ours_normal_5m", "tests.bench.work:allocate", {"megabytes": 4}, runs=1),
        Case("with_more", "tests.bench.work:allocate", requirements="requirements-mockdata.txt"),
    ]
    monkeypatch.setattr(mockdata, "CASES", cases)
    monkeypatch.setattr(run, "REPO", tmp_path)
    monkeypatch.setattr(run, "RESULTS", tmp_path / "bench")
    assert run.main(["mockdata"]) == 0
    kept = json.loads((tmp_path / "bench" / "mockdata.json").read_text())
    assert [(case["name"], case["rows"], len(case["runs"])) for case in kept["cases"]] == [
        ("ours_normal", 2, 2), ("ours_normal_5m", 4, 1),
    ]  # fmt: skip
    assert set(kept["machine"]) == {
        "system", "processor", "cores", "python", "started", "load_before", "load_after"
    }  # fmt: skip
    assert kept["ratios"].keys() == {"peak memory: ours_normal_5m / ours_normal"}
    assert "ours_normal_5m" in capsys.readouterr().out


def test_another_program_that_fails_is_left_out_and_what_was_measured_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = Case("ours_normal", "tests.bench.work:allocate", {"megabytes": 2}, runs=2)
    other = Case("other", "tests.bench.work:fail", requirements="requirements-mockdata.txt")
    monkeypatch.setattr(run, "interpreter", lambda _case: sys.executable)
    monkeypatch.setattr(mockdata, "ratios", lambda _cases: {})
    monkeypatch.setattr(run, "REPO", tmp_path)
    monkeypatch.setattr(run, "RESULTS", tmp_path / "bench")
    monkeypatch.setattr(mockdata, "CASES", [other, ours])
    assert run.main(["mockdata", "--peers"]) == 1
    kept = json.loads((tmp_path / "bench" / "mockdata.json").read_text())
    assert [(case["name"], len(case["runs"])) for case in kept["cases"]] == [("ours_normal", 2)]
    assert "there is nothing to measure" in capsys.readouterr().out.splitlines()[-1]
    assert [file.name for file in (tmp_path / "bench").iterdir()] == ["mockdata.json"]
    # One of ours that fails ends it: the figures before stay, and those of the run before too.
    monkeypatch.setattr(mockdata, "CASES", [ours, replace(other, name="ours_broken", requirements="")])
    assert run.main(["mockdata"]) == 1
    partial = json.loads((tmp_path / "bench" / "mockdata.partial.json").read_text())
    assert [case["name"] for case in partial["cases"]] == ["ours_normal"]
    assert json.loads((tmp_path / "bench" / "mockdata.json").read_text()) == kept


def test_the_same_measures_give_the_same_page_and_plot(tmp_path: Path) -> None:
    result = {
        "machine": {
            "cores": 2, "processor": "a processor", "python": "3.12.1", "load_before": 0.5, "load_after": 1.5,
            "started": "2026-01-05T14:15:00+00:00",
        },
        "cases": [
            measured("ours_normal", 300_000),
            measured("faker", 20_000) | {"parts": {"game": HALF, "wishlist": HALF}},
        ],
        "ratios": {"rows: ours_normal / faker": 15.0},
    }  # fmt: skip
    section = page.section(result, "images/x.svg", "cpu_seconds")
    for line in (
        "| ours_normal | 300,000 | 2.00 | 0.50 | 150,000 | 600,000 | 100 | 1 |",
        "| rows: ours_normal / faker | 15 |",
        "| case | game | wishlist |",
        "| faker | 7,000 | 7,000 |",
    ):
        assert line in section.splitlines()
    for name in ("a.svg", "b.svg"):
        page.plot(result, tmp_path / name, "cpu_seconds")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("job", page.PAGES)
def test_every_page_has_a_place_for_the_figures(job: str) -> None:
    assert job in run.jobs()
    assert page.PAGES[job].path.read_text(encoding="utf-8").count(page.START) == 1
