"""Comparing the warehouse with the store after a sync: table by table, down to the keys that differ.

What the store says was computed by the export, in the snapshot that the warehouse is at since: of the rows that the run
has loaded or deleted, a checksum each; of a table that is compared whole, checksums of groups. Only the rows of groups
that differ are asked for now. By then the store may have changed some: those cannot be told, and are compared by the
sync that brings them.
"""

from __future__ import annotations

import csv
import gzip
import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from marketplace.sync import checks, differences, statements
from marketplace.sync.apply import load_files
from marketplace.sync.differences import MOST_LISTED, Difference, Differences
from marketplace.sync.files import FileSet, copy_out
from marketplace.sync.plan import Files, Plan, TablePlan
from marketplace.sync.tables import Table, read_tables

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from redshift_connector.core import Connection
    from redshift_connector.cursor import Cursor

log = logging.getLogger(__name__)

Connect = Callable[[], psycopg.Connection[Any]]


class Group(NamedTuple):
    """A group of a table's rows, as one side sees it."""

    rows: int
    checksum: int


Groups = dict[str, Group]


class Comparison(NamedTuple):
    """What was compared of a table: which rows (changed or all), how many, and what was found."""

    scope: str
    compared: int
    found: Differences


def reconcile(connect: Connect, warehouse: Connection, s3: S3Client, plan: Plan) -> list[Differences]:
    """Compare the tables of a plan that has been applied, and return those that differ; all else is in the log.

    The differences and the account are written into the warehouse: ops.sync_difference, ops.sync_check. A table that
    another sync has moved on since, or whose definition has changed, is left to the next run. Raises psycopg.Error,
    redshift_connector's errors, and what S3 raises.
    """
    with closing(connect()) as store, closing(warehouse.cursor()) as cursor:
        tables = read_tables(store)
        store.commit()
        cursor.execute("select table_name, token from ops.sync_state")
        tokens = dict(cursor.fetchall())
        done: list[Comparison] = []
        for planned in plan.tables:
            table = tables.get(planned.name)
            if tokens.get(planned.name) != plan.watermark.token:
                log.warning("%s is not compared: another sync has moved it on.", planned.name)
            elif table is None or tuple(target.name for target in table.targets) != planned.columns:
                log.warning("%s is not compared: its definition has changed since the export.", planned.name)
            # A table that is empty in the store has no file, and must be empty in the warehouse as well.
            elif planned.checked.files or planned.check == "all":
                begun = time.monotonic()
                run = _Run(store, cursor, s3, plan, planned, table)
                done.append(run.compare_all() if planned.check == "all" else run.compare_changed())
                _account(cursor, plan.run_id, done[-1], time.monotonic() - begun)
    warehouse.commit()
    return [comparison.found for comparison in done if comparison.found.total]


def _account(cursor: Cursor, run_id: str, done: Comparison, seconds: float) -> None:
    """Write down what was compared and found; a task that is run again replaces what it wrote."""
    found, now = done.found, datetime.now(UTC)
    log.info("%s: %s rows compared (%s), %s differ", found.table, done.compared, done.scope, found.total)
    if done.scope == "all" and found.is_listed:
        differences.close_others(cursor, run_id, found)
    differences.record(cursor, run_id, found, now)
    cursor.execute("delete from ops.sync_check where run_id = %s and table_name = %s", (run_id, found.table))
    cursor.execute(
        "insert into ops.sync_check (run_id, table_name, scope, compared, differences, seconds, checked_at)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (run_id, found.table, done.scope, done.compared, found.total, round(seconds, 3), now),
    )


