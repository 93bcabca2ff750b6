"""The apply: what an export has written becomes the warehouse's, all tables and the watermark in one transaction.

A reader of the warehouse sees the store as it was at one snapshot, before or after. What fails leaves the warehouse as
it was, and the next run exports anew from the watermark that stands.

Source: Amazon Redshift Database Developer Guide, "Serializable isolation", "LOCK", "PG_LAST_COPY_COUNT".
"""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import add
from typing import TYPE_CHECKING, Any

from marketplace.sync import differences, statements
from marketplace.sync.plan import Files, Plan, TablePlan
from marketplace.sync.tables import qualified

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redshift_connector.core import Connection
    from redshift_connector.cursor import Cursor

log = logging.getLogger(__name__)

LOCK_TIMEOUT = timedelta(minutes=10)  # of the wait for whoever holds the watermarks: a sync takes a minute or two

STATEMENT_TIMEOUT = timedelta(hours=2)

_REASON_LENGTH = 250  # what ops.sync_run has room for, whatever the characters


class WatermarkMovedError(RuntimeError):
    """Another sync has committed since the export: what it wrote would be undone by this one's files."""


class LockedError(RuntimeError):
    """Somebody has held the watermarks for too long."""


class IncompleteLoadError(RuntimeError):
    """A COPY has loaded another number of rows than the export has written."""


def apply(connection: Connection, plan: Plan, timeout: timedelta = STATEMENT_TIMEOUT) -> bool:
    """Bring the warehouse to the plan's snapshot and commit; returns False when that was done before.

    No statement outlives `timeout`. `connection` is not in autocommit and at the beginning of a transaction; after an
    error it is the caller's to roll back. Raises WatermarkMovedError, LockedError, IncompleteLoadError, and
    redshift_connector's errors.
    """
    with closing(connection.cursor()) as cursor:
        _lock(connection, cursor)
        cursor.execute(_limit(timeout))
        if _is_done(cursor, plan):
            connection.rollback()
            return False
        for table in plan.tables:
            for name, type_ in table.added:
                cursor.execute(statements.add_column(table, name, type_))
            if table.mode == "full":
                _reload(cursor, plan, table)
            else:
                _change(cursor, plan, table)
            if table.mends:
                differences.close(cursor, plan.run_id, table.name, table.mends)
        _move_watermark(cursor, plan)
    connection.commit()
    return True


def _lock(connection: Connection, cursor: Cursor) -> None:
    """Begin the transaction by locking the watermarks, and wait no longer than LOCK_TIMEOUT. Raises LockedError."""
    from redshift_connector.error import ProgrammingError

    cursor.execute(_limit(LOCK_TIMEOUT))
    connection.commit()
    try:
        # Before all else: a transaction's snapshot of the warehouse is not taken by LOCK, but by what comes next.
        cursor.execute("lock ops.sync_state")
    except ProgrammingError as error:
        if not isinstance(error.args[0], dict) or error.args[0].get("C") != "57014":
            raise
        raise LockedError(
            f"Another session of the warehouse has held ops.sync_state for {LOCK_TIMEOUT}, so nothing was changed: see"
            " 'A sync that waits for a lock' in docs/runbooks/warehouse.md."
        ) from None


def _limit(time: timedelta) -> str:
    return f"set statement_timeout to {int(time.total_seconds() * 1000)}"


def _is_done(cursor: Cursor, plan: Plan) -> bool:
    """Compare the watermarks with those that the export went by; tell whether they are the plan's own already.

    Raises WatermarkMovedError when they are neither.
    """
    cursor.execute("select table_name, token from ops.sync_state")
    state = dict(cursor.fetchall())
    if all(state.get(table.name) == plan.watermark.token for table in plan.tables):
        return True
    if moved := [table.name for table in plan.tables if state.get(table.name) != table.before]:
        raise WatermarkMovedError(
            f"Another sync has moved the watermark of {', '.join(moved)} since this one's export, so nothing was"
            " changed. Start the DAG anew: it exports from where the warehouse is now."
        )
    return False


