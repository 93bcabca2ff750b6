"""
### What it does
Loads the CSV files that wait under `landing/DATASET/` into the store: validates each row by its dataset's contract,
resolves references, keeps what it cannot accept as data (rejected or held, with the reason), and accounts for every
file in `ops.load`. Then it moves the files to `archive/`, or to `rejected/` when one is wrong as a whole. It fails when
too much was rejected, of a file or (*max_rejected_share*) of all its rows: what was accepted is stored by then.

### Starts
Within seconds of a file's arrival (S3 tells the landing queue), and every 15 minutes in case a message was lost.

### Reads
`landing/`, and for a reload `archive/`

### Writes
`store.*`, `ops.load`, `ops.rejected_row`, `ops.held_row`, `ops.issue`; announces each table that really changed.

### Running it again
Changes nothing: a file version is loaded once, in the order in which the files were put, and the same rows leave the
tables as they are. To read archived files again, say after a contract was mended, trigger it with *reload_from* and
*reload_to*. `check_rejected_share`, cleared, counts anew: without rows replayed since, and files reloaded or put again.

### Not guaranteed
A load is one transaction, so a file shows all at once or not at all, but two files do not show at the same moment.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, task, task_group

from marketplace import assets, metrics, settings
from marketplace.ingest.operators import ArchiveObjectOperator, DeleteObjectVersionOperator

LOAD_TIMEOUT = timedelta(hours=2)  # a statement that runs longer is stopped with its task
SHORT_TIMEOUT = timedelta(minutes=10)
FIRST = 100  # the short tasks of a small run do not queue behind the many files of a large one
EVERY_QUARTER = CronTriggerTimetable("*/15 * * * *", timezone="UTC")
TIME: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}


@dag(
    doc_md=__doc__,
    description="Loads CSV files into the store when they land, or at the quarter hour, and accounts for every row",
    schedule=AssetOrTimeSchedule(timetable=EVERY_QUARTER, assets=[assets.landing()]),
    catchup=False,
    max_active_runs=4,
    dagrun_timeout=timedelta(hours=6),
    deadline=metrics.deadline(hours=1),
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": True,
        "execution_timeout": SHORT_TIMEOUT,
    },
    tags=["ingest", "store"],
    params={
        "max_files": Param(500, type="integer", minimum=1, maximum=500, description="At most so many files a run"),
        "retry_failed": Param(False, type="boolean", description="Try files again that failed too often and wait"),
        "max_rejected_share": Param(
            0.2, type="number", minimum=0, maximum=1, description="Fail when more of all the run's rows is rejected"
        ),
        "reload_from": Param(None, description="Reload archived files put from then on", **TIME),
        "reload_to": Param(None, description="... and before then (default: now)", **TIME),
    },
)
def ingest_files() -> None:
    @task(priority_weight=FIRST)
    def claim_files(params: dict[str, Any], run_id: str) -> list[dict[str, Any]]:
        """Claim what waits in landing/ and, if asked, the archived files to reload; the oldest first."""
        from marketplace.ingest import tasks

        return tasks.claim(params, run_id, SHORT_TIMEOUT)

    @task(trigger_rule="all_done", execution_timeout=LOAD_TIMEOUT, priority_weight=FIRST)
    def retry_held_rows(run_id: str) -> list[dict[str, Any]]:
        """Load the held rows again whose reference can be resolved by now; the result is an account a file."""
        from marketplace.ingest import tasks

        return tasks.retry_held_rows(run_id, LOAD_TIMEOUT)

    @task(trigger_rule="all_done", outlets=[assets.INGESTED], priority_weight=FIRST)
    def publish_assets(run_id: str, params: dict[str, Any], outlet_events: Any) -> list[str]:
        """Announce the tables that this run has changed, and come again when files are left."""
        from marketplace.ingest import tasks

        return tasks.publish_assets(run_id, outlet_events, SHORT_TIMEOUT, max_files=params["max_files"])

    # A leaf beside file.delete: a load or a move that fails fails the run by that, and the others are still checked.
    @task(multiple_outputs=False, priority_weight=FIRST)
    def check_rejected_share(run_id: str, params: dict[str, Any]) -> dict[str, Any]:
        """Fail when too much was rejected, naming files and reasons; else the result says how much was."""
        from marketplace.ingest import tasks

        return tasks.check_rejected_share(run_id, params["max_rejected_share"], SHORT_TIMEOUT)

    retried, checked = retry_held_rows(), check_rejected_share()
    [retried, retried >> publish_assets()] >> checked

    @task_group
    def file(claim: dict[str, Any]) -> None:
        @task(multiple_outputs=False, map_index_template="{{ file }}", execution_timeout=LOAD_TIMEOUT)
        def load(claim: dict[str, Any], run_id: str) -> dict[str, Any]:
            """Load one file in one transaction; the result is its account."""
            from marketplace.ingest import tasks

            return tasks.load(claim, run_id, LOAD_TIMEOUT)

        loaded = load(claim)
        archive = ArchiveObjectOperator(task_id="archive", bucket=settings.landing_bucket(), loaded=loaded)
        delete = DeleteObjectVersionOperator(task_id="delete", bucket=settings.landing_bucket(), loaded=loaded)
        archive >> delete
        loaded >> retried  # held rows need not wait until the files have moved

    file.expand(claim=claim_files())


ingest_files()
