"""Changes that row_xid and tombstones alone would not show, and sources that are not what they were.

Each is refused before it can do harm, or the next sync leaves the warehouse equal to the store.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local import pgbin, postgres
from local.platform import Platform
from local.supervisor import wait_until
from marketplace.sync.tables import SchemaDriftError
from marketplace.sync.watermark import SourceError
from tests.sync import workload
from tests.sync.cluster import Cluster
from tests.sync.conftest import ROWS
from tests.sync.synced import Synced

SEED = 20261121
GAME = "insert into store.game (game_id, title, title_key) values ('{0}', '{0}', '{0}')"


@pytest.fixture
def filled(synced: Synced) -> Synced:
    """A store with rows in every table, synced once."""
    synced.write(*ROWS, GAME.format("G-A"), GAME.format("G-B"), GAME.format("G-C"))
    synced.sync_and_compare()
    return synced


def games(synced: Synced) -> set[str]:
    return {game for (game,) in synced.query("select game_id from store.game")}


def exported(plan: Any) -> dict[str, tuple[int, int]]:
    """Return how many rows and gone keys of each table a sync has found."""
    found = {table.name: (table.rows.rows, table.gone.rows) for table in plan.tables}
    return {name: counts for name, counts in found.items() if counts != (0, 0)}


# ------------------------------------------------------------------------------------------- changes in the store


def test_the_old_key_of_a_row_that_got_another_is_deleted(filled: Synced) -> None:
    filled.write("update store.game set game_id = 'G-D' where game_id = 'G-A'")

    plan = filled.sync_and_compare()

    assert exported(plan) == {"store.game": (1, 1)}
    assert {"G-A", "G-D"} & games(filled) == {"G-D"}


def test_keys_that_two_rows_have_exchanged_stay(filled: Synced) -> None:
    filled.write(
        "do $$ begin update store.game set game_id = 'G-swap' where game_id = 'G-A';"
        " update store.game set game_id = 'G-A' where game_id = 'G-B';"
        " update store.game set game_id = 'G-B' where game_id = 'G-swap'; end $$"
    )

    plan = filled.sync_and_compare()

    assert exported(plan) == {"store.game": (2, 1)}  # G-swap was never in the warehouse, but was a key for a moment
    assert filled.query("select title from store.game where game_id in ('G-A', 'G-B') order by game_id") == [
        ("G-B",), ("G-A",),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("role", "refused"),
    [
        ("store_writer", psycopg.errors.InsufficientPrivilege),
        ("store_owner", psycopg.errors.RaiseException),
        ("postgres", psycopg.errors.RaiseException),
    ],
)
def test_truncate_is_refused_to_everybody(filled: Synced, role: str, refused: type[Exception]) -> None:
    for statement in ("truncate store.notification_text", "truncate store.game cascade"):
        with pytest.raises(refused):
            filled.write(statement, role=role)
    if role == "postgres":
        with pytest.raises(refused):
            filled.write("set session_replication_role = replica; truncate store.game cascade", role=role)

    assert exported(filled.sync_and_compare()) == {}


def test_changes_under_session_replication_role_are_found(filled: Synced) -> None:
    filled.write(
        "set session_replication_role = replica",
        "update store.game set title = 'changed' where game_id = 'G-A'",
        "update store.game set game_id = 'G-D' where game_id = 'G-B'",
        "delete from store.game where game_id = 'G-C'",
        GAME.format("G-E"),
        role="postgres",
    )

    plan = filled.sync_and_compare()

    assert exported(plan) == {"store.game": (3, 2)}


def test_a_column_that_is_new_with_a_default_is_added_and_loaded(filled: Synced) -> None:
    filled.write("alter table store.game add column players integer not null default 4")

    plan = filled.sync_and_compare()

    assert list(filled.modes(plan)) == ["store.game"]
    assert filled.query("select distinct players from store.game") == [(4,)]
    assert filled.modes(filled.sync_and_compare()) == {}


def test_values_that_a_migration_has_rewritten_are_loaded_when_it_says_so(filled: Synced) -> None:
    filled.write(
        "do $$ begin alter table store.game alter column title type text using upper(title) || '!';"
        " perform ops.ask_reload('store.game', 'titles are shouted'); end $$"
    )

    plan = filled.sync_and_compare()

    assert filled.modes(plan) == {"store.game": "asked for: titles are shouted"}
    assert filled.query("select count(*) from store.game where right(title, 1) <> '!'") == [(0,)]
    assert filled.modes(filled.sync_and_compare()) == {}


def test_a_reload_that_is_asked_for_by_who_commits_later_is_not_lost(filled: Synced) -> None:
    """The request has the number of its transaction: it is compared with snapshots as rows are."""
    with psycopg.connect(filled.store_url("store_owner")) as migrating:
        migrating.execute("select ops.ask_reload('store.customer', 'once more')")
        assert filled.modes(filled.sync_and_compare()) == {}
        migrating.commit()

    assert filled.modes(filled.sync_and_compare()) == {"store.customer": "asked for: once more"}
    assert filled.modes(filled.sync_and_compare()) == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("alter table store.game alter load_id type integer using 1", r"store\.game\.load_id: integer is wanted"),
        ("alter table store.game drop column genre", r"store\.game\.genre: the warehouse has it"),
        ("alter table store.game rename column genre to kind", r"store\.game\.genre: the warehouse has it"),
        (
            "create table store.rating (rating_id bigint primary key, row_xid xid8 not null"
            " default pg_current_xact_id()); call ops.track_changes('store.rating');"
            " grant select on store.rating to store_writer",
            r"store\.rating: the warehouse has no such table",
        ),
    ],
    ids=["type", "dropped", "renamed", "table"],
)
def test_another_shape_stops_the_sync_with_what_differs(filled: Synced, change: str, said: str) -> None:
    before, state = filled.dump(), filled.state()
    filled.write(change, "delete from store.game where game_id = 'G-A'")

    with pytest.raises(SchemaDriftError, match=said):
        filled.sync()

    assert (filled.dump(), filled.state()) == (before, state)


def test_a_row_with_a_row_xid_of_its_writers_choice_is_refused(filled: Synced) -> None:
    explicit = "insert into store.game (game_id, title, title_key, row_xid) values ('G-X', '', '', '1')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        filled.write(explicit, role="store_writer")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        filled.write("update store.game set row_xid = '1'", role="store_writer")

    # The owner may, as a restore does, and has to say so.
    filled.write(explicit, "select ops.ask_reload('store.game', 'rows of a backup')")
    plan = filled.sync_and_compare()

    assert filled.modes(plan) == {"store.game": "asked for: rows of a backup"}
    assert "G-X" in games(filled)


# ------------------------------------------------------------------------------------- sources that are not the same


@pytest.fixture
def elsewhere(beside: Cluster, synced: Synced) -> Iterator[Synced]:
    """The store of a server beside the platform's, with rows in every table, synced once."""
    found = replace(synced, store_url=beside.url)
    workload.fill(beside.url("store_writer"), SEED, 150)
    found.sync_and_compare()
    return found


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


