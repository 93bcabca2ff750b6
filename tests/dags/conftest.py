"""The DAGs as Airflow sees them, parsed once for all tests of this directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).resolve().parents[2] / "dags"


def parse() -> DagBag:
    """Return a new DagBag of dags/. Asserts that no file has an error and that there are DAGs at all."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    assert bag.dags, f"no DAG found in {DAGS}"
    return bag


@pytest.fixture(scope="session")
def landing_queue_url() -> str:
    """The queue that the landing asset's watcher is parsed with."""
    return "https://sqs.eu-west-1.amazonaws.com/123456789012/landing"


@pytest.fixture(scope="session")
def dag_bags(landing_queue_url: str) -> list[DagBag]:
    """Two DagBags of the same files, parsed one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if "MARKETPLACE_" in name]:
            patch.delenv(name)
        patch.setenv("MARKETPLACE_ENVIRONMENT", "dev")
        patch.setenv("MARKETPLACE_LANDING_BUCKET", "landing-bucket")
        patch.setenv("MARKETPLACE_EXPORT_BUCKET", "export-bucket")
        patch.setenv("MARKETPLACE_REPORT_BUCKET", "report-bucket")
        patch.setenv("MARKETPLACE_LANDING_QUEUE_URL", landing_queue_url)
        return [parse(), parse()]


@pytest.fixture(scope="session")
def dags(dag_bags: list[DagBag]) -> dict:
    """The DAGs by id."""
    return dag_bags[0].dags
