"""After a sync: what somebody has changed in the warehouse is named by table and key, and a repair mends just that."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from marketplace.sync import checks, differences
from marketplace.sync.differences import Difference, Differences
from tests.sync.conftest import Sync

# What is done to the warehouse, and what is wrong of which key then.
SPOILED: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "a row is deleted": (
        "delete from store.game_alias where alias_id = 'G-1'",
        "store.game_alias", {"alias_id": "G-1"}, "missing",
    ),
    "a digit is changed": (
        "update store.transaction set reported_total = reported_total - 0.0001 where transaction_id = 'T-1'",
        "store.transaction", {"transaction_id": "T-1"}, "changed",
    ),
    "a row is doubled": (
        "insert into store.transaction_line select * from store.transaction_line"
        " where transaction_id = 'T-1' and line_no = 2",
        "store.transaction_line", {"transaction_id": "T-1", "line_no": 2}, "doubled",
    ),
    "a column becomes NULL": (
        "update store.play_session set started_at = null where session_id = 'S-1'",
        "store.play_session", {"session_id": "S-1"}, "changed",
    ),
    "a row is added": (
        "insert into store.publisher (publisher_id, name) values ('P-🎮 ''\"\\', 'X')",
        "store.publisher", {"publisher_id": "P-🎮 '\"\\"}, "extra",
    ),
}  # fmt: skip


def open_differences(sync: Sync) -> list[tuple[str, dict[str, Any], str]]:
    return [
        (table, json.loads(key), kind)
        for table, key, kind in sync.told(
            "select table_name, key, kind from ops.sync_difference where repaired_by is null order by 1, 2"
        )
    ]


def versions(sync: Sync) -> dict[str, set[tuple[Any, ...]]]:
    """Return where each row of the warehouse lies, and who wrote it: what is written anew has another place."""
    tables = [name for (name,) in sync.told("select table_name from ops.sync_state")]
    return {table: set(sync.told(f"select ctid::text, xmin::text from {table}")) for table in tables}


def named(found: list[Differences]) -> list[tuple[str, dict[str, Any], str]]:
    return [(of.table, one.key, one.kind) for of in found for one in of.listed]


# ---------------------------------------------------------------------------------------------------- nothing is wrong


def test_after_each_kind_of_sync_nothing_differs(filled: Sync) -> None:
    first = filled.sync()
    assert filled.reconcile(first) == []
    assert {(table.mode, table.check) for table in first.tables} == {("full", "all")}
    filled.change("update store.game set genre = 'Other' where game_id = 'G-1'",
                  "delete from store.play_session where session_id = 'S-1'")  # fmt: skip
    second = filled.sync()
    assert filled.reconcile(second) == []
    assert {(table.mode, table.check) for table in second.tables} == {("incremental", "changed")}
    assert filled.told(
        "select table_name, scope, compared, differences from ops.sync_check where run_id = %s order by 1",
        second.run_id,
    ) == [("store.game", "changed", 1, 0), ("store.play_session", "changed", 1, 0)]
    assert filled.told("select count(*), sum(compared) from ops.sync_check where run_id = %s and scope = 'all'",
                       first.run_id) == [(17, 25)]  # fmt: skip


def test_empty_tables_do_not_differ(sync: Sync) -> None:
    assert sync.reconcile(sync.sync()) == []
    assert sync.reconcile(sync.sync(compare="all")) == []
    assert sync.told("select count(*) from ops.sync_difference") == [(0,)]


def test_what_the_warehouse_has_of_a_table_that_is_empty_in_the_store_is_found(sync: Sync) -> None:
    sync.reconcile(sync.sync())
    sync.spoil("insert into store.game (game_id) values ('G-9')")
    found = sync.reconcile(sync.sync(compare="all"))
    assert named(found) == [("store.game", {"game_id": "G-9"}, "extra")]


def test_a_difference_that_was_mended_otherwise_is_closed_by_the_next_comparison_of_all(filled: Sync) -> None:
    filled.reconcile(filled.sync())
    filled.spoil("update store.game set genre = 'spoilt' where game_id = 'G-1'")
    filled.spoil("delete from store.game_alias where alias_id = 'G-1'")
    filled.reconcile(filled.sync(compare="all"))
    assert [table for table, _, _ in open_differences(filled)] == ["store.game", "store.game_alias"]
    filled.change("update store.game set genre = 'Other' where game_id = 'G-1'")
    filled.reconcile(filled.sync(compare="all"))
    assert [table for table, _, _ in open_differences(filled)] == ["store.game_alias"]


def test_a_sync_of_what_has_not_changed_compares_nothing(filled: Sync) -> None:
    filled.reconcile(filled.sync())
    plan = filled.sync()
    filled.reconcile(plan)
    assert filled.told("select count(*) from ops.sync_check where run_id = %s", plan.run_id) == [(0,)]


# ------------------------------------------------------------------------------------------- what is wrong is named


def test_each_difference_in_what_did_not_change_is_found_when_all_is_compared_and_repaired(filled: Sync) -> None:
    filled.reconcile(filled.sync())
    before = versions(filled)
    for statement, *_ in SPOILED.values():
        filled.spoil(statement)
    assert filled.reconcile(filled.sync()) == []  # what has not changed is not looked at
    plan = filled.sync(compare="all")
    expected = sorted((rest for _, *rest in SPOILED.values()), key=lambda rest: rest[0])
    assert named(filled.reconcile(plan)) == [tuple(one) for one in expected]
    assert open_differences(filled) == [tuple(one) for one in expected]

    repair = filled.sync(repair=True)
    assert filled.reconcile(repair) == []
    assert filled.differences() == []
    assert open_differences(filled) == []
    assert filled.told("select distinct run_id, repaired_by from ops.sync_difference") == [(plan.run_id, repair.run_id)]
    # Nothing else was written: all rows but those lie where they lay.
    after = versions(filled)
    written = {table: len(before[table] - after[table]) for table in before if before[table] != after[table]}
    assert written == {table: 1 for table, _, kind in expected if kind != "extra"}
    assert sum(table.rows.rows for table in repair.tables) == sum(kind != "extra" for _, _, kind in expected)
    assert sum(table.gone.rows for table in repair.tables) == len(expected)


def test_what_goes_wrong_in_a_load_is_found_by_the_run_that_loads_it(filled: Sync) -> None:
    filled.change("insert into store.publisher (publisher_id, name, name_key) values ('P-🎮 ''\"\\', 'P', 'p')")
    filled.reconcile(filled.sync())
    filled.change(
        *(f"update {table} set load_id = 77" for _, table, *_ in SPOILED.values() if table != "store.publisher"),
        "delete from store.publisher where publisher_id like 'P-🎮%%'",
    )
    plan = filled.sync()
    for statement, *_ in SPOILED.values():
        filled.spoil(statement)
    assert {table.check for table in plan.tables} == {"changed"}
    assert sorted(named(filled.reconcile(plan)), key=str) == sorted(
        (tuple(rest) for _, *rest in SPOILED.values()), key=str
    )


def test_values_that_two_rows_have_swapped_are_found(filled: Sync) -> None:
    filled.sync()
    filled.spoil("update store.transaction_line set gross = case line_no when 1 then 0.1 else 10 end")
    found = filled.reconcile(filled.sync(compare="all"))
    assert named(found) == [
        ("store.transaction_line", {"transaction_id": "T-1", "line_no": number}, "changed") for number in (1, 2)
    ]


def test_finding_a_difference_again_makes_it_no_other_one(filled: Sync) -> None:
    filled.sync()
    filled.spoil("delete from store.wishlist where game_id = 'G-1'")
    first = filled.sync(compare="all")
    for plan in (first, first, filled.sync(compare="all")):
        assert len(named(filled.reconcile(plan))) == 2 or plan is first
    assert filled.told("select count(*), count(distinct key) from ops.sync_difference") == [(2, 2)]


def test_a_full_reload_repairs_whatever_was_found(filled: Sync) -> None:
    filled.sync()
    filled.spoil("update store.game set title = 'X'")
    filled.spoil("delete from store.wishlist")
    filled.reconcile(filled.sync(compare="all"))
    plan = filled.sync(tables=["store.game"], full_reload=True)
    assert filled.reconcile(plan) == []
    assert {table for table, _, _ in open_differences(filled)} == {"store.wishlist"}


def test_a_repair_of_some_tables_leaves_the_differences_of_others_open(filled: Sync) -> None:
    filled.sync()
    filled.spoil("update store.game set title = 'X'")
    filled.spoil("delete from store.wishlist")
    filled.reconcile(filled.sync(compare="all"))
    filled.sync(tables=["store.wishlist"], repair=True)
    assert {table for table, _, _ in open_differences(filled)} == {"store.game"}
    assert [said.split(":")[0] for said in filled.differences()] == ["store.game"]


def test_of_very_many_differences_the_first_are_written_down_and_the_rest_is_counted(sync: Sync) -> None:
    sync.change("insert into store.customer (ref) select 'CUST-' || n from generate_series(1, 3000) n")
    sync.sync()
    sync.spoil("delete from store.customer where customer_id %% 3 <> 0")
    (found,) = sync.reconcile(sync.sync(compare="all"))
    assert (found.counts, len(found.listed)) == ({"missing": 2000}, 1000)
    assert str(found).startswith('store.customer: 2,000 missing: missing {"customer_id": ')
    assert str(found).endswith("; and 1,990 more")
    # A repair mends what is written down; the next comparison finds the rest.
    assert sync.reconcile(sync.sync(repair=True)) == []
    (found,) = sync.reconcile(sync.sync(compare="all"))
    assert found.counts == {"missing": 1000}
    assert sync.reconcile(sync.sync(repair=True, compare="all")) == []
    assert sync.differences() == []


def test_a_repair_takes_so_many_keys_and_leaves_the_rest_to_the_next(
    filled: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(differences, "MOST_REPAIRED", 2)
    filled.change("insert into store.game (game_id, title, title_key) select 'H-' || n, 't', 't'"
                  " from generate_series(1, 4) n")  # fmt: skip
    filled.reconcile(filled.sync())
    for turn in ("H-1", "H-2' or game_id = 'H-3", "H-4"):  # found one after another; two at one time come together
        filled.spoil(f"update store.game set genre = 'spoilt' where game_id = '{turn}'")
        filled.reconcile(filled.sync(compare="all"))
    assert [key["game_id"] for _, key, _ in open_differences(filled)] == ["H-1", "H-2", "H-3", "H-4"]
    filled.reconcile(filled.sync(repair=True))
    assert [key["game_id"] for _, key, _ in open_differences(filled)] == ["H-4"]
    filled.reconcile(filled.sync(repair=True))
    assert open_differences(filled) == []
    assert filled.differences() == []


def test_groups_that_differ_by_no_row_are_a_difference_and_not_a_warning(
    filled: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the comparison of rows had missed what the sums have found."""
    filled.reconcile(filled.sync())
    filled.spoil("delete from store.game where game_id = 'G-1'")
    real = checks.find_differences
    monkeypatch.setattr(checks, "find_differences", lambda *of: real(*of) + " and false")
    plan = filled.sync(compare="all", tables=["store.game"])
    (found,) = filled.reconcile(plan)
    assert (found.counts, found.total, len(found.groups)) == ({}, 1, 1)
    assert str(found) == (
        "store.game: 1 groups of keys differ, and no row of them does: load the table anew (full_reload):"
        f" {found.groups[0]}"
    )
    assert filled.told("select differences from ops.sync_check where run_id = %s", plan.run_id) == [(1,)]
    # But not when the store has changed the row since: then it cannot be told.
    plan = filled.sync(compare="all", tables=["store.game"])
    filled.change("update store.game set genre = 'New' where game_id = 'G-1'")
    assert filled.reconcile(plan) == []


