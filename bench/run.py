"""What `make bench` calls: measure a job's cases, print them, and keep them in .local/bench/JOB.json."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.case import REPO, Case, CaseError, Run, measure, summary

RESULTS = REPO / ".local" / "bench"
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 140)


def jobs() -> list[str]:
    """Return the modules of this package that have cases."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "\nCASES" in path.read_text())


def machine() -> dict[str, Any]:
    """Return what the measures depend on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


@contextmanager
def interpreter(case: Case) -> Iterator[str]:
    """Yield the Python that runs a case; for one that needs packages, of an environment that goes afterwards.

    Raises CaseError when they cannot be installed.
    """
    if not case.packages:
        yield sys.executable
        return
    with tempfile.TemporaryDirectory(prefix="marketplace-bench-") as directory:
        uv = str(Path(sys.executable).with_name("uv"))
        python = f"{directory}/bin/python"
        for command in (
            [uv, "venv", "--quiet", "--python", sys.executable, directory],
            [uv, "pip", "install", "--quiet", "--python", python, *case.packages],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                last = (done.stderr.strip().splitlines() or ["uv said nothing"])[-1]
                raise CaseError(f"{case.name}: {', '.join(case.packages)} cannot be installed: {last}")
        yield python


def run(cases: list[Case]) -> list[dict[str, Any]]:
    """Measure the cases; in turns, so that what else the machine does hits all of them alike."""
    runs: dict[str, list[Run]] = {case.name: [] for case in cases}
    for turn in range(max(case.runs for case in cases)):
        for case in cases:
            if turn < case.runs:
                with interpreter(case) as python:
                    measured = measure(case, python)
                runs[case.name].append(measured)
                console.print(f"[dim]{case.name}: {measured.rows:,} rows in {measured.seconds:.1f} s[/dim]")
    return [summary(case, runs[case.name]) for case in cases]


def show(result: dict[str, Any]) -> None:
    """Print what was measured."""
    table = Table("case", box=None, header_style="bold", title=f"{result['job']}, medians", title_justify="left")
    for heading in ("rows", "s", "cpu s", "rows/s", "peak MB", "runs"):
        table.add_column(heading, justify="right")
    for case in result["cases"]:
        table.add_row(
            escape(case["name"]), f"{case['rows']:,}", f"{case['seconds']:.2f}", f"{case['cpu_seconds']:.2f}",
            f"{case['rows_per_s']:,}", f"{case['peak_rss_mb']:.0f}", str(len(case["runs"])),
        )  # fmt: skip
        for part, measured in case["parts"].items():
            table.add_row(f"  [dim]{part}[/dim]", f"{measured['rows']:,}", "", "", f"{measured['rows_per_s']:,}")
    console.print(table)
    for name, ratio in result["ratios"].items():
        console.print(f"{escape(name)}: {ratio:,.2f}")
    before, after = result["machine"]["load_before"], result["machine"]["load_after"]
    console.print(f"[dim]{result['machine']['cores']} cores, load {before} before and {after} after[/dim]")


def main(arguments: list[str]) -> int:
    """Measure one job; return the exit status."""
    parser = argparse.ArgumentParser(prog="bench.run")
    parser.add_argument("job", choices=jobs())
    parser.add_argument("--peers", action="store_true", help="also what has to be installed first")
    options = parser.parse_args(arguments)
    job = importlib.import_module(f"bench.{options.job}")
    result: dict[str, Any] = {"job": options.job, "machine": machine()}
    try:
        result["cases"] = run([case for case in job.CASES if options.peers or not case.packages])
    except CaseError as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    result["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    result["ratios"] = job.ratios({case["name"]: case for case in result["cases"]})
    RESULTS.mkdir(parents=True, exist_ok=True)
    kept = RESULTS / f"{options.job}.json"
    kept.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    show(result)
    console.print(f"Kept in {kept.relative_to(REPO)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
