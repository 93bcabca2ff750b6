"""The export: what has become visible in the store since each table's watermark, as files, from one snapshot.

One REPEATABLE READ transaction on the primary is the cut; other connections join its snapshot. Only when all files lie
in S3 the sync's token is committed in the store, and only after that the warehouse may commit (marketplace.sync.apply).
A run that dies anywhere leaves files that nothing names, and the watermark as it was.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import psycopg
from psycopg import sql

from marketplace.store import query
from marketplace.sync import checks, statements, watermark
from marketplace.sync.differences import Key, Open, is_due, last_found, last_full_checks, read_open
from marketplace.sync.files import FileSet, copy_out
from marketplace.sync.plan import Check, Files, Plan, TablePlan
from marketplace.sync.tables import Table, added_columns, read_tables, read_warehouse
from marketplace.sync.types import Target
from marketplace.sync.watermark import Position, SourceError, Watermark

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from redshift_connector.core import Connection as RedshiftConnection

log = logging.getLogger(__name__)

Compare = Literal["touched", "all", "none"]
Connect = Callable[[], psycopg.Connection[Any]]
_T = TypeVar("_T")
PREFIX = "sync/"
CONNECTIONS = 2  # that read beside one another: a worker of MWAA (mw1.small) has one core, a larger one two


class UnknownTableError(ValueError):
    """A table that was named is none that is synced."""


def export(
    connect: Connect,
    warehouse: RedshiftConnection,
    s3: S3Client,
    bucket: str,
    run_id: str,
    *,
    tables: Collection[str] = (),
    full_reload: bool = False,
    repair: bool = False,
    compare: Compare = "touched",
    dry_run: bool = False,
) -> Plan:
    """Write what has changed of the tables (default: all) to `bucket`, and return what is to be done with it.

    `connect` opens connections to the store's primary as store_writer; the warehouse is only read. `repair` adds the
    rows of open differences. `compare` says what is compared afterwards: the rows that are loaded (and once a day all),
    all rows now, or none, which leaves it to the comparison of all. A dry run counts the rows and writes nothing
    anywhere. Raises SourceError, SchemaDriftError, UnknownTableError, and what PostgreSQL and S3 raise.
    """
    token = uuid.uuid4().hex
    prefix = f"{PREFIX}{re.sub(r'[^A-Za-z0-9._-]', '_', run_id)}/{token}/"
    state = watermark.read_state(warehouse)
    there = read_warehouse(warehouse)
    opened = read_open(warehouse) if repair else {}
    ended = last_found(warehouse)
    checked_at = last_full_checks(warehouse)
    warehouse.rollback()
    with closing(connect()) as connection:
        synced = read_tables(connection)
        chosen = choose(synced, tables)
        if not dry_run:
            # A table that was dropped keeps its watermark in the warehouse, and needs nothing any more.
            needed = [mark for name, mark in state.items() if name in synced]
            watermark.prune(connection, needed, watermark.read_position(connection))
        connection.commit()
    taken_at = datetime.now(UTC).isoformat()
    with snapshot(connect, chosen) as (readers, position):
        first = readers[0]
        found = choose(read_tables(first), chosen)
        added = added_columns(found.values(), there)
        known = watermark.known_tokens(first, state.values())
        jobs = []
        for name, table in found.items():
            old, new = state.get(name), added.get(name, [])
            definition = f"{table.definition}/{there[name].oid}"
            reason = "this run was told to" if full_reload else _reason(first, table, old, known, position, new)
            if reason is None and old and old.definition != definition:
                reason = "the table was defined anew since, in the store or in the warehouse"
            check: Check = "none"
            if compare != "none":
                check = "all" if reason or compare == "all" or is_due(checked_at.get(name)) else "changed"
            mended = ended.get(name) if reason else opened.get(name)
            jobs.append(_Job(table, definition, old, reason, new, check, mended))
        done = [job.count(first) for job in jobs] if dry_run else _write_all(jobs, readers, s3, bucket, prefix)
        if not dry_run:
            with closing(connect()) as connection:
                connection.execute(query("sync/enter_token.sql"), {"token": token})
                connection.commit()
            # The snapshot's server has not gone: if a copy had been promoted meanwhile, it would have the token, and
            # might not have all that was exported.
            first.execute("select 1")
    mark = Watermark(position.system_identifier, token, position.snapshot)
    plan = Plan(run_id, bucket, prefix, mark, taken_at, tuple(done))
    if not dry_run:
        plan.put(s3)
    return plan


def choose(found: dict[str, Table], wanted: Collection[str]) -> dict[str, Table]:
    """Return the tables that are wanted (none named: all). Raises UnknownTableError."""
    if unknown := sorted(set(wanted) - found.keys()):
        raise UnknownTableError(f"No such table is synced: {', '.join(unknown)}. There are: {', '.join(found)}.")
    return {name: table for name, table in found.items() if not wanted or name in wanted}


@contextmanager
def snapshot(connect: Connect, tables: Collection[str]) -> Iterator[tuple[list[psycopg.Connection[Any]], Position]]:
    """Open CONNECTIONS transactions on one snapshot of the store, and say where that is.

    The tables are locked (against changes of their definition alone) before it is taken: a table that is rewritten
    after a snapshot looks empty to it. Raises SourceError on a standby.
    """
    with ExitStack() as stack:
        readers = [stack.enter_context(closing(connect())) for _ in range(CONNECTIONS)]
        for reader in readers:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.read_only = True
        first, *others = readers
        first.execute(statements.lock_definitions(tables))  # the first statement, as it takes no snapshot itself
        position = watermark.read_position(first)
        shared = first.execute("select pg_catalog.pg_export_snapshot()").fetchone()
        if shared is None:
            raise SourceError("The store did not share its snapshot.")
        for other in others:
            other.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(shared[0])))
        yield readers, position


def _reason(
    connection: psycopg.Connection[Any],
    table: Table,
    old: Watermark | None,
    known: Collection[str],
    now: Position,
    added: Sequence[Target],
) -> str | None:
    """Return why a table must be loaded in full; None when what has changed is enough."""
    reason = watermark.why_not(old, known, now)
    if reason or old is None:
        return reason
    if added:
        return f"new in the store: {', '.join(target.name for target in added)}"
    return watermark.asked_for(connection, table.name, old)


@dataclass(frozen=True)
class _Job:
    """A table's part of an export; `reason` is why it is loaded in full, None when it is not.

    `check` is what is to be compared afterwards, `mended` the differences that are to be repaired.
    """

    table: Table
    definition: str
    old: Watermark | None
    reason: str | None
    added: Sequence[Target]
    check: Check
    mended: Open | None

    def queries(self) -> tuple[sql.Composed, sql.Composed | None]:
        """Return the query of the rows to be loaded, and that of the keys to be deleted: a full load needs none."""
        if self.reason or self.old is None:
            return statements.all_rows(self.table), None
        snapshot, keys = self.old.snapshot, self._mended_keys()
        return (
            statements.changed_rows(self.table, snapshot, keys),
            statements.deleted_keys(self.table, snapshot, keys),
        )

    def check_query(self) -> sql.Composed:
        """Return the query of what the warehouse is compared with afterwards."""
        if self.check == "all" or self.old is None:
            return checks.store_groups(self.table)
        return statements.reference(self.table, self.old.snapshot, self._mended_keys())

    def _mended_keys(self) -> Sequence[Key]:
        return self.mended.keys if self.mended else ()

    def count(self, connection: psycopg.Connection[Any]) -> TablePlan:
        """Return what would be done, without writing it."""
        rows, gone = (
            connection.execute(statements.count(selected)).fetchone() if selected else None
            for selected in self.queries()
        )
        return self._plan(Files("", rows=rows[0] if rows else 0), Files("", rows=gone[0] if gone else 0), 0.0)

    def write(self, connection: psycopg.Connection[Any], files: Callable[[str], FileSet]) -> TablePlan:
        """Write the table's files, and return what is to be done with them."""
        begun = time.monotonic()
        with files(f"{self.table.name}/rows") as rows, files(f"{self.table.name}/gone") as gone:
            for fileset, selected in zip((rows, gone), self.queries(), strict=True):
                if selected is not None:
                    for block, count in copy_out(connection, statements.copy_out(selected)):
                        fileset.write(block, count)
        done = self._plan(rows.written(), gone.written(), round(time.monotonic() - begun, 3))
        why = f"; in full: {self.reason}" if self.reason else ""
        log.info("%s: %s rows, %s keys gone, %.3f s%s", done.name, done.rows.rows, done.gone.rows, done.seconds, why)
        return done

    def write_check(self, connection: psycopg.Connection[Any], files: Callable[[str], FileSet]) -> Files:
        """Write what the warehouse is compared with afterwards, if it is, and return its files."""
        if self.check == "none":
            return Files("")
        with files(f"{self.table.name}/checked") as checked:
            for block, count in copy_out(connection, statements.copy_out(self.check_query())):
                checked.write(block, count)
        return checked.written()

    def _plan(self, rows: Files, gone: Files, seconds: float) -> TablePlan:
        return TablePlan(
            name=self.table.name,
            mode="full" if self.reason else "incremental",
            reason=self.reason,
            before=self.old.token if self.old else None,
            definition=self.definition,
            key=self.table.key,
            columns=tuple(target.name for target in self.table.targets),
            added=tuple((target.name, target.type) for target in self.added),
            rows=rows,
            gone=gone,
            check=self.check,
            checked=Files(""),
            mends=self.mended.until.isoformat() if self.mended else None,
            seconds=seconds,
        )


