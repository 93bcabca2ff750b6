"""What the warehouse sync stands on: no change of a synced row goes unseen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

# What the rows of the cases refer to.
BASE = """
insert into store.publisher (publisher_id, name, name_key)
values ('P-1', 'One', 'one'), ('P-2', 'Two', 'two');
insert into store.game (game_id, title, title_key) values ('G-1', 'One', 'one'), ('G-2', 'Two', 'two');
insert into store.game_release (game_id, platform, publisher_id) values ('G-1', 'PC', 'P-1');
insert into store.customer (customer_id, ref) overriding system value values (1001, 'CUST-0001');
insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total, customer_id)
values ('T-1', 'sale', '2025-01-05T14:22:10Z', 'EUR', 10, 1001);
insert into store.notification_rule (rule_id, topic, subject, body, due_kind, due_value)
values ('R-1', 'service', 'One', 'One', 'weekday', 'monday');
"""
LONG_AGO = "1"  # a transaction that no database of ours has as its current one


@dataclass(frozen=True)
class Case:
    """A row of one table that nothing refers to, and how it is changed."""

    table: str
    values: dict[str, Any]
    key: tuple[str, ...]
    change: dict[str, Any]  # columns outside the key
    rekey: dict[str, Any]

    @property
    def key_values(self) -> dict[str, Any]:
        return {column: self.values[column] for column in self.key}

    @property
    def relation(self) -> sql.Identifier:
        return sql.Identifier(*self.table.split("."))

    def insert(self, connection: psycopg.Connection, **more: Any) -> None:
        values = self.values | more
        connection.execute(
            sql.SQL("insert into {} ({}) overriding system value values ({})").format(
                self.relation,
                sql.SQL(", ").join(map(sql.Identifier, values)),
                sql.SQL(", ").join(map(sql.Placeholder, values)),
            ),
            values,
        )

    def update(self, connection: psycopg.Connection, changes: dict[str, Any]) -> None:
        """Change the row, by its key of before; a change of None asks for the column's default."""
        connection.execute(
            sql.SQL("update {} set {} where {}").format(
                self.relation,
                sql.SQL(", ").join(
                    sql.SQL("{} = {}").format(
                        sql.Identifier(column), sql.SQL("default") if value is None else sql.Literal(value)
                    )
                    for column, value in changes.items()
                ),
                self._is_the_row(),
            ),
            self.key_values,
        )

    def delete(self, connection: psycopg.Connection) -> None:
        statement = sql.SQL("delete from {} where {}").format(self.relation, self._is_the_row())
        connection.execute(statement, self.key_values)

    def row_xid(self, connection: psycopg.Connection) -> int:
        statement = sql.SQL("select row_xid::text::bigint from {} where {}")
        (row,) = connection.execute(statement.format(self.relation, self._is_the_row()), self.key_values)
        return row[0]

    def _is_the_row(self) -> sql.Composable:
        return sql.SQL(" and ").join(
            sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder(column)) for column in self.key
        )


