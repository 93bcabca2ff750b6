"""A store is synced to a warehouse: what both have afterwards, and what a run says it has done."""

from __future__ import annotations

import gzip
from contextlib import closing

import psycopg
import pytest

from marketplace import assets
from marketplace.sync.apply import IncompleteLoadError, WatermarkMovedError
from marketplace.sync.export import UnknownTableError
from tests.sync.conftest import Sync


def test_the_tables_whose_changes_start_a_sync_are_those_that_are_synced(sync: Sync) -> None:
    assert [table.name for table in sync.export().tables] == assets.IN_WAREHOUSE


def test_the_first_sync_loads_every_table_in_full(filled: Sync) -> None:
    plan = filled.sync()
    assert filled.differences() == []
    assert {(table.mode, table.reason) for table in plan.tables} == {
        ("full", "the warehouse has no watermark of it yet")
    }
    rows = {table.name: table.rows.rows for table in plan.tables}
    assert rows == {
        "geo.area": 1, "geo.area_cell": 1, "ops.load_account": 1, "ops.load_finding": 2,
        "ops.notification_account": 1, "store.customer": 2, "store.game": 2, "store.game_alias": 1,
        "store.game_release": 2, "store.notification_rule": 1, "store.notification_text": 1, "store.play_session": 1,
        "store.publisher": 2, "store.publisher_alias": 1, "store.transaction": 2, "store.transaction_line": 2,
        "store.wishlist": 2,
    }  # fmt: skip
    state = filled.told("select distinct system_identifier, token, store_snapshot, run_id from ops.sync_state")
    mark = plan.watermark
    assert state == [(mark.system_identifier, mark.token, mark.snapshot, plan.run_id)]
    account = filled.told("select table_name, mode, exported, deleted, files from ops.sync_run order by 1")
    assert account == [(name, "full", count, 0, 1) for name, count in rows.items()]


def test_inserts_updates_deletes_and_changed_keys_arrive(filled: Sync) -> None:
    filled.sync()
    filled.change(
        "update store.game set genre = 'Strategy' where game_id = 'G-1'",
        "insert into store.game (game_id, title, title_key) values ('G-3', 'new', 'n')",
        "delete from store.wishlist where customer_id = (select min(customer_id) from store.customer)",
        "update store.transaction_line set line_no = 7 where line_no = 2",
        "delete from store.play_session",
    )
    plan = filled.sync()
    assert filled.differences() == []
    done = {
        table.name.removeprefix("store."): (table.rows.rows, table.gone.rows)
        for table in plan.tables
        if table.rows.rows or table.gone.rows
    }
    assert done == {"game": (2, 0), "wishlist": (0, 1), "transaction_line": (1, 1), "play_session": (0, 1)}
    assert {table.mode for table in plan.tables} == {"incremental"}


def test_a_sync_of_what_has_not_changed_moves_nothing_but_the_watermark(filled: Sync) -> None:
    filled.sync()
    plan = filled.sync()
    assert [table for table in plan.tables if table.files] == []
    assert filled.told("select distinct run_id, token from ops.sync_state") == [(plan.run_id, plan.watermark.token)]


def test_a_row_deleted_and_put_back_is_updated_and_one_that_came_and_went_leaves_nothing(filled: Sync) -> None:
    filled.sync()
    filled.change("delete from store.notification_rule")
    filled.change(
        "insert into store.notification_rule (rule_id, topic, subject, body, due_kind, due_value)"
        " values ('R-1', 'service', '', '', 'event', 'publisher_paid')",
        "insert into store.game (game_id, title, title_key) values ('G-9', 'gone', 'g')",
    )
    filled.change("delete from store.game where game_id = 'G-9'")
    filled.sync()
    assert filled.differences() == []


def test_a_table_that_is_nothing_but_its_key_is_merged(filled: Sync) -> None:
    filled.sync()
    filled.change(
        "insert into geo.area (area_id, name, kind, boundary) select 'A-2', 'Too', kind, boundary from geo.area",
        "update geo.area_cell set cell_id = cell_id",  # comes as changed, and is what it was
    )
    plan = filled.sync()
    assert {t.name: (t.mode, t.rows.rows) for t in plan.tables}["geo.area_cell"] == ("incremental", 2)
    filled.change("update geo.area set boundary = st_translate(boundary, 40, 0) where area_id = 'A-1'")
    filled.sync()
    assert filled.told("select area_id from geo.area_cell") == [("A-2",)]
    assert filled.differences() == []


def test_what_a_long_transaction_commits_late_arrives(filled: Sync) -> None:
    filled.sync()
    with psycopg.connect(filled.store.url("store_owner")) as late:
        late.execute("update store.game set genre = 'late' where game_id = 'G-2'")
        filled.change("update store.game set genre = 'early' where game_id = 'G-1'")
        filled.sync()
        assert filled.told("select game_id, genre from store.game order by 1") == [("G-1", "early"), ("G-2", None)]
        late.commit()
    assert [table.rows.rows for table in filled.sync().tables if table.name == "store.game"] == [1]
    assert filled.differences() == []


