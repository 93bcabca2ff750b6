"""The figures of the dashboard, read from the warehouse: each with the loads and the lines that it comes from.

A figure's value is a mart's; where it comes from is asked of the base tables, by an SQL that has no part of the mart's.
Both are read in one transaction, of one sync. A figure whose loads do not add up to it is an error: nothing that cannot
be followed back to its lines is published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from marketplace import settings

if TYPE_CHECKING:
    from redshift_connector.core import Connection
    from redshift_connector.cursor import Cursor

# A figure names as many loads, and the number of those that it leaves out.
MOST_LOADS = 20
MOST_SAMPLES = 10
# Up to as many bars a chart of revenue has: of days, else of weeks, else of months.
MOST_BARS = 92
# Up to as many marks the map has.
MOST_MARKS = 400
MOST_REASONS, MOST_RULES = 12, 12
KM2_OF_A_CELL = 259.8
DAYS_OF_A_WEEK = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


class NoMartsError(RuntimeError):
    """The marts were never built, so there is nothing to draw."""


class MartsAreOldError(RuntimeError):
    """A sync has changed the warehouse since the marts were built; they are built anew by it, and start this again."""


class FiguresDifferError(RuntimeError):
    """A figure is not the sum of the lines that it should come from."""


@dataclass(frozen=True)
class Load:
    """A load that a figure comes from: its file, how many of its lines, what they add up to, and some of them."""

    load_id: int
    dataset: str | None
    object_key: str | None
    archive_key: str | None
    lines: int
    value: Decimal
    sample_lines: tuple[int, ...]


@dataclass(frozen=True)
class Figure:
    """A number: of a row and a part of its chart. `lines_without_file` are those that were changed in the store."""

    row: str
    part: str
    value: Decimal
    loads: tuple[Load, ...] = ()
    more_loads: int = 0
    lines_without_file: int = 0


@dataclass(frozen=True)
class Row:
    """A row of a chart: its key, what it is called, where it is on the map (longitude, latitude), and its own unit."""

    key: str
    label: str
    point: tuple[float, float] | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Chart:
    """What a chart shows. `rows` and `parts` are in the order in which they are drawn; `aside` are only told.

    A part is a series: its key, and what it is called. Of a row and a part that have no figure there is nothing.
    """

    name: str
    title: str
    unit: str
    rows: tuple[Row, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
    figures: Mapping[tuple[str, str], Figure] = field(default_factory=dict)
    aside: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()

    def value(self, row: str, part: str) -> Decimal:
        """Return a figure's value, 0 where there is none."""
        figure = self.figures.get((row, part))
        return figure.value if figure else Decimal(0)


@dataclass(frozen=True)
class Dashboard:
    """All charts, of the days from `first_day` to `last_day`, as of a moment of the store and of the sync `run_id`."""

    as_of: datetime
    run_id: str
    built_at: datetime
    first_day: date
    last_day: date
    charts: tuple[Chart, ...]

    def chart(self, name: str) -> Chart:
        """Return a chart by its name."""
        return next(chart for chart in self.charts if chart.name == name)


def read(connection: Connection, days: int) -> Dashboard:
    """Read what the dashboard shows of the last `days` up to the moment that the marts are of.

    Raises NoMartsError, MartsAreOldError, FiguresDifferError, and redshift_connector's errors.
    """
    with _snapshot(connection) as cursor:
        ask = Asking(cursor)
        built = ask.rows("built")
        if not built:
            raise NoMartsError("The marts were never built: run sync_warehouse, which starts build_marts.")
        if {one["run_id"] for one in built} != {built[0]["newest_run_id"]}:
            raise MartsAreOldError(
                "The warehouse was synced since the marts were built: build_marts builds them anew, once the sync was "
                "found equal to the store, and starts this again."
            )
        as_of, last_day = built[0]["as_of"], built[0]["as_of"].astimezone(UTC).date()
        period = {"first_day": last_day - timedelta(days=days - 1), "last_day": last_day}
        charts = tuple(chart(ask, period) for chart in CHARTS)
    return Dashboard(as_of, built[0]["run_id"], built[0]["built_at"], charts=charts, **period)


