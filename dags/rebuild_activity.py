"""
### What it does
Counts all play sessions anew, by cell, day, game and platform, and mends what differs in `geo.activity`. It is kept
right by triggers, so there should be nothing to mend: the result of the task says how many groups there are, and how
many had to be added, corrected or removed.

### Starts
By hand: when somebody doubts the numbers, or has worked on the database with its triggers switched off.

### Reads
`store.play_session`

### Writes
`geo.activity`, `geo.cell`; announces `geo.activity` if anything had to be mended.

### Running it again
Changes nothing.

### Not guaranteed
While it counts (about ten seconds for a million sessions) nobody can write sessions: loads of them wait, and readers
do not.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from marketplace import assets

TIMEOUT = timedelta(hours=1)


@dag(
    doc_md=__doc__,
    description="Counts play by cell, day, game and platform anew, and mends what differs",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args={
        "owner": "data-platform",
        "retries": 1,
        "retry_delay": timedelta(seconds=15),
        "execution_timeout": TIMEOUT,
    },
    tags=["operations", "store"],
)
def rebuild_activity() -> None:
    @task(multiple_outputs=False, outlets=[assets.CHANGED])
    def count_sessions(run_id: str, outlet_events: Any) -> dict[str, int]:
        """Count all sessions anew; returns how many groups there are, and how many of them were wrong."""
        from psycopg.rows import dict_row

        from marketplace import connections
        from marketplace.store import query

        with connections.store("writer", TIMEOUT)() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            found = cursor.execute(query("geo/rebuild_activity.sql")).fetchone()
        if found is None:
            raise RuntimeError("geo.rebuild_activity() gave no row.")
        if found["added"] or found["corrected"] or found["removed"]:
            outlet_events[assets.CHANGED].add(assets.table("geo.activity"), extra={"run_id": run_id})
        return found

    count_sessions()


rebuild_activity()