def _write_all(
    jobs: list[_Job], readers: list[psycopg.Connection[Any]], s3: S3Client, bucket: str, prefix: str
) -> list[TablePlan]:
    """Write the files of all tables, the largest first, by as many threads as there are connections.

    What the warehouse is compared with is another pass over the rows, beside the one that exports them.
    """
    free: SimpleQueue[psycopg.Connection[Any]] = SimpleQueue()
    for reader in readers:
        free.put(reader)
    failures: list[BaseException] = []

    with ThreadPoolExecutor(len(readers)) as uploads, ThreadPoolExecutor(len(readers)) as pool:

        def run(write: Callable[[psycopg.Connection[Any], Callable[[str], FileSet]], _T]) -> _T:
            connection = free.get()
            try:
                return write(connection, lambda name: FileSet(s3, bucket, prefix, name, uploads))
            except BaseException as error:
                failures.append(error)
                pool.shutdown(wait=False, cancel_futures=True)  # what has not begun has no use any more
                raise
            finally:
                free.put(connection)

        begun = {
            job.table.name: (pool.submit(run, job.write), pool.submit(run, job.write_check))
            for job in sorted(jobs, key=lambda job: -job.table.bytes)
        }
        try:
            futures: list[Future[Any]] = [future for both in begun.values() for future in both]
            wait(futures, return_when=FIRST_EXCEPTION)
            if failures:
                raise failures[0]
            return [
                replace(written.result(), checked=checked.result())
                for written, checked in (begun[job.table.name] for job in jobs)
            ]
        except BaseException:
            # What is running may have hours to go.
            pool.shutdown(wait=False, cancel_futures=True)
            for reader in readers:
                reader.cancel_safe()
            raise