def test_a_run_may_leave_the_comparison_to_the_next(filled: Sync) -> None:
    first = filled.sync(compare="none")
    assert {(table.check, table.checked.files) for table in first.tables} == {("none", 0)}
    assert filled.reconcile(first) == []
    assert filled.told("select count(*) from ops.sync_check") == [(0,)]
    filled.spoil("update store.game set genre = 'spoilt' where game_id = 'G-1'")
    second = filled.sync()
    assert {table.check for table in second.tables} == {"all"}
    assert named(filled.reconcile(second)) == [("store.game", {"game_id": "G-1"}, "changed")]


# ------------------------------------------------------------------------------------------ once a day, all rows


def test_all_rows_are_compared_once_a_day(filled: Sync) -> None:
    filled.reconcile(filled.sync())
    filled.spoil("update ops.sync_check set checked_at = checked_at - interval '23 hours 59 minutes'")
    assert {table.check for table in filled.sync().tables} == {"changed"}
    filled.spoil(
        "update ops.sync_check set checked_at = checked_at - interval '2 minutes' where table_name = 'store.game'"
    )
    plan = filled.sync()
    assert {table.name for table in plan.tables if table.check == "all"} == {"store.game"}
    filled.reconcile(plan)
    assert {table.check for table in filled.sync().tables} == {"changed"}


