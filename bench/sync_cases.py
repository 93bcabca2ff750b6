"""What `bench.sync` measures of ours and of the limit. What is imported here does not count; starting psql does.

Each of them is what a task of the DAG does, in a process of its own as a task is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import boto3
import psycopg
import redshift_connector

from bench.case import Done, run_program
from local import pgbin
from marketplace.sync import export as exports
from marketplace.sync import reconcile as reconciliation
from marketplace.sync.apply import apply
from marketplace.sync.plan import Plan, read_plan

# As marketplace.connections has them.
_OPTIONS = "-c timezone=UTC -c jit=off"


def sync(store: str, warehouse: dict[str, Any], bucket: str, run: str, compare: exports.Compare) -> Done:
    """Bring the warehouse to the store's latest state: export, manifests, apply."""
    s3 = boto3.client("s3")
    plan = _exported(store, warehouse, bucket, run, compare)
    for key, text in plan.manifests():
        s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
    with closing(redshift_connector.connect(**warehouse)) as connection:
        apply(connection, plan)
    return Done(_rows(plan))


def export(store: str, warehouse: dict[str, Any], bucket: str, run: str, compare: exports.Compare) -> Done:
    """Write what has changed to S3; the watermark stays where it is."""
    return Done(_rows(_exported(store, warehouse, bucket, run, compare)))


def reconcile(store: str, warehouse: dict[str, Any], bucket: str, prefix: str) -> Done:
    """Compare the rows that a sync has brought, by its files under `prefix`. Raises RuntimeError when any differ."""
    s3 = boto3.client("s3")
    plan = read_plan(s3, bucket, prefix)
    with closing(redshift_connector.connect(**warehouse)) as connection:
        found = reconciliation.reconcile(_connect(store), connection, s3, plan)
    if found:
        raise RuntimeError("The warehouse differs from the store:\n" + "\n".join(str(of) for of in found))
    return Done(_rows(plan))


def copy_gzip(store: str, query: str, path: str, rows: int) -> Done:
    r"""Write the changed rows with psql's \copy through gzip, which is the limit: no keys that are gone, no S3."""
    psql = str(pgbin.find() / "psql")
    command = rf"\copy ({query}) to program 'gzip -1 > {path}' csv"
    return Done(rows, peak_rss_mb=run_program([psql, "-qX", "-v", "ON_ERROR_STOP=1", "-d", store, "-c", command], {}))


def _exported(store: str, warehouse: dict[str, Any], bucket: str, run: str, compare: exports.Compare) -> Plan:
    with closing(redshift_connector.connect(**warehouse)) as connection:
        return exports.export(_connect(store), connection, boto3.client("s3"), bucket, run, compare=compare)


def _connect(store: str) -> Callable[[], psycopg.Connection[Any]]:
    return lambda: psycopg.connect(store, options=_OPTIONS)


def _rows(plan: Plan) -> int:
    return sum(table.rows.rows + table.gone.rows for table in plan.tables)
