"""A DynamoDB that takes everything and keeps nothing: what its clients take is then all that there is to measure.

    python -m bench.notify_stub

prints its port on 127.0.0.1, and serves until it is ended. It knows BatchWriteItem, and counts the items it was given;
GET / tells how many, and begins anew.
"""

from __future__ import annotations

import asyncio
from typing import cast

from local import ports

_ITEM = b'"PutRequest"'


def _answer(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


class Stub(asyncio.Protocol):
    """A connection of a client, which sends one request after another."""

    items = 0  # of all connections

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end]).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
            if len(self._received) < end + 4 + length:
                return
            body = bytes(self._received[end + 4 : end + 4 + length])
            del self._received[: end + 4 + length]
            self._transport.write(_answer(self._reply(head, body)))

    def _reply(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"get "):
            counted, Stub.items = Stub.items, 0
            return b"%d" % counted
        Stub.items += body.count(_ITEM)
        return b'{"UnprocessedItems":{}}'


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Stub, ports.HOST, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