# --------------------------------------------------------------------------------------- while the store is written to


def test_what_the_store_has_changed_since_the_export_is_not_called_a_difference(filled: Sync) -> None:
    filled.sync()
    plan = filled.sync(compare="all")
    filled.change("update store.game set title = 'New' where game_id = 'G-1'",
                  "delete from store.transaction_line where line_no = 2",
                  "insert into store.publisher (publisher_id, name, name_key) values ('P-9', 'P', 'p')")  # fmt: skip
    filled.spoil("update store.game set genre = 'spoiled'")
    filled.spoil("delete from store.transaction_line where line_no = 2")
    # G-1 and the line have changed in the store as well: it cannot be told what they were.
    assert named(filled.reconcile(plan)) == [("store.game", {"game_id": "G-2"}, "changed")]
    # The sync that brings them compares them.
    assert filled.reconcile(filled.sync()) == []
    assert [said.split(":")[0] for said in filled.differences()] == ["store.game"]


def test_a_comparison_after_the_next_sync_is_left_to_that_one(filled: Sync) -> None:
    first = filled.sync()
    filled.change("update store.game set title = 'New'")
    filled.sync()
    assert filled.reconcile(first) == []
    assert filled.told("select count(*) from ops.sync_check where run_id = %s", first.run_id) == [(0,)]


