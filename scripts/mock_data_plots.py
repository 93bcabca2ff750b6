"""Draw docs/images/mock-data-*.png, what the mock data looks like: `make docs`.

What is drawn is counted from the rows that are made, not taken from the tables that they are made by. The same data
gives the same file.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from marketplace.mockdata import places, rhythm
from marketplace.mockdata.activity import PAYOUT, SALE, Activity
from marketplace.mockdata.draws import Numbers
from marketplace.mockdata.interval import Interval
from marketplace.mockdata.world import World

mpl.use("agg")
from matplotlib import dates, pyplot, ticker

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SEED = 7
YEAR, WEEK = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 3, 3, tzinfo=UTC)
# Apart for all eyes (Okabe and Ito), and named beside the lines.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#9A9A9A"
_DAY = 86_400


def facts(start: datetime, days: int, rows: int) -> dict[str, dict[str, Numbers]]:
    """Return the facts of all rows of `days` days from `start`, about `rows` of them, by dataset and name."""
    found: dict[str, dict[str, list[Numbers]]] = {}
    for part in Activity(World.of(SEED), Interval(start, start + timedelta(days=days)), rows).parts():
        for dataset, table in part._asdict().items():
            for name, fact in table.facts.items():
                found.setdefault(dataset, {}).setdefault(name, []).append(fact)
    return {
        dataset: {name: np.concatenate(parts) for name, parts in columns.items()} for dataset, columns in found.items()
    }


def draw_year(axes: Any, year: dict[str, dict[str, Numbers]]) -> None:
    """Draw how many sales there are on each day, and name the sale events."""
    transaction = year["transaction"]
    days = transaction["at"][transaction["kind"] == SALE] // _DAY
    first = int(days.min())
    counts = np.bincount(days - first)
    shares = counts / counts.mean() * 100
    when = (first + np.arange(len(counts))).astype("datetime64[D]")
    axes.plot(when, shares, color=BLUE, linewidth=1)
    events = [rhythm.sale_event(day) for day in range(first, first + len(counts))]
    for name in dict.fromkeys(event for event in events if event):
        within = [index for index, event in enumerate(events) if event == name]
        axes.axvspan(when[within[0]], when[within[-1]], color=ORANGE, alpha=0.15, linewidth=0)
        left = within[0] < len(counts) // 2
        place = within[0] if left else within[-1]
        axes.annotate(
            name.split()[0],
            (when[place], shares.max() * 1.06),
            fontsize=8,
            color=ORANGE,
            ha="left" if left else "right",
        )
    axes.set_ylim(0, shares.max() * 1.15)
    axes.xaxis.set_major_formatter(dates.DateFormatter("%b"))
    axes.set_xlabel("day of 2025 (UTC)")
    axes.set_ylabel("sales (% of the average day)")
    axes.set_title("A year: weekends, seasons, sale events", loc="left", fontsize=10)


def draw_week(axes: Any, week: dict[str, dict[str, Numbers]]) -> None:
    """Draw how many sales there are in each hour, from three countries."""
    transaction = week["transaction"]
    bought = transaction["kind"] != PAYOUT
    hours = (transaction["at"][bought] - int(WEEK.timestamp())) // 3600
    country = places.cities().country[World.of(SEED).city_of(transaction["customer"][bought])]
    codes = [known.code for known in places.countries()]
    for code, label, color in (("US", "United States", BLUE), ("DE", "Germany", ORANGE), ("JP", "Japan", GREEN)):
        counts = np.bincount(hours[country == codes.index(code)], minlength=168)
        axes.plot(np.arange(168) + 0.5, counts / counts.sum() * 16_800, color=color, linewidth=1.3, label=label)
    axes.set_xticks(np.arange(8) * 24, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", ""])
    axes.xaxis.set_minor_locator(ticker.MultipleLocator(6))
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_xlim(0, 168)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("hour of the week from 3 March 2025 (UTC; a tick is 6 hours)")
    axes.set_ylabel("transactions (% of the average hour)")
    axes.set_title("A week: each country in its own evenings", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")


def draw_long_tail(axes: Any, year: dict[str, dict[str, Numbers]]) -> None:
    """Draw how many lines each game and each publisher has, by rank."""
    detail = year["transaction_detail"]
    sold = detail["kind"] == SALE
    for fact, label, color in (("game", "games", BLUE), ("publisher", "publishers", ORANGE)):
        counts = np.sort(np.bincount(detail[fact][sold]))[::-1]
        counts = counts[counts > 0]
        tenth = counts[: len(counts) // 10].sum() / counts.sum()
        ranks = np.arange(1, len(counts) + 1)
        label = f"{label}: {len(counts):,}; the first tenth has {tenth:.0%} of all"
        axes.plot(ranks, counts, color=color, linewidth=1.6, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("rank by lines sold")
    axes.set_ylabel(f"lines sold (of {int(sold.sum()):,} in 2025)")
    axes.grid(color="#E5E5E5", linewidth=0.6)
    axes.legend(frameon=False, fontsize=9, loc="lower left")


def draw_map(axes: Any, near: Any, week: dict[str, dict[str, Numbers]]) -> None:
    """Draw how many play sessions each city has, and where those around the Rhine are."""
    session, cities = week["play_session"], places.cities()
    counts = np.bincount(World.of(SEED).city_of(session["customer"]), minlength=len(cities.name))
    longitudes, latitudes = cities.longitude / 100_000, cities.latitude / 100_000
    axes.scatter(longitudes, latitudes, s=counts / counts.max() * 260, color=BLUE, alpha=0.45, linewidths=0)
    for name in ("Los Angeles", "New York", "São Paulo", "London", "Lagos", "Istanbul", "Delhi", "Tokyo", "Sydney"):
        place = cities.name.index(name)
        axes.annotate(name, (longitudes[place], latitudes[place]), (6, 7), textcoords="offset points", fontsize=7.5)
    axes.set_xlim(-170, 185)
    axes.set_ylim(-55, 72)
    axes.set_title(f"A week: {len(session['at']):,} play sessions, by city (area of a disc)", loc="left", fontsize=10)
    near.scatter(session["longitude"] / 100_000, session["latitude"] / 100_000, s=1.5, color=BLUE, linewidths=0)
    near.set_xlim(2.2, 9.2)
    near.set_ylim(49.6, 52.8)
    for west, names in (
        (True, ("Rotterdam", "Antwerp", "Brussels", "Lille", "Düsseldorf", "Frankfurt")),
        (False, ("Amsterdam", "Utrecht", "Cologne")),
    ):
        for place in map(cities.name.index, names):
            beside = longitudes[place] + (-0.35 if west else 0.35)
            near.annotate(
                cities.name[place],
                (beside, latitudes[place]),
                ha="right" if west else "left",
                va="center",
                fontsize=7.5,
            )
    near.set_title("Around the Rhine: a dot is a session", loc="left", fontsize=10)
    for each, aspect in ((axes, 1.2), (near, 1.6)):
        each.set_aspect(aspect)
        each.grid(color="#E5E5E5", linewidth=0.6)
        each.set_axisbelow(True)
        each.set_xlabel("longitude (degrees east)")
        each.set_ylabel("latitude (degrees north)")


def draw(folder: Path, year: dict[str, dict[str, Numbers]], week: dict[str, dict[str, Numbers]]) -> list[Path]:
    """Draw all plots into `folder` from the facts of a year and of a week, and return their files."""
    pyplot.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9})
    figures = {}
    figures["rhythm"], (upper, lower) = pyplot.subplots(2, 1, figsize=(8, 6), layout="constrained")
    draw_week(upper, week)
    draw_year(lower, year)
    figures["long-tail"], axes = pyplot.subplots(figsize=(6.5, 4), layout="constrained")
    draw_long_tail(axes, year)
    figures["map"], (axes, near) = pyplot.subplots(1, 2, figsize=(11, 4), width_ratios=(2.1, 1), layout="constrained")
    draw_map(axes, near, week)
    files = []
    for name, figure in figures.items():
        files.append(folder / f"mock-data-{name}.png")
        figure.savefig(files[-1], dpi=110, metadata={"Software": None})
        pyplot.close(figure)
    return files


if __name__ == "__main__":
    for file in draw(IMAGES, facts(YEAR, 365, 1_000_000), facts(WEEK, 7, 1_000_000)):
        print(f"Wrote {file.relative_to(IMAGES.parents[1])} ({file.stat().st_size // 1000} kB).")
