"""The endpoint's process: a thread for each client."""

from __future__ import annotations

import logging
import socketserver
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from local.ports import HOST
from local.redshift.session import Session, Target
from local.redshift.wire import ClosedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)


# Of S3, at once; a COPY or an UNLOAD has a few.
_CONNECTIONS = 50
_making = threading.Lock()


@cache
def _client() -> S3Client:
    return boto3.client("s3", config=Config(max_pool_connections=_CONNECTIONS))


def s3_client() -> S3Client:
    """Return the client of S3, which threads may share; its endpoint and keys come from the environment."""
    with _making:  # that may not be done twice at once
        return _client()


class Server(socketserver.ThreadingTCPServer):
    """Listens, and gives each client a thread that ends with the process."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, target: Target) -> None:
        self.target = target
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what ended a session otherwise than its client."""
        log.exception("The session of %s ended by an error", client_address)


class _Handler(socketserver.BaseRequestHandler):
    server: Server

    def setup(self) -> None:
        import socket

        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        try:
            Session(self.request, self.server.target).run()
        except ClosedError as error:
            log.debug("%s: %s", self.client_address, error)


def serve(host: str, port: int, postgres_port: int) -> None:
    """Serve clients on `port` until the process ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with Server(host, port, Target(HOST, postgres_port, s3_client)) as server:
        # It takes a third of a second, which the first COPY need not wait.
        threading.Thread(target=s3_client, daemon=True).start()
        log.info("Redshift on %s:%s, before PostgreSQL on %s", host, port, postgres_port)
        server.serve_forever()
