"""The account of a day's notifications: found = queued = processed chunks, expected = delivered + skipped customers.

Whatever is missing from either is a problem, which names rule and chunk.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from marketplace.store import query

if TYPE_CHECKING:
    Connection = psycopg.Connection[Any]

# Why customers are not told: each is a column of ops.notification_account.
REASONS = ("opted_out", "gone", "rule_disabled", "rule_gone")
# Of a rule that fails, all chunks fail: a few of them say why.
PROBLEMS_OF_A_RULE = 3


@dataclass(frozen=True)
class RuleAccount:
    """What has become of a rule on a day: chunks found, queued, processed; customers expected, delivered, skipped."""

    found: int
    queued: int
    processed: int
    expected: int
    delivered: int
    skipped: dict[str, int]


@dataclass(frozen=True)
class Account:
    """The sums over the rules of a day, each rule's own account, and what is missing."""

    found: int
    queued: int
    processed: int
    expected: int
    delivered: int
    skipped: dict[str, int]
    rules: dict[str, RuleAccount]
    problems: list[str]


def start(connection: Connection, day: date, run_id: str) -> None:
    """Enter that a run has begun with a day."""
    connection.execute(query("notifications/start_run.sql"), {"day": day, "run_id": run_id})


def account(connection: Connection, day: date, rules: Collection[str] | None = None) -> Account:
    """Return the account of a day as it stands; of `rules` only, if they are given."""
    chosen = {"day": day, "rules": None if rules is None else list(rules), "most": PROBLEMS_OF_A_RULE}
    with connection.cursor(row_factory=dict_row) as cursor:
        counted = cursor.execute(query("notifications/account.sql"), chosen).fetchall()
        unfinished = cursor.execute(query("notifications/unfinished.sql"), chosen).fetchall()
    problems = [_what_is_missing(chunk) for chunk in unfinished]
    of_rules: dict[str, RuleAccount] = {}
    for row in counted:
        skipped = Counter({reason: int(customers) for reason, customers in row["skipped"].items()})
        skipped["opted_out"] += row["opted_out"]
        of_rule = of_rules[row["rule_id"]] = RuleAccount(
            found=row["found"],
            queued=row["queued"],
            processed=row["processed"],
            expected=row["expected"],
            delivered=row["delivered"],
            skipped=dict(sorted((+skipped).items())),
        )
        problems += _what_does_not_add_up(row, of_rule)
    every = of_rules.values()
    total: Counter[str] = sum((Counter(one.skipped) for one in every), Counter())
    return Account(
        found=sum(one.found for one in every),
        queued=sum(one.queued for one in every),
        processed=sum(one.processed for one in every),
        expected=sum(one.expected for one in every),
        delivered=sum(one.delivered for one in every),
        skipped=dict(sorted(total.items())),
        rules=of_rules,
        problems=problems,
    )


def finish(connection: Connection, day: date, run_id: str, account: Account) -> None:
    """Write the account into ops.notification_run, and for the warehouse into ops.notification_account.

    The day is done only when nothing is missing.
    """
    entry = asdict(account) | {"day": day, "run_id": run_id, "status": "failed" if account.problems else "done"}
    entry |= {name: json.dumps(entry[name]) for name in ("skipped", "rules")}
    connection.execute(query("notifications/finish_run.sql"), entry)
    for rule_id, of in account.rules.items():
        connection.execute(query("notifications/tell_account.sql"), {"day": day, "rule_id": rule_id, **_told(of)})


def _told(of: RuleAccount) -> dict[str, int]:
    """Return a rule's account with a number for each reason. Raises ValueError for one that has no column."""
    if unknown := of.skipped.keys() - set(REASONS):
        raise ValueError(
            f"Customers were skipped by {', '.join(sorted(unknown))}: add a column for it to ops.notification_account, "
            "in the store and the warehouse, and to REASONS."
        )
    counts = {"expected": of.expected, "delivered": of.delivered}
    return counts | {reason: of.skipped.get(reason, 0) for reason in REASONS}


def _what_is_missing(chunk: dict[str, Any]) -> str:
    if chunk["state"] == "failed":
        why = f"failed after {chunk['attempts']} attempts: {chunk['error']}"
    elif not chunk["was_sent"]:
        why = "its message was not sent"
    else:
        why = f"its message was sent, and it is not done after {chunk['attempts']} attempts"
        why += f": {chunk['error']}" if chunk["error"] else ""
    more = f" (and {chunk['more']} more chunks)" if chunk["more"] > 0 else ""
    return f"rule {chunk['rule_id']}, chunk {chunk['chunk_no']}: {why}{more}"


def _what_does_not_add_up(row: dict[str, Any], of: RuleAccount) -> list[str]:
    """Return what is wrong with a rule apart from the chunks that are still there and not done."""
    rule = f"rule {row['rule_id']}"
    if row["is_pruned"]:
        lost = of.found - of.processed
        return [f"{rule}: {lost} of {of.found} chunks were not done when they were pruned"] if lost else []
    if row["kept"] != of.found:
        return [f"{rule}: {of.found} chunks were found, and {row['kept']} are there"]
    if of.processed == of.found and of.expected != of.delivered + sum(of.skipped.values()):
        return [
            f"{rule}: {of.expected} customers expected, {of.delivered} delivered, {sum(of.skipped.values())} skipped"
        ]
    return []
