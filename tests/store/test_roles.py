"""What each role may do: a writer hides nothing from the sync; a reader sees no raw line, changes nothing."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

GAME = "insert into store.game (game_id, title, title_key) values ('G-1', 'One', 'one')"
WRITER_MAY = {
    "ops.load": {"SELECT", "INSERT", "UPDATE"},
    "ops.load_account": {"SELECT"},
    "ops.load_finding": {"SELECT"},
    "ops.notification_account": {"SELECT"},
    "ops.rejected_row": {"SELECT", "INSERT"},
    "ops.issue": {"SELECT", "INSERT"},
    "ops.held_row": {"SELECT", "INSERT", "UPDATE"},
    "ops.confirmation": {"SELECT", "INSERT", "DELETE"},
    "ops.tombstone": {"SELECT", "DELETE"},
    "ops.sync_token": {"SELECT", "INSERT", "DELETE"},
    "ops.sync_reload": {"SELECT"},
    "ops.alias_correction": {"SELECT", "INSERT"},
    "ops.correction_run": {"SELECT", "INSERT"},
    "ops.notification_due": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "ops.notification_chunk": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "ops.notification_run": {"SELECT", "INSERT", "UPDATE"},
    "ops.corrected_publisher": {"SELECT"},
    "ops.corrected_game": {"SELECT"},
    "ops.publisher_by_id": {"SELECT"},
    "ops.publisher_by_name": {"SELECT"},
    "ops.game_by_id": {"SELECT"},
    "ops.game_by_title": {"SELECT"},
    "store.transaction_balance": {"SELECT"},
    "geo.cell": {"SELECT"},
    "geo.activity": {"SELECT"},
    "geo.area_cell": {"SELECT"},
}
# Of these a writer may update single columns only.
WRITER_MAY_UPDATE = {
    "ops.rejected_row": {"retried_load_id", "raw", "detail", "erased_at"},
    "ops.issue": {"detail", "erased_at"},
    "ops.alias_correction": {"removed_by", "removed_at"},
    "ops.notification_account": {
        "expected",
        "delivered",
        "opted_out",
        "gone",
        "rule_disabled",
        "rule_gone",
        "read",
    },
}
ON_CLEAN_TABLES = {"SELECT", "DELETE"}  # and INSERT and UPDATE of every column but row_xid
READER_SEES_IN_OPS = {"ops.load", "ops.load_account", "ops.load_finding", "ops.notification_account"}


def privileges(connection: psycopg.Connection, role: str) -> dict[str, set[str]]:
    """Return what `role` may do with each whole table and view of ours."""
    rows = connection.execute(
        """
        select c.oid::regclass::text,
               array(select p
                       from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES',
                                         'TRIGGER']) p
                      where has_table_privilege(%(role)s, c.oid, p))
          from pg_class c
         where c.relkind in ('r', 'p', 'v', 'm')
           and c.relnamespace::regnamespace::text in ('ops', 'store', 'geo')
        """,
        {"role": role},
    ).fetchall()
    return {table: set(may) for table, may in rows}


def test_what_a_writer_may_do_with_whole_tables(owner: psycopg.Connection) -> None:
    found = privileges(owner, "store_writer")

    clean = {table for table in found if table.startswith(("store.", "geo.")) and table not in WRITER_MAY}
    assert len(clean) == 13
    assert found == WRITER_MAY | dict.fromkeys(clean, ON_CLEAN_TABLES)


def test_of_the_quarantine_a_writer_may_update_only_these_columns(owner: psycopg.Connection) -> None:
    found = owner.execute(
        """
        select c.oid::regclass::text, array_agg(a.attname::text)
          from pg_class c
          join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relkind in ('r', 'p') and c.relnamespace::regnamespace::text = 'ops'
           and has_column_privilege('store_writer', c.oid, a.attnum, 'UPDATE')
           and not has_table_privilege('store_writer', c.oid, 'UPDATE')
         group by 1
        """
    ).fetchall()

    assert {table: set(columns) for table, columns in found} == WRITER_MAY_UPDATE


def test_a_writer_writes_every_column_but_row_xid(owner: psycopg.Connection) -> None:
    columns = owner.execute(
        """
        select a.attname = 'row_xid',
               has_column_privilege('store_writer', c.oid, a.attnum, 'INSERT'),
               has_column_privilege('store_writer', c.oid, a.attnum, 'UPDATE'),
               count(*)
          from pg_class c
          join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relkind in ('r', 'p') and c.relnamespace::regnamespace::text in ('store', 'geo')
           and c.oid <> all(array['geo.cell', 'geo.activity', 'geo.area_cell']::regclass[])
           and not (c.oid = 'store.play_session'::regclass and a.attname = 'cell_id')  -- the database makes it
         group by 1, 2, 3
         order by 1
        """
    ).fetchall()

    assert [row[:3] for row in columns] == [(False, True, True), (True, False, False)]
    assert columns[1][3] == 13


def test_a_reader_reads_the_clean_model_and_the_ledger(owner: psycopg.Connection) -> None:
    found = privileges(owner, "store_reader")

    assert {may for table in found.values() for may in table} == {"SELECT"}
    clean = {table for table in found if table.startswith(("store.", "geo."))}
    assert len(clean) == 17
    assert {table for table, may in found.items() if may} == clean | READER_SEES_IN_OPS


@pytest.mark.parametrize(
    "statement",
    [
        "insert into store.game (game_id, title, title_key, row_xid) values ('G-2', 'Two', 'two', '1')",
        "update store.game set row_xid = '1' where game_id = 'G-1'",
        (
            "insert into store.game (game_id, title, title_key) values ('G-1', 'One', 'one')"
            " on conflict (game_id) do update set row_xid = '1'"
        ),
        "copy store.game (game_id, title, title_key, row_xid) from stdin",
        "insert into ops.tombstone (table_name, key) values ('store.game', '{\"game_id\": \"G-1\"}')",
        "update ops.tombstone set key = '{}'",
        "insert into ops.sync_reload (table_name, reason) values ('store.game', 'none')",
        "select ops.ask_reload('store.game', 'none')",
        "update ops.sync_token set token = 'none'",
        "delete from ops.load",
        "delete from ops.rejected_row",
        "delete from ops.held_row",
        "update ops.rejected_row set reason = 'none'",
        "update ops.issue set kind = 'none'",
        "update ops.alias_correction set stands_for = 'P-1'",
        "delete from ops.alias_correction",
        "truncate store.game",
        "create table store.mine (id int)",
        "create table ops.mine (id int)",
        "create table geo.mine (id int)",
        "create table public.mine (id int)",
        "create schema mine",
        "alter table store.game disable trigger stamp_row",
        "set session_replication_role = replica",
        "update public.alembic_version set version_num = '0000'",
    ],
)
def test_a_writer_may_not(writer: psycopg.Connection, statement: str) -> None:
    writer.execute(GAME)

    with pytest.raises(errors.InsufficientPrivilege):
        writer.execute(statement)


def test_a_writer_may_make_its_staging_table(writer: psycopg.Connection) -> None:
    writer.execute("create temporary table load_1 (id int) on commit drop")


def test_a_writer_may_not_make_tombstones_by_a_trigger_of_its_own(writer: psycopg.Connection) -> None:
    writer.execute("create temporary table bait (game_id text)")

    with pytest.raises(errors.InsufficientPrivilege, match=r"permission denied for function ops\.leave_tombstone"):
        writer.execute(
            "create trigger mine after delete on bait for each row execute function ops.leave_tombstone('game_id')"
        )


def test_a_writer_sees_the_revision(writer: psycopg.Connection) -> None:
    (found,) = writer.execute("select count(*) from public.alembic_version").fetchall()

    assert found == (1,)


@pytest.mark.parametrize(
    "statement",
    [
        GAME,
        "update store.game set title = 'Two'",
        "delete from store.game",
        "truncate store.game",
        "insert into geo.area (area_id, name, kind, boundary) values ('A', 'A', 'city', null)",
        "update ops.load set status = 'done'",
        "insert into ops.tombstone (table_name, key) values ('store.game', '{}')",
        "select * from ops.rejected_row",
        "select * from ops.held_row",
        "select * from ops.issue",
        "select * from ops.alias_correction",
        "select * from ops.publisher_by_name",
        "select nextval('store.customer_customer_id_seq')",
        "create table public.mine (id int)",
        "create temporary table mine (id int)",
    ],
)
def test_a_reader_may_not(reader: psycopg.Connection, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute(statement)


@pytest.mark.parametrize(
    "relation",
    ["store.customer", "store.transaction_balance", "store.play_session", "geo.area", "ops.load"],
)
def test_a_reader_may_read(reader: psycopg.Connection, relation: str) -> None:
    assert reader.execute(f"select count(*) from {relation}").fetchone() == (0,)
