"""Live changes of the store: exactly the picked rows, the same when repeated, and beside a load of files."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import errors

from local.supervisor import wait_until
from marketplace.mockdata import live
from marketplace.mockdata.interval import Interval
from marketplace.store import lock_tables

Connect = Callable[[], psycopg.Connection[Any]]

START = datetime(2026, 1, 5, 14, 15, tzinfo=UTC)
INTERVAL = Interval(START, START + timedelta(minutes=15))
SINCE = START - timedelta(hours=1)
LOCALES = ["de_DE", "en_GB", "en_US", "es_ES", "fr_FR", "ja_JP", "pl_PL", "pt_BR"]
SALES = 400

# Of each sale: two lines of 10 and 2.50; of every second one a total that they do not add up to. Sales of the seed and
# of the hour, in its customers' name and in others'; and sales after the hour, of another seed, of nobody's making.
ROWS = """
insert into store.publisher (publisher_id, name, name_key) values ('PUB-1', 'One', 'one');
insert into store.game (game_id, title, title_key) values ('GAM-1', 'One', 'one'), ('GAM-2', 'Two', 'two');
insert into store.game_release (game_id, platform, publisher_id)
values ('GAM-1', 'PC', 'PUB-1'), ('GAM-2', 'PC', 'PUB-1');
insert into store.customer (ref, load_id, load_line)
select 'CUST-0007' || lpad(n::text, 8, '0'), 1, n from generate_series(1, %(sales)s) as n
union all select 'CUST-7' || n, 1, n from generate_series(1, 100) as n
union all values ('CUST-0007', 1, 0), ('CUST-000800000001', 1, 0);
insert into store.transaction
(transaction_id, type, occurred_at, currency, reported_total, customer_id, load_id, load_line)
select 'TXN-0007-20260105T1400-15-' || lpad(n::text, 7, '0'), 'sale', %(start)s - interval '1 minute', 'EUR',
    12.5 + n %% 2, c.customer_id, 1, n
from generate_series(1, %(sales)s) as n
inner join store.customer as c on c.ref = 'CUST-0007' || lpad(n::text, 8, '0')
union all
select 'TXN-0007-20260105T1345-15-' || lpad(n::text, 7, '0'), 'sale', %(start)s - interval '30 minutes', 'EUR', 12.5,
    c.customer_id, 1, n
from generate_series(1, 100) as n inner join store.customer as c on c.ref = 'CUST-7' || n
union all
select 'TXN-0007-20260105T1415-15-' || lpad(n::text, 7, '0'), 'sale', %(start)s, 'EUR', 13.5, c.customer_id, 1, n
from generate_series(1, 100) as n inner join store.customer as c on c.ref = 'CUST-0007'
union all
select 'TXN-0008-20260105T1400-15-' || lpad(n::text, 7, '0'), 'sale', %(start)s - interval '1 minute', 'EUR', 13.5,
    c.customer_id, 1, n
from generate_series(1, 100) as n inner join store.customer as c on c.ref = 'CUST-000800000001'
union all
select 'TXN-0007' || n, 'sale', %(start)s - interval '1 minute', 'EUR', 13.5, c.customer_id, 1, n
from generate_series(1, 100) as n inner join store.customer as c on c.ref = 'CUST-0007';
insert into store.transaction_line
(transaction_id, line_no, game_id, platform, region, gross, fee, reported_net, load_id, load_line)
select t.transaction_id, l.line_no, 'GAM-' || l.line_no, 'PC', 'EU', l.gross, 1, 5, 1, t.load_line
from store.transaction as t cross join (values (1, 10), (2, 2.5)) as l (line_no, gross);
insert into store.wishlist (customer_id, game_id, load_id, load_line)
select c.customer_id, 'GAM-1', 1, 1 from store.customer as c;
"""
TABLES = {
    "customer": "select ref, locale, marketing_opt_in, load_id from store.customer",
    "transaction": (
        "select transaction_id, type, occurred_at, reported_total, t.load_id, c.ref"
        " from store.transaction t join store.customer c using (customer_id)"
    ),
    "line": (
        "select transaction_id, line_no, game_id, platform, region, gross, fee, reported_net, load_id"
        " from store.transaction_line"
    ),
    "wish": "select c.ref, w.game_id from store.wishlist w join store.customer c using (customer_id)",
}
# Every row, and which transaction wrote it last.
VERSIONS = """
select 'customer', ref, row_xid::text from store.customer
union all select 'transaction', transaction_id, row_xid::text from store.transaction
union all select 'line', transaction_id || line_no, row_xid::text from store.transaction_line
union all select 'wish', customer_id::text, row_xid::text from store.wishlist
union all select 'tombstone', tombstone_id::text, '' from ops.tombstone
"""


@pytest.fixture
def connect(fresh_store: Any) -> Connect:
    """Opens connections as the DAG's role, to a store that has the rows above."""
    with psycopg.connect(fresh_store.url("store_owner")) as connection:
        cursor = psycopg.ClientCursor(connection)
        cursor.execute(ROWS, {"sales": SALES, "start": START})
    return lambda: psycopg.connect(fresh_store.url("store_writer"))


