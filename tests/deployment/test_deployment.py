"""A deployed environment, verified: each check by itself, the APIs from outside, the DAG check_platform from inside."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from tests.deployment import airflow, checks
from tests.deployment.target import Target


@pytest.mark.parametrize("name", checks.CHECKS)
def test_the_environment(target: Target, name: str) -> None:
    try:
        problems = list(checks.CHECKS[name](target))
    except checks.SkippedError as reason:
        pytest.skip(str(reason))
    assert problems == []


def status(url: str, token: str = "") -> int:
    """Return the status of the answer to a GET."""
    assert url.startswith(("https://", "http://127.0.0.1:")), url
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


PATHS = ("/notifications", "/aggregated-data?from=2025-01-01&to=2025-01-31")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.partition("?")[0])
def test_the_apis_refuse_who_has_no_token(api: tuple[str, str], path: str) -> None:
    url, _ = api
    if not url:
        pytest.skip("The stacks have no API, or on this machine the shell has no API_URL: `. .local/env`.")
    assert (status(url + path), status(url + path, "no.token.this")) == (401, 401)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.partition("?")[0])
def test_the_apis_answer_who_has_one(api: tuple[str, str], path: str) -> None:
    url, token = api
    if not url or not token:
        pytest.skip("No token: TOKEN=… (docs/runbooks/api.md says how a customer gets one; locally `make -s token`).")
    assert status(url + path, token) == 200


@pytest.mark.parametrize("task", airflow.TASKS)
def test_the_platform_from_inside(platform_checks: dict[str, str], task: str) -> None:
    assert platform_checks[task] == "success"
