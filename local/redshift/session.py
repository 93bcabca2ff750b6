"""One client's connection: its statements rewritten for PostgreSQL, and those run that PostgreSQL does not know.

Everything else goes through as it is, in both directions, in the same session of PostgreSQL: so transactions, temporary
tables, parameters and errors are the client's own.
"""

from __future__ import annotations

import logging
import select
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.redshift import copy, merge, unload, wire
from local.redshift.backend import Backend, BackendError
from local.redshift.copy import LoadError
from local.redshift.ddl import is_storage_only
from local.redshift.objects import INTERNAL_ERROR
from local.redshift.rewrite import rewrite
from local.redshift.statements import (
    RefusedError,
    Statement,
    check_truncate,
    is_copy,
    is_unload,
    parse_copy,
    parse_unload,
    split,
)
from local.redshift.wire import ClosedError, Message, ProtocolError, Stream

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

# What a client may say of itself that PostgreSQL understands; Redshift's drivers say more.
_PARAMETERS = frozenset({"user", "database", "application_name", "client_encoding", "options", "DateStyle", "TimeZone"})
# What begins and ends transactions.
_CONTROL = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"})
# Redshift says that it is PostgreSQL 8.0.2; its driver understands no other form of a version.
SERVER_VERSION = b"server_version\x008.0.2\0"
# In its texts a backslash escapes (rewrite.py): clients that put values into texts themselves go by this.
STRINGS = b"standard_conforming_strings\0off\0"
_TOLD = {b"server_version": SERVER_VERSION, b"standard_conforming_strings": STRINGS}
# What PostgreSQL takes to hear of a cancellation, at most.
_CANCEL_SECONDS = 5.0


@dataclass
class Target:
    """Where the endpoint finds PostgreSQL and S3."""

    host: str
    port: int
    s3: Callable[[], S3Client]


@dataclass
class _Own:
    """A statement that the endpoint runs itself."""

    statement: Statement
    kind: str  # copy, unload, truncate, storage


@dataclass
class _Batch:
    """What a client has sent up to its Sync, in the extended protocol, and is owed."""

    owed: list[Message | _Own] = field(default_factory=list)
    forwarded: bool = False
    # Whether a statement was run by PostgreSQL, or by the endpoint outside of a transaction: the two cannot be undone
    # together then, as the statements of one batch are.
    executed: bool = False
    ran_alone: bool = False
    failed: bool = False


