"""
### What it does
Loads rejected or held rows again, as they stood in their files: after a contract was corrected or widened, or when a
person asks for it. Each row keeps its file, its line and its place in the order of files, so it yields to what
a later file has said since. Then it retries the held rows that wait for what it has brought.

### Starts
By hand, with a form that says which rows.

### Reads
`ops.rejected_row`, `ops.held_row`; no files: to read whole archived files again, see *reload_from* of `ingest_files`

### Writes
`store.*`; `ops.load`, an entry of kind `replay` a file, with its own account; on each row that was tried again, which
load did (`retried_load_id`). What is rejected or held again is so by that load. Announces each table that really
changed.

### Running it again
Changes nothing: where all of a file's rows end as before, for the same reasons, there is not even an entry.

### Not guaranteed
Rows whose raw line has expired are gone. Rows whose file has columns that the contract no longer knows are left as they
are, and the run fails and names the files.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from marketplace import assets

TIMEOUT = timedelta(hours=2)
TEXT: dict[str, Any] = {"type": ["null", "string"]}
TIME: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}


@dag(
    doc_md=__doc__,
    description="Loads rejected or held rows again, after a contract was mended",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "execution_timeout": TIMEOUT,
    },
    tags=["ingest", "store"],
    params={
        "rows": Param(
            "rejected", type="string", enum=["rejected", "held", "both"], description="Which rows to load again"
        ),
        "dataset": Param(None, description="Of this dataset, such as transaction", **TEXT),
        "load_id": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            description="Of this load (ops.load); of a file's load also what its retries and replays left over",
        ),
        "file": Param(None, description="Of files with this key, such as landing/transaction/2025-01-*.csv", **TEXT),
        "reason": Param(None, description="Rejected or held for this reason, such as unknown_value", **TEXT),
        "put_from": Param(None, description="Of files put from then on", **TIME),
        "put_to": Param(None, description="... and before then", **TIME),
    },
)
def replay_rows() -> None:
    @task
    def load_rows_again(params: dict[str, Any], run_id: str) -> list[dict[str, Any]]:
        """Load the chosen rows again; the result is an account for each file of which something new has become."""
        from marketplace.ingest import tasks

        return tasks.replay_rows(params, run_id, TIMEOUT)

    @task(trigger_rule="all_done")
    def retry_held_rows(run_id: str) -> list[dict[str, Any]]:
        """Load the held rows again whose reference can be resolved by now; the result is an account a file."""
        from marketplace.ingest import tasks

        return tasks.retry_held_rows(run_id, TIMEOUT)

    @task(trigger_rule="all_done", outlets=[assets.INGESTED])
    def publish_assets(run_id: str, outlet_events: Any) -> list[str]:
        """Announce the tables that this run has changed."""
        from marketplace.ingest import tasks

        return tasks.publish_assets(run_id, outlet_events, TIMEOUT)

    # Behind all others, so that the run fails when one of them does.
    @task(multiple_outputs=False)
    def sum_up(loaded: list[dict[str, Any]], retried: list[dict[str, Any]]) -> dict[str, int]:
        """Say what has become of the rows; those of which nothing new has become are not counted."""
        from marketplace.ingest import tasks

        return tasks.sum_up(loaded, retried)

    loaded = load_rows_again()
    retried = retry_held_rows()
    published = publish_assets()
    loaded >> retried >> published >> sum_up(loaded, retried)


replay_rows()
