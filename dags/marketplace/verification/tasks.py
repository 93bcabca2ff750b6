"""What the tasks of `check_platform` run: the checks, on Airflow's connections."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import BaseHook, timezone

from marketplace import connections, settings, store, warehouse
from marketplace.verification import checks

CONNECTIONS = ("store_owner", "store_writer", "store_reader", warehouse.CONNECTION)


def check_connections() -> list[str]:
    """Check that Airflow sees its connections; return their names."""
    return checks.connections(CONNECTIONS, BaseHook.get_connection)


def check_store(timeout: timedelta) -> dict[str, Any]:
    """Check the store; return what it is. On this machine alone it may speak without TLS."""
    from sqlalchemy import create_engine

    with connections.store("reader", timeout)() as connection:
        found = checks.store_facts(connection, encrypted=settings.environment() != "local")
    engine = create_engine("postgresql+psycopg://", creator=connections.store("writer", timeout))
    with engine.connect() as migrated:
        return found | {"migration": checks.at_head("store", *store.revisions(migrated))}


def check_warehouse(timeout: timedelta) -> dict[str, Any]:
    """Check the warehouse; return the migration that it is at."""
    with closing(connections.warehouse(timeout)) as connection:
        return {"migration": checks.warehouse_version(connection)}


def check_copy(run_id: str, timeout: timedelta) -> dict[str, Any]:
    """Check that the warehouse reads what is exported; return how many rows it read."""
    with closing(connections.warehouse(timeout)) as connection:
        return {"rows": checks.copy_from(connection, S3Hook().conn, settings.export_bucket(), run_id)}


def put_canary() -> str:
    """Put the canary, and return its key."""
    now: datetime = timezone.utcnow()
    return checks.put_canary(S3Hook().conn, settings.landing_bucket(), now)


def canary_is_through(key: str, timeout: timedelta) -> bool:
    """Tell whether the canary was loaded; fails when it was refused."""
    with connections.store("reader", timeout)() as connection:
        return checks.canary_is_through(connection, key)
