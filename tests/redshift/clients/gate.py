"""A gate before the emulator's S3: what is asked and answered passes, until a test closes it."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_READ_BYTES = 64 * 1024


class _ClosedError(ConnectionError):
    """The gate has cut a connection."""


class Gate:
    """What passes, and how far.

    limit   of an answer so many bytes pass; then it is cut off, or held until `opened`, if `holds`
    asked   is called with each request before it passes
    """

    def __init__(self) -> None:
        self.limit: int | None = None
        self.holds = False
        self.opened = threading.Event()
        self.reached = threading.Event()
        self.asked: Callable[[bytes], None] = lambda _request: None

    def close_after(self, limit: int, *, holds: bool) -> None:
        """Let so many bytes of each answer pass from now on."""
        self.opened.clear()
        self.reached.clear()
        self.limit, self.holds = limit, holds

    def open(self) -> None:
        """Let everything pass."""
        self.limit = None
        self.opened.set()

    def passes(self, answered: int) -> None:
        """Wait while the gate is closed to more than `answered` bytes. Raises _ClosedError when it cuts them off."""
        if self.limit is None or answered <= self.limit:
            return
        self.reached.set()
        if not self.holds:
            raise _ClosedError
        self.opened.wait()


@contextmanager
def standing(host: str, port: int) -> Iterator[tuple[Gate, int]]:
    """Yield a gate before a server, and its port."""
    gate = Gate()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, port)) as server, suppress(OSError):
                self._pass_on(server)

        def _pass_on(self, server: socket.socket) -> None:
            answered = 0
            while True:
                for ready in select.select([self.request, server], [], [])[0]:
                    data = ready.recv(_READ_BYTES)
                    if not data:
                        return
                    if ready is server:
                        answered += len(data)
                        gate.passes(answered)
                        self.request.sendall(data)
                    else:
                        answered = 0
                        gate.asked(data)
                        server.sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server((host, 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, daemon=True)
        thread.start()
        try:
            yield gate, listener.server_address[1]
        finally:
            gate.open()
            listener.shutdown()
            thread.join()
