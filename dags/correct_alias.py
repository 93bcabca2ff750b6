"""
### What it does
Takes a person's word that a source id, or a name that references use, stands for another publisher or game. A source id
becomes that publisher or game, and what pointed to it follows: releases, lines, sessions, wishes. A name resolves to it
wherever a reference uses it, which also settles which of two games of one title is meant. Held rows that this explains
are loaded at once.

### Starts
By hand, with a form. *dry_run* says what would change, and changes nothing.

### Reads
`store.publisher_alias`, `store.game_alias`, `ops.held_row`

### Writes
`ops.alias_correction` (what was said, why, by whom and when), `ops.correction_run` (what that changed), `store.*`,
`ops.load` (an entry of kind `retry` for each file whose held rows enter); announces each table that really changed.

### Running it again
Changes nothing: a run does its work once, and announces it when it is cleared or was killed before it could. What was
said holds for all later loads, in whatever order files come, until it is removed or changed.

### Not guaranteed
A line that had been resolved by a name keeps its publisher and game, and so does what was merged before a correction
was removed: reload its file (`ingest_files`, *reload_from*) to resolve it anew.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from marketplace import assets

TIMEOUT = timedelta(hours=1)


@dag(
    doc_md=__doc__,
    description="Lets a source id or a name stand for another publisher or game, as a person says",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "execution_timeout": TIMEOUT,
    },
    tags=["ingest", "store"],
    params={
        "kind": Param("publisher", type="string", enum=["publisher", "game"], description="What is corrected"),
        "alias": Param(type="string", minLength=1, description="What is wrong, such as VALV Softwear or P-7"),
        "alias_is": Param(
            "name",
            type="string",
            enum=["name", "id"],
            description="name: as references write it (of a game, its title); id: a source id",
        ),
        "stands_for": Param(
            None,
            type=["null", "string"],
            description="The source id of the publisher or game that is meant, such as P-1; empty to remove",
        ),
        "reason": Param(type="string", minLength=1, description="Why, for whoever asks later"),
        "remove": Param(False, type="boolean", description="Remove what was said of this alias instead"),
        "dry_run": Param(False, type="boolean", description="Only say what would change"),
    },
)
def correct_alias() -> None:
    @task(multiple_outputs=False)
    def correct(params: dict[str, Any]) -> dict[str, Any]:
        """Keep what the person says and settle what it concerns; the result says what has changed."""
        from marketplace.ingest import tasks

        return tasks.correct_alias(params, TIMEOUT)

    @task
    def retry_held_rows(params: dict[str, Any], run_id: str) -> list[dict[str, Any]]:
        """Load the held rows again whose reference can be resolved by now; the result is an account a file."""
        from marketplace.ingest import tasks

        return [] if params["dry_run"] else tasks.retry_held_rows(run_id, TIMEOUT)

    @task(trigger_rule="all_done", outlets=[assets.INGESTED])
    def publish_assets(corrected: dict[str, Any], run_id: str, outlet_events: Any) -> list[str]:
        """Announce the tables that this run has changed."""
        from marketplace.ingest import tasks

        return tasks.publish_assets(run_id, outlet_events, TIMEOUT, also_changed=tasks.changed_by(corrected))

    # Behind all others, so that the run fails when one of them does.
    @task(multiple_outputs=False)
    def sum_up(retried: list[dict[str, Any]]) -> dict[str, int]:
        """Say what has become of the held rows that were tried again."""
        from marketplace.ingest import tasks

        return tasks.sum_up(retried, retried)

    corrected, retried = correct(), retry_held_rows()
    corrected >> retried >> publish_assets(corrected) >> sum_up(retried)


correct_alias()