def test_repair_mends_what_it_must_beside_writers(filled: Sync) -> None:
    filled.change("insert into store.customer (ref) select 'CUST-' || n from generate_series(10, 1500) n",
                  "insert into store.game (game_id, title, title_key) select 'G-' || n, 't', 't'"
                  " from generate_series(10, 300) n")  # fmt: skip
    filled.reconcile(filled.sync())
    stop = threading.Event()
    failures: list[BaseException] = []

    def write(seed: int) -> None:
        turns = itertools.count(seed)
        statements: list[Callable[[int], str]] = [
            lambda n: f"update store.customer set name = 'n{n}' where customer_id % 50 = {n % 50}",
            lambda n: f"delete from store.game where game_id = 'G-{n % 290 + 10}'",
            lambda n: (
                f"insert into store.game (game_id, title, title_key) values ('G-{n % 290 + 10}', 'again {n}', 't')"
                " on conflict (game_id) do update set title = excluded.title"
            ),
        ]
        try:
            with psycopg.connect(filled.store.url("store_writer")) as connection:
                while not stop.is_set():
                    for _ in range(3):
                        turn = next(turns)
                        connection.execute(statements[turn % 3](turn * 7))
                    (connection.rollback if turn % 5 == 0 else connection.commit)()
        except BaseException as error:  # noqa: BLE001 - the test fails by it
            failures.append(error)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in (1, 100_000)]
    for writer in writers:
        writer.start()
    spoiled = False
    try:
        for turn in range(8):
            if turn == 2:
                filled.spoil("update store.customer set ref = 'X' where ref in ('CUST-1', 'CUST-2')")
                filled.spoil("delete from store.publisher where publisher_id = 'P-2'")
                filled.spoil("insert into store.publisher_alias select * from store.publisher_alias")
            plan = filled.sync(compare="all" if turn in (2, 3) else "touched", repair=turn == 5)
            found = named(filled.reconcile(plan))
            names = {(table, key.get("publisher_id") or key.get("alias_id")) for table, key, _ in found}
            spoiled = spoiled or names >= {("store.publisher", "P-2"), ("store.publisher_alias", "P-1")}
            # A customer may have been changed, and so mended, before it was looked at.
            assert {table for table, *_ in found} <= {"store.customer", "store.publisher", "store.publisher_alias"}
            assert turn in (2, 3) or not found
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert failures == []
    assert spoiled
    assert filled.reconcile(filled.sync(compare="all")) == []
    assert filled.differences() == []
    assert open_differences(filled) == []


def test_the_text_of_differences_names_table_kind_and_key() -> None:
    found = Differences("store.game", {"extra": 1, "changed": 2}, [Difference({"game_id": "G-é"}, "changed")])
    assert str(found) == 'store.game: 2 changed, 1 extra: changed {"game_id": "G-é"}; and 2 more'
