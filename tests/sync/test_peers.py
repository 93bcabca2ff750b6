"""What others miss of the workload of which the sync misses nothing: that the comparison can tell, and that they do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from local.platform import Platform
from tests.sync import peers
from tests.sync.conftest import new_database

SEED = 20261121


@pytest.fixture
def target(platform: Platform) -> Iterator[str]:
    """An empty database to copy into."""
    with new_database(platform) as name:
        yield platform.store_url("store_owner", name)


def missed(peer: peers.Peer, store: Any, target: str, seconds: float) -> peers.Missed:
    return peers.measure(peer, store.url("store_owner"), store.url("store_writer"), target, SEED, seconds)


def test_an_updated_at_watermark_leaves_rows_behind(fresh_store: Any, target: str) -> None:
    found = missed(peers.updated_at, fresh_store, target, seconds=6)

    assert found.syncs > 5
    assert found.undeleted > 0
    assert found.missing + found.stale > 0


def test_a_copy_that_nobody_changes_any_more_is_compared_as_right(fresh_store: Any, target: str) -> None:
    """The other side of it: what an updated_at watermark is good for is not held against it."""
    with psycopg.connect(fresh_store.url("store_owner")) as connection:
        tables = peers.add_updated_at(connection)
        for table, key in (("game", "game_id"), ("notification_rule", "rule_id")):
            assert tables[table] == (key,)
        connection.execute(
            "insert into store.game (game_id, title, title_key)"
            " select 'G-' || n, '', '' from generate_series(1, 20) as n"
        )
    with peers.updated_at(fresh_store.url("store_owner"), target, tables) as sync:
        sync()
        with psycopg.connect(fresh_store.url("store_owner")) as connection:
            connection.execute("update store.game set title = 'changed' where game_id < 'G-2'")
        sync()

    assert peers.missed(fresh_store.url("store_owner"), target, tables, 2) == peers.Missed(2, 20, 0, 0, 0)


@pytest.mark.full
@pytest.mark.parametrize("peer", [peers.dlt, peers.sling], ids=["dlt", "sling"])
def test_a_tool_that_goes_by_updated_at_leaves_rows_behind(fresh_store: Any, target: str, peer: peers.Peer) -> None:
    found = missed(peer, fresh_store, target, seconds=40)

    assert found.syncs > 3
    assert found.undeleted > 0
    assert found.missing + found.stale > 0
