"""Faults at the steps of a sync, whatever code takes them: a step is known by what goes to PostgreSQL, S3 or Redshift.

What strikes there is up to the caller: it kills this process, or raises.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import botocore.client
import psycopg
import redshift_connector
from psycopg import pq, sql

STEPS = (
    "after the snapshot",
    "in the middle of the export",
    "after one file's upload",
    "before the token",
    "after the token",
    "in the middle of a COPY",
    "before the commit",
    "after the commit",
)
# After so many COPYs an export or an apply is in the middle: some of the tables are done, others are not.
COPIES_BEFORE = 4


class Struck(Exception):
    """The fault, where it is an exception."""


def kill() -> None:
    """End this process as the kernel does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    """Raise Struck."""
    raise Struck("a fault that the test has made")


class Fault:
    """Strikes once, at its step."""

    def __init__(self, step: str, strike: Callable[[], None]) -> None:
        assert step in STEPS
        self._step, self._strike = step, strike
        self.struck = False
        self._token_of: psycopg.Connection[Any] | None = None
        self._copies_out = 0
        self._is_copy = self._copy_sent = False
        self._copies_in = 0

    def meet(self, step: str) -> None:
        """Strike if it is the step."""
        if step == self._step and not self.struck:
            self.struck = True
            self._strike()

    # The methods that are put in the places of the libraries' own; each is given what it replaces.

    def psycopg_execute(self, original: Any) -> Any:
        def execute(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            text = query.as_string(None) if isinstance(query, sql.Composable) else str(query)
            is_token = "insert" in text.lower() and "ops.sync_token" in text
            if is_token:
                self.meet("before the token")
            result = original(cursor, query, *arguments, **options)
            if "pg_export_snapshot" in text:
                self.meet("after the snapshot")
            if is_token:
                self._token_of = cursor.connection
                self._look_whether_committed(cursor.connection)
            return result

        return execute

    def psycopg_wait(self, original: Any) -> Any:
        def wait(connection: Any, *arguments: Any, **options: Any) -> Any:
            result = original(connection, *arguments, **options)
            self._look_whether_committed(connection)
            return result

        return wait

    def _look_whether_committed(self, connection: Any) -> None:
        if connection is self._token_of and connection.pgconn.transaction_status == pq.TransactionStatus.IDLE:
            self.meet("after the token")

    def psycopg_copy(self, original: Any) -> Any:
        def copy(cursor: Any, *arguments: Any, **options: Any) -> Any:
            self._copies_out += 1
            if self._copies_out == COPIES_BEFORE + 1:
                self.meet("in the middle of the export")
            return original(cursor, *arguments, **options)

        return copy

    def api_call(self, original: Any) -> Any:
        def call(client: Any, operation: str, arguments: Any) -> Any:
            result = original(client, operation, arguments)
            if operation in {"PutObject", "CompleteMultipartUpload"}:
                self.meet("after one file's upload")
            return result

        return call

    def redshift_execute(self, original: Any) -> Any:
        def execute(connection: Any, cursor: Any, operation: str, values: Any) -> Any:
            words = operation.lower().split()
            is_commit = words[:1] in (["commit"], ["end"]) and self._copies_in > 0
            if is_commit:
                self.meet("before the commit")
            self._copy_sent = False
            self._is_copy = words[:1] == ["copy"]
            self._copies_in += self._is_copy
            result = original(connection, cursor, operation, values)
            if is_commit:
                self.meet("after the commit")
            return result

        return execute

    def redshift_send(self, original: Any) -> Any:
        def send(connection: Any, cursor: Any) -> Any:
            self._copy_sent = self._is_copy
            return original(connection, cursor)

        return send

    def redshift_answer(self, original: Any) -> Any:
        def answer(connection: Any, cursor: Any) -> Any:
            if self._copy_sent and self._copies_in > COPIES_BEFORE:
                self.meet("in the middle of a COPY")  # sent, and not answered
            return original(connection, cursor)

        return answer


@contextmanager
def at(step: str, strike: Callable[[], None]) -> Iterator[Fault]:
    """Have a fault strike at a step of whatever syncs within the block, in this process."""
    fault = Fault(step, strike)
    redshift = redshift_connector.core.Connection
    places = [
        (psycopg.Cursor, "execute", fault.psycopg_execute),
        (psycopg.Connection, "wait", fault.psycopg_wait),
        (psycopg.Cursor, "copy", fault.psycopg_copy),
        (botocore.client.BaseClient, "_make_api_call", fault.api_call),
        (redshift, "execute", fault.redshift_execute),
        (redshift, "send_EXECUTE", fault.redshift_send),
        (redshift, "handle_messages", fault.redshift_answer),
        (redshift, "handle_messages_merge_socket_read", fault.redshift_answer),
    ]
    with ExitStack() as patches:
        for owner, name, replacement in places:
            patches.enter_context(patch.object(owner, name, replacement(getattr(owner, name))))
        yield fault