class _Run:
    """The comparison of one table."""

    def __init__(
        self,
        store: psycopg.Connection[Any],
        cursor: Cursor,
        s3: S3Client,
        plan: Plan,
        planned: TablePlan,
        table: Table,
    ) -> None:
        self._store, self._cursor, self._s3 = store, cursor, s3
        self._plan, self._planned, self._table = plan, planned, table

    def compare_changed(self) -> Comparison:
        """Compare the rows that the run has loaded or deleted."""
        found = compare_rows(self._cursor, self._table, lambda: self._load(self._planned.checked), None)
        return Comparison("changed", self._planned.checked.rows, found)

    def compare_all(self) -> Comparison:
        """Compare all rows, by groups, and then those of the groups that differ."""
        of_store = self._groups_of_store()
        self._cursor.execute(checks.warehouse_groups(self._table))
        groups = differing_groups(of_store, groups_of(self._cursor.fetchall()))
        found = Differences(self._table.name, {}, [])
        if groups:
            rows = self._rows_of(groups)
            found = compare_rows(self._cursor, self._table, lambda: self._load(rows), groups)
            if not found.total:
                log.warning(
                    "%s: %s groups of keys differ, but only by keys that the store has changed since:"
                    " the next sync brings and compares them.",
                    self._table.name,
                    len(groups),
                )
        return Comparison("all", sum(group.rows for group in of_store.values()), found)

    def _groups_of_store(self) -> Groups:
        rows: list[list[str]] = []
        for key in self._planned.checked.keys(self._plan.prefix):
            body = self._s3.get_object(Bucket=self._plan.bucket, Key=key)["Body"].read()
            rows += csv.reader(gzip.decompress(body).decode().splitlines())
        return groups_of(rows)

    def _rows_of(self, groups: Sequence[str]) -> Files:
        """Write what the store says of the rows of some groups to files beside the export's."""
        query = checks.store_rows(self._table, groups, self._plan.watermark.snapshot)
        name = f"{self._table.name}/groups_that_differ"
        with (
            ThreadPoolExecutor(1) as uploads,
            FileSet(self._s3, self._plan.bucket, self._plan.prefix, name, uploads) as files,
        ):
            for block, rows in copy_out(self._store, statements.copy_out(query)):
                files.write(block, rows)
        self._store.commit()
        written = files.written()
        self._s3.put_object(
            Bucket=self._plan.bucket,
            Key=written.manifest_key(self._plan.prefix),
            Body=written.manifest(self._plan.bucket, self._plan.prefix).encode(),
        )
        return written

    def _load(self, files: Files) -> None:
        if files.files:
            load_files(self._cursor, self._plan, "sync_reference", checks.reference_columns(self._table), files)


def groups_of(rows: Iterable[Sequence[Any]]) -> Groups:
    """Return the groups of one side from the rows of its query: key_group, row_count, row_sum."""
    return {group: Group(int(count), int(checksum)) for group, count, checksum in rows}


def differing_groups(store: Groups, warehouse: Groups) -> list[str]:
    """Return the groups of which the two sides do not have the same rows, sorted."""
    return sorted(group for group in store.keys() | warehouse.keys() if store.get(group) != warehouse.get(group))


def compare_rows(
    cursor: Cursor, table: Table, load_reference: Callable[[], None], groups: Collection[str] | None
) -> Differences:
    """Compare rows of a table of the warehouse with what the store says of them, key by key.

    `cursor` is one of the warehouse's, within a transaction. `load_reference` fills its temporary table
    sync_reference, which is there by then, with what the store says of the rows of `groups`, which have been found to
    differ; or, if that is None, of the rows that are to be compared.
    """
    cursor.execute(checks.create_reference(table))
    load_reference()
    cursor.execute(checks.find_differences(table, None if groups is None else list(groups)))
    cursor.execute(checks.count_differences())
    counts = {kind: int(count) for kind, count in cursor.fetchall()}
    cursor.execute(checks.list_differences(table, MOST_LISTED))
    listed = [Difference(dict(zip(table.key, key, strict=True)), kind) for *key, kind in cursor.fetchall()]
    unexplained: set[str] = set()
    if groups:
        cursor.execute(checks.explained_groups(table))
        unexplained = set(groups) - {group for (group,) in cursor.fetchall()}
    # Temporary tables live as long as the session, and the next table's are of other columns.
    cursor.execute("drop table sync_reference")
    cursor.execute("drop table sync_found")
    return Differences(table.name, counts, listed, tuple(sorted(unexplained)))
