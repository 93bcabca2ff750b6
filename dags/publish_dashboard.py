"""
### What it does
Reads the figures of the dashboard from the warehouse, draws six charts and a map, and writes them into the report
bucket: a page that fetches nothing (*index.html*), each chart as PNG, and *figures.json*, which says of each figure
which loads and lines of files it comes from.

### Starts
When the marts were built. By hand, with a form: *days*, how many it shows.

### Reads
Warehouse only: `mart.*`; `store.*` and `ops.load_account` for where each figure comes from

### Writes
Report bucket: `dashboard/latest/`, and a copy under `dashboard/YYYY-MM-DD/`, the day that the marts are of

### Running it again
Writes the same files, byte by byte, until the marts are built anew. Skips while they are older than the last sync.

### Not guaranteed
As late as the marts. A figure that is not the sum of the lines that it comes from fails the run: the last page stays.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from marketplace import assets

TIMEOUT = timedelta(minutes=30)


@dag(
    doc_md=__doc__,
    description="Draws the dashboard of what is in the warehouse, and writes it into the report bucket",
    schedule=[assets.mart(name) for name in assets.MARTS],
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": True,
        "execution_timeout": TIMEOUT,
    },
    tags=["reporting", "warehouse"],
    params={
        "days": Param(
            90, type="integer", minimum=1, maximum=3660, description="Show the last days, up to that of the marts"
        ),
    },
)
def publish_dashboard() -> None:
    @task(multiple_outputs=False, outlets=[assets.DASHBOARD])
    def publish(params: dict[str, Any]) -> dict[str, Any]:
        """Read, draw and write; the result says where the page is."""
        from marketplace.reporting import tasks

        return tasks.publish_dashboard(params, TIMEOUT)

    publish()


publish_dashboard()