class Session:
    """A connection, from its first byte to its last."""

    def __init__(self, connection: socket.socket, target: Target) -> None:
        self._client = Stream(connection)
        self._target = target
        self._statements: dict[bytes, _Own] = {}
        self._portals: dict[bytes, _Own] = {}
        self._batch = _Batch()
        # Whether the client has ever sent a MERGE, of which Redshift words an error in its own way.
        self._merges = False
        # Statements that note rows which could not be loaded, to be run outside of the client's transaction.
        self._notes: list[str] = []
        # What PostgreSQL wants to hear to cancel a statement of the session, and whether the client has said goodbye.
        self._key = b""
        self._left = False
        # How often PostgreSQL will yet say that it is ready: a client may send more before it has heard that.
        self._pending = 0

    def run(self) -> None:
        """Serve the client until it leaves."""
        parameters = self._greet()
        if parameters is None:
            return
        try:
            connection = self._connect()
        except OSError as error:
            self._end("57P03", f"the PostgreSQL behind the local Redshift endpoint cannot be reached: {error}")
            return
        with connection:
            self._postgres = Stream(connection, self._look_after_client)
            self._backend = Backend(self._postgres)
            self._postgres.send(
                wire.startup({name: value for name, value in parameters.items() if name in _PARAMETERS})
            )
            try:
                if self._log_in():
                    self._serve()
            except ClosedError as error:
                if error.stream is self._postgres:
                    self._end("57P01", "the PostgreSQL behind the local Redshift endpoint has closed the connection")
                raise
            except ProtocolError as error:
                self._end("08P01", str(error))
                raise ClosedError(str(error), self._client) from error
            finally:
                with suppress(ClosedError):
                    self._leave()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self._target.host, self._target.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _end(self, code: str, why: str) -> None:
        """Tell the client, if it is there, why its session ends."""
        try:
            self._client.send(wire.error(code, why, severity="FATAL").encode())
        except ClosedError:
            log.debug("Nobody is told: %s", why)

    def _cancel(self, key: bytes) -> None:
        try:
            with self._connect() as connection:
                connection.settimeout(_CANCEL_SECONDS)
                connection.sendall(wire.cancel_request(key))
                connection.recv(1)  # PostgreSQL closes the connection when it has done it
        except OSError as error:
            log.debug("PostgreSQL cannot be told to cancel: %s", error)

    def _look_after_client(self) -> None:
        """Raise ClosedError when the client has left while PostgreSQL works for it."""
        if self._is_gone():
            raise ClosedError("the client has left", self._client)

    def _greet(self) -> dict[str, str] | None:
        """Return the parameters of a client that wants a session; refuse encryption, pass on a cancellation."""
        while True:
            code, body = self._client.read_startup()
            if code in wire.ENCRYPTION_REQUESTS:
                self._client.send(b"N")
            elif code == wire.CANCEL_REQUEST:
                self._cancel(body)
                return None
            elif code == wire.PROTOCOL_3:
                return wire.parse_startup(body)
            else:
                self._end("08P01", f"unsupported protocol {code >> 16}.{code & 0xFFFF}")
                return None

    def _log_in(self) -> bool:
        """Pass the log-in between client and PostgreSQL; tell whether it came to a session."""
        while True:
            ready, _, _ = select.select([self._client, self._postgres], [], [])
            if self._client in ready:
                self._client.receive()
                self._postgres.send(self._client.take())
            if self._postgres not in ready:
                continue
            self._postgres.receive()
            while message := self._postgres.next_message():
                if message.kind == b"S":
                    name = message.body.partition(b"\0")[0]
                    message = Message(b"S", _TOLD.get(name, message.body))
                elif message.kind == b"K":
                    self._key = message.body
                self._client.send(message.encode())
                if message.kind == b"Z":
                    return True
                if message.kind == b"E":
                    return False

    def _serve(self) -> None:
        while True:
            # Nothing is taken from a client whose words PostgreSQL does not take: it may wait for its own to be taken.
            asked = () if self._postgres.has_unsent else (self._client,)
            if self._client in self._exchange(*asked):
                self._client.receive()
                while message := self._client.next_message():
                    if message.kind == b"X":
                        self._left = True
                        return
                    self._take(message)
                self._postgres.send_queued()

    def _leave(self) -> None:
        """End the session of PostgreSQL; what nobody waits for is cancelled, and what is still to be noted is noted."""
        if self._key and not self._left:
            self._cancel(self._key)
        if self._notes:
            while self._pending > 0:
                self._pending -= self._postgres.read_message().kind == b"Z"
            self._backend.ask("rollback")
            self._write_notes()
        self._postgres.send(Message(b"X", b"").encode())

    # From PostgreSQL

    def _exchange(self, *others: Stream) -> list[Stream]:
        """Pass words between the two as far as they come and are taken; return which of the others have some."""
        unsent = [self._postgres] if self._postgres.has_unsent else []
        ready, writable, _ = select.select([self._postgres, *others], unsent, [])
        if writable:
            self._postgres.send_queued()
        if self._postgres in ready:
            self._relay()
        return ready

    def _relay(self) -> None:
        """Pass on what PostgreSQL has said."""
        self._postgres.receive()
        if not self._merges:
            said, ready = self._postgres.take_whole()
            self._pending -= ready
            self._client.send(said)
            return
        while message := self._postgres.next_message():
            self._pending -= message.kind == b"Z"
            self._client.send(self._worded(message).encode())

    def _drain(self) -> None:
        """Pass on all that PostgreSQL owes for what the client has sent: then it is the endpoint's to ask."""
        while self._pending > 0 or self._postgres.has_unsent:
            self._exchange()

    def _worded(self, message: Message) -> Message:
        """Return an error as Redshift words it."""
        if message.kind == b"E" and wire.fields_of(message).get("M", "").startswith(merge.SAID):
            return wire.error(INTERNAL_ERROR, merge.MULTIPLE_MATCHES)
        return message

    def _relay_until_ready(self) -> bool:
        """Pass on what PostgreSQL says until it is ready, but not that it is; return whether all went well."""
        is_well = True
        while (message := self._postgres.read_message()).kind != b"Z":
            is_well = is_well and message.kind != b"E"
            self._client.send(self._worded(message).encode())
        return is_well

    # From the client

    def _take(self, message: Message) -> None:
        if self._notes and message.kind in b"QP" and not self._batch.forwarded:
            self._drain()
            self._write_notes()
        match message.kind:
            case b"Q":
                self._query(message.body[:-1])
            case b"P" | b"B" | b"D" | b"E" | b"C":
                self._extended(message)
            case b"S":
                self._sync(message)
            case b"H":
                self._flush()
                self._postgres.queue(message.encode())
            case _:
                self._postgres.queue(message.encode())
                self._pending += message.kind == b"F"

    def _query(self, body: bytes) -> None:
        """Run a text of one or more statements, in the simple protocol."""
        try:
            sql = _text(body)
            statements = split(sql) if _may_be_own(sql) else ()
            own = {at: found for at, statement in enumerate(statements) if (found := _own(statement))}
            if not own:
                rewritten = rewrite(sql)
                self._merges = self._merges or _has_merge(sql)
                self._postgres.queue(wire.query(rewritten).encode())
                self._pending += 1
                return
            self._drain()
            self._run_one_by_one(statements, own)
        except RefusedError as refused:
            self._drain()
            self._refuse(refused)
            self._fail_transaction()
            self._end_query()

    def _run_one_by_one(self, statements: tuple[Statement, ...], own: dict[int, _Own]) -> None:
        """Run statements of one text, of which the endpoint runs some, in one transaction as PostgreSQL would."""
        texts = [
            "" if at in own else rewrite(statement.source(0, len(statement.tokens) - 1))
            for at, statement in enumerate(statements)
        ]
        controlled = any(statement.word(0) in _CONTROL for statement in statements)
        begins = len(statements) > 1 and not controlled and self._backend.status() == "I"
        if begins:
            self._backend.ask("begin")
        failed = False
        for at, text in enumerate(texts):
            if at in own:
                failed = not self._run(own[at])
            else:
                self._postgres.send(wire.query(text).encode())
                failed = not self._relay_until_ready()
            if failed:
                break
        if begins and self._backend.status() != "I":
            self._backend.ask("rollback" if failed else "commit")
        self._end_query()

    def _end_query(self) -> None:
        self._client.send(Message(b"Z", self._backend.status().encode()).encode())

    def _extended(self, message: Message) -> None:
        """Take a message of the extended protocol: pass it on, unless it is about a statement of our own."""
        if self._batch.failed:
            return  # until the Sync, as PostgreSQL does
        try:
            owed = self._owed(message)  # which gives out what was owed before
            self._batch.owed += owed
        except ValueError as error:
            raise ProtocolError(f"invalid message of type {message.kind!r}: {error}") from error
        except RefusedError as refused:
            # Unless a statement before it has failed: then this one is passed over.
            if self._flush() and self._settle():
                self._refuse(refused)
                self._fail_transaction()
            self._batch.failed = True

    def _owed(self, message: Message) -> list[Message | _Own]:
        """Return what is owed for a message about a statement of our own; pass any other on, rewritten."""
        match message.kind:
            case b"P":
                name, rest = message.body.split(b"\0", 1)
                text, types = rest.split(b"\0", 1)
                sql = _text(text)
                own = _own_text(sql)
                if own:
                    self._statements[name] = own
                    return [Message(b"1", b"")]
                self._statements.pop(name, None)
                rewritten = rewrite(sql)
                self._merges = self._merges or _has_merge(sql)
                message = Message(b"P", b"\0".join((name, rewritten.encode(), types)))
            case b"B":
                portal, name, _ = message.body.split(b"\0", 2)
                if name in self._statements:
                    self._portals[portal] = self._statements[name]
                    return [Message(b"2", b"")]
                self._portals.pop(portal, None)
            case b"D":
                what, name = message.body[:1], message.body[1:-1]
                if what == b"S" and name in self._statements:
                    return [Message(b"t", b"\0\0"), Message(b"n", b"")]
                if what == b"P" and name in self._portals:
                    return [Message(b"n", b"")]
            case b"E":
                portal = message.body.split(b"\0", 1)[0]
                if portal in self._portals:
                    return [self._portals[portal]]
            case b"C":
                what, name = message.body[:1], message.body[1:-1]
                known = self._statements if what == b"S" else self._portals
                if known.pop(name, None):
                    return [Message(b"3", b"")]
        if not self._flush():
            return []
        if message.kind == b"E":
            if self._batch.ran_alone:
                raise RefusedError(_ALONE)
            self._batch.executed = True
        self._batch.forwarded = True
        self._postgres.queue(message.encode())
        return []

    def _flush(self) -> bool:
        """Give the client what it is owed, after all that PostgreSQL owes it for what came before.

        Returns whether all went well so far.
        """
        if not self._batch.owed:
            return not self._batch.failed
        owed, self._batch.owed = deque(self._batch.owed), []
        self._settle()
        while owed and not self._batch.failed:
            each = owed.popleft()
            if isinstance(each, Message):
                self._client.send(each.encode())
            else:
                self._batch.failed = not self._run_in_batch(each)
        return not self._batch.failed

    def _settle(self) -> bool:
        """Have PostgreSQL say all that it owes the client for what was passed on; return whether all went well."""
        self._drain()
        if self._batch.forwarded:
            self._postgres.send(Message(b"S", b"").encode())
            self._batch.failed = not self._relay_until_ready() or self._batch.failed
            self._batch.forwarded = False
        return not self._batch.failed

    def _run_in_batch(self, own: _Own) -> bool:
        """Run a statement of our own among others up to a Sync, which are done together or not at all."""
        if self._backend.status() == "I":
            if self._batch.executed or self._batch.ran_alone:
                self._refuse(RefusedError(_ALONE))
                return False
            self._batch.ran_alone = True
        return self._run(own)

    def _sync(self, message: Message) -> None:
        if not self._batch.failed:
            self._flush()
        self._batch = _Batch()
        self._postgres.queue(message.encode())
        self._pending += 1

    # What the endpoint runs itself

    def _run(self, own: _Own) -> bool:
        """Run a statement of our own and tell the client what became of it; return whether it went well."""
        try:
            tag, told = self._executed(own)
        except RefusedError as refused:
            self._refuse(refused)
            self._fail_transaction()
        except LoadError as refused:
            self._note(refused, own)
        except BackendError as error:
            self._client.send(self._worded(error.response).encode())
        else:
            if told:
                self._client.send(wire.notice(told).encode())
            self._client.send(wire.complete(tag).encode())
            return True
        return False

    def _executed(self, own: _Own) -> tuple[str, str]:
        """Run a statement and return its tag, and what Redshift says of it besides."""
        match own.kind:
            case "copy":
                wanted = parse_copy(own.statement)
                rows = copy.execute(self._backend, self._target.s3(), wanted, self._is_gone)
                self._backend.ask(f"select set_config('redshift.last_copy_count', '{rows}', false)")
                table = _bare(wanted.table)
                return "COPY", f"Load into table '{table}' completed, {rows} record(s) loaded successfully."
            case "unload":
                rows = unload.execute(self._backend, self._target.s3(), parse_unload(own.statement), self._is_gone)
                self._backend.ask(f"select set_config('redshift.last_unload_count', '{rows}', false)")
                return "UNLOAD", f"UNLOAD completed, {rows} record(s) unloaded successfully."
            case "truncate":
                # It commits what came before, and itself.
                check_truncate(own.statement)
                self._backend.ask(rewrite(own.statement.source(0, len(own.statement.tokens) - 1)))
                if self._backend.status() == "T":
                    self._backend.ask("commit")
                return "TRUNCATE TABLE", ""
            case _:
                return "ALTER TABLE", ""

    def _refuse(self, refused: RefusedError) -> None:
        self._client.send(wire.error(refused.code, str(refused), hint=refused.hint).encode())

    def _fail_transaction(self) -> None:
        """Let PostgreSQL refuse what comes in the same transaction, as it does after an error of its own."""
        if self._backend.status() == "T":
            try:
                self._backend.ask("select pg_catalog.redshift_fail()")
            except BackendError:
                log.debug("The transaction has failed by a refusal of the endpoint")

    def _note(self, refused: LoadError, own: _Own) -> None:
        """Tell the client of a row that cannot be loaded, and keep it, beside the client's transaction."""
        self._fail_transaction()
        table = parse_copy(own.statement).table
        self._notes.append(refused.note(table))
        self._write_notes()
        self._client.send(
            wire.error(
                INTERNAL_ERROR,
                f"Load into table '{_bare(table)}' failed.  Check 'sys_load_error_detail' system table for details.",
            ).encode()
        )

    def _write_notes(self) -> None:
        """Keep the rows that could not be loaded, once the transaction in which that was found has ended."""
        if self._backend.status() != "I":
            return
        notes, self._notes = self._notes, []
        for note in notes:
            self._backend.ask(note)

    def _is_gone(self) -> bool:
        """Tell whether the client has closed its connection."""
        if not select.select([self._client], [], [], 0)[0]:
            return False
        try:
            return not self._client.socket.recv(1, socket.MSG_PEEK)
        except OSError:
            return True


