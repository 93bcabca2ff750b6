"""What `make bench` calls: measure a job's cases, print them, and keep them in .local/bench/JOB.json."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.case import REPO, Case, CaseError, Measure, Run, measure, summary
from local.errors import LocalError

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


def interpreter(case: Case) -> str:
    """Return the Python that runs a case: of an environment of its own when it has requirements.

    Raises CaseError when they cannot be installed.
    """
    return environment(Path(__file__).with_name(case.requirements)) if case.requirements else sys.executable


def environment(lock: Path) -> str:
    """Return the Python of an environment that has what a lock names, made when needed. Raises CaseError."""
    made = RESULTS / lock.stem
    python, installed = made / "bin" / "python", made / "installed.txt"
    if installed.exists() and installed.read_text() == lock.read_text():
        return str(python)
    console.print(f"[dim]Installing {lock.name}[/dim]")
    uv = str(Path(sys.executable).with_name("uv"))
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(made)],
        [uv, "pip", "sync", "--quiet", "--python", str(python), str(lock)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["uv said nothing"])[-1]
            raise CaseError(f"{lock.name} cannot be installed: {last}")
    installed.write_text(lock.read_text())
    return str(python)


def run(
    cases: list[Case], measure_case: Measure = measure, keep: Callable[[list[dict[str, Any]]], object] = bool
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Measure the cases; in turns, so that what else the machine does hits all of them alike.

    `keep` is given what there is after each. Of others' programs one that fails is left out from then on: returned are
    the measures, and what those said by their cases' names. Raises CaseError.
    """
    pythons = {case.name: interpreter(case) for case in cases}
    runs: dict[str, list[Run]] = {case.name: [] for case in cases}
    failed: dict[str, str] = {}

    def measured() -> list[dict[str, Any]]:
        return [summary(case, runs[case.name]) for case in cases if runs[case.name]]

    for turn in range(max(case.runs for case in cases)):
        for case in cases:
            if turn >= case.runs or case.name in failed:
                continue
            try:
                done = measure_case(case, pythons[case.name])
            except CaseError as error:
                if not case.requirements:
                    raise
                failed[case.name] = str(error)
                console.print(f"[red]{escape(str(error))}[/red]")
                continue
            runs[case.name].append(done)
            keep(measured())
            console.print(f"[dim]{case.name}: {done.rows:,} rows in {done.seconds:.1f} s[/dim]")
    return measured(), failed


def show(result: dict[str, Any]) -> None:
    """Print what was measured."""
    table = Table("case", box=None, header_style="bold", title=f"{result['job']}, medians", title_justify="left")
    for heading in ("rows", "s", "cpu s", "server cpu s", "rows/s", "peak MB", "runs"):
        table.add_column(heading, justify="right")
    for case in result["cases"]:
        table.add_row(
            escape(case["name"]), f"{case['rows']:,}", f"{case['seconds']:.2f}", f"{case['cpu_seconds']:.2f}",
            f"{case['server_cpu_seconds']:.2f}" if case["server_cpu_seconds"] else "",
            f"{case['rows_per_s']:,}", f"{case['peak_rss_mb']:.0f}", str(len(case["runs"])),
        )  # fmt: skip
        for part, measured in case["parts"].items():
            table.add_row(f"  [dim]{part}[/dim]", f"{measured['rows']:,}", "", "", "", f"{measured['rows_per_s']:,}")
        for phase, seconds in case["phases"].items():
            table.add_row(f"  [dim]{escape(phase)}[/dim]", "", f"[dim]{seconds:.2f}[/dim]")
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
    parser.add_argument("--rows", help="other sizes than the job has, such as 100000,1000000")
    parser.add_argument("--cases", default="", help="only the cases whose names begin with one of these: ours,copy")
    options = parser.parse_args(arguments)
    job = importlib.import_module(f"bench.{options.job}")
    if options.rows and not hasattr(job, "cases"):
        parser.error(f"{options.job} has its sizes, and no others: leave ROWS away")
    # Sizes or cases of one's own are kept apart: the figures of the documents are of all cases of a job.
    kept = RESULTS / f"{'-'.join(filter(None, [options.job, options.rows, options.cases]))}.json"
    cases: list[Case] = job.cases(tuple(map(int, options.rows.split(",")))) if options.rows else job.CASES
    cases = [case for case in cases if options.peers or not case.requirements]
    cases = [case for case in cases if case.name.startswith(tuple(options.cases.split(",")))]
    words = {"JOB": options.job, "PEERS": options.peers and "1", "ROWS": options.rows, "CASES": options.cases}
    command = " ".join(["make bench", *(f"{name}={word}" for name, word in words.items() if word)])
    result: dict[str, Any] = {"job": options.job, "command": command, "machine": machine()}
    RESULTS.mkdir(parents=True, exist_ok=True)
    so_far = kept.with_suffix(".partial.json")

    def keep(measured: list[dict[str, Any]]) -> None:
        so_far.write_text(json.dumps(result | {"cases": measured}, indent=2) + "\n", encoding="utf-8")

    # So that what is told to end ends its servers as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with job.measuring(cases) if hasattr(job, "measuring") else nullcontext(measure) as measure_case:
            result["cases"], failed = run(cases, measure_case, keep)
    except (CaseError, LocalError, KeyboardInterrupt) as error:
        is_interrupted = isinstance(error, KeyboardInterrupt)
        console.print(f"[red]{'Interrupted.' if is_interrupted else escape(str(error))}[/red]")
        if so_far.exists():
            console.print(f"What was measured until then is in {so_far.relative_to(REPO)}, and goes into no document.")
        return 130 if is_interrupted else 1
    result["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    result["ratios"] = job.ratios({case["name"]: case for case in result["cases"]})
    kept.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    so_far.unlink(missing_ok=True)
    show(result)
    console.print(f"Kept in {kept.relative_to(REPO)}")
    for name, said in failed.items():
        console.print(f"[red]{escape(name)} is not in it: {escape(said)}[/red]")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
