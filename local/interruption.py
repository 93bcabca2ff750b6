"""Ctrl-C while threads are at work: it reaches the main thread only, which tells the others by this module."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

INTERRUPTED = threading.Event()


class InterruptedWorkError(RuntimeError):
    """Ends a thread's work after Ctrl-C. The main thread has said so, so nobody needs to see it."""


def check() -> None:
    """Raise InterruptedWorkError after Ctrl-C."""
    if INTERRUPTED.is_set():
        raise InterruptedWorkError("interrupted")


def run(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as subprocess.run does, but Ctrl-C does not reach it: it is ended, and its words are lost."""
    with subprocess.Popen(command, text=True, start_new_session=True, **options) as process:
        while True:
            try:
                output, errors = process.communicate(timeout=0.2)
                return subprocess.CompletedProcess(process.args, process.returncode, output, errors)
            except subprocess.TimeoutExpired:
                if INTERRUPTED.is_set():
                    os.killpg(process.pid, signal.SIGTERM)
                    process.communicate()
                    check()
