"""Ports on the loopback interface."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager

import psutil

from local.errors import LocalError

HOST = "127.0.0.1"
PREFERRED = {"postgres": 15432, "emulator": 14566, "redshift": 15439, "airflow": 8080}
SEARCHED = 200
TURN = 15431  # whoever has bound this port is the one that chooses ports
TURN_SECONDS = 90


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


@contextmanager
def turn(say: Callable[[str], None]) -> Iterator[None]:
    """Keep the other platforms of this machine, whoever runs them, from choosing ports until ours are in use.

    A port is chosen some time before its server binds it. The kernel gives the turn back when this process ends. When
    it is not to be had for 90 s (a foreign server may sit on it), ports are chosen all the same: a port that is lost
    then is noticed later.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as held:
        deadline = time.monotonic() + TURN_SECONDS
        waiting = False
        while time.monotonic() < deadline:
            try:
                held.bind((HOST, TURN))
                break
            except OSError:
                if not waiting:
                    say("Another platform on this machine is starting: waiting until it has its ports")
                waiting = True
                time.sleep(0.2)
        yield


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
