"""One case of a benchmark: run in a process of its own, so that its memory is its own, and measured there.

    python -m bench.case MODULE:FUNCTION '{"argument": 1}'

prints what was measured as one line of JSON.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

REPO = Path(__file__).resolve().parents[1]
# How often the memory of a program is looked at.
LOOK_SECONDS = 0.05


class CaseError(RuntimeError):
    """A case that did not come to its end; the message is the last of what it said."""


@dataclass(frozen=True)
class Part:
    """What a part of a case's rows took, in seconds."""

    rows: int
    seconds: float


@dataclass(frozen=True)
class Done:
    """What the function of a case returns: how many rows it dealt with, and what their parts took if it can tell.

    peak_rss_mb   the memory of the program that did the work, if it was not this process
    """

    rows: int
    parts: dict[str, Part] = field(default_factory=dict)
    peak_rss_mb: float = 0.0


@dataclass(frozen=True)
class Run:
    """What one run of a case took: seconds of the clock and of the processor, and memory at its peak.

    server_cpu_seconds   what a server that it spoke to took beside it
    phases               in seconds of the clock, what it was doing
    """

    rows: int
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    parts: dict[str, Part] = field(default_factory=dict)
    server_cpu_seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A function of this package (`module:function`) to be measured with arguments that JSON can hold.

    requirements  a lock in this package, of what it needs instead of the development environment: it then runs in an
                  environment of its own, and only with PEERS=1
    """

    name: str
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    runs: int = 3
    requirements: str = ""


# Runs a case once, by a Python; raises CaseError.
Measure = Callable[[Case, str], Run]


def measure(case: Case, python: str) -> Run:
    """Run a case once, by that Python. Raises CaseError."""
    command = [python, "-m", "bench.case", case.function, json.dumps(dict(case.arguments))]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPO), str(REPO / "dags")])}
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CaseError(
            "\n".join([f"{case.name} ended with status {done.returncode}:", *done.stderr.splitlines()[-5:]])
        )
    run = json.loads(done.stdout.splitlines()[-1])
    return Run(**run | {"parts": {name: Part(**part) for name, part in run["parts"].items()}})


def summary(case: Case, runs: list[Run]) -> dict[str, Any]:
    """Return what is kept of the runs of a case: medians, and each run's seconds."""
    measures = ("rows", "seconds", "cpu_seconds", "server_cpu_seconds", "peak_rss_mb")
    middle = {name: median(getattr(run, name) for run in runs) for name in measures}
    parts = {
        name: {"rows": part.rows, "rows_per_s": round(part.rows / median(run.parts[name].seconds for run in runs))}
        for name, part in runs[0].parts.items()
    }
    return {
        "name": case.name,
        "rows": int(middle["rows"]),
        "seconds": round(middle["seconds"], 3),
        "cpu_seconds": round(middle["cpu_seconds"], 3),
        "server_cpu_seconds": round(middle["server_cpu_seconds"], 3),
        "rows_per_s": round(middle["rows"] / middle["seconds"]),
        "peak_rss_mb": round(middle["peak_rss_mb"], 1),
        "runs": [round(run.seconds, 3) for run in runs],
        "parts": parts,
        "phases": {
            name: round(median(run.phases.get(name, 0.0) for run in runs), 3)
            for name in dict.fromkeys(name for run in runs for name in run.phases)
        },
    }


def run_here(function: Callable[..., Done], arguments: Mapping[str, Any]) -> Run:
    """Run a case in this process, which should have done nothing else. Its imports do not count."""
    started, cpu = time.perf_counter(), _cpu_seconds()
    done = function(**arguments)
    seconds, cpu_seconds = time.perf_counter() - started, _cpu_seconds() - cpu
    return Run(done.rows, seconds, cpu_seconds, done.peak_rss_mb or peak_mb("self"), done.parts)


def run_program(command: list[str], environment: Mapping[str, str]) -> float:
    """Run a program to its end, and return its memory at its peak, in MB. Raises CaseError with its last words."""
    with tempfile.TemporaryFile("w+") as said:
        peak = 0.0
        with subprocess.Popen(command, env={**os.environ, **environment}, stdout=said, stderr=said) as process:
            while process.poll() is None:
                peak = max(peak, peak_mb(str(process.pid)))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_SECONDS)
        if process.returncode != 0:
            said.seek(0)
            last = [f"{Path(command[0]).name} ended with status {process.returncode}:", *said.read().splitlines()[-8:]]
            raise CaseError("\n".join(last))
    return peak


def _cpu_seconds() -> float:
    """Return what this process, and the programs that it has run, have taken of the processor."""
    own, ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def peak_mb(process: str) -> float:
    """Return how much memory a process has held at once; 0 when it has ended."""
    status = Path("/proc", process, "status")
    try:
        # Not ru_maxrss: on Linux a process inherits that of the one which started it.
        held = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(held[0].split()[1]) * 1024 / 1e6 if held else 0.0
    except (FileNotFoundError, ProcessLookupError):
        # Linux tells of any process, others of one that has ended, or of oneself.
        who = resource.RUSAGE_SELF if process == "self" else resource.RUSAGE_CHILDREN
        unit = 1 if sys.platform == "darwin" else 1024
        return 0.0 if Path("/proc/self").exists() else resource.getrusage(who).ru_maxrss * unit / 1e6


def main(arguments: list[str]) -> None:
    """Run the case that the command line names, and print its measures."""
    module, _, name = arguments[0].partition(":")
    function = getattr(importlib.import_module(module), name)
    print(json.dumps(asdict(run_here(function, json.loads(arguments[1])))))


if __name__ == "__main__":
    main(sys.argv[1:])
