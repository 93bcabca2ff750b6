"""
### What it does
Brings the warehouse to the store's latest state: inserts, updates and deletes, also those that a long transaction
committed late. One snapshot of the store is exported to S3, table by table what has become visible since the last
sync, and loaded into the warehouse in one transaction that also moves the watermark: a reader sees all tables as of one
moment. Then it compares what it has loaded with the store as it was at the export, and once a day all rows of all
tables; a run that finds a difference fails, and names table and key. Last it measures how far the warehouse is behind.

### Starts
When any table of the store has changed (several at once start one run), and every 15 minutes. By hand, with a form:
*tables*, *full_reload*, *repair*, *reconcile*, and *dry_run*, which only counts what would be done.

### Reads
`store.*`, `ops.tombstone`, `ops.sync_reload`; of the warehouse `ops.sync_state` and its columns

### Writes
Warehouse: `store.*`, `ops.sync_state` (the watermarks), `ops.sync_run` (what each run did), `ops.sync_check` (what it
compared), `ops.sync_difference` (what differs, until a run has repaired it). Store: `ops.sync_token`, and tombstones
that are synced are deleted. Export bucket: `sync/RUN/`, until the run has succeeded.

### Running it again
Loads what has changed since. A run that died anywhere left the warehouse as it was: the next one begins where the last
commit ended. A task that is cleared after its commit changes nothing; once its run has succeeded it finds no files.

### Not guaranteed
A column that is dropped or renamed in the store, or gets another type, stops the sync, with what to do; one that is
added is added here too. Rows that `pg_restore` brings back into one table are not seen: `ops.ask_reload` has it loaded.
What somebody changes in the warehouse is found within a day, unless the store changes the same row before.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.operators.s3 import S3DeleteObjectsOperator
from airflow.sdk import AssetAny, AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, task

from marketplace import assets, metrics, settings
from marketplace.sync.operators import ApplySyncOperator, WriteManifestsOperator

TIMEOUT = timedelta(hours=2)  # of a first load; what a quarter of an hour brings takes seconds
LAG_TIMEOUT = timedelta(minutes=10)


@dag(
    doc_md=__doc__,
    description="Brings the warehouse to the store's latest state, all tables as of one moment",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("*/15 * * * *", timezone="UTC"),
        assets=AssetAny(*(assets.table(name) for name in assets.SYNCED)),
    ),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    deadline=metrics.deadline(hours=1),
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": True,
        "execution_timeout": TIMEOUT,
    },
    tags=["store", "warehouse"],
    params={
        "tables": Param(
            [],
            type="array",
            items={"type": "string", "enum": assets.IN_WAREHOUSE},
            examples=assets.IN_WAREHOUSE,  # so the form offers them
            description="Sync these tables alone; none chosen: all",
        ),
        "full_reload": Param(False, type="boolean", description="Load the tables anew from their first row"),
        "repair": Param(False, type="boolean", description="Load the rows anew that were found to differ"),
        "reconcile": Param(
            "touched",
            type="string",
            enum=["touched", "all", "none"],
            description="Compare what this run has loaded (and once a day all rows), all rows now, or nothing",
        ),
        "dry_run": Param(False, type="boolean", description="Only count what would be loaded and deleted"),
    },
)
def sync_warehouse() -> None:
    @task(multiple_outputs=False)
    def export(params: dict[str, Any], run_id: str) -> dict[str, Any]:
        """Write what has changed to the export bucket, from one snapshot; the result counts it, table by table."""
        from marketplace.sync import tasks

        return tasks.export(params, run_id, TIMEOUT)

    exported = export()
    manifests = WriteManifestsOperator(task_id="write_manifests", exported=exported)
    apply = ApplySyncOperator(task_id="apply", exported=exported)

    @task(outlets=[assets.SYNC])
    def reconcile(exported: dict[str, Any], outlet_events: Any) -> None:
        """Compare the warehouse with the store as it was at the export; fails when a row differs, and names it."""
        from marketplace.sync import tasks

        tasks.reconcile(exported, outlet_events, TIMEOUT)

    # Whatever became of the rest: when nothing goes through any more, this is what must be seen.
    @task(multiple_outputs=False, trigger_rule="all_done", execution_timeout=LAG_TIMEOUT)
    def measure_lag() -> dict[str, Any]:
        """Say how far the warehouse is behind, as metrics and as the result."""
        from marketplace.sync import tasks

        return tasks.measure_lag(LAG_TIMEOUT)

    # sync/RUN/, of all its exports. Files of a run that failed stay for whoever looks into it, until they expire.
    clean_up = S3DeleteObjectsOperator(
        task_id="clean_up",
        bucket=settings.export_bucket(),
        prefix="{{ ti.xcom_pull(task_ids='export')['prefix'].rsplit('/', 2)[0] }}/",
    )
    manifests >> apply >> reconcile(exported) >> [clean_up, measure_lag()]


sync_warehouse()
