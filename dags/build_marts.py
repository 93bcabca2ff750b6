"""
### What it does
Builds the marts, which analysts and the dashboard read, anew from the warehouse's tables: `mart.revenue`,
`mart.payout`, `mart.play` and `mart.data_quality`. All in one transaction, so a reader sees all of them as of one sync.
What each row of a mart is stands on top of its file in `include/sql/warehouse/marts`.

### Starts
When a sync has changed the warehouse and found it equal to the store.

### Reads
Warehouse: `store.*`, `geo.*`, `ops.load_account`, `ops.load_finding`

### Writes
Warehouse: `mart.*`; `mart.built` says of which sync, and as of when

### Running it again
Skips, unless something was synced since.

### Not guaranteed
A mart is as late as the sync. Areas overlap: rows of `mart.play` of different areas do not add up.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, task

from marketplace import assets

TIMEOUT = timedelta(minutes=30)


@dag(
    doc_md=__doc__,
    description="Builds what analysts and the dashboard read, all as of one sync",
    schedule=[assets.WAREHOUSE],
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
    tags=["warehouse", "reporting"],
)
def build_marts() -> None:
    @task(multiple_outputs=False, outlets=[assets.mart(name) for name in assets.MARTS])
    def build() -> dict[str, int]:
        """Build all marts in one transaction; the result is how many rows each has."""
        from marketplace.reporting import tasks

        return tasks.build_marts(TIMEOUT)

    build()


build_marts()
