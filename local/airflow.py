"""Airflow on one machine: the configuration of its processes, and a small client of its REST API."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from importlib import metadata
from typing import Any

from local import aws, emulator, ports, postgres
from local.errors import LocalError
from local.layout import REPO, Layout, tool
from local.state import State
from local.supervisor import wait_for

# Each part and the command that runs it, in the clone. The log servers of scheduler and triggerer would listen on every
# interface, and the API server reads the same files anyway.
PARTS = {
    "airflow-api-server": ["airflow", "api-server"],
    "airflow-scheduler": ["python", "-P", "local/scheduler.py", "--skip-serve-logs"],
    "airflow-dag-processor": ["airflow", "dag-processor"],
    "airflow-triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
}
# Each part and its name in the answer of Airflow's health check.
HEALTH = {
    "airflow-api-server": "metadatabase",
    "airflow-scheduler": "scheduler",
    "airflow-dag-processor": "dag_processor",
    "airflow-triggerer": "triggerer",
}
FINISHED = {"success", "failed"}
POLL_SECONDS = 0.3  # between two questions to a part that works for the answer on the same cores
ANSWER_SECONDS = 30  # for which a question to the API waits


def command(part: str) -> list[str]:
    """Return the command line of one of PARTS."""
    program, *arguments = PARTS[part]
    return [str(tool("airflow", program)), *arguments]


def version() -> str:
    """Return the installed Airflow's version."""
    return metadata.version("apache-airflow")


def marketplace(state: State) -> dict[str, str]:
    """Return the MARKETPLACE_* variables that `marketplace.settings` reads."""
    return {
        "MARKETPLACE_ENVIRONMENT": "local",
        "MARKETPLACE_LANDING_BUCKET": state.outputs["LandingBucket"],
        "MARKETPLACE_EXPORT_BUCKET": state.outputs["ExportBucket"],
        "MARKETPLACE_REPORT_BUCKET": state.outputs["ReportBucket"],
        "MARKETPLACE_LANDING_QUEUE_URL": state.outputs["LandingQueueUrl"],
        "MARKETPLACE_NOTIFICATION_QUEUE_URL": state.outputs["NotificationQueueUrl"],
        "MARKETPLACE_NOTIFICATION_DEAD_LETTER_QUEUE_URL": state.outputs["NotificationDeadLetterQueueUrl"],
        "MARKETPLACE_NOTIFICATION_TABLE": state.outputs["NotificationTable"],
        "MARKETPLACE_METRICS_NAMESPACE": state.outputs["MetricsNamespace"],
    }


def secrets_backend(state: State) -> dict[str, str]:
    """Return the configuration by which Airflow reads its connections from Secrets Manager, as on MWAA."""
    backend = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
    arguments = json.dumps(
        {
            "connections_prefix": state.outputs["ConnectionsPrefix"],
            "connections_lookup_pattern": "^(?!aws_default$).*$",
            "variables_prefix": "airflow/variables",
            "endpoint_url": aws.require_loopback(emulator.endpoint(state)),
            "region_name": aws.REGION,
        }
    )
    return {
        "AIRFLOW__SECRETS__BACKEND": backend,
        "AIRFLOW__SECRETS__BACKEND_KWARGS": arguments,
        "AIRFLOW__WORKERS__SECRETS_BACKEND": backend,
        "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS": arguments,
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
    }


