"""An emulator of these tests' own: they break and destroy what is deployed."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra import environments
from local import aws, ports
from local.layout import tool

START_SECONDS = 60

PARAMETERS = {
    "Creator": "tests",
    "StoreHost": "127.0.0.1",
    "StorePort": "15432",
    "StoreOwnerPassword": "owner-password-0001",
    "StoreWriterPassword": "writer-password-0001",
    "StoreReaderPassword": "reader-password-0001",
}


def _status(port: int, method: str, path: str) -> int:
    """The HTTP status of an answer of the emulator's own interface."""
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=30)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()


def _answers(port: int) -> bool:
    try:
        return _status(port, "GET", "/_localstack/health") == 200
    except ConnectionError:
        return False


@pytest.fixture(scope="session")
def emulator_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an emulator that keeps all in memory and ends with the tests."""
    port = ports.choose(24566)
    log = tmp_path_factory.mktemp("emulator") / "log"
    environment = aws.cleaned(os.environ) | {
        "BIND_HOST": ports.HOST,
        "MINISTACK_HOST": ports.HOST,
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "DOCKER_HOST": f"unix://{log.parent / 'no-docker.sock'}",
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [tool("emulator", "ministack")],
            env=environment,
            cwd=log.parent,
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
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


@pytest.fixture
def emulator_url(emulator_port: int) -> str:
    """The emulator's address."""
    return f"http://{ports.HOST}:{emulator_port}"


@pytest.fixture
def emulator(emulator_port: int, emulator_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """An empty account to which this process's AWS clients go. Gives `client(service)`."""
    assert _status(emulator_port, "POST", "/_ministack/reset") == 200
    for name, value in aws.variables(emulator_url).items():
        monkeypatch.setenv(name, value)
    return boto3.session.Session().client


@pytest.fixture
def parameters() -> dict[str, str]:
    """What the caller of a deployment brings."""
    return dict(PARAMETERS)


@pytest.fixture
def editable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of templates and configuration to spoil: the deploy tool reads it, not the real ones."""
    for directory in ("templates", "config/local"):
        target = tmp_path / directory
        target.mkdir(parents=True)
        for source in (environments.ROOT / directory).glob("*.yaml"):
            (target / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    return tmp_path
