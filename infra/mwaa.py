"""Airflow on Amazon MWAA by its REST API, reached through AWS's own API with an IAM identity: no login, no address."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from infra.errors import AirflowFailed
from infra.stacks import Client, Progress

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 15.0
# While MWAA replaces its web server nobody answers.
RETRIED = {"RestApiServerException", "ServiceUnavailableException", "InternalServerException", "ThrottlingException"}


class Airflow:
    """The Airflow of one MWAA environment."""

    def __init__(self, client: Client, environment: str, *, timeout: float, progress: Progress) -> None:
        """Ask through boto3's client `mwaa`; `timeout` (seconds) bounds each wait."""
        self._client = client
        self._environment = environment
        self._timeout = timeout
        self._progress = progress

    def request(self, method: str, path: str, body: Any = None, query: dict[str, Any] | None = None) -> Any:
        """Return Airflow's answer to a request to /api/v2. Raises AirflowFailed with its words when it refuses."""
        request: dict[str, Any] = {"Name": self._environment, "Method": method, "Path": path}
        if body is not None:
            request["Body"] = body
        if query:
            request["QueryParameters"] = query
        try:
            return self._client.invoke_rest_api(**request)["RestApiResponse"]
        except ClientError as error:
            code, said = error.response["Error"]["Code"], error.response.get("RestApiResponse", error)
            raise AirflowFailed(f"{self._environment}: Airflow's answer to {method} {path}: {said}", code) from None

    def wait_for_dags(self, expected: Collection[str]) -> dict[str, bool]:
        """Wait until Airflow has read all these DAGs, and return which of its DAGs are paused.

        Raises AirflowFailed for a file that it cannot read, and when the time is over.
        """

        def read() -> dict[str, bool] | None:
            found = {dag["dag_id"]: dag["is_paused"] for dag in self._listed("/dags", "dags")}
            return found if found.keys() >= set(expected) else None

        found = self._wait(read, lambda: f"Airflow has not read all of {', '.join(sorted(expected))}")
        errors = self._listed("/importErrors", "import_errors")
        if errors:
            listed = "\n".join(f"  {error['filename']}: {error['stack_trace'].strip()}" for error in errors)
            raise AirflowFailed(f"{self._environment}: Airflow cannot read:\n{listed}")
        return found

    def unpause(self, dag_id: str) -> None:
        """Let a DAG's runs be started."""
        self.request("PATCH", f"/dags/{quote(dag_id)}", {"is_paused": False}, {"update_mask": "is_paused"})
        self._progress(f"{self._environment}: {dag_id} is unpaused")

    def run(self, dag_id: str) -> str:
        """Start a run of a DAG, wait for its end, and return its id. Raises AirflowFailed with what failed."""
        run_id = self.request("POST", f"/dags/{quote(dag_id)}/dagRuns", {"logical_date": None})["dag_run_id"]
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}"
        self._progress(f"{self._environment}: {dag_id} runs as {run_id}")

        def read() -> str | None:
            state = self.request("GET", path)["state"]
            return state if state in ("success", "failed") else None

        if self._wait(read, lambda: f"{dag_id} has not ended") == "failed":
            tasks = self._listed(f"{path}/taskInstances", "task_instances", state="failed")
            names = ", ".join(task["task_id"] for task in tasks) or "no task of its own"
            raise AirflowFailed(f"{self._environment}: {dag_id} failed in {names}")
        return str(run_id)

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Return what a task of a run has returned."""
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}/taskInstances/{quote(task_id)}/xcomEntries/return_value"
        return self.request("GET", path, query={"deserialize": "true"})["value"]

    def run_until(self, dag_id: str, task_id: str, expected: Any) -> None:
        """Run a DAG again and again until one of its tasks returns what is expected. Raises AirflowFailed."""
        end = time.monotonic() + self._timeout
        while (found := self.result(dag_id, self.run(dag_id), task_id)) != expected:
            if time.monotonic() > end:
                raise AirflowFailed(f"{self._environment}: {task_id} of {dag_id} returns {found!r}, not {expected!r}.")
            time.sleep(LONGEST_DELAY_SECONDS)

    def _listed(self, path: str, name: str, **query: Any) -> Sequence[Any]:
        found: list[Any] = []
        while True:
            page = self.request("GET", path, query={"limit": 100, "offset": len(found), **query})
            found += page[name]
            if len(found) >= page["total_entries"] or not page[name]:
                return found

    def _wait(self, read: Callable[[], Any], late: Callable[[], str]) -> Any:
        """Ask until there is an answer; who does not answer for the moment is asked again."""
        end, delay = time.monotonic() + self._timeout, FIRST_DELAY_SECONDS
        while True:
            try:
                found = read()
            except AirflowFailed as error:
                if error.code not in RETRIED or time.monotonic() > end:
                    raise
                found = None
            if found is not None:
                return found
            if time.monotonic() > end:
                raise AirflowFailed(f"{self._environment}: {late()} after {self._timeout:.0f} s.")
            time.sleep(delay)
            delay = min(delay * 1.5, LONGEST_DELAY_SECONDS)