CASES = [
    Case(
        "store.publisher",
        {"publisher_id": "P-9", "name": "Nine", "name_key": "nine"},
        ("publisher_id",),
        {"name": "Neun"},
        {"publisher_id": "P-10"},
    ),
    Case(
        "store.publisher_alias",
        {"alias_id": "P-9", "publisher_id": "P-1", "name": "Nine", "name_key": "nine"},
        ("alias_id",),
        {"publisher_id": "P-2"},
        {"alias_id": "P-10"},
    ),
    Case(
        "store.game",
        {"game_id": "G-9", "title": "Nine", "title_key": "nine"},
        ("game_id",),
        {"release_date": "2022-10-14"},
        {"game_id": "G-10"},
    ),
    Case(
        "store.game_alias",
        {"alias_id": "G-9", "game_id": "G-1", "title": "Nine", "title_key": "nine"},
        ("alias_id",),
        {"game_id": "G-2"},
        {"alias_id": "G-10"},
    ),
    Case(
        "store.game_release",
        {"game_id": "G-2", "platform": "PC", "publisher_id": "P-1"},
        ("game_id", "platform"),
        {"publisher_id": "P-2"},
        {"platform": "Switch"},
    ),
    Case(
        "store.customer",
        {"customer_id": 1009, "ref": "CUST-0009"},
        ("customer_id",),
        {"email": "nine@example.com"},
        {"customer_id": None},
    ),
    Case(
        "store.wishlist",
        {"customer_id": 1001, "game_id": "G-1"},
        ("customer_id", "game_id"),
        {"added_at": "2025-01-05T14:22:10Z"},
        {"game_id": "G-2"},
    ),
    Case(
        "store.transaction",
        {
            "transaction_id": "T-9",
            "type": "payout",
            "occurred_at": "2025-01-05T14:22:10Z",
            "currency": "EUR",
            "reported_total": -5,
        },
        ("transaction_id",),
        {"currency": "USD"},
        {"transaction_id": "T-10"},
    ),
    Case(
        "store.transaction_line",
        {
            "transaction_id": "T-1",
            "line_no": 1,
            "game_id": "G-1",
            "platform": "PC",
            "region": "EU",
            "gross": 10,
            "fee": 3,
            "reported_net": 7,
        },
        ("transaction_id", "line_no"),
        {"region": "US"},
        {"line_no": 2},
    ),
    Case(
        "store.play_session",
        {
            "session_id": "S-9",
            "customer_id": 1001,
            "game_id": "G-1",
            "platform": "PC",
            "started_at": "2025-01-05T14:22:10Z",
            "location": "SRID=4326;POINT(13.4 52.5)",
        },
        ("session_id",),
        {"duration_s": 60},
        {"session_id": "S-10"},
    ),
    Case(
        "store.notification_rule",
        {
            "rule_id": "R-9",
            "topic": "marketing",
            "subject": "Out now",
            "body": "It is out",
            "due_kind": "date",
            "due_value": "2025-01-05",
        },
        ("rule_id",),
        {"enabled": False},
        {"rule_id": "R-10"},
    ),
    Case(
        "store.notification_text",
        {"rule_id": "R-1", "locale": "de", "subject": "Neu", "body": "Es ist da"},
        ("rule_id", "locale"),
        {"subject": "Jetzt"},
        {"locale": "fr"},
    ),
    Case(
        "geo.area",
        {
            "area_id": "A-9",
            "name": "Nine",
            "kind": "city",
            "boundary": "SRID=4326;MULTIPOLYGON(((0 0,1 0,1 1,0 0)))",
        },
        ("area_id",),
        {"name": "Neun"},
        {"area_id": "A-10"},
    ),
]
each_table = pytest.mark.parametrize("case", CASES, ids=lambda case: case.table)


@pytest.fixture
def based(owner: psycopg.Connection) -> psycopg.Connection:
    """The owner, in a transaction in which there is something to refer to."""
    owner.execute(BASE)
    return owner


@pytest.fixture
def replica(connect: Callable[[str], psycopg.Connection]) -> psycopg.Connection:
    """A superuser for whom ordinary triggers do not fire, as in a logical restore."""
    superuser = connect("postgres")
    superuser.execute(BASE)
    superuser.execute("set session_replication_role = replica")
    return superuser


def current_xid(connection: psycopg.Connection) -> int:
    return connection.execute("select pg_current_xact_id()::text::bigint").fetchone()[0]


def tombstones(connection: psycopg.Connection) -> list[tuple[str, dict[str, Any], int]]:
    return connection.execute(
        "select table_name, key, row_xid::text::bigint from ops.tombstone order by tombstone_id"
    ).fetchall()


def test_every_table_with_row_xid_has_its_case(owner: psycopg.Connection) -> None:
    tracked = owner.execute(
        """
        select a.attrelid::regclass::text from pg_attribute a join pg_class c on c.oid = a.attrelid
         where a.attname = 'row_xid' and c.relkind in ('r', 'p') and c.relnamespace <> 'ops'::regnamespace
           and c.oid <> 'geo.area_cell'::regclass  -- nobody writes it but the store itself: test_area_cells.py
        """
    ).fetchall()

    assert sorted(case.table for case in CASES) == sorted(name for (name,) in tracked)


@each_table
def test_an_insert_is_of_its_transaction(based: psycopg.Connection, case: Case) -> None:
    case.insert(based)

    assert case.row_xid(based) == current_xid(based)
    assert tombstones(based) == []


@each_table
def test_an_update_is_of_its_transaction_and_leaves_no_tombstone(based: psycopg.Connection, case: Case) -> None:
    case.insert(based, row_xid=LONG_AGO)
    assert case.row_xid(based) == 1

    case.update(based, case.change)

    assert case.row_xid(based) == current_xid(based)
    assert tombstones(based) == []


@each_table
def test_a_delete_leaves_a_tombstone_with_the_key(based: psycopg.Connection, case: Case) -> None:
    case.insert(based, row_xid=LONG_AGO)

    case.delete(based)

    assert tombstones(based) == [(case.table, case.key_values, current_xid(based))]


@each_table
def test_a_changed_key_leaves_a_tombstone_with_the_old_one(based: psycopg.Connection, case: Case) -> None:
    case.insert(based, row_xid=LONG_AGO)

    case.update(based, case.rekey)

    assert tombstones(based) == [(case.table, case.key_values, current_xid(based))]


# A customer's key is an identity: nothing but its default can be set.
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.table != "store.customer"], ids=lambda case: case.table
)
def test_a_key_set_to_itself_leaves_no_tombstone(based: psycopg.Connection, case: Case) -> None:
    case.insert(based)

    case.update(based, case.key_values)

    assert tombstones(based) == []


