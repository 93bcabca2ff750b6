"""Airflow's scheduler, with an end that cannot get lost: what runs in place of `airflow scheduler`.

Airflow answers SIGTERM by an exception in the middle of whatever the scheduler does. The scheduler then does not end,
and is killed with its tasks when its time is over, if what it does is

- a callback of the garbage collector, such as SQLAlchemy's: Python drops an exception there, and all goes on;
- the start of its workers: one that is not on the list yet is not told to end, and is waited for;
- the writing of a log line: the handler writes one too, and waits for the lock that the scheduler holds.

So the signal is noted here, and obeyed when the next round of the scheduler's loop begins: between two, it sleeps
for a second at most. The answer to a second signal is Airflow's: not to wait for running tasks.

At its end, Airflow's executor tells its workers by as many messages as workers are alive, but asks and sends by turns,
and they share one queue. A worker that is quick to take a message meant for another is dead when its own turn comes:
then there is one message too few, a worker that waits for it, and a scheduler that waits for that worker until it is
killed. So each worker gets its message here before any is asked. Running tasks are waited for as before.
"""

from __future__ import annotations

import sys
from types import FrameType

from airflow.__main__ import main
from airflow.cli.commands import scheduler_command
from airflow.executors import local_executor
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from sqlalchemy.orm import Session


class Scheduler(SchedulerJobRunner):
    """The scheduler's job. The methods are private ones of the Airflow that requirements.txt pins."""

    _signal: int | None = None
    _ends = False

    def _exit_gracefully(self, signum: int, frame: FrameType | None) -> None:
        """Take note of a signal; Airflow's handler takes the second one that comes."""
        if self._ends:
            super()._exit_gracefully(signum, frame)
        self._signal = signum

    def _do_scheduling(self, session: Session) -> int:
        """Exit if a signal came, or do what a round of the loop begins with."""
        if self._signal is not None:
            self._ends = True
            super()._exit_gracefully(self._signal, None)
        return super()._do_scheduling(session)


class Executor(local_executor.LocalExecutor):
    """The executor, with an end that none of its workers misses."""

    def end(self) -> None:
        """Let the workers end when their tasks have, and wait for them; messages that none is left to read are lost."""
        for _ in self.workers:
            self.activity_queue.put(None)
        super().end()


if __name__ == "__main__":
    local_executor.LocalExecutor = Executor  # type: ignore[misc]
    scheduler_command.SchedulerJobRunner = Scheduler  # type: ignore[attr-defined]
    sys.argv = ["airflow", "scheduler", *sys.argv[1:]]
    main()  # type: ignore[no-untyped-call]
