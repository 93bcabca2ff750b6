"""
### What it does
Checks the platform from where it works, which nobody outside its network can: that Airflow sees its connections, that
the store is the primary, encrypted, with PostGIS and its newest migration, that the warehouse is at its newest
migration and reads the exports by COPY with its own role, and that a file which lands is ingested (the canary: a
header without rows).

### Starts
Daily, and by `make verify ENV=…` after each deployment.

### Reads
Airflow's connections, the store, the warehouse

### Writes
`landing/wishlist/canary-TIME.csv`, and its entry in `ops.load`; a file under `sync/` of the export bucket, for a moment

### Running it again
Asks again; each run has a canary of its own.

### Not guaranteed
It says that the parts work together now. What is in the tables is the business of the sync's reconciliation.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task

TIMEOUT = timedelta(minutes=10)
# Files are found by a listing at the quarter hour even when their event is lost.
CANARY_TIMEOUT = timedelta(minutes=30)


@dag(
    doc_md=__doc__,
    description="Checks store, warehouse, connections and ingestion from where they are used",
    schedule=CronTriggerTimetable("30 5 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args={
        "owner": "data-platform",
        "retries": 1,
        "retry_delay": timedelta(seconds=15),
        "execution_timeout": TIMEOUT,
    },
    tags=["operations"],
)
def check_platform() -> None:
    @task
    def check_connections() -> list[str]:
        """Check that Airflow sees its connections; returns their names."""
        from marketplace.verification import tasks

        return tasks.check_connections()

    @task(multiple_outputs=False)
    def check_store() -> dict[str, Any]:
        """Check the store: primary, encrypted, PostGIS, migration; returns what it found."""
        from marketplace.verification import tasks

        return tasks.check_store(TIMEOUT)

    @task(multiple_outputs=False)
    def check_warehouse() -> dict[str, Any]:
        """Check that the warehouse answers, and its migration; returns what it found."""
        from marketplace.verification import tasks

        return tasks.check_warehouse(TIMEOUT)

    @task(multiple_outputs=False)
    def check_copy(run_id: str) -> dict[str, Any]:
        """Check that the warehouse reads the export prefix by COPY; returns how many rows."""
        from marketplace.verification import tasks

        return tasks.check_copy(run_id, TIMEOUT)

    @task
    def put_canary() -> str:
        """Put a file that has nothing but its header; returns its key."""
        from marketplace.verification import tasks

        return tasks.put_canary()

    # Between two looks it holds no worker's slot: the ingestion that it waits for may need it.
    @task.sensor(
        mode="reschedule", poke_interval=5, timeout=CANARY_TIMEOUT.total_seconds(), execution_timeout=CANARY_TIMEOUT
    )
    def wait_for_canary(key: str) -> bool:
        """Wait until ingest_files has loaded it."""
        from marketplace.verification import tasks

        return tasks.canary_is_through(key, TIMEOUT)

    check_connections() >> [check_store(), check_warehouse(), check_copy()]
    wait_for_canary(put_canary())


check_platform()
