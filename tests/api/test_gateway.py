"""The APIs as they are deployed: the emulator's gateway, its authorizer, and the package that the function runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from local import issuer
from local.errors import LocalError
from tests import conftest as platforms
from tests.api import tokens
from tests.api.test_notifications import ADA, LATER, item

REPO = Path(__file__).resolve().parents[2]
DOCUMENT = REPO / "docs" / "openapi.json"
DAYS = "from=2025-01-01&to=2025-12-31"


@pytest.fixture(scope="module")
def gateway(platform: Any) -> Iterator[str]:
    """The gateway's address, with a store behind it that is migrated, and a customer's inbox."""
    import boto3

    platforms.migrate(platform, "store")
    table = platform.state.outputs["NotificationTable"]
    dynamodb = boto3.client("dynamodb")
    items = [item(ADA, f"2026-11-{day:02}", rule, LATER) for day in (20, 21) for rule in ("R1", "R2")]
    for each in items:
        dynamodb.put_item(TableName=table, Item=each)
    yield platform.api_url
    for each in items:
        for prefix in ("", "read#"):
            key = {"customer_id": each["customer_id"], "item": {"S": prefix + each["item"]["S"]}}
            dynamodb.delete_item(TableName=table, Key=key)


@pytest.fixture(scope="module")
def token(platform: Any) -> str:
    return issuer.token(platform.layout, platform.state, ADA)


def ask(url: str, token: str | None, method: str = "GET", body: bytes | None = None) -> tuple[int, Any, dict[str, str]]:
    """Return an answer's status, its JSON and its headers."""
    assert url.startswith("http://127.0.0.1:")
    headers = {"Content-Type": "application/json"} if body else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - this machine
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - this machine
            return answer.status, json.load(answer), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), dict(error.headers)


def test_a_token_of_make_token_opens_both_apis(gateway, token):
    status, found, _ = ask(f"{gateway}/notifications?limit=3", token)
    assert status == 200
    assert [f"{each['day']}#{each['rule_id']}" for each in found["notifications"]] == [
        "2026-11-21#R2",
        "2026-11-21#R1",
        "2026-11-20#R2",
    ]
    status, rest, _ = ask(f"{gateway}/notifications?limit=3&cursor={found['next']}", token)
    assert (status, [each["rule_id"] for each in rest["notifications"]], rest["next"]) == (200, ["R1"], None)
    assert ask(f"{gateway}/aggregated-data?{DAYS}&bbox=170,-20,-170,20", token)[0] == 200
    identifier = found["notifications"][0]["id"]
    status, marked, _ = ask(f"{gateway}/notifications/{identifier}", token, "PATCH", b'{"read": true}')
    assert (status, marked["id"]) == (200, identifier)
    assert ask(f"{gateway}/notifications/unread", token)[1] == {"unread": 3}


def test_the_gateway_refuses_what_the_app_would(gateway, platform, token):
    def changed(**claims: Any) -> str:
        (private,) = issuer._keys(platform.layout).values()
        header = jwt.get_unverified_header(token)
        good = jwt.decode(token, options={"verify_signature": False})
        return jwt.encode({**good, **claims}, private, "RS256", {"kid": header["kid"]})

    stranger = tokens.Key(jwt.get_unverified_header(token)["kid"])
    of_a_stranger = jwt.encode(
        jwt.decode(token, options={"verify_signature": False}), stranger.private, "RS256", {"kid": stranger.kid}
    )
    unsigned = jwt.encode({"iss": issuer.address(platform.state)}, "", "none", {"kid": stranger.kid})
    only_analytics = issuer.token(platform.layout, platform.state, ADA, "analytics:read")
    statuses = {
        "none": ask(f"{gateway}/notifications", None)[0],
        "changed": ask(f"{gateway}/notifications", token[:-8] + "AAAAAAAA")[0],
        "of a stranger": ask(f"{gateway}/notifications", of_a_stranger)[0],
        "unsigned": ask(f"{gateway}/notifications", unsigned)[0],
        "expired": ask(f"{gateway}/notifications", changed(exp=int(time.time()) - 1))[0],
        "other audience": ask(f"{gateway}/notifications", changed(aud="other"))[0],
        "other issuer": ask(f"{gateway}/notifications", changed(iss="https://other.example"))[0],
        "other scope": ask(f"{gateway}/notifications", only_analytics)[0],
        "its scope": ask(f"{gateway}/aggregated-data?{DAYS}", only_analytics)[0],
    }

    assert statuses == dict.fromkeys(statuses, 401) | {"other scope": 403, "its scope": 200}


def test_the_document_is_served_to_everybody_and_is_the_one_that_is_committed(gateway):
    status, served, _ = ask(f"{gateway}/openapi.json", None)

    assert status == 200
    assert served == json.loads(DOCUMENT.read_text("utf-8")), "docs/openapi.json is stale: make docs"


@pytest.mark.parametrize(("method", "path", "expected"), [("GET", "/nothing", 404), ("POST", "/notifications", 405)])
def test_what_there_is_not_is_told_as_a_problem(gateway, method, path, expected):
    status, problem, headers = ask(gateway + path, None, method)

    assert (status, problem["status"]) == (expected, expected)
    assert headers["content-type"] == "application/problem+json"


def test_a_private_key_is_for_its_owner_only(platform):
    keys = list((platform.layout.state / "issuer").glob("*.pem"))
    assert [oct(path.stat().st_mode & 0o777) for path in keys] == ["0o600"]
    assert "PRIVATE" not in issuer.key_set(platform.layout)
    assert not {"d", "p", "q"} & set(json.loads(issuer.key_set(platform.layout))["keys"][0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "no customer"),
        (("PLATFORM",), "no customer"),
        (("CUST-0001", "store:write"), "no scope store:write"),
        (("CUST-0001", "", 0), "from 1 to"),
    ],
)
def test_a_token_that_the_apis_would_refuse_is_not_made(platform, arguments, message):
    with pytest.raises(LocalError, match=message):
        issuer.token(platform.layout, platform.state, *arguments)


def test_all_operations_keep_to_the_document(gateway, token, tmp_path):
    """schemathesis: requests made from the document, right and wrong ones, and all its checks of the answers."""
    program = Path(sys.executable).with_name("schemathesis")
    arguments = ["--url", gateway, "--header", f"Authorization: Bearer {token}", "--checks", "all", "--seed", "1"]
    bounds = ["--max-examples", "10", "--generation-database", "none", "--continue-on-failure", "--no-color"]
    command = [program, "--config-file", Path(__file__).with_name("schemathesis.toml"), "run", DOCUMENT]
    # It leaves what it remembers where it runs.
    finished = subprocess.run(
        [*command, *arguments, *bounds], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )

    assert finished.returncode == 0, finished.stdout
    tried = re.search(r"([0-9]+) generated", finished.stdout)
    assert tried
    assert int(tried[1]) > 300


def test_imports_are_quick_and_bring_no_airflow():
    program = (
        "import sys, time; started = time.process_time(); import marketplace.api.app, mangum;"
        " print(time.process_time() - started, 'airflow' in sys.modules, 'sqlalchemy' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    runs = [
        subprocess.run(command, cwd=REPO / "dags", capture_output=True, text=True, check=True).stdout.split()
        for _ in range(3)
    ]

    assert {tuple(run[1:]) for run in runs} == {("False", "False")}
    assert min(float(run[0]) for run in runs) < 1.5