def test_a_standby_is_refused(beside: Cluster, elsewhere: Synced) -> None:
    """It would leave out the row of a transaction that is still open: its snapshot does not say that it is."""
    state = elsewhere.state()
    with beside.standby_running() as standby, psycopg.connect(beside.url()) as still_open:
        still_open.execute(GAME.format("G-late"))
        elsewhere.write(GAME.format("G-now"))
        wait_until(
            lambda: query(standby.url(), "select 1 from store.game where game_id = 'G-now'") == [(1,)],
            30,
            lambda: "the standby does not follow",
        )
        replica = replace(elsewhere, store_url=standby.url)
        (snapshot,) = query(standby.url(), "select pg_current_snapshot()::text")[0]
        assert snapshot.endswith(":"), "a standby that says who is still writing needs no refusing"

        with pytest.raises(SourceError, match="leads to a standby"):
            replica.sync()

        assert elsewhere.state() == state
        still_open.commit()
    plan = elsewhere.sync_and_compare()
    assert elsewhere.modes(plan) == {}
    assert {"G-late", "G-now"} <= games(elsewhere)


def test_a_store_that_went_back_in_time_is_loaded_in_full(beside: Cluster, elsewhere: Synced) -> None:
    """The files of the day before, and as many transactions since as to be ahead of the warehouse's snapshot again."""
    with beside.copied_back() as go_back:
        elsewhere.write(GAME.format("G-lost"), "delete from store.notification_rule")
        plan = elsewhere.sync_and_compare()
        assert elsewhere.modes(plan) == {}
        go_back()
        elsewhere.write(GAME.format("G-other"))
        with psycopg.connect(beside.url(), autocommit=True) as connection:
            (passed,) = connection.execute("select pg_current_xact_id()::text::bigint").fetchone() or (0,)
            while passed <= plan.watermark.xmax + 1000:
                (passed,) = connection.execute("select pg_current_xact_id()::text::bigint").fetchone() or (0,)

        restored = elsewhere.sync_and_compare()

        assert set(elsewhere.modes(restored)) == set(elsewhere.tables())
        assert {reason.split(":")[0] for reason in elsewhere.modes(restored).values()} == {
            "the store does not know the last sync's token"
        }
        assert {"G-lost", "G-other"} & games(elsewhere) == {"G-other"}
        assert elsewhere.modes(elsewhere.sync_and_compare()) == {}


