"""What `make bench-docs` calls: write what was measured last (.local/bench) into the documents, as tables and plots."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.case import REPO
from bench.run import RESULTS
from scripts import marked

# A job, and the page that has its figures.
PAGES = {"mockdata": REPO / "docs" / "mock-data.md"}
IMAGES = REPO / "docs" / "images"
START = "<!-- Measured by `make bench`, written by `make bench-docs`. Do not edit. -->"


def section(result: dict[str, Any], image: str) -> str:
    """Return the figures of a job as Markdown, with a link to its plot."""
    machine = result["machine"]
    lines = [
        f"On {machine['cores']} cores ({machine['processor']}), Python {machine['python']},"
        f" load {machine['load_before']} before and {machine['load_after']} after, {machine['started'][:10]};"
        " medians. Ratios are by seconds of the processor.",
        "",
        "| case | rows | s | processor s | rows/s | rows/processor s | peak MB | runs |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for case in result["cases"]:
        lines.append(
            f"| {case['name']} | {case['rows']:,} | {case['seconds']:.2f} | {case['cpu_seconds']:.2f}"
            f" | {case['rows_per_s']:,} | {_rate(case):,} | {case['peak_rss_mb']:.0f} | {len(case['runs'])} |"
        )
    lines += ["", "| ratio | |", "|---|---:|"]
    lines += [f"| {name} | {ratio:,g} |" for name, ratio in result["ratios"].items()]
    parted = [case for case in result["cases"] if len(case["parts"]) > 1]
    if parted:
        names = list(parted[0]["parts"])
        lines += ["", "Rows a second by dataset:", "", f"| case | {' | '.join(names)} |"]
        lines += [f"|---|{'---:|' * len(names)}"]
        for case in parted:
            rates = [f"{case['parts'][name]['rows_per_s']:,}" for name in names]
            lines.append(f"| {case['name']} | {' | '.join(rates)} |")
    return "\n".join([*lines, "", f"![Rows of each case by second of the processor]({image})"])


def _rate(case: dict[str, Any]) -> int:
    """Return a case's rows by second of the processor."""
    return round(case["rows"] / case["cpu_seconds"])


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw the rows of each case by second of the processor; the same figures give the same file."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "marketplace"
    from matplotlib import pyplot

    cases = list(reversed(result["cases"]))
    figure, axes = pyplot.subplots(figsize=(8, 0.4 * len(cases) + 1))
    bars = axes.barh([case["name"] for case in cases], [_rate(case) for case in cases], color="#4c72b0")
    axes.bar_label(bars, [f"{_rate(case):,}" for case in cases], padding=4)
    axes.set_xlabel("rows a second of the processor")
    axes.set_xlim(right=1.15 * max(map(_rate, cases)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
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
        image = IMAGES / f"bench-{job}.svg"
        plot(result, image)
        page = PAGES[job]
        content = section(result, image.relative_to(page.parent).as_posix())
        page.write_text(marked.replaced(page.read_text(encoding="utf-8"), START, content), encoding="utf-8")
        print(f"{page.relative_to(REPO)} and {image.relative_to(REPO)}: of {result['machine']['started']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
