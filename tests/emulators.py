"""Start an AWS emulator for tests, on a port of its own."""

from __future__ import annotations

import http.client
import os
import signal
import socket
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


def _free_port() -> int:
    """Return a port that the kernel gives. Platforms look for theirs elsewhere, from a fixed one on."""
    with socket.socket() as probe:
        probe.bind((ports.HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(directory: Path, command: list[str] | None = None, *, persistent: bool = False) -> Iterator[int]:
    """Yield the port of an emulator that keeps its state in `directory`, on disk only when `persistent`."""
    port = _free_port()
    log = directory / "log"
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
        process = subprocess.Popen(
            command or emulator.command(),
            env=environment,
            cwd=directory,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The emulator did not start on port {port}: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        assert ports.listens(process.pid, port), f"port {port} belongs to another process"
        yield port
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
