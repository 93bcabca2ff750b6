"""Connections that tasks open: to the store, by Airflow's hooks, with every statement bound in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

# A task that hangs between two statements is cut off, before it holds others up for long.
IDLE_TIMEOUT = timedelta(minutes=5)


def store(role: str, statement_timeout: timedelta, idle_timeout: timedelta = IDLE_TIMEOUT) -> Callable[[], Any]:
    """Return a function that opens a psycopg connection to the store as `role` (owner, writer or reader).

    No statement outlives `statement_timeout`, so that a task that is killed leaves no query running behind it; and no
    transaction waits longer than `idle_timeout` for its next statement.
    """
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    settings = {
        "statement_timeout": int(statement_timeout.total_seconds() * 1000),
        "idle_in_transaction_session_timeout": int(idle_timeout.total_seconds() * 1000),
        "timezone": "UTC",
        "jit": "off",  # the queries are long in text and short in time: compiling them takes longer than it saves
        "application_name": "marketplace",
    }
    hook = PostgresHook(f"store_{role}", options=" ".join(f"-c {name}={value}" for name, value in settings.items()))
    return hook.get_conn


def warehouse() -> Any:
    """Return an open redshift_connector connection to the warehouse, as the user that owns its tables."""
    from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook

    from marketplace.warehouse import CONNECTION

    return RedshiftSQLHook(redshift_conn_id=CONNECTION).get_conn()
