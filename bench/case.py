"""One case of a benchmark: run in a process of its own, so that its memory is its own, and measured there.

    python -m bench.case MODULE:FUNCTION '{"argument": 1}'

prints what was measured as one line of JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

REPO = Path(__file__).resolve().parents[1]


class CaseError(RuntimeError):
    """A case that did not come to its end; the message is the last of what it said."""


@dataclass(frozen=True)
class Part:
    """What a part of a case's rows took, in seconds."""

    rows: int
    seconds: float


@dataclass(frozen=True)
class Done:
    """What the function of a case returns: how many rows it dealt with, and what their parts took if it can tell."""

    rows: int
    parts: dict[str, Part] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What one run of a case took: seconds of the clock and of the processor, and memory at its peak."""

    rows: int
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    parts: dict[str, Part] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A function of this package (`module:function`) to be measured with arguments that JSON can hold.

    packages  what it needs beyond the development environment: it then runs in an environment of its own, which
              goes with the benchmark, and only with PEERS=1
    """

    name: str
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    runs: int = 3
    packages: tuple[str, ...] = ()


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
    middle = {
        name: median(getattr(run, name) for run in runs) for name in ("rows", "seconds", "cpu_seconds", "peak_rss_mb")
    }
    parts = {
        name: {"rows": part.rows, "rows_per_s": round(part.rows / median(run.parts[name].seconds for run in runs))}
        for name, part in runs[0].parts.items()
    }
    return {
        "name": case.name,
        "rows": int(middle["rows"]),
        "seconds": round(middle["seconds"], 3),
        "cpu_seconds": round(middle["cpu_seconds"], 3),
        "rows_per_s": round(middle["rows"] / middle["seconds"]),
        "peak_rss_mb": round(middle["peak_rss_mb"], 1),
        "runs": [round(run.seconds, 3) for run in runs],
        "parts": parts,
    }


def run_here(function: Callable[..., Done], arguments: Mapping[str, Any]) -> Run:
    """Run a case in this process, which should have done nothing else. Its imports do not count."""
    started, cpu = time.perf_counter(), time.process_time()
    done = function(**arguments)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    return Run(done.rows, seconds, cpu_seconds, _peak_bytes() / 1e6, done.parts)


def _peak_bytes() -> int:
    """Return how much memory this process has held at once."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: on Linux a process inherits that of the one which started it.
        held = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(held.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(arguments: list[str]) -> None:
    """Run the case that the command line names, and print its measures."""
    module, _, name = arguments[0].partition(":")
    function = getattr(importlib.import_module(module), name)
    print(json.dumps(asdict(run_here(function, json.loads(arguments[1])))))


if __name__ == "__main__":
    main(sys.argv[1:])
