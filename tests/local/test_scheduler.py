"""local/scheduler.py: the scheduler ends, whatever it does when the signal comes, and its workers with it."""

from __future__ import annotations

import os
import signal
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from airflow.executors.local_executor import LocalExecutor
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

from local.scheduler import Executor, Scheduler
from local.supervisor import wait_until


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


@contextmanager
def _quick_workers(
    kind: type[LocalExecutor], monkeypatch: pytest.MonkeyPatch, seconds: float
) -> Iterator[LocalExecutor]:
    """An executor with two workers, of which the one that it asks last is the first to read, and ends at once.

    It is not held up for more than `seconds` by a worker that goes on.
    """
    executor = kind(parallelism=1)
    executor.start()
    (reader,) = executor.workers.values()
    # Who waits for a message holds the queue's lock.
    lock = executor.activity_queue._rlock  # type: ignore[attr-defined]
    wait_until(lambda: not _was_free(lock), 30, lambda: "the worker does not read")
    executor._spawn_worker()
    executor.workers = dict(reversed(executor.workers.items()))
    other, _ = processes = list(executor.workers.values())
    put, running = executor.activity_queue.put, [reader.pid, other.pid]

    def put_and_wait_for_the_reader(message: Any) -> None:
        put(message)
        if running:
            pid = running.pop(0)
            wait_until(lambda: _has_ended(pid), 30, lambda: f"worker {pid} has not read its message")

    monkeypatch.setattr(executor.activity_queue, "put", put_and_wait_for_the_reader)
    for process in processes:
        monkeypatch.setattr(process, "join", _bound(process.join, seconds))
    try:
        yield executor
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: _has_ended(pid), 30, lambda: "a killed worker runs")


def _was_free(lock: Any) -> bool:
    if free := lock.acquire(block=False):
        lock.release()
    return free


def _bound(join: Callable[[float], None], seconds: float) -> Callable[[], None]:
    return lambda: join(seconds)


def _has_ended(pid: int) -> bool:
    """Tell whether a child has ended, and leave that to be noticed by others."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # noticed
        return True


def test_no_worker_misses_the_end_when_another_is_quick_to_read(monkeypatch: pytest.MonkeyPatch):
    with _quick_workers(Executor, monkeypatch, 30) as executor:
        pids = list(executor.workers)
        executor.end()
        assert [_has_ended(pid) for pid in pids] == [True, True]


def test_airflows_own_executor_sends_a_message_too_few(monkeypatch: pytest.MonkeyPatch):
    """When this fails, Airflow may have mended it: then the executor of local/scheduler.py can go."""
    with (
        _quick_workers(LocalExecutor, monkeypatch, 0.2) as executor,
        pytest.raises(ValueError, match="Cannot close a process while it is still running"),
    ):
        executor.end()
