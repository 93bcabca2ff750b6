"""
### What it does
Makes up a games marketplace: messy CSV files for `landing/`, with a truth file beside each that says of every line what
must become of it, and live changes in the store: updates, cancellations, refunds, and a transaction that commits late.

### Starts
Every 15 minutes, once it is unpaused; new deployments of local and prod begin paused. A backfill makes each past
interval's files. To make whole days of history before a run's logical date, a file set a day, trigger it with
*days_back*.

### Reads
`include/mockdata`; for live changes the rows of `store.*` that mock data of the same *seed* made

### Writes
`landing/DATASET/mock-SEED-INTERVAL.csv`, `mock-truth/DATASET/` (the same names); `store.customer`, `store.transaction`,
`store.transaction_line`, `store.wishlist`; announces each table that it changed, after a failed try all of them.

### Running it again
Puts the same bytes: seed, interval, rows, profile and dials decide them, in whatever order intervals are made. The
ingestion finds its rows as they are, but takes back live changes of them. The live changes themselves are the same
again: of rows that were there before, nothing more is changed.

### Not guaranteed
Live changes meet what is loaded by then: a run changes rows of the hour before it (with *days_back*, of those days), so
none when the ingestion is behind. A truth file does not know of them: what they changed names no load.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, Param, dag, task

from marketplace import assets, settings

TIMEOUT = timedelta(minutes=15)
PROFILES = ["clean", "normal", "terrible"]
PAUSED_IN = {"local", "prod"}


@dag(
    doc_md=__doc__,
    description="Makes up marketplace data: messy files with what is true of them, and live changes in the store",
    # With data intervals, unlike a plain cron expression: an interval decides what is made.
    schedule=CronDataIntervalTimetable("*/15 * * * *", timezone="UTC"),
    catchup=False,
    is_paused_upon_creation=settings.environment() in PAUSED_IN,
    max_active_runs=4,
    dagrun_timeout=timedelta(hours=6),
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": True,
        "execution_timeout": TIMEOUT,
    },
    tags=["mock-data", "store"],
    params={
        "profile": Param("normal", type="string", enum=PROFILES, description="How messy the files are"),
        "rows": Param(
            500,
            type="integer",
            minimum=1,
            maximum=100_000,
            description="About so many records over all files of an interval of average activity",
        ),
        "seed": Param(1, type="integer", minimum=0, maximum=9999, description="Which marketplace: part of every id"),
        "days_back": Param(
            0,
            type="integer",
            minimum=0,
            maximum=366,
            description="Make so many whole days before the run's date instead of its own interval",
        ),
        "dials": Param(
            {},
            type="object",
            description='Rates of single defects that differ from the profile: {"padding": 0.5}',
        ),
    },
)
def generate_mock_data() -> None:
    @task
    def choose_intervals(params: dict[str, Any]) -> list[dict[str, str]]:
        """Choose the intervals to make files for: the run's own, or days of history."""
        from marketplace.mockdata import tasks

        return tasks.choose_intervals(params)

    # A year of history leaves room for other tasks.
    @task(multiple_outputs=False, map_index_template="{{ interval }}", max_active_tis_per_dagrun=4)
    def put_files(interval: dict[str, str], params: dict[str, Any]) -> dict[str, Any]:
        """Make one interval's files and put them, each after its truth; the result names them."""
        from marketplace.mockdata import tasks

        return tasks.put_files(interval, params)

    @task(multiple_outputs=False, outlets=[assets.CHANGED])
    def change_store(params: dict[str, Any], outlet_events: Any) -> dict[str, int]:
        """Update, cancel and refund what earlier intervals brought; the result counts the changed rows."""
        from marketplace.mockdata import tasks

        return tasks.change_store(params, outlet_events, TIMEOUT)

    put_files.expand(interval=choose_intervals()) >> change_store()


generate_mock_data()
