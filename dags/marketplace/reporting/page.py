"""The dashboard as one HTML page that fetches nothing: charts in it as SVG, their figures as tables, both themes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from marketplace import settings
from marketplace.reporting.charts import COLOURS, Drawn, visible

if TYPE_CHECKING:
    from marketplace.reporting.figures import Chart, Dashboard

# A table has as many rows; the rest is in figures.json.
MOST_ROWS = 50


def page(dashboard: Dashboard, drawn: Mapping[str, Drawn]) -> str:
    """Return the page; `drawn` has the charts by their names."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    # Whatever came from a file is escaped; only what was drawn here is not.
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = (settings.include_dir() / "reporting" / "dashboard.html").read_text(encoding="utf-8")
    return template.from_string(text).render(
        as_of=f"{dashboard.as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        run_id=dashboard.run_id,
        first_day=dashboard.first_day,
        last_day=dashboard.last_day,
        light={name: colours[0] for name, colours in COLOURS.items()},
        dark={name: colours[1] for name, colours in COLOURS.items()},
        charts=[
            {
                "name": chart.name,
                "title": chart.title,
                "notes": chart.notes,
                "svg": Markup(drawn[chart.name].svg) if chart.rows else None,  # noqa: S704 - drawn by charts.py
                "table": table(chart),
            }
            for chart in dashboard.charts
        ],
    )


def table(chart: Chart) -> dict[str, Any]:
    """Return a chart's figures as a table: its columns' names, and its rows with a cell a column."""
    parts = [*chart.parts, *dict.fromkeys((part, part) for _, part in chart.figures if part not in dict(chart.parts))]
    rows = [*chart.rows, *chart.aside]
    return {
        "unit": chart.unit,
        "parts": [label for _, label in parts],
        "rows": [
            {
                "label": visible(row.label),
                "unit": row.unit,
                "cells": [
                    written(chart.figures[row.key, part].value) if (row.key, part) in chart.figures else ""
                    for part, _ in parts
                ],
            }
            for row in rows[:MOST_ROWS]
        ],
        "more": max(len(rows) - MOST_ROWS, 0),
    }


def written(value: Decimal) -> str:
    """Return a number as people write it: 1,234 or 1,234.50, and as many decimals as it has."""
    if value == value.to_integral_value():
        return f"{value:,.0f}"
    decimals = max(2, -int(value.normalize().as_tuple().exponent))
    return f"{value:,.{decimals}f}"
