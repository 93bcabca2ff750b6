"""The store, as the APIs see it: read only, one connection a process, every statement bound in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any

import psycopg
from psycopg import IsolationLevel

from marketplace.api.config import Config
from marketplace.api.problems import Problem

ROLE = "store_reader"
STATEMENT_SECONDS = 8
CONNECT_SECONDS = 4
SETTINGS = {
    "statement_timeout": STATEMENT_SECONDS * 1000,
    "idle_in_transaction_session_timeout": STATEMENT_SECONDS * 1000,
    "default_transaction_read_only": "on",
    "timezone": "UTC",
    "jit": "off",
    # Which filters a request has decides on the plan: one made for all requests would use no index.
    "plan_cache_mode": "force_custom_plan",
    "application_name": "marketplace-api",
}


class Database:
    """Opens the connection when it is first needed, and a new one when it was lost."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def reading(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield the connection in a transaction that sees one state of the store. Raises Problem when it cannot be had.

        One request at a time, as on Lambda: more of them are more processes.
        """
        with self._lock:
            connection = self._opened()
            try:
                with connection.transaction():
                    yield connection
            except psycopg.errors.QueryCanceled as error:
                raise Problem(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"The store did not answer within {STATEMENT_SECONDS} s: ask for fewer days, or a smaller place.",
                    headers={"Retry-After": "30"},
                ) from error
            except psycopg.OperationalError as error:
                raise _unavailable() from error

    def _opened(self) -> psycopg.Connection[Any]:
        """Return a connection that answers: the server may have ended the one of the request before."""
        if self._connection is not None:
            try:
                # In autocommit: one turn to the server, without which a lost connection is noticed by a failed request.
                self._connection.execute("")
            except psycopg.OperationalError:
                with suppress(psycopg.Error):
                    self._connection.close()
                self._connection = None
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> psycopg.Connection[Any]:
        config = self._config
        try:
            connection = psycopg.connect(
                host=config.store_host,
                port=config.store_port,
                dbname=config.store_database,
                user=ROLE,
                password=config.store_password or _iam_token(config),
                # Locally the server has no certificate, and nothing leaves the machine.
                sslmode="prefer" if config.store_password else "require",
                connect_timeout=CONNECT_SECONDS,
                options=" ".join(f"-c {name}={value}" for name, value in SETTINGS.items()),
                autocommit=True,
            )
        except psycopg.OperationalError as error:
            raise _unavailable() from error
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        return connection


def _iam_token(config: Config) -> str:
    """Return the password that RDS takes of this function's role for the next 15 minutes; computed, not fetched."""
    import botocore.session

    client = botocore.session.get_session().create_client("rds")
    return client.generate_db_auth_token(DBHostname=config.store_host, Port=config.store_port, DBUsername=ROLE)


def _unavailable() -> Problem:
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The store does not answer.", headers={"Retry-After": "5"})