@contextmanager
def _snapshot(connection: Connection) -> Iterator[Cursor]:
    """Yield a cursor in a transaction that sees one state of the warehouse, as all of Redshift's do.

    It is said in words for PostgreSQL, by which the warehouse is played on one machine.
    """
    connection.autocommit = True  # the driver would begin a transaction by itself
    with closing(connection.cursor()) as cursor:
        cursor.paramstyle = "pyformat"
        cursor.execute("begin isolation level serializable")
        try:
            yield cursor
        finally:
            cursor.execute("rollback")


class Asking:
    """Asks the queries of include/sql/warehouse/dashboard."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the rows of the query `name`, by their columns' names."""
        return self._ask(_text(name), parameters)

    def figures(self, name: str, **parameters: Any) -> dict[tuple[str, str], Figure]:
        """Return the figures of a chart by row and part, each with its loads. Raises FiguresDifferError."""
        values = values_of(self.rows(name, **parameters))
        facts = _text("lineage").replace("{facts}", _text(f"{name}_facts"))
        # One load more than is told of: lines without a load come first.
        sources: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for source in self._ask(facts, {**parameters, "most": MOST_LOADS + 1}):
            sources.setdefault((str(source["row_key"]), str(source["part"])), []).append(source)
        totals = {key: Decimal(found[0]["total"]) for key, found in sources.items()}
        differ = [key for key in sorted({*values, *totals}) if values.get(key, 0) != totals.get(key, 0)]
        if differ:
            some = "; ".join(
                f"{row} {part}: {values.get((row, part))}, {totals.get((row, part))}" for row, part in differ[:5]
            )
            raise FiguresDifferError(
                f"{len(differ)} figures of {name} are not the sum of the lines that they come from (mart, lines: "
                f"{some}). Nothing is published. What to do: docs/runbooks/reporting.md"
            )
        return {key: _figure(key, value, sources.get(key, [])) for key, value in values.items()}

    def _ask(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        self._cursor.execute(statement, parameters)
        names = [column[0] for column in self._cursor.description]
        return [dict(zip(names, row, strict=True)) for row in self._cursor.fetchall()]


def _text(name: str) -> str:
    return (settings.include_dir() / "sql" / "warehouse" / "dashboard" / f"{name}.sql").read_text(encoding="utf-8")


def values_of(rows: list[dict[str, Any]]) -> dict[tuple[str, str], Decimal]:
    """Return the values by row and part: the column `value`, else each column but those that name the row."""
    values = {}
    for row in rows:
        if "value" in row:
            values[str(row["row_key"]), str(row["part"])] = Decimal(row["value"])
        else:
            parts = {part: value for part, value in row.items() if part not in ("row_key", "label")}
            values |= {(str(row["row_key"]), part): Decimal(value) for part, value in parts.items()}
    return values


def _figure(key: tuple[str, str], value: Decimal, sources: list[dict[str, Any]]) -> Figure:
    loads = tuple(
        Load(
            load_id=int(source["load_id"]),
            dataset=source["dataset"],
            object_key=source["object_key"],
            archive_key=source["archive_key"],
            lines=int(source["line_count"]),
            value=Decimal(source["value"]),
            sample_lines=tuple(int(line) for line in (source["sample_lines"] or "").split())[:MOST_SAMPLES],
        )
        for source in sources
        if source["load_id"] is not None
    )[:MOST_LOADS]
    return Figure(
        *key,
        value,
        loads,
        more_loads=int(sources[0]["load_count"]) - len(loads) if sources else 0,
        lines_without_file=sum(int(source["line_count"]) for source in sources if source["load_id"] is None),
    )


# --------------------------------------------------------------------------------------------------- the charts


def _revenue(ask: Asking, period: dict[str, date]) -> Chart:
    days = (period["last_day"] - period["first_day"]).days + 1
    unit = "day" if days <= MOST_BARS else "week" if days <= 7 * MOST_BARS else "month"
    found = ask.rows("currencies", **period)
    if not found:
        return Chart("revenue", "Revenue by day", "", notes=("Nothing was sold or refunded in these days.",))
    currency, *others = (one["currency"] for one in found)
    figures = ask.figures("revenue", currency=currency, unit=unit, **period)
    bars = sorted({row for row, _ in figures} - set(others))
    notes = [f"{currency} has most lines; {_other(others)}."] if others else []
    if unit != "day":
        notes.append(f"A bar is a {unit}, named by its first day.")
    return Chart(
        "revenue",
        f"Revenue by {unit}",
        currency,
        rows=tuple(Row(bar, bar) for bar in bars),
        parts=(("sale", "sold"), ("refund", "refunded")),
        figures=figures,
        aside=tuple(Row(other, f"in {other}", unit=other) for other in others),
        notes=tuple(notes),
    )


def _other(currencies: Sequence[str]) -> str:
    named = ", ".join(currencies[:5])
    more = f" and {len(currencies) - 5} more" if len(currencies) > 5 else ""
    return f"money of others is not added to it: {named}{more} (in the table)"


def _games(ask: Asking, period: dict[str, date]) -> Chart:
    found = ask.rows("currencies", **period)
    if not found:
        return Chart("games", "Games that sold most", "", notes=("Nothing was sold in these days.",))
    chosen = {"currency": found[0]["currency"], **period}
    titles = {row["row_key"]: row["label"] or row["row_key"] for row in ask.rows("games", **chosen)}
    figures = ask.figures("games", **chosen)
    rows = _largest(figures, titles)
    platforms = sorted({part for _, part in figures}, key=lambda part: -sum(_of_part(figures, part)))
    return Chart(
        "games",
        "Games that sold most, by platform",
        chosen["currency"],
        rows=rows,
        parts=tuple((platform, platform) for platform in platforms),
        figures=figures,
        notes=(f"Sold in {chosen['currency']}, refunds not taken off.",),
    )


def _payouts(ask: Asking, _period: dict[str, date]) -> Chart:
    found = ask.rows("payout_currencies")
    if not found:
        return Chart("payouts", "Owed to publishers", "", notes=("No publisher has earned anything yet.",))
    currency, *others = (one["currency"] for one in found)
    names = {row["row_key"]: row["label"] or row["row_key"] for row in ask.rows("payouts", currency=currency)}
    figures = ask.figures("payouts", currency=currency)
    owed = {key: figure for key, figure in figures.items() if key[1] == "owed"}
    notes = ["Of all days: what was earned (sales less refunds less the fee) and not paid out. Below zero: paid ahead."]
    if others:
        notes.append(f"In {currency}, which most publishers have; {_other(others)}.")
    return Chart(
        "payouts",
        "Owed to publishers, the ten largest",
        currency,
        rows=_largest(owed, names),
        parts=(("owed", "owed"),),
        figures=figures,
        aside=tuple(Row(other, f"in {other}", unit=other) for other in others),
        notes=tuple(notes),
    )


def _play(ask: Asking, period: dict[str, date]) -> Chart:
    figures = ask.figures("play", **period)
    if not figures:
        return Chart("play", "Play by weekday and hour", "sessions", notes=("Nobody has played in these days.",))
    return Chart(
        "play",
        "Play by weekday and hour",
        "sessions",
        # Weeks begin on Monday.
        rows=tuple(Row(str(n % 7), DAYS_OF_A_WEEK[n % 7]) for n in range(1, 8)),
        parts=tuple((str(hour), f"{hour:02}:00") for hour in range(24)),
        figures=figures,
        notes=("Sessions by when they began; hours are UTC.",),
    )


def _quality(ask: Asking, period: dict[str, date]) -> Chart:
    figures = ask.figures("quality", **period)
    if not figures:
        return Chart("quality", "Rows not loaded", "rows", notes=("No row was rejected or held in these days.",))
    rows = _largest(figures, {row: row for row, _ in figures})
    return Chart(
        "quality",
        "Rows not loaded, by reason",
        "rows",
        rows=rows[:MOST_REASONS],
        parts=(("rejected", "rejected"), ("held", "held when loaded"), ("file", "whole file set aside")),
        figures=figures,
        aside=rows[MOST_REASONS:],
        notes=("As each file was loaded: what was held and has come since is not taken off. A file counts one.",),
    )


def _notifications(ask: Asking, period: dict[str, date]) -> Chart:
    found = ask.rows("notifications", **period)
    if not found:
        return Chart("notifications", "Reach of notifications", "customers", notes=("No rule was due in these days.",))
    figures = {key: Figure(*key, value) for key, value in values_of(found).items()}
    rows = tuple(
        Row(one["row_key"], f"{one['row_key']} ({one['label']})" if one["label"] else one["row_key"]) for one in found
    )
    return Chart(
        "notifications",
        "Reach of notifications, by rule",
        "customers",
        rows=rows[:MOST_RULES],
        parts=(("expected", "due"), ("delivered", "delivered"), ("read", "read"), ("skipped", "skipped")),
        figures=figures,
        aside=rows[MOST_RULES:],
        notes=("A customer counts once a rule and day. Read: when they were counted last (DAG count_reads).",),
    )


def _map(ask: Asking, period: dict[str, date]) -> Chart:
    sizes = ask.rows("map_sizes", **period)
    if not sizes:
        return Chart("map", "Where people play", "sessions", notes=("Nobody has played in these days.",))
    fitting = [size["cells"] for size in sizes if size["mark_count"] <= MOST_MARKS]
    chosen = {"cells": fitting[0] if fitting else sizes[-1]["cells"], **period}
    places = ask.rows("map", **chosen)
    figures = {
        (f"{row}.{column}", "sessions"): replace(figure, row=f"{row}.{column}", part="sessions")
        for (row, column), figure in ask.figures("map", **chosen).items()
    }
    rows = tuple(
        Row(f"{place['row_key']}.{place['part']}", _place(*point), point)
        for place in places
        for point in [(float(place["longitude"]), float(place["latitude"]))]
    )
    km = round((KM2_OF_A_CELL * chosen["cells"] ** 2) ** 0.5)
    return Chart(
        "map",
        "Where people play",
        "sessions",
        rows=tuple(sorted(rows, key=lambda row: (-figures[row.key, "sessions"].value, row.key))),
        parts=(("sessions", "sessions"),),
        figures=figures,
        notes=(f"A circle stands for about {km} km by {km} km, and lies amid the sessions that began there.",),
    )


def _place(longitude: float, latitude: float) -> str:
    east, north = "E" if longitude >= 0 else "W", "N" if latitude >= 0 else "S"
    return f"{abs(latitude):.1f}° {north}, {abs(longitude):.1f}° {east}"


def _of_part(figures: Mapping[tuple[str, str], Figure], part: str) -> list[Decimal]:
    return [figure.value for (_, of), figure in figures.items() if of == part]


def _largest(figures: Mapping[tuple[str, str], Figure], labels: Mapping[str, str]) -> tuple[Row, ...]:
    """Return the rows of figures, the largest sum first."""
    sums: dict[str, Decimal] = {}
    for (row, _), figure in figures.items():
        sums[row] = sums.get(row, Decimal(0)) + figure.value
    return tuple(Row(row, labels[row]) for row in sorted(sums, key=lambda row: (-sums[row], row)))


CHARTS: tuple[Callable[[Asking, dict[str, date]], Chart], ...] = (
    _revenue, _games, _payouts, _play, _map, _quality, _notifications,
)  # fmt: skip


# ------------------------------------------------------------------------------------------------ figures.json


def as_json(dashboard: Dashboard) -> dict[str, Any]:
    """Return what figures.json says: every figure that is drawn or told, and where it comes from."""
    return {
        "as_of": dashboard.as_of.isoformat(),
        "run_id": dashboard.run_id,
        "built_at": dashboard.built_at.isoformat(),
        "first_day": dashboard.first_day.isoformat(),
        "last_day": dashboard.last_day.isoformat(),
        "charts": [
            {
                "name": chart.name,
                "title": chart.title,
                "figures": [
                    _figure_json(chart, row, part, label)
                    for row in (*chart.rows, *chart.aside)
                    for part, label in _told_parts(chart, row)
                ],
            }
            for chart in dashboard.charts
        ],
    }


def _told_parts(chart: Chart, row: Row) -> list[tuple[str, str]]:
    known = dict(chart.parts)
    parts = [part for part in known if (row.key, part) in chart.figures]
    parts += [part for of, part in chart.figures if of == row.key and part not in known]
    return [(part, known.get(part, part)) for part in parts]


def _figure_json(chart: Chart, row: Row, part: str, label: str) -> dict[str, Any]:
    figure = chart.figures[row.key, part]
    return {
        "id": f"{chart.name}/{row.key}/{part}",
        "label": f"{row.label}, {label}",
        "value": _number(figure.value),
        "unit": row.unit or chart.unit,
        "loads": [
            {
                "load_id": load.load_id,
                "dataset": load.dataset,
                "object_key": load.object_key,
                "archive_key": load.archive_key,
                "lines": load.lines,
                "value": _number(load.value),
                "sample_lines": list(load.sample_lines),
            }
            for load in figure.loads
        ],
        "more_loads": figure.more_loads,
        "lines_without_file": figure.lines_without_file,
    }


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