# Of a pipeline outside of a transaction, in which one of the two would stay when the other fails.
_ALONE = (
    "COPY, UNLOAD and TRUNCATE are not supported in a pipeline with other statements outside of a transaction:"
    " begin one, or leave the pipeline"
)


def _text(body: bytes) -> str:
    """Return a statement's text; raises RefusedError when it is not in UTF-8, which Redshift's clients speak."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(f'invalid byte sequence for encoding "UTF8": {error}', "22021") from error


def _bare(table: str) -> str:
    """Return a table's name without its schema and quotes."""
    return table.rpartition(".")[2].strip('"')


def _may_be_own(sql: str) -> bool:
    folded = sql.lower()
    return any(word in folded for word in ("copy", "unload", "truncate", "alter"))


def _has_merge(sql: str) -> bool:
    return "merge" in sql.lower()


def _own_text(sql: str) -> _Own | None:
    """Return a text's one statement, if the endpoint runs it itself."""
    if not _may_be_own(sql):
        return None
    statements = split(sql)
    return _own(statements[0]) if len(statements) == 1 else None


def _own(statement: Statement) -> _Own | None:
    if is_copy(statement):
        return _Own(statement, "copy")
    if is_unload(statement):
        return _Own(statement, "unload")
    if statement.word(0) == "TRUNCATE":
        return _Own(statement, "truncate")
    if is_storage_only(statement):
        return _Own(statement, "storage")
    return None
