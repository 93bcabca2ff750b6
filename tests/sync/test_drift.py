"""The store's tables change: a column that is added is added in the warehouse, anything else stops the sync."""

from __future__ import annotations

import pytest

from local import postgres
from local import warehouse as local_warehouse
from marketplace.sync.tables import SchemaDriftError
from tests.sync.conftest import Sync


def test_an_added_column_is_added_and_its_table_loaded_in_full(filled: Sync) -> None:
    filled.sync()
    filled.change(
        "alter table store.game add column rating numeric(18, 4) default 4.5, add column note text default 'é',"
        " add column place geography(point, 4326)"
    )
    plan = filled.sync()
    assert {t.name: (t.mode, t.reason) for t in plan.tables if t.reason} == {
        "store.game": ("full", "new in the store: rating, note, place_longitude, place_latitude")
    }
    assert filled.differences() == []
    types = filled.told(
        "select column_name, data_type, character_maximum_length from information_schema.columns"
        " where table_schema = 'store' and table_name = 'game' and ordinal_position > 7 order by ordinal_position"
    )
    assert types == [
        ("rating", "numeric", None), ("note", "character varying", 65_535),
        ("place_longitude", "numeric", None), ("place_latitude", "numeric", None),
    ]  # fmt: skip
    assert [t.name for t in filled.sync().tables if t.reason] == []


def test_a_column_that_is_added_by_a_sync_that_fails_is_not_there(filled: Sync) -> None:
    filled.sync()
    filled.change("alter table store.game add column rating integer")
    plan = filled.export()
    (game,) = [table for table in plan.tables if table.name == "store.game"]
    filled.s3.delete_object(Bucket=filled.bucket, Key=game.rows.keys(plan.prefix)[0])
    with pytest.raises(Exception, match="mandatory does not exist"):
        filled.apply(plan)
    assert filled.told("select count(*) from information_schema.columns where column_name = 'rating'") == [(0,)]
    filled.sync()
    assert filled.differences() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "alter table store.game drop column genre",
            "store.game.genre: the warehouse has it (character varying(400)), the store has not: it was dropped or",
        ),
        (
            "alter table store.game rename column genre to kind",
            "store.game.genre: the warehouse has it (character varying(400)), the store has not: it was dropped or",
        ),
        (
            "alter table store.play_session alter column duration_s type bigint",
            "store.play_session.duration_s: bigint is wanted, the warehouse has integer",
        ),
        (
            "alter table store.game add column x real",
            "store.game: Column x has the type real, for which the warehouse has no place",
        ),
        (
            "create table store.extra (id int primary key, row_xid xid8 not null default pg_current_xact_id());"
            " call ops.track_changes('store.extra')",
            "store.extra: the warehouse has no such table",
        ),
        (
            "alter table store.wishlist drop constraint wishlist_pkey, add primary key (game_id, customer_id)",
            "store.wishlist: its key is (game_id, customer_id), in the warehouse (customer_id, game_id)",
        ),
    ],
    ids=["dropped", "renamed", "another type", "no place", "new table", "another key"],
)
def test_anything_else_stops_the_sync_with_what_differs(filled: Sync, change: str, message: str) -> None:
    filled.sync()
    filled.change(change, "grant select on all tables in schema store to store_writer")
    before = filled.told("select * from ops.sync_state order by 1")
    with pytest.raises(SchemaDriftError) as stopped:
        filled.export()
    assert message in str(stopped.value)
    assert "by a migration in include/sql/warehouse/migrations, and run DAG migrate" in str(stopped.value)
    assert filled.told("select * from ops.sync_state order by 1") == before


@pytest.mark.parametrize("off", ["disable trigger stamp_row", "enable trigger user"])
def test_a_table_whose_changes_go_by_unseen_stops_the_sync(filled: Sync, off: str) -> None:
    filled.change(f"alter table store.game {off}")
    with pytest.raises(SchemaDriftError, match=r"^store\.game has a row_xid, but not all four triggers"):
        filled.export()


def test_a_table_that_was_rewritten_or_made_anew_is_loaded_in_full(filled: Sync) -> None:
    filled.sync()
    # Both sides by a migration, so that neither has a column more than the other.
    filled.change("alter table store.game add column players integer not null default 4")
    with postgres.connect(filled.store.platform.state, local_warehouse.DATABASE) as connection:
        connection.execute("alter table store.game add column players integer")
    anew = "the table was defined anew since, in the store or in the warehouse"
    assert {t.name: t.reason for t in filled.sync().tables if t.reason} == {"store.game": anew}
    filled.change("alter table store.game alter column title type text using upper(title)")
    assert {t.name: t.reason for t in filled.sync().tables if t.reason} == {"store.game": anew}
    with postgres.connect(filled.store.platform.state, local_warehouse.DATABASE) as connection:
        connection.execute(
            "create table store.wide (like store.wishlist including all); drop table store.wishlist;"
            " alter table store.wide rename to wishlist; alter table store.wishlist owner to warehouse_owner"
        )
    assert {t.name: t.reason for t in filled.sync().tables if t.reason} == {"store.wishlist": anew}
    assert filled.differences() == []
    assert [t.name for t in filled.sync().tables if t.reason] == []


def test_all_differences_are_named_at_once(filled: Sync) -> None:
    filled.change("alter table store.game drop column genre", "alter table store.customer drop column locale")
    with postgres.connect(filled.store.platform.state, local_warehouse.DATABASE) as connection:
        connection.execute("alter table store.wishlist alter column added_at type date")
    with pytest.raises(SchemaDriftError) as stopped:
        filled.export()
    listed = [line.split(":")[0].strip() for line in str(stopped.value).splitlines()[1:-1]]
    assert listed == ["store.customer.locale", "store.game.genre", "store.wishlist.added_at"]


def test_a_wider_text_in_the_warehouse_is_no_difference(filled: Sync) -> None:
    with postgres.connect(filled.store.platform.state, local_warehouse.DATABASE) as connection:
        connection.execute("alter table store.game alter column genre type varchar(4000)")
    filled.sync()
    assert filled.differences() == []