def change(connect: Connect, late_by: float = 0, **others: Any) -> live.Changes:
    arguments = {"seed": 7, "interval": INTERVAL, "since": SINCE} | others
    return live.change(connect, late_by=timedelta(seconds=late_by), **arguments)


def rows(connect: Connect, statement: str) -> list[tuple[Any, ...]]:
    with connect() as connection:
        return sorted(connection.execute(statement).fetchall())


def everything(connect: Connect) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows(connect, statement) for name, statement in TABLES.items()}


def number(text: str, bits: int = 28) -> int:
    """Return the first bits of a text's MD5."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest, "big") >> 128 - bits


def is_picked(key: str, first: int, last: int) -> bool:
    return first <= number(f"{key}/{INTERVAL.code}") % 1000 <= last


def changed(before: dict[str, list[tuple[Any, ...]]]) -> tuple[dict[str, list[tuple[Any, ...]]], live.Changes]:
    """Return what the tables must hold after the changes of the interval, and the counts."""
    after: dict[str, list[tuple[Any, ...]]] = {name: [] for name in before}
    counts = dict.fromkeys(live.Changes.__dataclass_fields__, 0)
    buyers = set()
    for transaction_id, kind, at, total, load_id, ref in before["transaction"]:
        transaction = (transaction_id, kind, at, total, load_id, ref)
        lines = [line for line in before["line"] if line[0] == transaction_id]
        if not transaction_id.startswith("TXN-0007-") or at >= START:
            after["transaction"].append(transaction)
            after["line"] += lines
            continue
        if ref.startswith("CUST-0007"):
            buyers.add(ref)
        if is_picked(transaction_id, 0, 9):
            counts["cancelled_transactions"] += 1
            counts["cancelled_lines"] += len(lines)
            continue
        if is_picked(transaction_id, 10, 39):
            refund_id = f"{transaction_id}-R"
            then = START + timedelta(seconds=number(f"{transaction_id}/refund") % 900)
            after["transaction"].append((refund_id, "refund", then, Decimal("-12.5"), None, ref))
            after["line"] += [(refund_id, *line[1:5], *(-amount for amount in line[5:8]), None) for line in lines]
            counts["refunds"] += 1
            counts["refund_lines"] += len(lines)
        if is_picked(transaction_id, 40, 239) and total != Decimal("12.5"):
            transaction = (transaction_id, kind, at, Decimal("12.5"), None, ref)
            counts["corrected_transactions"] += 1
        if is_picked(transaction_id, 240, 339):
            fees = {1: ("2.5", "7.5"), 2: ("0.63", "1.87")}
            lines = [(*line[:6], *map(Decimal, fees[line[1]]), None) for line in lines]
            counts["late_lines"] += len(lines)
        after["transaction"].append(transaction)
        after["line"] += lines
    for customer in before["customer"]:
        ref = customer[0]
        if ref in buyers and is_picked(ref, 0, 199):
            counts["customers" if is_picked(ref, 0, 99) else "late_customers"] += 1
            after["customer"].append((ref, LOCALES[number(f"{ref}/locale", 3)], number(f"{ref}/mail", 1) == 1, None))
        else:
            after["customer"].append(customer)
    for ref, game_id in before["wish"]:
        if ref in buyers and is_picked(f"{ref}/{game_id}", 0, 99):
            counts["wishes"] += 1
        else:
            after["wish"].append((ref, game_id))
    return {name: sorted(found) for name, found in after.items()}, live.Changes(**counts)


def test_exactly_the_picked_rows_change(connect: Connect) -> None:
    before = everything(connect)
    expected, counts = changed(before)
    assert min(vars(counts).values()) > 0, "each kind of change must be there to be seen"
    assert change(connect) == counts
    assert everything(connect) == expected
    assert counts.tables == ["store.customer", "store.transaction", "store.transaction_line", "store.wishlist"]


def test_the_same_interval_again_changes_nothing_more(connect: Connect) -> None:
    change(connect)
    before = rows(connect, VERSIONS)
    again = change(connect)
    assert set(vars(again).values()) == {0}
    assert again.tables == []
    assert rows(connect, VERSIONS) == before


def test_another_interval_picks_other_rows_and_takes_nothing_back(
    connect: Connect,
) -> None:
    later = Interval(INTERVAL.end, INTERVAL.end + timedelta(minutes=15))
    change(connect)
    assert change(connect, interval=later).customers > 0
    before = rows(connect, VERSIONS)
    assert set(vars(change(connect)).values()) == {0}
    assert rows(connect, VERSIONS) == before


def test_a_cancelled_sale_takes_its_refund_along(connect: Connect) -> None:
    with connect() as connection:
        refunded = connection.execute(
            "insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total, customer_id)"
            " select transaction_id || '-R', 'refund', occurred_at, currency, -12.5, customer_id from store.transaction"
            " where starts_with(transaction_id, 'TXN-0007-20260105T1400-15-')"
        ).rowcount
    assert refunded == SALES
    cancelled = change(connect).cancelled_transactions
    assert cancelled > 0
    pairs = "select count(*), count(distinct rtrim(transaction_id, '-R')) from store.transaction where {}"
    ((rows_left, sales_left),) = rows(connect, pairs.format("transaction_id like 'TXN-0007-20260105T1400-15-%'"))
    assert rows_left == 2 * sales_left
    ((others, _),) = rows(connect, pairs.format("transaction_id like 'TXN-0007-20260105T1345-15-%' and type = 'sale'"))
    assert cancelled == 2 * (SALES - sales_left) + 100 - others


def test_a_store_without_rows_of_the_seed_is_left_alone(connect: Connect) -> None:
    before = rows(connect, VERSIONS)
    # It would wait for an hour if it had changed anything.
    assert set(vars(change(connect, seed=9, late_by=3600)).values()) == {0}
    assert rows(connect, VERSIONS) == before


LATE = "select count(*) from store.transaction_line where fee in (2.5, 0.63)"
REFUNDS = "select count(*) from store.transaction where type = 'refund'"
WAITING = "select pid from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"


class Running(threading.Thread):
    """Live changes on their way; `join` raises what they raised."""

    def __init__(self, connect: Connect, late_by: float) -> None:
        super().__init__()
        self.changes: live.Changes | None = None
        self.error: Exception | None = None
        self._arguments = connect, late_by
        self.start()

    def run(self) -> None:
        try:
            self.changes = change(*self._arguments)
        except Exception as error:  # noqa: BLE001 - raised by join
            self.error = error

    def join(self, timeout: float | None = 30) -> None:
        super().join(timeout)
        assert not self.is_alive()
        if self.error:
            raise self.error


def cancel(connect: Connect) -> None:
    with connect() as connection:
        for (pid,) in connection.execute(WAITING).fetchall():
            connection.execute("select pg_cancel_backend(%s)", (pid,))


def test_the_late_transaction_commits_after_what_began_after_it(
    connect: Connect,
) -> None:
    running = Running(connect, late_by=1)
    wait_until(lambda: bool(rows(connect, WAITING)), 10, lambda: "the late transaction does not wait")
    (refunds,), (late,) = *rows(connect, REFUNDS), *rows(connect, LATE)
    assert (refunds > 0, late) == (True, 0)
    running.join()
    assert running.changes is not None
    assert rows(connect, LATE) == [(running.changes.late_lines,)]
    ((began_first, committed_first),) = rows(
        connect,
        "select (select max(row_xid::text::bigint) from store.transaction_line where fee in (2.5, 0.63)),"
        " (select min(row_xid::text::bigint) from store.transaction where type = 'refund')",
    )
    assert began_first < committed_first


def test_a_cancelled_wait_takes_the_late_rows_back_and_a_rerun_makes_them(
    connect: Connect,
) -> None:
    expected, _ = changed(everything(connect))
    running = Running(connect, late_by=600)
    wait_until(lambda: bool(rows(connect, WAITING)), 10, lambda: "the late transaction does not wait")
    cancel(connect)
    with pytest.raises(errors.QueryCanceled):
        running.join()
    assert rows(connect, LATE) == [(0,)]
    again = change(connect)
    assert (again.refunds, again.cancelled_transactions) == (0, 0)
    found = everything(connect)
    # Whose only sale was cancelled meanwhile has not bought lately any more.
    buyers = {transaction[-1] for transaction in found["transaction"]}
    assert [row for row in found.pop("customer") if row[0] in buyers] == [
        row for row in expected.pop("customer") if row[0] in buyers
    ]
    assert found == expected


def test_changes_wait_for_a_load_that_writes_and_do_not_meet_it(
    connect: Connect,
) -> None:
    expected, _ = changed(everything(connect))
    locked = "select 1 from pg_locks where locktype = 'advisory' and not granted"
    with connect() as load:
        lock_tables(load, ["store.transaction", "store.customer"])
        # Backwards: in another order than the changes take the same rows.
        for (transaction_id,) in reversed(rows(connect, "select transaction_id from store.transaction")):
            load.execute("update store.transaction set currency = 'USD' where transaction_id = %s", (transaction_id,))
        running = Running(connect, late_by=0)
        wait_until(lambda: bool(rows(connect, locked)), 10, lambda: "the changes do not wait")
        load.execute("update store.customer set name = 'Loaded'")
    running.join()
    assert everything(connect) == expected


def test_a_load_waits_for_the_late_transaction_and_no_longer(
    connect: Connect,
) -> None:
    expected, counts = changed(everything(connect))
    running = Running(connect, late_by=1)
    wait_until(lambda: bool(rows(connect, WAITING)), 10, lambda: "the late transaction does not wait")
    with connect() as load:
        lock_tables(load, ["store.transaction_line", "store.customer"])
        load.execute("update store.customer set name = 'Loaded'")
        load.execute("update store.transaction_line set region = region")
    running.join()
    assert running.changes == counts
    assert everything(connect) == expected