def test_what_the_warehouse_has_committed_needs_no_tombstone_and_old_tokens_go(filled: Sync) -> None:
    filled.sync()
    filled.change("delete from store.play_session", "delete from store.notification_text")
    filled.sync(tables=["store.play_session"])
    assert len(filled.asked("select from ops.tombstone")) == 2
    last = filled.sync()
    # Also the one that its table needs no more: a warehouse that is restored to the oldest watermark would need it.
    assert len(filled.asked("select from ops.tombstone")) == 2
    assert filled.differences() == []
    kept = filled.sync()
    assert filled.asked("select table_name from ops.tombstone") == []
    tokens = filled.asked("select token from ops.sync_token order by token_id")
    assert tokens == [(last.watermark.token,), (kept.watermark.token,)]


def test_some_tables_are_synced_alone_and_the_others_catch_up(filled: Sync) -> None:
    filled.sync(tables=["store.game"])
    assert [name for (name,) in filled.told("select table_name from ops.sync_state")] == ["store.game"]
    filled.change("update store.game set genre = null")
    filled.sync(tables=["store.customer"])
    plan = filled.sync()
    assert filled.differences() == []
    assert {t.name: t.mode for t in plan.tables}["store.game"] == "incremental"
    with pytest.raises(UnknownTableError, match=r"No such table is synced: store\.gone\. There are: geo\.area,"):
        filled.export(tables=["store.gone", "store.game"])


def test_a_full_reload_replaces_whatever_the_warehouse_has(filled: Sync) -> None:
    filled.sync()
    with closing(filled.warehouse()) as warehouse:
        cursor = warehouse.cursor()
        cursor.execute("insert into store.game (game_id, title) values ('G-1', 'doubled'), ('G-X', 'extra')")
        warehouse.commit()
    plan = filled.sync(full_reload=True)
    assert filled.differences() == []
    assert {table.reason for table in plan.tables} == {"this run was told to"}


def test_a_dry_run_counts_and_writes_nothing(filled: Sync) -> None:
    filled.sync()
    filled.change("update store.game set genre = 'x'", "delete from store.play_session")
    before = filled.told("select * from ops.sync_state order by 1")
    objects = filled.s3.list_objects_v2(Bucket=filled.bucket, Prefix="sync/")["KeyCount"]
    tokens = filled.asked("select count(*) from ops.sync_token")
    plan = filled.export(dry_run=True)
    counts = {t.name: (t.rows.rows, t.gone.rows) for t in plan.tables if t.rows.rows or t.gone.rows}
    assert counts == {"store.game": (2, 0), "store.play_session": (0, 1)}
    assert filled.told("select * from ops.sync_state order by 1") == before
    assert filled.s3.list_objects_v2(Bucket=filled.bucket, Prefix="sync/")["KeyCount"] == objects
    assert filled.asked("select count(*) from ops.sync_token") == tokens


def test_a_plan_that_is_applied_twice_changes_nothing_the_second_time(filled: Sync) -> None:
    plan = filled.sync()
    with closing(filled.warehouse()) as warehouse:
        warehouse.cursor().execute("delete from store.wishlist")
        warehouse.commit()
    assert filled.apply(plan) is False
    assert filled.told("select count(*) from store.wishlist") == [(0,)]
    assert filled.told("select count(*) from ops.sync_run") == [(17,)]


def test_a_run_whose_export_was_cleared_is_accounted_for_once_with_all_that_it_did(filled: Sync) -> None:
    def did() -> list[tuple[object, ...]]:
        return filled.told(
            "select mode, reason, exported, deleted, files from ops.sync_run where table_name = 'store.game'"
        )

    first = filled.sync(tables=["store.game"])
    reason = "the warehouse has no watermark of it yet"
    assert did() == [("full", reason, 2, 0, 1)]
    filled.change("update store.game set genre = 'New' where game_id = 'G-1'")
    filled.sync(run_id=first.run_id)
    assert did() == [("full", reason, 3, 0, 2)]
    assert filled.told("select table_name from ops.sync_run order by 1") == [(name,) for name in assets.IN_WAREHOUSE]
    assert filled.differences() == []


def test_a_plan_is_refused_when_another_sync_has_moved_the_watermark(filled: Sync) -> None:
    filled.sync()
    late = filled.export()
    filled.change("update store.game set genre = 'x'")
    filled.sync(tables=["store.game"])
    with pytest.raises(WatermarkMovedError, match=r"moved the watermark of store\.game since this one's export"):
        filled.apply(late)
    assert filled.differences() == []
    assert filled.told("select count(distinct run_id) from ops.sync_run") == [(2,)]


def test_a_first_sync_is_refused_when_another_was_first(filled: Sync) -> None:
    late = filled.export()
    filled.sync()
    with pytest.raises(WatermarkMovedError, match=r"store\.customer, store\.game, .*, store\.wishlist"):
        filled.apply(late)


def test_rows_that_a_file_has_lost_are_noticed(filled: Sync) -> None:
    filled.sync()
    filled.change("update store.game set genre = 'x'")
    plan = filled.export()
    (game,) = [table for table in plan.tables if table.name == "store.game"]
    (key,) = game.rows.keys(plan.prefix)
    filled.s3.put_object(Bucket=filled.bucket, Key=key, Body=gzip.compress(b""))
    with pytest.raises(
        IncompleteLoadError, match=r"has loaded 0 rows of store\.game/rows, but the export has written 2"
    ):
        filled.apply(plan)
    assert filled.told("select distinct genre from store.game order by 1") == [("RPG",), (None,)]
