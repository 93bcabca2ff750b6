"""Run the DAG check_platform and say what became of its tasks: on MWAA, on `make up`'s Airflow, or in this process."""

from __future__ import annotations

import json
import os
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from infra.loopback import is_loopback
from tests.deployment.target import Target

DAG = "check_platform"
TASKS = ("check_connections", "check_store", "check_warehouse", "check_copy", "put_canary", "wait_for_canary")
SECONDS = 2400  # the canary's own limit, and the time that a queued task waits for a worker
POLL_SECONDS = 5.0

Ask = Callable[[str, str, dict[str, Any] | None], dict[str, Any]]


class NoAirflowError(Exception):
    """There is no Airflow to ask; the message says why."""


def run_there(target: Target) -> dict[str, str]:
    """Run the DAG in the environment's Airflow, by its REST API, and return the state of each task."""
    ask = _of_mwaa(target)
    ask("PATCH", f"/dags/{DAG}?update_mask=is_paused", {"is_paused": False})
    run = ask("POST", f"/dags/{DAG}/dagRuns", {"logical_date": None})["dag_run_id"]
    path = f"/dags/{DAG}/dagRuns/{urllib.parse.quote(run)}"
    deadline = time.monotonic() + SECONDS
    while ask("GET", path, None)["state"] not in ("success", "failed") and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    instances = ask("GET", f"{path}/taskInstances", None)["task_instances"]
    return {task["task_id"]: task["state"] or "not started" for task in instances}


def _of_mwaa(target: Target) -> Ask:
    """Return what asks the REST API of the environment's Airflow. Raises NoAirflowError."""
    environments = target.of_type("AWS::MWAA::Environment")
    if target.is_emulator:
        url = os.environ.get("AIRFLOW_URL", "")
        if target.environment != "local" or not is_loopback(url):
            raise NoAirflowError(
                "The emulator has no MWAA. After `make up` and `. .local/env`, ENV=local runs the DAG in its Airflow."
            )
        return _of_url(f"{url}/api/v2")
    if not environments:
        raise NoAirflowError("The stacks have no MWAA environment yet.")
    mwaa, name = target.client("mwaa"), environments[0].physical_id

    def ask(method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        path, _, query = path.partition("?")
        arguments: dict[str, Any] = {"Name": name, "Method": method, "Path": path}
        if body is not None:
            arguments["Body"] = body
        if query:
            arguments["QueryParameters"] = dict(urllib.parse.parse_qsl(query))
        return dict(mwaa.invoke_rest_api(**arguments)["RestApiResponse"])

    return ask


def _of_url(url: str) -> Ask:
    def ask(method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - of this machine
            url + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - of this machine
            return dict(json.load(answer))

    return ask


def run_here(platform: Any) -> dict[str, str]:
    """Run the DAG in this process on the tests' platform, whose canary is ingested by the engine itself."""
    import boto3
    import psycopg

    from marketplace import warehouse
    from marketplace.ingest import ledger, objects
    from marketplace.ingest.load import load_file
    from marketplace.verification import tasks
    from tests.runner import Runner

    with warehouse_of(platform) as connection:
        warehouse.migrate(connection)
    put = tasks.put_canary

    def put_and_ingest() -> str:
        key = put()
        s3, bucket = boto3.client("s3"), platform.state.outputs["LandingBucket"]

        def connect() -> Any:
            return psycopg.connect(platform.store_url("store_writer"))

        landed = [one for one in objects.list_landed(s3, bucket) if one.object_key == key]
        with connect() as writer:
            (claim,) = ledger.claim_files(writer, landed, "canary", 1)
        load_file(connect, s3, bucket, claim["load_id"], "canary")
        s3.delete_object(Bucket=bucket, Key=key, VersionId=claim["version_id"])  # as ingest_files moves it away
        return key

    tasks.put_canary = put_and_ingest
    try:
        runner = Runner(platform)
        run = runner.run(DAG)
    finally:
        tasks.put_canary = put
    return {task: states[0] for task, states in runner.states(run).items()}


def warehouse_of(platform: Any) -> Any:
    """Return a connection to the platform's warehouse, closed at the end of a with block."""
    from contextlib import closing
    from datetime import timedelta

    from marketplace import connections

    return closing(connections.warehouse(timedelta(minutes=5)))