def _reload(cursor: Cursor, plan: Plan, table: TablePlan) -> None:
    cursor.execute(statements.delete_all(table))
    if table.rows.files:
        load_files(cursor, plan, qualified(table.name), table.columns, table.rows)


def _change(cursor: Cursor, plan: Plan, table: TablePlan) -> None:
    """Delete what is gone and merge what has changed, in this order: a key may have moved to another row."""
    if table.gone.files:
        cursor.execute(statements.make_gone_stage(table))
        load_files(cursor, plan, statements.gone_stage(table), table.key, table.gone)
        cursor.execute(statements.delete_gone(table))
    if table.rows.files:
        cursor.execute(statements.make_stage(table))
        load_files(cursor, plan, statements.stage(table), table.columns, table.rows)
        cursor.execute(statements.merge(table))


def load_files(cursor: Cursor, plan: Plan, target: str, columns: Sequence[str], files: Files) -> None:
    """Load files of an export into a table. Raises IncompleteLoadError, and redshift_connector's errors."""
    cursor.execute(statements.copy_files(plan, target, columns, files))
    cursor.execute("select pg_last_copy_count()")
    ((loaded,),) = cursor.fetchall()
    if loaded != files.rows:
        raise IncompleteLoadError(
            f"COPY into {target} has loaded {loaded} rows of {files.name}, but the export has written {files.rows}."
        )
    log.info("%s: %s rows of %s files", target, loaded, files.files)


def _move_watermark(cursor: Cursor, plan: Plan) -> None:
    """Store the plan's watermark for each of its tables, and the account of the run."""
    names = [table.name for table in plan.tables]
    now = datetime.now(UTC)
    mark = plan.watermark
    listed = ", ".join(["%s"] * len(names))
    cursor.execute(f"delete from ops.sync_state where table_name in ({listed})", names)  # noqa: S608 - placeholders
    _insert(
        cursor,
        "ops.sync_state (table_name, definition, system_identifier, token, store_snapshot, synced_at, run_id)",
        [
            (
                table.name, table.definition, mark.system_identifier, mark.token, mark.snapshot, plan.taken_at,
                plan.run_id,
            )
            for table in plan.tables
        ],
    )  # fmt: skip
    # One row of a run and a table, also of a run whose export was cleared after it had committed: then of both.
    cursor.execute(
        "select table_name, mode, reason, exported, deleted, files, bytes, seconds from ops.sync_run where run_id = %s",
        (plan.run_id,),
    )
    before = {name: tuple(did) for name, *did in cursor.fetchall()}
    if before:
        cursor.execute(
            f"delete from ops.sync_run where run_id = %s and table_name in ({listed})",  # noqa: S608 - placeholders
            [plan.run_id, *names],
        )
    _insert(
        cursor,
        "ops.sync_run (run_id, table_name, mode, reason, exported, deleted, files, bytes, seconds, store_snapshot,"
        " synced_at)",
        [
            (plan.run_id, table.name, *_did(table, before.get(table.name)), mark.snapshot, now)
            for table in plan.tables
        ],
    )  # fmt: skip


def _did(table: TablePlan, before: tuple[Any, ...] | None) -> tuple[object, ...]:
    """Return mode, reason, rows exported, keys deleted, files, bytes and seconds of a table's sync and one before."""
    did = (
        table.rows.rows,
        table.gone.rows,
        table.rows.files + table.gone.files,
        table.rows.bytes + table.gone.bytes,
        Decimal(str(table.seconds)),
    )
    reason = (table.reason or "")[:_REASON_LENGTH] or None
    if before is None:
        return table.mode, reason, *did
    mode, reason_before, *did_before = before
    is_full = "full" in (mode, table.mode)
    return "full" if is_full else table.mode, reason or reason_before, *map(add, did, did_before)


def _insert(cursor: Cursor, target: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows by one statement: each statement costs Redshift a tenth of a second."""
    row = "(" + ", ".join(["%s"] * len(rows[0])) + ")"
    values = [value for one in rows for value in one]
    cursor.execute(f"insert into {target} values {', '.join([row] * len(rows))}", values)  # noqa: S608 - placeholders
