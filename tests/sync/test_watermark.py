"""When a table can go on from its watermark, and when it must be loaded in full."""

from __future__ import annotations

import psycopg
import pytest

from marketplace.sync import watermark
from marketplace.sync.watermark import Position, SourceError, Watermark
from tests.sync.conftest import Sync

NOW = Position(False, "42", "100:120:110", 120)


@pytest.mark.parametrize(
    ("old", "known", "reason"),
    [
        (Watermark("42", "a", "90:95:"), {"a"}, None),
        (Watermark("42", "a", "100:120:110"), {"a", "b"}, None),
        (None, {"a"}, "the warehouse has no watermark of it yet"),
        (Watermark("41", "a", "90:95:"), {"a"}, "the store is database cluster 42, and was 41: it was moved,"),
        (Watermark("42", "a", "90:95:"), {"b"}, "the store does not know the last sync's token: it was restored"),
        (Watermark("42", "a", "90:121:"), {"a"}, "the store's transactions have gone back, from 121 to 120"),
    ],
    ids=["goes on", "same snapshot", "first", "another cluster", "token lost", "gone back"],
)
def test_a_watermark_holds_only_in_the_history_it_was_taken_from(
    old: Watermark | None, known: set[str], reason: str | None
) -> None:
    found = watermark.why_not(old, known, NOW)
    assert found == reason or (reason and found and found.startswith(reason))


def test_the_position_is_that_of_the_transactions_snapshot(sync: Sync) -> None:
    with psycopg.connect(sync.store.url("store_writer")) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        first = watermark.read_position(reader)
        sync.change("select pg_current_xact_id()")
        assert watermark.read_position(reader) == first
        reader.commit()
        later = watermark.read_position(reader)
    assert later.xmax > first.xmax
    assert (later.is_standby, first.snapshot.split(":")[1]) == (False, str(first.xmax))
    assert first.system_identifier == sync.asked("select system_identifier::text from pg_control_system()")[0][0]


def test_a_standby_is_refused(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    said = watermark.query("sync/position.sql").as_string().replace("pg_catalog.pg_is_in_recovery()", "true")
    monkeypatch.setattr(watermark, "query", lambda _path: said)
    with pytest.raises(SourceError, match=r"leads to a standby.*Point connection store_writer to the primary"):
        sync.export()


@pytest.mark.parametrize("broken", ["token", "cluster"])
def test_a_store_of_another_history_is_loaded_in_full_and_ends_equal(filled: Sync, broken: str) -> None:
    filled.sync()
    if broken == "token":
        filled.change("delete from ops.sync_token")
    else:
        with psycopg.connect(filled.store.platform.store_url("postgres", "warehouse")) as warehouse:
            warehouse.execute("update ops.sync_state set system_identifier = '1'")
    # As after a restore: rows are gone without a tombstone, and changed without a new row_xid.
    filled.change(
        "alter table store.game disable trigger stamp_row",
        "update store.game set genre = 'as it was'",
        "alter table store.game enable always trigger stamp_row",
        "delete from store.wishlist",
        "delete from ops.tombstone",
    )
    plan = filled.sync()
    assert {table.mode for table in plan.tables} == {"full"}
    assert filled.differences() == []
    assert {table.mode for table in filled.sync().tables} == {"incremental"}


def test_a_migration_may_ask_for_a_table(filled: Sync) -> None:
    filled.sync()
    filled.change(
        "alter table store.game alter column genre type text using lower(genre)",
        "select ops.ask_reload('store.game', 'genres are in lower case')",
    )
    plan = filled.sync()
    assert {t.name: t.reason for t in plan.tables if t.reason} == {"store.game": "asked for: genres are in lower case"}
    assert filled.differences() == []
    assert [t.name for t in filled.sync().tables if t.reason] == []


def test_a_reload_that_is_asked_for_by_a_transaction_that_commits_late_is_done(filled: Sync) -> None:
    with psycopg.connect(filled.store.url("store_owner")) as late:
        late.execute("select ops.ask_reload('store.game', 'late')")
        filled.sync()
        assert [t.name for t in filled.sync().tables if t.reason] == []
        late.commit()
    assert {t.name: t.reason for t in filled.sync().tables if t.reason} == {"store.game": "asked for: late"}


def test_only_the_owner_may_ask_for_a_reload(sync: Sync) -> None:
    with sync.connect() as writer, pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute("select ops.ask_reload('store.game', 'x')")
