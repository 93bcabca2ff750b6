"""The environment that is verified: that of `ENV` in the shell's account, else the local one on the tests' platform.

`make verify` starts pytest with this directory as its root, and so without tests/conftest.py, which keeps all other
tests away from the shell's account.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deployment import airflow
from tests.deployment.target import Target, of_shell

Asked = tuple[str, str]


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """The environment that is verified."""
    environment = os.environ.get("ENV", "")
    if environment:
        return of_shell(environment)
    request.getfixturevalue("platform")  # which puts its endpoint into this process's environment
    return of_shell("local")


@pytest.fixture(scope="session")
def api(request: pytest.FixtureRequest, target: Target) -> Asked:
    """The APIs' address, and a token that opens both, or nothing when the shell has none."""
    if "ENV" in os.environ:
        address = os.environ.get("API_URL") if target.is_emulator else target.outputs.get("ApiUrl")
        return address or "", os.environ.get("TOKEN", "")
    from local import issuer
    from tests.conftest import migrate

    platform = request.getfixturevalue("platform")
    migrate(platform, "store")
    return platform.api_url, issuer.token(platform.layout, platform.state, "CUST-0001")


@pytest.fixture(scope="session")
def platform_checks(request: pytest.FixtureRequest, target: Target) -> Iterator[dict[str, Any]]:
    """What became of each task of check_platform, run where the platform is: {task: state}."""
    if "ENV" not in os.environ:
        request.getfixturevalue("airflow_db")
        yield airflow.run_here(request.getfixturevalue("platform"))
        return
    try:
        yield airflow.run_there(target)
    except airflow.NoAirflowError as error:
        pytest.skip(str(error))