def test_a_store_whose_transactions_have_gone_back_is_loaded_in_full(beside: Cluster, elsewhere: Synced) -> None:
    with beside.copied_back() as go_back:
        elsewhere.write(GAME.format("G-gone"))
        elsewhere.sync_and_compare()
        go_back()

        restored = elsewhere.sync_and_compare()

    assert set(elsewhere.modes(restored)) == set(elsewhere.tables())
    assert "G-gone" not in games(elsewhere)


def test_a_store_that_went_back_to_after_the_last_sync_goes_on(beside: Cluster, elsewhere: Synced) -> None:
    """The other side of it: what was lost, the warehouse has not seen, so nothing is loaded again."""
    elsewhere.write(GAME.format("G-kept"), "delete from store.wishlist")
    with beside.copied_back() as go_back:
        elsewhere.write(GAME.format("G-unseen"))
        go_back()
        elsewhere.write(GAME.format("G-instead"))

        plan = elsewhere.sync_and_compare()

    assert elsewhere.modes(plan) == {}
    assert {"G-kept", "G-unseen", "G-instead"} & games(elsewhere) == {"G-kept", "G-instead"}


def dumped_and_restored(source: str, target: str, file: Path) -> None:
    """Copy a database by pg_dump and pg_restore."""
    for command in (
        [pgbin.find() / "pg_dump", "--format=custom", "--file", file, source],
        [pgbin.find() / "pg_restore", "--exit-on-error", "--dbname", target, file],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_dump_restored_in_another_cluster_is_loaded_in_full(beside: Cluster, filled: Synced, tmp_path: Path) -> None:
    """Its rows have the numbers of transactions of where they come from: past or future, they mean nothing."""
    future = "1000000000"  # where the source was when it wrote this
    filled.write(
        f"insert into store.publisher (publisher_id, name, name_key, row_xid) values ('P-9', '', '9', '{future}')",
        f"insert into ops.sync_reload (table_name, reason, row_xid) values ('store.customer', 'done', '{future}')",
    )
    with postgres.connect(beside.state) as connection:
        postgres.create_database(connection, "restored", "store_owner")
    restored = replace(filled, store_url=lambda role: beside.url(role, "restored"))
    dumped_and_restored(filled.store_url("postgres"), beside.url("postgres", "restored"), tmp_path / "dump")
    restored.write("delete from store.notification_rule", "update store.game set title = 'restored'")

    plan = restored.sync_and_compare()

    assert set(restored.modes(plan)) == set(restored.tables())
    assert {reason.split(" ")[3] for reason in restored.modes(plan).values()} == {"database"}
    # What is of the future here is not found anew by each sync.
    restored.write("delete from store.game where game_id = 'G-A'", "update store.publisher set name = 'again'")
    plan = restored.sync_and_compare()
    assert (restored.modes(plan), exported(plan)) == ({}, {"store.game": (0, 1), "store.publisher": (3, 0)})
    restored.write(f"insert into ops.tombstone (table_name, key, row_xid) values ('store.game', '{{}}', '{future}')")
    assert exported(restored.sync_and_compare()) == {}
    with postgres.connect(beside.state) as connection:
        postgres.drop_database(connection, "restored")


def test_a_dump_restored_in_the_same_cluster_ends_in_equality(
    platform: Platform, fresh_store: Any, filled: Synced, tmp_path: Path
) -> None:
    """It has the tokens as well, and its rows the numbers that they had: whatever it goes on from must be right."""
    filled.write(
        "delete from store.game where game_id = 'G-A'", "update store.game set title = '' where game_id = 'G-B'"
    )
    name = f"{fresh_store.name}_restored"
    with postgres.connect(platform.state) as connection:
        postgres.create_database(connection, name, "store_owner")
    try:
        restored = replace(filled, store_url=lambda role: platform.store_url(role, name))
        dumped_and_restored(filled.store_url("postgres"), restored.store_url("postgres"), tmp_path / "dump")
        filled.write(GAME.format("G-lost"))
        restored.write(GAME.format("G-new"), "delete from store.game where game_id = 'G-C'")

        restored.sync_and_compare()
        restored.write("delete from store.game where game_id = 'G-B'")
        restored.sync_and_compare()
        assert {"G-A", "G-B", "G-C", "G-lost", "G-new"} & games(restored) == {"G-new"}

        # And back: the first database does not know the second's token.
        plan = filled.sync_and_compare()
        assert set(filled.modes(plan)) == set(filled.tables())
    finally:
        with postgres.connect(platform.state) as connection:
            postgres.drop_database(connection, name)
