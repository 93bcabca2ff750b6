"""Live changes: what a marketplace's own applications do to rows that stand in the store already.

They change only rows that mock data of one seed made, and only what is picked by a hash of the row's key and the
interval. What a row is changed to depends on the row alone. So an interval that is run again changes nothing more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from marketplace.mockdata.interval import Interval
from marketplace.store import lock_tables, query

log = logging.getLogger(__name__)

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]

# A row is open to changes by the intervals of the hour after it.
RECENT = timedelta(hours=1)
WRITTEN = ("store.customer", "store.transaction", "store.transaction_line", "store.wishlist")
READ = ("store.game_release",)  # a refund's lines refer to it


class Picked(NamedTuple):
    """The draws, of 0 to 999, of those rows that a change is for; both ends included."""

    first: int
    last: int


# Of one kind of row no two overlap: so nothing that commits late waits for what commits at once, or undoes it.
CUSTOMERS, LATE_CUSTOMERS = Picked(0, 99), Picked(100, 199)
CANCELLED, REFUNDED, CORRECTED, LATE_SALES = Picked(0, 9), Picked(10, 39), Picked(40, 239), Picked(240, 339)
WISHES = Picked(0, 99)


@dataclass(frozen=True)
class Changes:
    """How many rows were changed, by what happened to them; `late_` is what was committed late."""

    customers: int
    corrected_transactions: int
    refunds: int
    refund_lines: int
    cancelled_transactions: int
    cancelled_lines: int
    wishes: int
    late_customers: int
    late_lines: int

    @property
    def tables(self) -> list[str]:
        """Return the tables of which at least one row was changed."""
        changed = {
            "store.customer": self.customers + self.late_customers,
            "store.transaction": self.corrected_transactions + self.refunds + self.cancelled_transactions,
            "store.transaction_line": self.refund_lines + self.cancelled_lines + self.late_lines,
            "store.wishlist": self.wishes,
        }
        return [table for table, rows in changed.items() if rows]


def change(connect: Connect, seed: int, interval: Interval, since: datetime, late_by: timedelta) -> Changes:
    """Change rows of mock transactions from `since` until the interval, and of those who bought by them.

    Two transactions: one updates, refunds and deletes and commits; the other has updated rows of its own before, and
    commits when `late_by` has passed after that. Raises what the database raises, then neither has changed anything
    that was not committed by then.
    """
    parameters = {
        "transactions": f"TXN-{seed:04d}-",
        "customers": f"^CUST-{seed:04d}[0-9]{{8,}}$",
        "interval": interval.code,
        "since": since,
        "start": interval.start,
        "seconds": interval.minutes * 60,
    }
    with connect() as late:
        with connect() as prompt:
            # While these locks are held no load writes these tables. So the late transaction gets its rows without
            # waiting, and waits for nobody afterwards: whoever waits for it waits for `late_by`, not for ever.
            lock_tables(prompt, WRITTEN, READ)
            late_customers = _run(late, "customers.sql", parameters, LATE_CUSTOMERS).rowcount
            late_lines = _run(late, "fees.sql", parameters, LATE_SALES).rowcount

            customers = _run(prompt, "customers.sql", parameters, CUSTOMERS).rowcount
            corrected = _run(prompt, "totals.sql", parameters, CORRECTED).rowcount
            refunds, refund_lines = _counts(prompt, "refunds.sql", parameters, REFUNDED)
            cancelled, cancelled_lines = _counts(prompt, "cancellations.sql", parameters, CANCELLED)
            wishes = _run(prompt, "wishes.sql", parameters, WISHES).rowcount
        if late_customers or late_lines:
            log.info("The late transaction commits in %s s.", late_by.total_seconds())
            late.execute(query("mockdata/wait.sql"), {"seconds": late_by.total_seconds()})
    changes = Changes(
        customers, corrected, refunds, refund_lines, cancelled, cancelled_lines, wishes, late_customers, late_lines
    )
    for what, rows in asdict(changes).items():
        log.info("%s: %s", what.replace("_", " "), rows)
    return changes


def _run(connection: Connection, path: str, parameters: dict[str, Any], picked: Picked) -> psycopg.Cursor[Any]:
    return connection.execute(query(f"mockdata/{path}"), {**parameters, **picked._asdict()})


def _counts(connection: Connection, path: str, parameters: dict[str, Any], picked: Picked) -> tuple[int, int]:
    found = _run(connection, path, parameters, picked).fetchone()
    if found is None:
        raise LookupError(f"include/sql/store/mockdata/{path} counted nothing.")
    return found
