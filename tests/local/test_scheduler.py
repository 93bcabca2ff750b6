"""local/scheduler.py: the scheduler ends, whatever it does when the signal comes."""

from __future__ import annotations

import os
import signal
import sys
import weakref
from collections.abc import Iterator

import pytest
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

from local.scheduler import Scheduler


class Watched:
    """Something to be collected."""


def _told_in_a_callback_of_the_garbage_collector() -> None:
    watched = Watched()
    reference = weakref.ref(watched, lambda _: signal.raise_signal(signal.SIGTERM))
    del watched
    assert reference() is None


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scheduler]:
    """A scheduler that answers SIGTERM, and has no database: a round of its loop is just counted."""
    rounds: list[int] = []
    monkeypatch.setattr(SchedulerJobRunner, "_do_scheduling", lambda _self, _session: rounds.append(1) or len(rounds))
    scheduler = Scheduler(job=Job())
    with scheduler.register_signals():
        yield scheduler


def test_a_signal_in_a_callback_of_the_garbage_collector_ends_the_next_round(runner: Scheduler):
    assert runner._do_scheduling(None) == 1
    _told_in_a_callback_of_the_garbage_collector()
    with pytest.raises(SystemExit) as ended:
        runner._do_scheduling(None)
    assert ended.value.code == os.EX_OK


def test_airflows_own_scheduler_loses_that_signal(monkeypatch: pytest.MonkeyPatch):
    """When this fails, Airflow may have mended it: then local/scheduler.py can go."""
    dropped: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: dropped.append(unraisable.exc_type))
    with SchedulerJobRunner(job=Job()).register_signals():
        _told_in_a_callback_of_the_garbage_collector()
    assert dropped == [SystemExit]


def test_a_second_signal_does_not_wait_for_running_tasks(runner: Scheduler):
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)  # told twice before it could heed the first: that is one
    with pytest.raises(SystemExit):
        runner._do_scheduling(None)
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)
