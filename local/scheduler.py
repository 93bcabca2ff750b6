"""Airflow's scheduler, with an end that cannot get lost: what runs in place of `airflow scheduler`.

Airflow answers SIGTERM by an exception in the middle of whatever the scheduler does. The scheduler then does not end,
and is killed with its tasks when its time is over, if what it does is

- a callback of the garbage collector, such as SQLAlchemy's: Python drops an exception there, and all goes on;
- the start of its workers: one that is not on the list yet is not told to end, and is waited for;
- the writing of a log line: the handler writes one too, and waits for the lock that the scheduler holds.

So the signal is noted here, and obeyed when the next round of the scheduler's loop begins: between two, it sleeps
for a second at most. What follows is Airflow's, and so is the answer to a second signal: not to wait for running tasks.
"""

from __future__ import annotations

import sys
from types import FrameType

from airflow.__main__ import main
from airflow.cli.commands import scheduler_command
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


if __name__ == "__main__":
    scheduler_command.SchedulerJobRunner = Scheduler  # type: ignore[attr-defined]
    sys.argv = ["airflow", "scheduler", *sys.argv[1:]]
    main()  # type: ignore[no-untyped-call]
