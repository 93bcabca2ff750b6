"""The dead-letter queue: what lies there and why, and having it delivered again or deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

import psycopg

from marketplace.notifications import chunks
from marketplace.notifications.queue import MessageError, Order, Queue, Received, read_order

# For so long nobody else sees the messages that are looked at.
HIDDEN_S = 300
# Of a message that SQS itself has moved, since no worker said why.
NO_REASON = "received too often; no worker said why"
SHOWN = 20  # messages that are shown whole


@dataclass(frozen=True)
class Choice:
    """Which messages: of this rule (*, ? and [ ] stand for others), and with this text in their reason; None: any."""

    rule_id: str | None = None
    reason: str | None = None
    most: int = 1_000

    def fits(self, order: Order | None, reason: str) -> bool:
        """Tell whether a message is chosen; `order` is None of a message that is none of ours."""
        rule = order.rule_id if order else ""
        return (self.rule_id is None or fnmatchcase(rule, self.rule_id)) and (self.reason or "") in reason


@dataclass(frozen=True)
class Dead:
    """A message of the dead-letter queue; `order` is None when it is none of ours."""

    message: Received
    order: Order | None
    reason: str


def look(queue: Queue, choice: Choice) -> list[Dead]:
    """Return the chosen messages, hidden from others for HIDDEN_S; those that are not chosen are shown again."""
    chosen: list[Dead] = []
    for dead in _all(queue):
        if len(chosen) < choice.most and choice.fits(dead.order, dead.reason):
            chosen.append(dead)
        else:
            queue.show(dead.message)
    return chosen


def _all(queue: Queue) -> Iterator[Dead]:
    """Yield each message once, whose caller shows it again only after all were received."""
    found: dict[str, Dead] = {}
    while messages := [one for one in queue.dead(hidden_s=HIDDEN_S) if one.message_id not in found]:
        for message in messages:
            try:
                order = read_order(message.body)
            except MessageError:
                order = None
            found[message.message_id] = Dead(message, order, message.attributes.get("reason", NO_REASON))
    yield from found.values()


def summary(dead: list[Dead]) -> dict[str, Any]:
    """Return how many messages there are, by reason and by day, and the first of them as they are."""
    return {
        "messages": len(dead),
        "by_reason": dict(Counter(one.reason for one in dead).most_common(SHOWN)),
        "by_day": dict(sorted(Counter(str(one.order.day) if one.order else "?" for one in dead).items())),
        "first": [{"body": one.message.body[:1_000], "reason": one.reason} for one in dead[:SHOWN]],
    }


def leave(queue: Queue, dead: list[Dead]) -> None:
    """Show messages again that were only looked at."""
    for one in dead:
        queue.show(one.message)


def redrive(connection: psycopg.Connection[Any], queue: Queue, dead: list[Dead]) -> list[date]:
    """Have messages worked on again, and return their days, oldest first.

    One whose chunk is done by now is deleted; one that is none of ours stays, as a worker would only bring it back.
    """
    ours = [one for one in dead if one.order]
    again = chunks.queue_again(connection, [one.order.chunk_id for one in ours if one.order])
    days = set()
    for one in dead:
        if one.order is None:
            queue.show(one.message)
        elif one.order.chunk_id in again:
            queue.redrive(one.message)
            days.add(one.order.day)
        else:
            queue.discard(one.message)
    return sorted(days)


def discard(queue: Queue, dead: list[Dead]) -> None:
    """Delete messages. Their chunks stay failed, and a run of their day sends them anew."""
    for one in dead:
        queue.discard(one.message)
