"""The PostgreSQL session behind a client's connection, as the endpoint talks to it between the client's words."""

from __future__ import annotations

import select
import struct
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import NamedTuple

from local.redshift import wire
from local.redshift.wire import ClosedError, Message, Stream

# What CopyData carries at once.
_CHUNK_BYTES = 256 * 1024


class BackendError(Exception):
    """PostgreSQL refused what the endpoint asked: its ErrorResponse."""

    def __init__(self, response: Message) -> None:
        self.response = response
        self.fields = wire.fields_of(response)
        super().__init__(self.fields.get("M", ""))


class Column(NamedTuple):
    """A column of a result: its name, its type's number, and the type's modifier."""

    name: str
    oid: int
    modifier: int


class Backend:
    """One session of PostgreSQL. Whoever asks it must know that it is idle."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def ask(self, statement: str) -> list[list[str | None]]:
        """Run a statement and return its rows, of texts. Raises BackendError."""
        self.stream.send(wire.query(statement).encode())
        rows: list[list[str | None]] = []
        self._until_ready(lambda message: rows.append(_row(message.body)) if message.kind == b"D" else None)
        return rows

    def status(self) -> str:
        """Return I outside of a transaction, T in one, E in one that has failed."""
        self.stream.send(wire.query("").encode())
        return self._until_ready()

    def describe(self, statement: str) -> list[Column]:
        """Return the columns that a query would give. Raises BackendError."""
        named = b"\0" + statement.encode() + b"\0" + struct.pack(">h", 0)
        messages = [Message(b"P", named), Message(b"D", b"S\0"), Message(b"S", b"")]
        self.stream.send(b"".join(message.encode() for message in messages))
        found: list[Column] = []

        def note(message: Message) -> None:
            if message.kind == b"T":
                found.extend(_columns(message.body))

        self._until_ready(note)
        return found

    def copy_in(self, statement: str, chunks: Iterable[bytes], gone: Callable[[], bool]) -> str:
        """Run a COPY FROM STDIN with `chunks` as its data, and return its tag.

        `gone` tells whether the client has left. What `chunks` raises ends the COPY, and is raised when the session is
        ready again. Raises BackendError for what PostgreSQL refuses, which it may say before all data is sent.
        """
        self.stream.send(wire.query(statement).encode())
        tag = ""

        def note(message: Message) -> None:
            nonlocal tag
            if message.kind == b"C":
                tag = message.body[:-1].decode()

        self._until_ready(note, until=b"G")
        try:
            for chunk in chunks:
                if gone():
                    raise ClosedError("the client has left")
                view = memoryview(chunk)
                for at in range(0, len(view), _CHUNK_BYTES):
                    part = view[at : at + _CHUNK_BYTES]
                    self.stream.send(b"d" + struct.pack(">i", len(part) + 4))
                    self.stream.send(part)
                if select.select([self.stream], [], [], 0)[0]:
                    # It speaks before the end only to refuse.
                    self.stream.receive()
                    break
        except BaseException:
            self.stream.send(Message(b"f", b"the endpoint could not read the data\0").encode())
            with suppress(BackendError):  # it says that the COPY was ended, which it was
                self._until_ready()
            raise
        self.stream.send(Message(b"c", b"").encode())
        self._until_ready(note)
        return tag

    def copy_out(self, statement: str) -> Generator[list[bytes]]:
        """Run a COPY TO STDOUT and yield its rows, as many at once as have come. Raises BackendError.

        Who does not want them all closes the generator, which ends the COPY: the session is ready again then.
        """
        self.stream.send(wire.query(statement).encode())
        failed: Message | None = None
        ready = False
        try:
            while not ready:
                if rows := self.stream.copied_rows():
                    yield rows
                message = self.stream.next_message()
                if message is None:
                    self.stream.receive()
                elif message.kind == b"d":
                    yield [message.body]
                elif message.kind == b"E":
                    failed = message
                else:
                    ready = message.kind == b"Z"
        finally:
            if not ready:
                while self.stream.read_message().kind != b"Z":
                    pass
        if failed:
            raise BackendError(failed)

    def _until_ready(self, note: Callable[[Message], object] = bool, until: bytes = b"Z") -> str:
        """Read until the session is ready (or a message of type `until` comes), and return its status."""
        failed: Message | None = None
        while (message := self.stream.read_message()).kind not in (until, b"Z"):
            if message.kind == b"E":
                failed = message
            note(message)
        if failed:
            raise BackendError(failed)
        return message.body.decode("ascii", "replace")[:1]


def _row(body: bytes) -> list[str | None]:
    (count,) = struct.unpack_from(">h", body)
    values: list[str | None] = []
    at = 2
    for _ in range(count):
        (length,) = struct.unpack_from(">i", body, at)
        at += 4
        values.append(None if length < 0 else body[at : at + length].decode())
        at += max(length, 0)
    return values


def _columns(body: bytes) -> list[Column]:
    (count,) = struct.unpack_from(">h", body)
    columns = []
    at = 2
    for _ in range(count):
        end = body.index(b"\0", at)
        _table, _number, oid, _size, modifier, _format = struct.unpack_from(">ihihih", body, end + 1)
        columns.append(Column(body[at:end].decode(), oid, modifier))
        at = end + 19
    return columns
