"""How far the warehouse is behind: measured of a real store whose changes and open transactions the test makes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from marketplace.sync import lag
from marketplace.sync.lag import Reached
from marketplace.sync.tables import read_tables
from tests.conftest import Store


@pytest.fixture
def connection(fresh_store: Store) -> Iterator[psycopg.Connection[Any]]:
    """The writer's, as the task has it."""
    with psycopg.connect(fresh_store.url("store_writer"), autocommit=True) as opened:
        yield opened


def add_publishers(connection: psycopg.Connection[Any], *names: str) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into store.publisher (publisher_id, name, name_key) values (%s, %s, %s)",
            [(name, name, name) for name in names],
        )


def reached_now(connection: psycopg.Connection[Any], ago: timedelta = timedelta(0)) -> dict[str, Reached]:
    """Return the state of a warehouse that has everything, as of some time ago."""
    (snapshot,) = connection.execute("select pg_current_snapshot()::text").fetchone()
    at = Reached(snapshot, datetime.now(UTC) - ago)
    return dict.fromkeys(read_tables(connection), at)


def measure(connection: psycopg.Connection[Any], reached: dict[str, Reached]) -> lag.Lag:
    return lag.measure(connection, read_tables(connection).values(), reached)


def test_a_warehouse_that_has_everything_is_not_behind_however_old_its_snapshot_is(connection):
    add_publishers(connection, "P-1", "P-2")
    found = measure(connection, reached_now(connection, ago=timedelta(hours=5)))
    assert (found.seconds_behind, found.rows_behind, found.deletes_behind, found.behind) == (0, 0, 0, {})
    assert (found.tables_never_synced, found.tombstones, found.prepared_transactions) == (0, 0, 0)


def test_rows_and_deletes_since_the_snapshot_are_counted_by_table(connection):
    add_publishers(connection, "P-1", "P-2", "P-3", "P-4")
    reached = reached_now(connection, ago=timedelta(minutes=10))
    connection.execute("update store.publisher set name = 'New' where publisher_id in ('P-1', 'P-2')")
    connection.execute("delete from store.publisher where publisher_id = 'P-3'")
    add_publishers(connection, "P-5")
    connection.execute("insert into store.customer (ref) values ('CUST-0001')")
    found = measure(connection, reached)
    assert (found.rows_behind, found.deletes_behind, found.tombstones) == (4, 1, 1)
    assert found.behind == {"store.publisher": 4, "store.customer": 1}
    assert found.seconds_behind == pytest.approx(600, abs=5)


def test_what_was_committed_late_is_behind(fresh_store, connection):
    with psycopg.connect(fresh_store.url("store_writer")) as slow:
        add_publishers(slow, "P-1")
        add_publishers(connection, "P-2")  # begun later, and seen: the warehouse has it
        reached = reached_now(connection)
        assert measure(connection, reached).rows_behind == 0
        slow.commit()
    assert measure(connection, reached).behind == {"store.publisher": 1}


def test_a_table_that_was_never_synced_counts_with_all_its_rows(connection):
    add_publishers(connection, "P-1", "P-2")
    reached = reached_now(connection)
    del reached["store.publisher"]
    found = measure(connection, reached)
    assert (found.rows_behind, found.tables_never_synced, found.seconds_behind) == (2, 1, 0)


def test_the_oldest_open_transaction_is_seen_whoever_has_it(fresh_store, connection):
    assert measure(connection, {}).oldest_transaction_s == 0
    with psycopg.connect(fresh_store.url("store_owner")) as other:
        other.execute("insert into store.publisher (publisher_id, name, name_key) values ('P-1', 'P', 'p')")
        began = other.execute("select extract(epoch from clock_timestamp() - now())::float8").fetchone()[0]
        found = measure(connection, reached_now(connection))
        assert began <= found.oldest_transaction_s < began + 10
        assert found.oldest_transaction_s > 0


def test_a_transaction_that_only_reads_holds_nothing_up(fresh_store, connection):
    with psycopg.connect(fresh_store.url("store_owner")) as reader:
        reader.execute("select count(*) from store.publisher")
        assert measure(connection, {}).oldest_transaction_s == 0


def test_each_number_is_a_gauge(monkeypatch: pytest.MonkeyPatch):
    gauges: dict[str, float] = {}
    monkeypatch.setattr(lag.stats, "gauge", gauges.__setitem__)
    lag.publish(lag.Lag(1.5, 2, 3, 4, 5.5, 6, 7.5, 8, {"store.game": 5}))
    assert gauges == {
        "marketplace.sync.seconds_behind": 1.5,
        "marketplace.sync.rows_behind": 2,
        "marketplace.sync.deletes_behind": 3,
        "marketplace.sync.tables_never_synced": 4,
        "marketplace.sync.oldest_transaction_s": 5.5,
        "marketplace.sync.prepared_transactions": 6,
        "marketplace.sync.oldest_prepared_s": 7.5,
        "marketplace.sync.tombstones": 8,
    }
