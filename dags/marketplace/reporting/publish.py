"""Writes the dashboard into the report bucket: dashboard/latest/, and a copy of the day under dashboard/YYYY-MM-DD/."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple

from marketplace.reporting.charts import draw
from marketplace.reporting.figures import as_json
from marketplace.reporting.page import page

if TYPE_CHECKING:
    from marketplace.reporting.figures import Dashboard

PREFIX = "dashboard/"


class File(NamedTuple):
    """A file of the dashboard."""

    name: str
    content_type: str
    body: bytes


def files(dashboard: Dashboard) -> list[File]:
    """Return the files of a dashboard, the page last: the same ones for the same figures."""
    drawn = {chart.name: draw(chart) for chart in dashboard.charts}
    return [
        *(File(f"{name}.png", "image/png", chart.png) for name, chart in drawn.items()),
        File("figures.json", "application/json", json.dumps(as_json(dashboard), ensure_ascii=False).encode()),
        File("index.html", "text/html; charset=utf-8", page(dashboard, drawn).encode()),
    ]


def publish(dashboard: Dashboard, s3: Any, bucket: str) -> dict[str, Any]:
    """Write the files, those of the day first; returns the keys of both pages, and how much was written."""
    written = files(dashboard)
    day = f"{PREFIX}{dashboard.as_of.astimezone(UTC):%Y-%m-%d}/"
    for prefix in (day, f"{PREFIX}latest/"):
        for file in written:
            s3.put_object(
                Bucket=bucket, Key=prefix + file.name, Body=file.body, ContentType=file.content_type,
                CacheControl="no-cache",
            )  # fmt: skip
    return {
        "page": f"{PREFIX}latest/index.html",
        "copy": f"{day}index.html",
        "files": len(written),
        "bytes": sum(len(file.body) for file in written),
        "figures": sum(len(chart["figures"]) for chart in as_json(dashboard)["charts"]),
    }