def folders(home: str) -> dict[str, str]:
    """Return where Airflow finds its home and the clone's DAGs and plugins."""
    return {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPO / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def database(layout: Layout, state: State) -> dict[str, str]:
    """Return the variables by which an Airflow command finds its metadata database."""
    return {
        **folders(str(layout.airflow_home)),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url(state, "airflow", "airflow", "postgresql+psycopg2"),
    }


def environment(layout: Layout, state: State) -> dict[str, str]:
    """Return all variables of an Airflow process of this platform."""
    port = str(state.ports["airflow"])
    url = f"http://{ports.HOST}:{port}"
    return {
        **database(layout, state),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",  # no login: only this machine reaches it
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": state.fernet_key,
        "AIRFLOW__API__HOST": ports.HOST,
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__INSTANCE_NAME": "Games marketplace · local",
        "AIRFLOW__API__SECRET_KEY": state.jwt_secret,
        "AIRFLOW__API_AUTH__JWT_SECRET": state.jwt_secret,
        # An edited DAG shows within seconds.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
        # What a killed scheduler ran is given out again within a minute: it is taken for dead after 30 s.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(layout.airflow_home / "logs"),
        **secrets_backend(state),
        **aws.variables(emulator.endpoint(state), "airflow"),
        **marketplace(state),
    }


class NoAnswerError(LocalError):
    """Airflow's API server cannot be reached."""


class SlowAnswerError(NoAnswerError):
    """Airflow has taken a question, and not answered it in time."""


@dataclass(frozen=True)
class Api:
    """The REST API of a running Airflow. It asks for no login, being on the loopback interface only."""

    url: str

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the decoded answer; raise LocalError with Airflow's own words when it refuses."""
        request = urllib.request.Request(  # noqa: S310 - always http on loopback
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise LocalError(f"Airflow answered {error.code} to {method} {path}: {error.read().decode()}") from None
        except (HTTPException, OSError) as error:
            kind = SlowAnswerError if isinstance(error, TimeoutError) else NoAnswerError
            raise kind(f"Airflow does not answer to {method} {self.url}{path}: {error}") from None

    def health(self, started: Mapping[str, float]) -> dict[str, str]:
        """Return the status of each part by the names of HEALTH; empty when nothing answers.

        `started` has the time of each part's start. A heartbeat from before it is that of a predecessor, by which
        Airflow calls a part healthy for half a minute after it was killed.
        """
        try:
            with urllib.request.urlopen(f"{self.url}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310
                parts = json.load(answer)
        except (HTTPException, OSError):
            return {}
        health = {}
        for name, part in parts.items():
            heartbeat = part.get(f"latest_{name}_heartbeat")
            is_old = bool(heartbeat) and datetime.fromisoformat(heartbeat).timestamp() < started.get(name, 0.0)
            health[name] = "starting" if is_old else str(part["status"] or "unknown")
        return health

    def dags(self) -> dict[str, bool]:
        """Return the DAGs that Airflow has parsed: id → paused."""
        return {dag["dag_id"]: dag["is_paused"] for dag in self.request("GET", "/api/v2/dags?limit=1000")["dags"]}

    def import_errors(self) -> dict[str, str]:
        """Return what keeps DAG files from being read: file → traceback."""
        errors = self.request("GET", "/api/v2/importErrors?limit=100")["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def dag(self, dag_id: str) -> dict[str, Any]:
        """Return one DAG."""
        return dict(self.request("GET", f"/api/v2/dags/{dag_id}"))

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler start runs of a DAG."""
        self._set_paused(dag_id, False)

    def pause(self, dag_id: str) -> None:
        """Let the scheduler neither start runs of a DAG nor go on with those that run."""
        self._set_paused(dag_id, True)

    def _set_paused(self, dag_id: str, paused: bool) -> None:
        self.request("PATCH", f"/api/v2/dags/{dag_id}?update_mask=is_paused", {"is_paused": paused})

    def trigger(self, dag_id: str, params: dict[str, Any] | None = None) -> str:
        """Start a run by hand, with `params` that differ from the DAG's, and return its id."""
        order = {"logical_date": None, "conf": params or {}}
        return str(self.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", order)["dag_run_id"])

    def runs(self, dag_id: str, limit: int = 25) -> list[dict[str, Any]]:
        """Return the latest runs of a DAG, newest first."""
        query = urllib.parse.urlencode({"limit": limit, "order_by": "-run_after"})
        return list(self.request("GET", f"/api/v2/dags/{dag_id}/dagRuns?{query}")["dag_runs"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return one run."""
        return dict(self.request("GET", f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id)}"))

    def failed_tasks(self, dag_id: str, run_id: str) -> list[str]:
        """Return the ids of the tasks that failed in a run."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id)}/taskInstances?state=failed"
        return [task["task_id"] for task in self.request("GET", path)["task_instances"]]

    def task_states(self, dag_id: str, run_id: str, task_id: str) -> list[str | None]:
        """Return the states of a mapped task's instances; one that is not scheduled yet has none."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id)}/taskInstances/{task_id}/listMapped"
        return [task["state"] for task in self.request("GET", path)["task_instances"]]

    def result(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """Return what a task of a run has returned."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id)}/taskInstances/{task_id}"
        return self.request("GET", f"{path}/xcomEntries/return_value?map_index={map_index}&deserialize=true")["value"]

    def run_page(self, dag_id: str, run_id: str) -> str:
        """Return the address of a run in the UI."""
        return f"{self.url}/dags/{dag_id}/runs/{urllib.parse.quote(run_id)}"

    def wait(self, dag_id: str, run_id: str, seconds: float) -> None:
        """Wait until a run has succeeded; raise LocalError when it failed or takes longer than `seconds`.

        On a busy machine a question may stay without its answer: then it is asked again.
        """
        state = "unknown"

        def end() -> str | None:
            nonlocal state
            try:
                state = self.run(dag_id, run_id)["state"]
            except SlowAnswerError as error:
                state = f"unknown ({error})"
                return None
            return state if state in FINISHED else None

        def late() -> str:
            return f"{dag_id} is {state} after {seconds:.0f} s: {self.run_page(dag_id, run_id)}"

        if wait_for(end, seconds, late, POLL_SECONDS) == "failed":
            tasks = ", ".join(self.failed_tasks(dag_id, run_id)) or "no task of its own"
            raise LocalError(f"{dag_id} failed ({tasks}): {self.run_page(dag_id, run_id)}")
