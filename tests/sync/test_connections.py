"""The connections that tasks open: nothing on them waits for ever, for a statement or for a peer that is gone."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from datetime import timedelta

import pytest

from marketplace import connections

pytestmark = pytest.mark.usefixtures("airflow_db")
TIMEOUT = timedelta(minutes=3)
# What Linux counts by; macOS has another name for the first.
OPTIONS = {
    "idle": getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None)),
    "interval": socket.TCP_KEEPINTVL,
    "count": socket.TCP_KEEPCNT,
}


def kept_alive(used: socket.socket) -> dict[str, int]:
    """Return what a connection's socket does to notice that its peer is gone."""
    assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return {name: used.getsockopt(socket.IPPROTO_TCP, option) for name, option in OPTIONS.items() if option}


def test_to_the_store() -> None:
    with closing(connections.store("writer", TIMEOUT)()) as connection:
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as used:
            assert kept_alive(used) == connections.KEEPALIVE
        assert connection.info.get_parameters()["connect_timeout"] == "30"
        shown = ("statement_timeout", "idle_in_transaction_session_timeout", "tcp_keepalives_idle",
                 "tcp_keepalives_interval", "tcp_keepalives_count")  # fmt: skip
        assert [connection.execute(f"show {name}").fetchone()[0] for name in shown] == ["3min", "5min", "30", "10", "6"]


def test_to_the_warehouse() -> None:
    with closing(connections.warehouse(TIMEOUT)) as connection:
        assert kept_alive(connection._usock) == connections.KEEPALIVE  # the driver tells it nowhere else
        cursor = connection.cursor()
        connection.rollback()  # the limit is of the session, and not of a transaction
        cursor.execute("show statement_timeout")
        ((limit,),) = cursor.fetchall()
        assert limit == "3min"
