"""Connections that tasks open, by Airflow's hooks: every statement is bound in time, and a dead peer is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook
    from airflow.sdk import Connection

# A task that hangs between two statements is cut off, before it holds others up for long.
IDLE_TIMEOUT = timedelta(minutes=5)
CONNECT_TIMEOUT_S = 30
# A peer that is gone without a word (a failover, a network that drops what is idle) is noticed after 90 seconds. The
# system's own patience is two hours.
KEEPALIVE = {"idle": 30, "interval": 10, "count": 6}


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
        # The server as well: a worker that vanished would hold its locks and its snapshot.
        **{f"tcp_keepalives_{name}": value for name, value in KEEPALIVE.items()},
    }
    name = f"store_{role}"
    extras = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        **{f"keepalives_{name}": value for name, value in KEEPALIVE.items()},
    }
    hook = PostgresHook(
        name,
        connection=_with_extras(PostgresHook.get_connection(name), extras),
        options=" ".join(f"-c {name}={value}" for name, value in settings.items()),
    )
    return hook.get_conn


def warehouse_hook() -> RedshiftSQLHook:
    """Return Airflow's hook of the warehouse, as the user that owns its tables."""
    from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook

    from marketplace.warehouse import CONNECTION

    hook = RedshiftSQLHook(redshift_conn_id=CONNECTION)
    extras = {f"tcp_keepalive_{name}": value for name, value in KEEPALIVE.items()}
    hook.conn = _with_extras(hook.get_connection(CONNECTION), extras)
    return hook


def warehouse(statement_timeout: timedelta) -> Any:
    """Return an open redshift_connector connection to the warehouse, on which no statement outlives a time."""
    connection = warehouse_hook().get_conn()
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"set statement_timeout to {int(statement_timeout.total_seconds() * 1000)}")
    connection.commit()
    return connection


def _with_extras(connection: Connection, extras: dict[str, int]) -> Connection:
    """Add to what a connection of Airflow's has; what it says itself prevails."""
    connection.extra = json.dumps(extras | connection.extra_dejson)
    return connection
