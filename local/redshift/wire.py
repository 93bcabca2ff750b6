"""PostgreSQL's wire protocol, version 3, as far as a proxy must understand it.

Source: PostgreSQL's documentation, "Frontend/Backend Protocol", message formats.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

PROTOCOL_3 = 196608
CANCEL_REQUEST = 80877102
# Requests for an encrypted connection: TLS and GSSAPI.
ENCRYPTION_REQUESTS = (80877103, 80877104)

# A statement may be long (an INSERT of many rows); a message beyond this is no message.
MAX_MESSAGE_BYTES = 256 * 1024 * 1024
# Of the first message, which comes from anybody.
MAX_STARTUP_BYTES = 64 * 1024

_READ_BYTES = 64 * 1024
_WAIT_SECONDS = 1.0
_COPY_DATA, _READY = b"dZ"
_LENGTH = struct.Struct(">i")


class ClosedError(ConnectionError):
    """The other side of a stream has closed the connection, or speaks something else."""

    def __init__(self, why: str, stream: Stream | None = None) -> None:
        super().__init__(why)
        self.stream = stream


class ProtocolError(Exception):
    """What came is no message."""


class Message(NamedTuple):
    """One message: its type, a single byte, and what follows its length."""

    kind: bytes
    body: bytes

    def encode(self) -> bytes:
        """Return the message as it is sent."""
        return self.kind + struct.pack(">i", len(self.body) + 4) + self.body


class Stream:
    """One side of a connection, read message by message.

    `waiting` is called while nothing comes, about once a second.
    """

    def __init__(self, connection: socket.socket, waiting: Callable[[], None] | None = None) -> None:
        self.socket = connection
        self._waiting = waiting
        self._data = bytearray()
        self._unsent = bytearray()

    def fileno(self) -> int:
        """Return the socket's descriptor, for select."""
        return self.socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Tell whether something is queued."""
        return bool(self._unsent)

    def queue(self, data: bytes) -> None:
        """Keep `data` until something is sent."""
        self._unsent += data

    def send_queued(self) -> None:
        """Send what is queued, as far as it is taken at once; raises ClosedError when nobody takes it."""
        try:
            sent = self.socket.send(self._unsent, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            raise ClosedError(str(error), self) from error
        del self._unsent[:sent]

    def send(self, data: bytes | memoryview) -> None:
        """Send what is queued, and all of `data`; raises ClosedError when nobody takes it."""
        try:
            if self._unsent:
                self.socket.sendall(self._unsent)
                self._unsent.clear()
            self.socket.sendall(data)
        except OSError as error:
            raise ClosedError(str(error), self) from error

    def receive(self) -> None:
        """Wait for data, and take it in; raises ClosedError at the end."""
        while self._waiting and not select.select([self], [], [], _WAIT_SECONDS)[0]:
            self._waiting()
        try:
            data = self.socket.recv(_READ_BYTES)
        except OSError as error:
            raise ClosedError(str(error), self) from error
        if not data:
            raise ClosedError("closed by the other side", self)
        self._data += data

    def take(self) -> bytes:
        """Return what was received and not read yet."""
        data, self._data = bytes(self._data), bytearray()
        return data

    def take_whole(self) -> tuple[bytes, int]:
        """Return the messages that were received whole, and how many of them say that PostgreSQL is ready."""
        data, at, ready = self._data, 0, 0
        while at + 5 <= len(data):
            end = at + 1 + _LENGTH.unpack_from(data, at + 1)[0]
            if end > len(data):
                break
            ready += data[at] == _READY
            at = end
        taken = bytes(data[:at])
        del data[:at]
        return taken, ready

    def next_message(self) -> Message | None:
        """Return the next message that was received whole, else None."""
        if len(self._data) < 5:
            return None
        (length,) = struct.unpack_from(">i", self._data, 1)
        if not 4 <= length <= MAX_MESSAGE_BYTES:
            raise ProtocolError(f"invalid message of {length} bytes")
        if len(self._data) < length + 1:
            return None
        message = Message(bytes(self._data[:1]), bytes(self._data[5 : length + 1]))
        del self._data[: length + 1]
        return message

    def copied_rows(self) -> list[bytes]:
        """Take the rows of a COPY that were received whole, up to any other message: many at once, as they are many."""
        data, at = bytes(self._data), 0
        rows: list[bytes] = []
        while at + 5 <= len(data) and data[at] == _COPY_DATA:
            end = at + 1 + _LENGTH.unpack_from(data, at + 1)[0]
            if end > len(data):
                break
            rows.append(data[at + 5 : end])
            at = end
        del self._data[:at]
        return rows

    def read_message(self) -> Message:
        """Wait for the next message."""
        while (message := self.next_message()) is None:
            self.receive()
        return message

    def read_startup(self) -> tuple[int, bytes]:
        """Wait for the first message of a client, which has no type: return its code, and what follows it."""
        while len(self._data) < 8:
            self.receive()
        length, code = struct.unpack_from(">ii", self._data)
        if not 8 <= length <= MAX_STARTUP_BYTES:
            raise ClosedError(f"a first message of {length} bytes", self)
        while len(self._data) < length:
            self.receive()
        body = bytes(self._data[8:length])
        del self._data[:length]
        return code, body


def startup(parameters: dict[str, str]) -> bytes:
    """Return a client's first message."""
    fields = "".join(f"{name}\0{value}\0" for name, value in parameters.items())
    body = fields.encode() + b"\0"
    return struct.pack(">ii", len(body) + 8, PROTOCOL_3) + body


def cancel_request(body: bytes) -> bytes:
    """Return the first message of a connection that asks to cancel another's statement; `body` names that."""
    return struct.pack(">ii", len(body) + 8, CANCEL_REQUEST) + body


def parse_startup(body: bytes) -> dict[str, str]:
    """Return the parameters of a client's first message."""
    fields = body.decode("utf-8", "replace").split("\0")
    return {name: value for name, value in zip(fields[::2], fields[1::2], strict=False) if name}


def error(code: str, message: str, *, detail: str = "", hint: str = "", severity: str = "ERROR") -> Message:
    """Return an ErrorResponse with an SQLSTATE. After one that is FATAL the connection is closed."""
    fields = {"S": severity, "V": severity, "C": code, "M": message, "D": detail, "H": hint}
    body = "".join(f"{name}{value}\0" for name, value in fields.items() if value)
    return Message(b"E", body.encode() + b"\0")


def notice(message: str) -> Message:
    """Return a NoticeResponse, which clients show or ignore."""
    fields = {"S": "INFO", "V": "INFO", "C": "00000", "M": message}
    return Message(b"N", "".join(f"{name}{value}\0" for name, value in fields.items()).encode() + b"\0")


def fields_of(response: Message) -> dict[str, str]:
    """Return the fields of an ErrorResponse or NoticeResponse by their letters: such as C, the SQLSTATE."""
    texts = response.body.decode("utf-8", "replace").split("\0")
    return {text[0]: text[1:] for text in texts if text}


def query(statement: str) -> Message:
    """Return a simple query."""
    return Message(b"Q", statement.encode() + b"\0")


def complete(tag: str) -> Message:
    """Return a CommandComplete."""
    return Message(b"C", tag.encode() + b"\0")
