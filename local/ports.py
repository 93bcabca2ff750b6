"""Ports on the loopback interface."""

from __future__ import annotations

import socket
from collections.abc import Set

import psutil

from local.errors import LocalError

HOST = "127.0.0.1"
PREFERRED = {"postgres": 15432, "emulator": 14566, "airflow": 8080}
SEARCHED = 200


def is_free(port: int) -> bool:
    """Tell whether a server could listen on `port` of the loopback interface now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def choose(preferred: int, taken: Set[int] = frozenset()) -> int:
    """Return `preferred`, or the next port after it that is free and not in `taken`."""
    for port in range(preferred, preferred + SEARCHED):
        if port not in taken and is_free(port):
            return port
    raise LocalError(f"No free port from {preferred} to {preferred + SEARCHED - 1}: end what listens there.")


def listens(pid: int, port: int) -> bool:
    """Tell whether the process `pid`, or one of its descendants, is the server on `port`."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return False
    for member in family:
        try:
            connections = member.net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            continue
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections):
            return True
    return False