@each_table
def test_an_update_and_a_delete_do_not_escape_under_replica(replica: psycopg.Connection, case: Case) -> None:
    case.insert(replica, row_xid=LONG_AGO)
    case.update(replica, case.change)
    assert case.row_xid(replica) == current_xid(replica)

    case.delete(replica)

    assert tombstones(replica) == [(case.table, case.key_values, current_xid(replica))]


@each_table
def test_a_changed_key_does_not_escape_under_replica(replica: psycopg.Connection, case: Case) -> None:
    case.insert(replica)

    case.update(replica, case.rekey)

    assert tombstones(replica) == [(case.table, case.key_values, current_xid(replica))]


@each_table
def test_truncate_is_refused(based: psycopg.Connection, case: Case) -> None:
    message = f"TRUNCATE of {case.table} is refused: it leaves no tombstones, so the warehouse would keep the rows"
    truncate = sql.SQL("truncate {} cascade").format(case.relation)

    with pytest.raises(errors.RaiseException) as refused:
        based.execute(truncate)

    assert refused.value.diag.message_primary == message
    assert refused.value.diag.message_hint == "Use DELETE."


def test_truncate_is_refused_under_replica(replica: psycopg.Connection) -> None:
    with pytest.raises(errors.RaiseException, match=r"^TRUNCATE of store\.wishlist is refused"):
        replica.execute("truncate store.wishlist")


def test_truncate_that_cascades_from_another_table_is_refused(based: psycopg.Connection) -> None:
    based.execute("create table ops.parent (id text primary key)")
    based.execute("alter table store.wishlist add column parent_id text references ops.parent")

    with pytest.raises(errors.RaiseException, match=r"^TRUNCATE of store\.wishlist is refused"):
        based.execute("truncate ops.parent cascade")


def test_rows_of_savepoints_are_of_the_whole_transaction(based: psycopg.Connection) -> None:
    before = current_xid(based)
    with based.transaction():
        based.execute("insert into store.game (game_id, title, title_key) values ('G-7', 'Seven', 'seven')")
        based.execute("update store.publisher set name = 'Uno' where publisher_id = 'P-1'")
        based.execute("delete from store.game where game_id = 'G-2'")

    written = based.execute(
        """
        select row_xid::text::bigint, xmin::text::bigint from store.game where game_id = 'G-7'
        union all
        select row_xid::text::bigint, xmin::text::bigint from store.publisher where publisher_id = 'P-1'
        """
    ).fetchall()
    assert [row_xid for row_xid, _ in written] == [before, before]
    # The proof that it was a transaction of its own: PostgreSQL's own mark differs.
    assert all(xmin > before for _, xmin in written)
    assert tombstones(based) == [("store.game", {"game_id": "G-2"}, before)]


def test_what_a_savepoint_takes_back_leaves_no_tombstone(based: psycopg.Connection) -> None:
    with based.transaction(force_rollback=True):
        based.execute("delete from store.game where game_id = 'G-2'")

    assert tombstones(based) == []


def test_an_explicit_row_xid_does_not_survive_an_update(based: psycopg.Connection) -> None:
    based.execute("update store.publisher set name = 'Uno', row_xid = '1' where publisher_id = 'P-1'")

    (found,) = based.execute("select row_xid::text::bigint from store.publisher where publisher_id = 'P-1'")
    assert found == (current_xid(based),)


def test_an_upsert_is_of_its_transaction(based: psycopg.Connection) -> None:
    based.execute(
        """
        insert into store.game (game_id, title, title_key, row_xid) values ('G-8', 'Eight', 'eight', '1')
        """
    )
    based.execute(
        """
        insert into store.game (game_id, title, title_key) values ('G-8', 'Acht', 'eight')
            on conflict (game_id) do update set title = excluded.title
        """
    )

    (found,) = based.execute("select title, row_xid::text::bigint from store.game where game_id = 'G-8'")
    assert found == ("Acht", current_xid(based))


def test_rows_that_a_writer_copies_are_of_its_transaction(writer: psycopg.Connection) -> None:
    with writer.cursor().copy("copy store.publisher (publisher_id, name, name_key) from stdin") as copy:
        copy.write_row(("P-9", "Nine", "nine"))

    (found,) = writer.execute("select row_xid::text::bigint from store.publisher where publisher_id = 'P-9'")
    assert found == (current_xid(writer),)


def test_each_deleted_row_of_one_statement_leaves_its_tombstone(writer: psycopg.Connection) -> None:
    writer.execute(
        """
        insert into store.game (game_id, title, title_key)
        select 'G-' || n, 'Game ' || n, 'game ' || n from generate_series(1, 3) n
        """
    )
    writer.execute("delete from store.game")

    assert sorted(key["game_id"] for _, key, _ in tombstones(writer)) == ["G-1", "G-2", "G-3"]
