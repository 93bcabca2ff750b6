"""Start an AWS emulator for tests, on a port of its own."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import aws, emulator, ports

START_SECONDS = 60


def status(port: int, method: str, path: str) -> int:
    """Return the HTTP status of an answer of the emulator's own interface."""
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=30)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()


def _answers(port: int) -> bool:
    try:
        return status(port, "GET", "/_localstack/health") == 200
    except ConnectionError:
        return False


@contextmanager
def running(directory: Path, command: list[str] | None = None, *, persistent: bool = False) -> Iterator[int]:
    """Yield the port of an emulator that keeps its state in `directory`, on disk only when `persistent`."""
    log = directory / "log"
    process = None
    try:
        with ports.turn(lambda _text: None):  # until it listens: other tests and platforms choose ports too
            port = ports.choose(24566)
            process = _start(command or emulator.command(), directory, port, log, persistent)
            _wait(process, port, log)
        yield port
    finally:
        if process:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _start(command: list[str], directory: Path, port: int, log: Path, persistent: bool) -> subprocess.Popen[bytes]:
    environment = aws.cleaned(os.environ) | {
        "BIND_HOST": ports.HOST,
        "MINISTACK_HOST": ports.HOST,
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "PERSIST_STATE": "1" if persistent else "0",
        "STATE_DIR": str(directory / "state"),
        "S3_PERSIST": "1" if persistent else "0",
        "S3_DATA_DIR": str(directory / "objects"),
        "DOCKER_HOST": f"unix://{directory / 'no-docker.sock'}",
    }
    with log.open("w") as output:
        return subprocess.Popen(
            command, env=environment, cwd=directory, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"The emulator did not start on port {port}: {log.read_text()[-2000:]}")
        time.sleep(0.05)
    assert ports.listens(process.pid, port), f"port {port} belongs to another process"
