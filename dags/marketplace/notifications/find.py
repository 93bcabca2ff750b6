"""What is to be sent on a day: the rules that are due, and for each of them its customers, frozen in chunks.

A rule is found once a day and then stays as it was found, whatever changes afterwards: `ops.notification_due` says
that it was, and `ops.notification_chunk` has who is to be notified. So a day that is run again, or by two runs at once,
sends what is not done yet and nothing else. Days are UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row

from marketplace.notifications import days, facts
from marketplace.store import query

if TYPE_CHECKING:
    Connection = psycopg.Connection[Any]

CHUNK_CUSTOMERS = 1000
SAMPLES = 3
# How many rules' days a transaction prunes: their chunks are some thousand rows.
PRUNED_AT_ONCE = 100


class UnknownRuleError(ValueError):
    """Rules were asked for by ids that no rule has."""


@dataclass(frozen=True)
class DueRule:
    """A rule as far as it says when and for whom; games by the ids that they have now."""

    rule_id: str
    topic: str
    due_kind: str
    due_value: str
    audience: dict[str, list[str]]
    owned_game: str | None
    wishlisted_game: str | None
    enabled: bool

    @property
    def event(self) -> str | None:
        """Return the event that the rule waits for, if it does."""
        return self.due_value if self.due_kind == "event" else None


@dataclass(frozen=True)
class Found:
    """A rule that was due on a day: how many customers it was for, those who had opted out included, and its chunks.

    `is_new` says whether it was found just now or by an earlier run.
    """

    rule_id: str
    customers: int
    opted_out: int
    chunks: int
    is_new: bool = False


@dataclass(frozen=True)
class Chunk:
    """Customers of a rule for whom one message is sent; `customers` is how many there are."""

    chunk_id: int
    rule_id: str
    chunk_no: int
    customers: int


@dataclass(frozen=True)
class Preview:
    """What a rule would be found to be for, with the facts of the first few customers."""

    rule_id: str
    customers: int
    opted_out: int
    chunks: int
    samples: list[facts.Facts]


def due_rules(connection: Connection, day: date, rules: Collection[str] | None = None) -> list[DueRule]:
    """Return the enabled rules that are due on a day; of `rules` only, if they are given.

    Raises UnknownRuleError when one of those is not there.
    """
    with connection.cursor(row_factory=class_row(DueRule)) as cursor:
        known = cursor.execute(query("notifications/rules.sql")).fetchall()
    if rules is not None:
        unknown = sorted(set(rules) - {rule.rule_id for rule in known})
        if unknown:
            raise UnknownRuleError(
                f"There is no rule {', '.join(unknown)}. There are: {', '.join(r.rule_id for r in known) or 'none'}."
            )
    return [
        rule
        for rule in known
        if rule.enabled and (rules is None or rule.rule_id in rules) and days.is_due(rule.due_kind, rule.due_value, day)
    ]


def plan(connection: Connection, day: date, rules: Collection[str] | None = None) -> list[Found]:
    """Find what is due on a day and freeze it; returns all that has been found for the day, also by earlier runs.

    Chunks that have failed are to be sent again; those of a rule that was disabled or deleted since are closed. Every
    rule is a transaction of its own. Raises UnknownRuleError.
    """
    due = due_rules(connection, day, rules)
    chosen = {"day": day, "rules": None if rules is None else list(rules)}
    connection.execute(query("notifications/close_withdrawn.sql"), chosen)
    connection.execute(query("notifications/reopen_failed.sql"), chosen)
    connection.commit()
    new = {rule.rule_id for rule in due if _freeze(connection, day, rule)}
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(query("notifications/found.sql"), chosen).fetchall()
    connection.commit()
    return [Found(**row, is_new=row["rule_id"] in new) for row in found]


def _freeze(connection: Connection, day: date, rule: DueRule) -> bool:
    """Freeze a rule's customers, unless that has been done; commits. Returns whether it did."""
    parameters = _parameters(rule, day)
    is_new = connection.execute(query("notifications/enter_due.sql"), parameters).fetchone() is not None
    if is_new:
        connection.execute(query("notifications/freeze.sql", audience=_audience(rule)), parameters)
    connection.commit()
    return is_new


def preview(connection: Connection, day: date, rules: Collection[str] | None = None) -> list[Preview]:
    """Return what `plan` would find if nothing had been found yet, and write nothing. Raises UnknownRuleError."""
    previews = []
    for due in due_rules(connection, day, rules):
        found = connection.execute(
            query("notifications/preview.sql", audience=_audience(due)), _parameters(due, day) | {"samples": SAMPLES}
        ).fetchone()
        rule = facts.rule(connection, due.rule_id)
        if found is not None and rule is not None:
            customers, opted_out, samples = found
            chunks = -(-(customers - opted_out) // CHUNK_CUSTOMERS)
            told = facts.facts(connection, rule, day, samples)
            previews.append(Preview(due.rule_id, customers, opted_out, chunks, told))
    connection.commit()
    return previews


def to_send(connection: Connection, day: date, rules: Collection[str] | None = None) -> list[Chunk]:
    """Return the chunks of a day whose messages have not been sent, or are to be sent again."""
    with connection.cursor(row_factory=class_row(Chunk)) as cursor:
        return cursor.execute(
            query("notifications/to_send.sql"), {"day": day, "rules": None if rules is None else list(rules)}
        ).fetchall()


def mark_queued(connection: Connection, chunk_ids: Sequence[int]) -> None:
    """Note that the messages of these chunks were sent."""
    connection.execute(query("notifications/mark_queued.sql"), {"chunks": list(chunk_ids)})


def prune(connection: Connection, older_than: timedelta) -> int:
    """Delete the chunks of what was found longer ago than that, and keep its account; commits every some of them.

    Returns of how many rules and days. What was not done by then never will be, and its account says so.
    """
    pruned = 0
    while True:
        cursor = connection.execute(
            query("notifications/prune.sql"), {"older_than": older_than, "most": PRUNED_AT_ONCE}
        )
        connection.commit()
        pruned += cursor.rowcount
        if cursor.rowcount < PRUNED_AT_ONCE:
            return pruned


def _parameters(rule: DueRule, day: date) -> dict[str, Any]:
    return days.parameters(day) | {
        "rule_id": rule.rule_id,
        "is_service": rule.topic == "service",
        "countries": rule.audience.get("countries"),
        "platforms": rule.audience.get("platforms"),
        "owned_game": rule.owned_game,
        "wishlisted_game": rule.wishlisted_game,
        "chunk_customers": CHUNK_CUSTOMERS,
    }


def _audience(rule: DueRule) -> sql.Composed:
    """Return the query of a rule's customers: of the conditions only those that it has, so that each is a join."""
    conditions = [
        name
        for name, given in (
            ("audience/countries.sql", rule.audience.get("countries")),
            ("audience/platforms.sql", rule.audience.get("platforms")),
            ("audience/owned_game.sql", rule.owned_game),
            ("audience/wishlisted_game.sql", rule.wishlisted_game),
            (f"event/{rule.event}.sql", rule.event),
        )
        if given
    ]
    among = [sql.SQL("c.customer_id in ({})").format(query(f"notifications/{name}")) for name in conditions]
    return query("notifications/audience.sql", conditions=sql.SQL(" and ").join(among) if among else sql.SQL("true"))
