"""
### What it does
Shows what lies in the notifications' dead-letter queue and why; on request it has these messages worked on again, and
accounts for their days anew, or deletes them.

### Starts
By hand, with a form: *action*, and which messages (*rule*, *reason*, *messages*). An alarm says when the queue is not
empty.

### Reads
The dead-letter queue; of redriven messages what `notify_customers` reads

### Writes
*inspect*: nothing. *redrive*: the messages go back to the queue, their chunks (`ops.notification_chunk`) are delivered,
`ops.notification_run` and
`ops.notification_account` get the days' accounts. *discard*: the messages are deleted.

### Running it again
*redrive* delivers to those who have no notification yet; a chunk that is done by now only loses its message.

### Not guaranteed
A message that is none of ours stays: it can only be discarded. A chunk whose message was discarded stays failed until a
run of its day delivers it. A rule whose text is wrong has no message here: mend the text and clear the day's run.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from marketplace import assets

TIMEOUT = timedelta(hours=2)
TEXT: dict[str, Any] = {"type": ["null", "string"]}


@dag(
    doc_md=__doc__,
    description="Shows the notifications that could not be delivered, and delivers them again or deletes them",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args={
        "owner": "data-platform",
        "retries": 1,
        "retry_delay": timedelta(seconds=10),
        "execution_timeout": TIMEOUT,
    },
    tags=["notifications"],
    params={
        "action": Param(
            "inspect",
            type="string",
            enum=["inspect", "redrive", "discard"],
            description="Only look, have them delivered again, or delete them",
        ),
        "rule": Param(None, description="Of this rule, such as RULE-7 or RULE-*", **TEXT),
        "reason": Param(None, description="With this text in their reason", **TEXT),
        "messages": Param(1000, type="integer", minimum=1, maximum=100_000, description="At most so many messages"),
    },
)
def redrive_notifications() -> None:
    # A second try finds only what the first has left; what that one took back is delivered by whichever worker comes.
    @task(multiple_outputs=False)
    def look_at_dead_letters(params: dict[str, Any]) -> dict[str, Any]:
        """Look at the messages and do what the form says; the result counts them by reason and shows the first."""
        from marketplace.notifications import tasks

        return tasks.look_at_dead_letters(params, TIMEOUT)

    @task(outlets=[assets.table("ops.notification_account")])
    def deliver_again(looked: dict[str, Any], run_id: str) -> list[dict[str, Any]]:
        """Deliver what was taken back, and account for its days; fails when one cannot be."""
        from marketplace.notifications import tasks

        return tasks.deliver_again(looked, run_id, TIMEOUT)

    deliver_again(look_at_dead_letters())


redrive_notifications()
