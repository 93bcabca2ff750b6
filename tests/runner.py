"""Running a DAG in this process, on the platform's real parts."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from types import EllipsisType
from typing import Any

import boto3
import psycopg

from local.platform import Platform
from tests import accounting

DAGS = Path(__file__).parents[1] / "dags"


class Runner:
    """Runs a DAG by `dag.test()`, and looks at what is left behind."""

    def __init__(self, platform: Platform, store: str = "store") -> None:
        self._url = platform.store_url(database=store)
        self._airflow_url = platform.store_url("airflow", "airflow")
        self.s3 = boto3.client("s3")
        self.bucket = platform.state.outputs["LandingBucket"]

    def run(self, dag_id: str, /, *, logical_date: datetime | EllipsisType | None = ..., **conf: Any) -> Any:
        """Run a DAG once without waiting between retries, with `logical_date` (default: now); returns the DAG run.

        The accounts of what the run has loaded are checked by the csv module's count.
        """
        from airflow.dag_processing.dagbag import DagBag

        # Parsed anew for each run: dag.test() leaves a run's parameters in the DAG object.
        dag = DagBag(str(DAGS / f"{dag_id}.py")).dags[dag_id]
        # A run by dag.test() looks deadlines up by ids that it does not have, and fails at its end: CONTRIBUTING.md.
        dag.deadline = None
        for task in dag.tasks:
            task.retries = 0
        run = dag.test(run_conf=conf) if logical_date is ... else dag.test(logical_date=logical_date, run_conf=conf)
        accounting.check(self._url, self._body, run=run.run_id)
        return run

    def _body(self, entry: dict[str, Any]) -> bytes:
        """Return the bytes of a loaded file: from landing/, if they were not moved, else from where they were moved."""
        listing = self.s3.list_object_versions(Bucket=self.bucket, Prefix=entry["object_key"]).get("Versions", [])
        waits = any(v["Key"] == entry["object_key"] and v["VersionId"] == entry["version_id"] for v in listing)
        key = {"Key": entry["object_key"], "VersionId": entry["version_id"]} if waits else {"Key": entry["archive_key"]}
        return self.s3.get_object(Bucket=self.bucket, **key)["Body"].read()

    def put(self, dataset: str, name: str, text: str) -> None:
        """Put a file into the landing bucket."""
        self.s3.put_object(Bucket=self.bucket, Key=f"landing/{dataset}/{name}", Body=text.encode())

    def keys(self, prefix: str) -> list[str]:
        """Return the keys under a prefix of the landing bucket."""
        return sorted(o["Key"] for o in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", []))

    def store(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the store."""
        with psycopg.connect(self._url) as connection:
            return connection.execute(statement, parameters).fetchall()

    def metadata(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query on Airflow's own database."""
        with psycopg.connect(self._airflow_url) as connection:
            return connection.execute(statement, parameters).fetchall()

    def states(self, run: Any) -> dict[str, list[str]]:
        """Return the states of a run's task instances by task."""
        rows = self.metadata(
            "select task_id, array_agg(state order by map_index) from task_instance where run_id = %s group by 1",
            run.run_id,
        )
        return dict(rows)

    def results(self, run: Any, task_id: str) -> list[Any]:
        """Return what the instances of a run's task returned."""
        rows = self.metadata(
            "select value from xcom where run_id = %s and task_id = %s and key = 'return_value' order by map_index",
            run.run_id, task_id,
        )  # fmt: skip
        return [json.loads(value) if isinstance(value, str) else value for (value,) in rows]

    def announced(self, run: Any) -> list[str]:
        """Return the names of the assets that a run has announced."""
        rows = self.metadata(
            "select a.name from asset_event e join asset a on a.id = e.asset_id where e.source_run_id = %s order by 1",
            run.run_id,
        )
        return [name for (name,) in rows]
