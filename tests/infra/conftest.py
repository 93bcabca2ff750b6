"""An emulator of these tests' own: they break and destroy what is deployed."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra import environments
from local import aws, ports
from tests import emulators

PARAMETERS = {
    "Creator": "tests",
    "StoreHost": "127.0.0.1",
    "StorePort": "15432",
    "StoreOwnerPassword": "owner-password-0001",
    "StoreWriterPassword": "writer-password-0001",
    "StoreReaderPassword": "reader-password-0001",
    "WarehouseHost": "127.0.0.1",
    "WarehousePort": "15439",
    "WarehousePassword": "warehouse-password-1",
    # What the deploy tool finds out by itself, for tests that ask without it.
    "ApiCodeKey": f"api/{64 * '0'}.zip",
}


@pytest.fixture(scope="session")
def emulator_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an emulator that keeps all in memory and ends with the tests."""
    with emulators.running(tmp_path_factory.mktemp("emulator")) as port:
        yield port


@pytest.fixture
def emulator_url(emulator_port: int) -> str:
    """The emulator's address."""
    return f"http://{ports.HOST}:{emulator_port}"


@pytest.fixture
def emulator(emulator_port: int, emulator_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """An empty account to which this process's AWS clients go. Gives `client(service)`."""
    assert emulators.status(emulator_port, "POST", "/_ministack/reset") == 200
    for name, value in aws.variables(emulator_url).items():
        monkeypatch.setenv(name, value)
    return functools.cache(boto3.session.Session().client)  # a client takes longer to make than to ask


@pytest.fixture
def put_in_review(emulator: Callable[[str], Any]) -> Callable[[str, str], None]:
    """Give `put(environment, change_set)`: a change set for the stack ingest of an environment that has none."""

    def put(environment: str, change_set: str) -> None:
        emulator("cloudformation").create_change_set(
            StackName=f"marketplace-{environment}-ingest",
            ChangeSetName=change_set,
            ChangeSetType="CREATE",
            TemplateBody=(environments.ROOT / "templates" / "ingest.yaml").read_text(),
            Parameters=[
                {"ParameterKey": "Environment", "ParameterValue": environment},
                {"ParameterKey": "Creator", "ParameterValue": "somebody"},
            ],
        )

    return put


@pytest.fixture
def parameters() -> dict[str, str]:
    """What the caller of a deployment brings."""
    return dict(PARAMETERS)


@pytest.fixture
def editable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of templates and configuration to spoil: the deploy tool reads it, not the real ones."""
    for directory in ("templates", "config"):
        shutil.copytree(environments.ROOT / directory, tmp_path / directory)
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    return tmp_path
