"""What `make bench-docs` calls: write what was measured last (.local/bench) into the documents, as tables and plots."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.case import REPO
from bench.run import RESULTS
from scripts import marked

IMAGES = REPO / "docs" / "images"
START = "<!-- Measured by `make bench`, written by `make bench-docs`. Do not edit. -->"
OURS, OTHER = "#4c72b0", "#b0b0b0"


class Page(NamedTuple):
    """Where a job's figures are, and by which seconds it is judged: of the clock, or of the processor.

    further   other sizes of it that are told there as well, by the names under which `make bench` keeps them
    growth    the cases (how their names begin) whose seconds are drawn by their rows, in a plot of their own
    """

    path: Path
    basis: Literal["seconds", "cpu_seconds"]
    further: tuple[str, ...] = ()
    growth: str = ""


PAGES = {
    "ingest": Page(REPO / "docs" / "performance.md", "seconds", ("ingest-20000000-ours_20m",)),
    "mockdata": Page(REPO / "docs" / "mock-data.md", "cpu_seconds"),
    "notify": Page(REPO / "docs" / "notifications.md", "seconds"),
    "redshift": Page(REPO / "docs" / "local-redshift.md", "seconds"),
    "sync": Page(REPO / "docs" / "warehouse.md", "seconds", growth="ours_"),
}
_BASES = {"seconds": "second", "cpu_seconds": "second of the processor"}


def section(result: dict[str, Any], image: str, basis: str, further: Sequence[dict[str, Any]] = ()) -> str:
    """Return the figures of a job as Markdown, with a link to its plot; `further` are its results of other sizes."""
    by_processor = basis == "cpu_seconds"
    lines = [_machine(result["machine"], " Ratios are by seconds of the processor." if by_processor else "")]
    lines += ["", *_table(result["cases"], by_processor), "", "| ratio | |", "|---|---:|"]
    lines += [f"| {name} | {ratio:,g} |" for name, ratio in result["ratios"].items()]
    if parted := [case for case in result["cases"] if case["parts"]]:
        names = list(parted[0]["parts"])
        lines += ["", "Rows a second by dataset:", "", f"| case | {' | '.join(names)} |"]
        lines += [f"|---|{'---:|' * len(names)}"]
        for case in parted:
            rates = [f"{case['parts'][name]['rows_per_s']:,}" for name in names]
            lines.append(f"| {case['name']} | {' | '.join(rates)} |")
    if phased := [case for case in result["cases"] if case["phases"]]:
        names = list(dict.fromkeys(name for case in phased for name in case["phases"]))
        lines += ["", "Where the seconds go, by what the server is doing:", ""]
        lines += [f"| | {' | '.join(case['name'] for case in phased)} |", f"|---|{'---:|' * len(phased)}"]
        for name in names:
            seconds = [f"{case['phases'].get(name, 0.0):.2f}" for case in phased]
            lines.append(f"| {name} | {' | '.join(seconds)} |")
    for other in further:
        lines += ["", f"`{other['command']}`: {_machine(other['machine'])}", "", *_table(other["cases"], by_processor)]
        lines += ["", "| ratio | |", "|---|---:|"]
        lines += [f"| {name} | {ratio:,g} |" for name, ratio in _ratios_to(result, other).items()]
    return "\n".join([*lines, "", f"![Rows of each case by {_BASES[basis]}]({image})"])


def _machine(machine: dict[str, Any], more: str = "") -> str:
    return (
        f"On {machine['cores']} cores ({machine['processor']}), Python {machine['python']},"
        f" load {machine['load_before']} before and {machine['load_after']} after, {machine['started'][:10]};"
        f" medians.{more}"
    )


def _table(cases: list[dict[str, Any]], by_processor: bool) -> list[str]:
    """Return the table of cases: with the rows by second of the processor, or with the server's seconds of it."""
    fifth = "rows/processor s" if by_processor else "server's processor s"
    lines = [
        f"| case | rows | s | processor s | rows/s | {fifth} | peak MB | runs |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for case in cases:
        more = f"{_rate(case, 'cpu_seconds'):,}" if by_processor else f"{case['server_cpu_seconds']:.2f}"
        lines.append(
            f"| {case['name']} | {case['rows']:,} | {case['seconds']:.2f} | {case['cpu_seconds']:.2f}"
            f" | {case['rows_per_s']:,} | {more} | {case['peak_rss_mb']:.0f} | {len(case['runs'])} |"
        )
    return lines


def _ratios_to(result: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """Return the ratios of a job that there are only when its cases are taken together with those of other sizes."""
    ratios = importlib.import_module(f"bench.{result['job']}").ratios
    together: dict[str, float] = ratios({case["name"]: case for case in result["cases"] + other["cases"]})
    return {name: ratio for name, ratio in together.items() if name not in result["ratios"]}


def _rate(case: dict[str, Any], basis: str) -> int:
    """Return a case's rows by second of the clock, or of the processor."""
    return round(case["rows"] / case[basis])


def plot(result: dict[str, Any], path: Path, basis: str) -> None:
    """Draw the rows of each case by second; the same figures give the same file."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "marketplace"
    from matplotlib import pyplot

    cases = list(reversed(result["cases"]))
    rates = [_rate(case, basis) for case in cases]
    names = [case["name"] for case in cases]
    figure, axes = pyplot.subplots(figsize=(8, 0.4 * len(cases) + 1))
    bars = axes.barh(names, rates, color=[OURS if name.startswith("ours") else OTHER for name in names])
    axes.bar_label(bars, [f"{rate:,}" for rate in rates], padding=4)
    axes.set_xlabel(f"rows a {_BASES[basis]}")
    axes.set_xlim(right=1.15 * max(rates))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def plot_growth(result: dict[str, Any], path: Path, prefix: str) -> None:
    """Draw the seconds of the cases whose names begin so by their rows, and the straight line nearest to all runs."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "marketplace"
    from matplotlib import pyplot
    from numpy import polyfit

    cases = [case for case in result["cases"] if case["name"].startswith(prefix)]
    points = [(case["rows"], seconds) for case in cases for seconds in case["runs"]]
    rows, seconds = zip(*points, strict=True)
    slope, start = polyfit(rows, seconds, 1)
    figure, axes = pyplot.subplots(figsize=(8, 4))
    axes.plot(
        [0, max(rows)],
        [start, start + slope * max(rows)],
        color=OTHER,
        label=f"{start:.1f} s + {slope * 1e6:.1f} µs a row",
    )
    axes.plot(rows, seconds, "o", color=OURS, label="a run")
    axes.set_xlabel("rows")
    axes.set_ylabel("seconds")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main() -> int:
    """Write the pages of the jobs that were measured; return the exit status."""
    measured = {job: RESULTS / f"{job}.json" for job in PAGES if (RESULTS / f"{job}.json").exists()}
    if not measured:
        print("Nothing was measured yet: make bench JOB=mockdata", file=sys.stderr)
        return 1
    for job, kept in measured.items():
        result = json.loads(kept.read_text(encoding="utf-8"))
        page, image = PAGES[job], IMAGES / f"bench-{job}.svg"
        others = [RESULTS / f"{name}.json" for name in page.further]
        further = [json.loads(path.read_text(encoding="utf-8")) for path in others if path.exists()]
        plot(result, image, page.basis)
        where = image.relative_to(page.path.parent).as_posix()
        content = section(result, where, page.basis, further)
        if page.growth:
            growth = IMAGES / f"bench-{job}-growth.svg"
            plot_growth(result, growth, page.growth)
            content += f"\n\n![Seconds by rows]({growth.relative_to(page.path.parent).as_posix()})"
        text = page.path.read_text(encoding="utf-8")
        page.path.write_text(marked.replaced(text, START, content), encoding="utf-8")
        print(f"{page.path.relative_to(REPO)} and {image.relative_to(REPO)}: of {result['machine']['started']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
