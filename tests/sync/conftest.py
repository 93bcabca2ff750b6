"""A store and a warehouse of its own for every test, with the sync's steps as one call each."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
import redshift_connector
from psycopg import sql

from local import postgres
from local import warehouse as local_warehouse
from local.platform import Platform
from marketplace import warehouse as warehouse_schema
from marketplace.sync.apply import apply
from marketplace.sync.differences import Differences
from marketplace.sync.export import export
from marketplace.sync.plan import Plan
from marketplace.sync.reconcile import reconcile
from tests.conftest import Store
from tests.sync import dump
from tests.sync.cluster import Cluster
from tests.sync.cluster import new as new_cluster
from tests.sync.synced import Synced

TEMPLATE = "warehouse_template"
SET_ASIDE = "warehouse_set_aside"


@dataclass
class Sync:
    """Syncs a store to a warehouse, as the DAG does, without Airflow."""

    store: Store
    s3: Any
    bucket: str
    _runs: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection to the store as the DAG's role."""
        return psycopg.connect(self.store.url("store_writer"), options="-c timezone=UTC")

    def warehouse(self) -> redshift_connector.Connection:
        """Open a connection to the warehouse as the DAG's."""
        return local_warehouse.connect(self.store.platform.state)

    def export(self, **options: Any) -> Plan:
        """Export, as the first task does, and write the manifests, as the second does."""
        run_id = options.pop("run_id", f"{self.store.name}-{next(self._runs)}")
        with closing(self.warehouse()) as warehouse:
            plan = export(self.connect, warehouse, self.s3, self.bucket, run_id, **options)
        for key, text in plan.manifests():
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode())
        return plan

    def apply(self, plan: Plan) -> bool:
        """Apply a plan, as the third task does."""
        with closing(self.warehouse()) as warehouse:
            return apply(warehouse, plan)

    def reconcile(self, plan: Plan) -> list[Differences]:
        """Compare both sides after a sync, as the task does."""
        with closing(self.warehouse()) as warehouse:
            return reconcile(self.connect, warehouse, self.s3, plan)

    def sync(self, **options: Any) -> Plan:
        """Export and apply; returns the plan."""
        plan = self.export(**options)
        assert self.apply(plan)
        return plan

    def change(self, *statements: str, role: str = "store_owner", parameters: Sequence[Any] = ()) -> None:
        """Run statements on the store in one transaction."""
        with psycopg.connect(self.store.url(role)) as connection:
            for statement in statements:
                connection.execute(statement, parameters)

    def asked(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the store."""
        with psycopg.connect(self.store.url("store_owner"), options="-c timezone=UTC") as connection:
            return connection.execute(statement, parameters).fetchall()

    def told(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the warehouse, past the endpoint."""
        url = self.store.platform.store_url("postgres", local_warehouse.DATABASE)
        with psycopg.connect(url, options="-c timezone=UTC") as connection:
            return connection.execute(statement, parameters).fetchall()

    def spoil(self, statement: str, *parameters: Any) -> None:
        """Change rows of the warehouse, past the endpoint, as nobody should."""
        url = self.store.platform.store_url("postgres", local_warehouse.DATABASE)
        with psycopg.connect(url, options="-c timezone=UTC") as connection:
            assert connection.execute(statement, parameters).rowcount > 0

    def differences(self) -> list[str]:
        """Return what both sides have of each table that is not the same: by code that the sync has no part in."""
        with psycopg.connect(self.store.url("store_owner")) as store:
            here = dump.store(store)
        with psycopg.connect(self.store.platform.store_url("postgres", local_warehouse.DATABASE)) as warehouse:
            there = dump.warehouse(warehouse)
        return dump.differences(here, there)


def rename(platform: Platform, name: str, new: str) -> None:
    """Rename a database, ending the sessions in it."""
    with postgres.connect(platform.state) as connection:
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
        connection.execute(sql.SQL("alter database {} rename to {}").format(sql.Identifier(name), sql.Identifier(new)))


@pytest.fixture(scope="session")
def warehouse_template(platform: Platform) -> str:
    """A migrated warehouse that others are copied from; the tests of other folders have this fixture as well."""
    with postgres.connect(platform.state) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", [TEMPLATE]).fetchone():
            return TEMPLATE
    rename(platform, local_warehouse.DATABASE, SET_ASIDE)
    with postgres.connect(platform.state) as connection:
        postgres.create_database(connection, local_warehouse.DATABASE, local_warehouse.USER)
    postgres.prepare_warehouse(platform.state, local_warehouse.DATABASE)
    with closing(local_warehouse.connect(platform.state)) as connection:
        warehouse_schema.migrate(connection)
    rename(platform, local_warehouse.DATABASE, TEMPLATE)
    rename(platform, SET_ASIDE, local_warehouse.DATABASE)
    return TEMPLATE


@pytest.fixture
def sync(platform: Platform, fresh_store: Store, warehouse_template: str) -> Iterator[Sync]:
    """An empty store and an empty warehouse, both migrated.

    The warehouse takes the place of the platform's while the test runs: Redshift's driver may log in to no other
    database (local.postgres.ACCESS_RULES).
    """
    rename(platform, local_warehouse.DATABASE, SET_ASIDE)
    with postgres.connect(platform.state) as connection:
        postgres.create_database(connection, local_warehouse.DATABASE, local_warehouse.USER, warehouse_template)
    yield Sync(fresh_store, boto3.client("s3"), platform.state.outputs["ExportBucket"])
    with postgres.connect(platform.state) as connection:
        postgres.drop_database(connection, local_warehouse.DATABASE)
    rename(platform, SET_ASIDE, local_warehouse.DATABASE)


@pytest.fixture
def synced(platform: Platform, sync: Sync) -> Synced:
    """The same, to be compared with a store that goes on changing, and with stores that are elsewhere."""
    return make_synced(platform, sync.store.url)


def make_synced(platform: Platform, store_url: Callable[[str], str]) -> Synced:
    """Return a store, and the platform's warehouse to sync it into."""
    behind = platform.store_url("postgres", local_warehouse.DATABASE)
    bucket = platform.state.outputs["ExportBucket"]
    return Synced(store_url, platform.public_environment(), behind, boto3.client("s3"), bucket)


@contextmanager
def new_database(platform: Platform, template: str = "template0") -> Iterator[str]:
    """Yield the name of a new database of the store's owner, and drop it afterwards."""
    name = f"store_{uuid.uuid4().hex[:12]}"
    with postgres.connect(platform.state) as connection:
        postgres.create_database(connection, name, "store_owner", template)
    try:
        yield name
    finally:
        with postgres.connect(platform.state) as connection:
            postgres.drop_database(connection, name)


@pytest.fixture(scope="module")
def beside() -> Iterator[Cluster]:
    """A server with a migrated store beside the platform's, for the tests of one module."""
    directory = Path(tempfile.mkdtemp(prefix="marketplace-test-")).resolve()
    directory.chmod(0o711)  # PostgreSQL may run as another user
    try:
        with new_cluster(directory / "primary") as primary:
            yield primary
    finally:
        shutil.rmtree(directory)


# A row or two of each table, and every reference between them.
ROWS = (
    "insert into store.publisher (publisher_id, name, name_key, country_code, load_id, load_line) values"
    " ('P-1', 'Valve', 'valve', 'US', 1, 2), ('P-2', '', 'empty', null, null, null)",
    "insert into store.publisher_alias (alias_id, publisher_id, name, name_key) values ('P-1', 'P-1', 'V', 'valve')",
    "insert into store.game (game_id, title, title_key, release_date, genre) values"
    " ('G-1', 'A ~ | ! \"quoted\", it''s', 'a', '2020-02-29', 'RPG'), ('G-2', E'two\\nlines\\r\\n', 'b', null, null)",
    "insert into store.game_alias (alias_id, game_id, title, title_key) values ('G-1', 'G-1', 'A', 'a')",
    "insert into store.game_release (game_id, platform, publisher_id) values"
    " ('G-1', 'PC', 'P-1'), ('G-2', 'PC', 'P-2')",
    "insert into store.customer (ref, name, email, marketing_opt_in, created_at) values"
    " ('CUST-1', 'Zoë 🎮', 'z@example.org', true, '2024-03-31 01:59:59.123456+02'), ('CUST-2', null, null, null, null)",
    "insert into store.wishlist (customer_id, game_id, added_at) select customer_id, 'G-1', '2025-01-01Z'"
    " from store.customer",
    "insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total, customer_id)"
    " select 'T-1', 'sale', '2025-01-05 14:22:10Z', 'EUR', 99999999999999.9999, customer_id from store.customer"
    " where ref = 'CUST-1'",
    "insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total) values"
    " ('T-2', 'payout', '1970-01-01Z', 'USD', -0.0001)",
    "insert into store.transaction_line (transaction_id, line_no, game_id, platform, region, gross, fee, reported_net)"
    " values ('T-1', 1, 'G-1', 'PC', 'EU', 10, 3, 7), ('T-1', 2, 'G-2', 'PC', 'EU', 0.1, -0.2, 0.3)",
    "insert into store.play_session (session_id, customer_id, game_id, platform, started_at, duration_s, location)"
    " select 'S-1', customer_id, 'G-1', 'PC', '2025-01-05Z', 60, 'POINT(13.4049541 -52.5200066)' from store.customer"
    " where ref = 'CUST-1'",
    "insert into store.notification_rule (rule_id, topic, subject, body, due_kind, due_value, audience,"
    " owned_game) values ('R-1', 'marketing', 'Hi', 'there', 'weekday', 'monday',"
    ' \'{"platforms": ["x|y", ""], "countries": ["DE"]}\', \'G-1\')',
    "insert into store.notification_text (rule_id, locale, subject, body) values"
    " ('R-1', 'de-AT', 'Servus', E'zwei\nZeilen: {{ customer.name }}')",
    # After the session, whose cell it finds.
    "insert into geo.area (area_id, name, kind, boundary) values ('A-1', 'South', 'continent',"
    " 'SRID=4326;MULTIPOLYGON(((0 -80, 40 -80, 40 -10, 0 -10, 0 -80)))')",
    "insert into ops.load (load_id, kind, dataset, object_key, version_id, put_at, size_bytes, file_load_id)"
    " overriding system value values (1, 'file', 'game', 'landing/game/a.csv', 'v', '2025-01-05Z', 9, 1)",
    "insert into ops.load_account (load_id, kind, dataset, object_key, file_load_id, put_at, finished_at, status,"
    " reason, read, accepted, rejected, held, inserted, updated, unchanged, superseded, issues, archive_key)"
    " values (1, 'file', null, 'landing/game/a.csv', 1, '2025-01-05Z', '2025-01-06Z', 'done', null, 3, 1,"
    " 2, 0, 1, 0, 0, 0, 0, 'archive/game/2025/01/05/1-a.csv')",
    "insert into ops.load_finding (load_id, outcome, column_name, reason, findings) values"
    " (1, 'rejected', 'title', 'missing', 1), (1, 'rejected', '', 'ragged', 1)",
    "insert into ops.notification_account (day, rule_id, expected, delivered, opted_out, gone, rule_disabled,"
    " rule_gone) values ('2025-01-05', 'R-1', 3, 2, 1, 0, 0, 0)",
)


@pytest.fixture
def filled(sync: Sync) -> Sync:
    """The same, with a few rows in every table of the store, and nothing synced yet."""
    sync.change(*ROWS)
    return sync
