"""A store and the warehouse that it is synced into, by the steps of the DAG's tasks; and a look at both sides.

What a sync must leave in the warehouse is read from the store at the sync's own snapshot: as soon as the sync shares
it, a transaction of the test joins, and stays there while the sync goes on and everybody else writes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import psycopg
import redshift_connector
from psycopg import sql

from local.supervisor import wait_until
from marketplace.sync import apply
from marketplace.sync.differences import Differences
from marketplace.sync.export import export
from marketplace.sync.plan import Plan
from marketplace.sync.reconcile import reconcile
from tests.sync import dump


@dataclass
class Synced:
    """A store, reached by `store_url` as a role, and a warehouse.

    redshift        the endpoint of the warehouse, by the names that it has in .local/env
    warehouse_url   the warehouse's database behind the endpoint: for a look that owes nothing to either
    """

    store_url: Callable[[str], str]
    redshift: Mapping[str, str]  # the names that .local/env has for it
    warehouse_url: str
    s3: Any
    bucket: str
    _runs: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection to the store, as the sync has it."""
        return psycopg.connect(self.store_url("store_writer"))

    def connect_warehouse(self) -> redshift_connector.Connection:
        """Open a connection to the warehouse, as the sync has it."""
        return redshift_connector.connect(
            host=self.redshift["REDSHIFT_HOST"],
            port=int(self.redshift["REDSHIFT_PORT"]),
            user=self.redshift["REDSHIFT_USER"],
            password=self.redshift["REDSHIFT_PASSWORD"],
            database=self.redshift["REDSHIFT_DATABASE"],
            ssl=False,
        )

    def export(self, **options: Any) -> Plan:
        """Do what the task `export` does."""
        with closing(self.connect_warehouse()) as warehouse:
            run = f"run-{next(self._runs)}"
            return export(self.connect, warehouse, self.s3, self.bucket, run, **options)

    def apply(self, plan: Plan) -> bool:
        """Do what the tasks after it do."""
        for key, text in plan.manifests():
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode())
        with closing(self.connect_warehouse()) as warehouse:
            return apply.apply(warehouse, plan)

    def sync(self, **options: Any) -> Plan:
        """Sync once; returns what was done."""
        plan = self.export(**options)
        assert self.apply(plan)
        return plan

    def sync_and_compare(self, **options: Any) -> Plan:
        """Sync once, and compare all of the warehouse with all of the store at the sync's snapshot."""
        with snapshots_joined(self.store_url("postgres")) as joined:
            plan = self.sync(**options)
            (store,) = joined
            (snapshot,) = store.execute("select pg_current_snapshot()::text").fetchone() or ()
            assert {table: mark for table, mark, *_ in self.state()} == dict.fromkeys(self.tables(), snapshot)
            assert dump.differences(dump.store(store), self.dump()) == []
        return plan

    def reconcile(self, plan: Plan) -> list[Differences]:
        """Do what the task `reconcile` does after a sync; returns the tables that it thinks differ."""
        with closing(self.connect_warehouse()) as warehouse:
            return reconcile(self.connect, warehouse, self.s3, plan)

    def tables(self) -> list[str]:
        """Return the tables that are synced by their names with the schema."""
        with psycopg.connect(self.store_url("store_owner")) as connection:
            return list(dump.tables(connection))

    def state(self) -> list[tuple[str, str, str]]:
        """Return of each synced table its snapshot and token."""
        return self.query("select table_name, store_snapshot, token from ops.sync_state order by 1")

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the PostgreSQL behind the warehouse's endpoint."""
        with psycopg.connect(self.warehouse_url) as connection:
            return connection.execute(statement, parameters).fetchall()

    def dump(self) -> dump.Tables:
        """Return all that is in the warehouse."""
        with psycopg.connect(self.warehouse_url) as connection:
            return dump.warehouse(connection)

    def differences(self) -> list[str]:
        """Compare all of the warehouse with the store as it is now."""
        with psycopg.connect(self.store_url("postgres")) as store:
            return dump.differences(dump.store(store), self.dump())

    def write(self, *statements: str, role: str = "store_owner") -> None:
        """Carry statements out on the store, each in a transaction of its own."""
        with psycopg.connect(self.store_url(role), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def wait_until_left(self) -> None:
        """Wait until a process that was killed is noticed, and nobody is connected to either side any more."""
        store = psycopg.conninfo.conninfo_to_dict(self.store_url("postgres"))["dbname"]
        there = (
            "select pid from pg_stat_activity where datname = any(%s) and pid <> pg_backend_pid()"
            " and backend_type = 'client backend'"
        )
        wait_until(
            lambda: not self.query(there, [store, self.redshift["REDSHIFT_DATABASE"]]),
            30,
            lambda: "somebody is still connected",
        )

    def modes(self, plan: Plan) -> dict[str, str]:
        """Return the tables that a sync has loaded in full, and why."""
        return {table.name: table.reason or "" for table in plan.tables if table.mode == "full"}


@contextmanager
def snapshots_joined(url: str) -> Iterator[list[psycopg.Connection[Any]]]:
    """Join every snapshot that somebody in this process shares within the block, by a transaction at `url`."""
    joined: list[psycopg.Connection[Any]] = []
    original = psycopg.Cursor.execute

    def execute(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        result = original(cursor, query, *arguments, **options)
        if "pg_export_snapshot" in str(query):
            name = cursor.pgresult.get_value(0, 0).decode()
            connection = psycopg.connect(url)
            joined.append(connection)
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(name)))
        return result

    try:
        with patch.object(psycopg.Cursor, "execute", execute):
            yield joined
    finally:
        for connection in joined:
            connection.close()
