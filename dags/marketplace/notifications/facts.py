"""What a worker has to know to notify the customers of a chunk: the rule's words, and each customer's own facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from marketplace.notifications import days
from marketplace.store import query

if TYPE_CHECKING:
    Connection = psycopg.Connection[Any]

# Of games, refunds and publishers a text gets at most so many: the first ones.
MOST_OF_A_LIST = 20


class Text(NamedTuple):
    """A rule's words in one language."""

    subject: str
    body: str


@dataclass(frozen=True)
class Rule:
    """A rule as far as it says something. `texts` are those in other languages than its own, by their locale."""

    rule_id: str
    topic: str
    subject: str
    body: str
    locale: str | None
    event: str | None
    enabled: bool
    texts: dict[str, Text]


@dataclass(frozen=True)
class Facts:
    """What a text can say of a customer, and whether they want to hear of the rule's topic.

    `event` has one entry, of the event that the rule waits for: games, refunds, publishers or years.
    """

    customer_id: int
    ref: str
    name: str | None
    locale: str | None
    time_zone: str | None
    country: str | None
    opted_in: bool
    event: dict[str, Any]


def rule(connection: Connection, rule_id: str) -> Rule | None:
    """Return a rule with its texts; None when it is not there."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(query("notifications/rule.sql"), {"rule_id": rule_id}).fetchone()
    if found is None:
        return None
    return Rule(**found | {"texts": {locale: Text(*words) for locale, words in found["texts"].items()}})


def facts(connection: Connection, rule: Rule, day: date, customers: Sequence[int]) -> list[Facts]:
    """Return the facts of customers, in the order of their ids.

    Who is gone is not among them, nor is anybody for whom there is no such event any more (the wish was taken back).
    """
    parameters = days.parameters(day) | {"customers": list(customers), "is_service": rule.topic == "service"}
    with connection.cursor(row_factory=dict_row) as cursor:
        told = cursor.execute(query("notifications/facts/customers.sql"), parameters).fetchall()
        if rule.event is None:
            return [Facts(**one, event={}) for one in told]
        happened = cursor.execute(query(f"notifications/facts/{rule.event}.sql"), parameters).fetchall()
    events = _by_customer(rule.event, happened)
    return [Facts(**one, event=events[one["customer_id"]]) for one in told if one["customer_id"] in events]


def _by_customer(event: str, happened: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return what the rows of an event say to a text, by customer."""
    if event == "account_anniversary":
        return {row["customer_id"]: {"years": row["years"]} for row in happened}
    name = {"game_released": "games", "refund_processed": "refunds", "publisher_paid": "publishers"}[event]
    events: dict[int, dict[str, list[Any]]] = {}
    for row in happened:
        entries = events.setdefault(row.pop("customer_id"), {name: []})[name]
        if len(entries) < MOST_OF_A_LIST:
            entries.append(row["name"] if event == "publisher_paid" else row)
    return events
