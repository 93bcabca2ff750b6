"""Connections that tasks open: to the store, by Airflow's hooks, with every statement bound in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any


def store(role: str, statement_timeout: timedelta) -> Callable[[], Any]:
    """Return a function that opens a psycopg connection to the store as `role` (owner, writer or reader).

    No statement outlives `statement_timeout`, so that a task that is killed leaves no query running behind it.
    """
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    milliseconds = int(statement_timeout.total_seconds() * 1000)
    hook = PostgresHook(
        f"store_{role}",
        options=f"-c statement_timeout={milliseconds} -c timezone=UTC -c application_name=marketplace",
    )
    return hook.get_conn
