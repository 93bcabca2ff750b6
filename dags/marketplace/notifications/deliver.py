"""A worker: takes messages, renders what their chunks of customers are to be told, and writes it to their inboxes.

Exactly one item a customer, rule and day, whatever is doubled, repeated or killed:
- A chunk is worked on under a lease in ops.notification_chunk, so a doubled message finds it done, or held.
- The first attempt at a chunk writes blindly, as nobody can have written before it. Each later one asks first what is
  there, and writes the rest: what was written once stays as it was said.
- No request to DynamoDB begins unless the lease lasts longer than any request can; so a worker that lost its lease has
  nothing under way when the next one asks.
- The message goes when the chunk's end is committed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import psycopg
from botocore.exceptions import BotoCoreError, ClientError

from marketplace.notifications import chunks, facts
from marketplace.notifications.chunks import Lease, LeaseLostError, Outcome
from marketplace.notifications.inbox import REQUEST_S, Inbox, InboxBusyError, Item, common_part, item_key, new_item
from marketplace.notifications.queue import MessageError, Queue, Received, read_order
from marketplace.notifications.render import Rendered, TemplateError, Text, Wording

log = logging.getLogger(__name__)

# What is not a chunk's fault: it would be the next one's, too. The worker ends, and its task is tried again.
PLATFORM = (BotoCoreError, InboxBusyError, psycopg.OperationalError, psycopg.InterfaceError)
# Of DynamoDB's refusals only this one is about what is written.
OF_THE_ITEM = "ValidationException"


@dataclass(frozen=True)
class Limits:
    """How long a worker holds on, waits and repeats, in seconds.

    A chunk of a thousand customers takes one or two; the lease is for a database or a table that is slow.
    """

    lease_s: float = 120
    # Left of a lease when a request begins.
    margin_s: float = 2 * REQUEST_S
    # For a message, in one request.
    wait_s: int = 1
    # Between two looks at chunks that others hold. The queue tells nothing of their end, so the store is asked: to be
    # told, each chunk would have to notify and each worker to listen, for the last second of a day. How long that goes
    # on is bounded by the others' leases.
    glance_s: float = 0.1
    # Until a chunk that went wrong is tried again.
    pause_s: float = 30
    # Without any message or held chunk, until lost messages are sent again; and then once more, until the worker ends.
    patience_s: float = 180
    max_receives: int = 5


@dataclass
class Work:
    """What a worker has done, over all days."""

    chunks: int = 0
    delivered: int = 0
    skipped: int = 0
    failed: int = 0
    buried: int = 0
    sent_again: int = 0
    days: set[date] = field(default_factory=set)


class Worker:
    """One worker, in one thread. `told` is called after each chunk that is done, with the seconds that it took."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        queue: Queue,
        inbox: Inbox,
        name: str,
        *,
        limits: Limits | None = None,
        told: Callable[[Lease, Outcome, float], None] = lambda _lease, _outcome, _seconds: None,
    ) -> None:
        self._connection = connection
        self._queue = queue
        self._inbox = inbox
        self._name = name
        self._limits = limits or Limits()
        self._told = told
        self._wordings: dict[str, tuple[facts.Rule, Wording]] = {}
        self.work = Work()

    def drain(self, day: date) -> Work:
        """Work until every chunk of the day is done or failed; messages of other days are worked on as they come.

        Gives up when nothing moves for twice `patience_s`, the second time after lost messages were sent again; the
        account of the run then names what is left. Raises what of PLATFORM stops it.
        """
        still_since, moved, sent_again = time.monotonic(), -1, False
        while (progress := chunks.progress(self._connection, day)).open:
            if progress.moved != moved or progress.held:
                still_since, moved = time.monotonic(), progress.moved
            elif time.monotonic() - still_since > self._limits.patience_s:
                if sent_again:
                    log.error("%s: nothing moves any more, and %s chunks are open", day, progress.open)
                    break
                self._send_again(day)
                still_since, sent_again = time.monotonic(), True
            # A chunk that another holds brings no message until its lease ends: no use to wait for one.
            all_held = progress.held == progress.open
            if self._work_for(1.0, wait_s=0 if all_held else self._limits.wait_s):
                still_since = time.monotonic()
            elif all_held:
                time.sleep(self._limits.glance_s)
        return self.work

    def _send_again(self, day: date) -> None:
        lost = chunks.claim_lost(self._connection, day, self._limits.patience_s)
        self._queue.send(lost)
        self.work.sent_again += len(lost)
        log.warning("%s: %s messages seem lost, and are sent again", day, len(lost))

    def _work_for(self, seconds: float, *, wait_s: int) -> bool:
        """Handle messages for about so long; tell whether there was any.

        Only the first is waited for, up to `wait_s`: after the last one the day may be done, to be seen at once.
        """
        until, any_came = time.monotonic() + seconds, False
        hidden_s = round(self._limits.lease_s)
        while received := self._queue.receive(wait_s=0 if any_came else wait_s, hidden_s=hidden_s):
            any_came = True
            for message in received:
                self.handle(message)
            if time.monotonic() > until:
                break
        return any_came

    def handle(self, message: Received) -> None:
        """Do what a message asks for. Raises what of PLATFORM, or of DynamoDB's refusals, hits any chunk alike."""
        try:
            order = read_order(message.body)
        except MessageError as error:
            self._bury(message, f"no message of ours: {error}")
            return
        lease = chunks.take(self._connection, order, self._name, self._limits.lease_s)
        if lease is None:
            found = chunks.state(self._connection, order)
            if found is None:
                self._bury(message, f"there is no chunk {order.chunk_id} of rule {order.rule_id} on {order.day}")
            elif found.state == "done":
                self._queue.delete(message)
            else:
                self._queue.hide(message, found.held_s + 1)
        elif message.receives > self._limits.max_receives:
            last = lease.error or "no worker came to an end with it, and none could say why"
            reason = f"received {message.receives} times: {last}"
            log.error("%s: %s", lease.name, reason)
            chunks.fail(self._connection, lease, reason)
            self.work.failed += 1
            self._bury(message, f"{lease.name}: {reason}")
        else:
            self._attempt(lease, message)

    def _bury(self, message: Received, reason: str) -> None:
        log.error("Message %s goes to the dead-letter queue: %s", message.message_id, reason)
        self._queue.bury(message, reason)
        self.work.buried += 1

    def _attempt(self, lease: Lease, message: Received) -> None:
        begun = time.monotonic()
        try:
            outcome = self._deliver(lease, message)
            chunks.finish(self._connection, lease, outcome)
        except LeaseLostError as error:
            log.warning("%s", error)  # who has it has the message's other receipt as well
            return
        except TemplateError as error:
            # The same for whoever tries it: the rule's text must be mended, and then the run cleared.
            log.error("%s: %s", lease.name, error)
            chunks.fail(self._connection, lease, str(error))
            self.work.failed += 1
            self._queue.delete(message)
            return
        except Exception as error:
            said = f"attempt {lease.attempts}: {type(error).__name__}: {error}"
            log.exception("%s, attempt %s", lease.name, lease.attempts)
            # A connection that is broken cannot release it: then the lease expires.
            with suppress(psycopg.OperationalError, psycopg.InterfaceError, LeaseLostError):
                chunks.release(self._connection, lease, said)
            with suppress(BotoCoreError, ClientError):
                self._queue.hide(message, self._limits.pause_s)
            if isinstance(error, PLATFORM) or _refuses_all(error):
                raise
            return
        self._queue.delete(message)
        seconds = time.monotonic() - begun
        self.work.chunks += 1
        self.work.delivered += outcome.delivered
        self.work.skipped += sum(outcome.skipped.values())
        self.work.days.add(lease.day)
        log.info(
            "%s: %s delivered, skipped %s, in %.2f s, attempt %s",
            lease.name, outcome.delivered, outcome.skipped or 0, seconds, lease.attempts,
        )  # fmt: skip
        self._told(lease, outcome, seconds)

    def _deliver(self, lease: Lease, message: Received) -> Outcome:
        """Render and write what is not there yet; returns what became of all customers of the chunk."""

        def hold() -> None:
            if lease.left_s < self._limits.margin_s:
                chunks.renew(self._connection, lease, self._limits.lease_s)
                self._queue.hide(message, self._limits.lease_s)

        there: set[str] = set()
        if lease.attempts > 1:
            refs = chunks.refs(self._connection, lease.customers)
            there = self._inbox.existing(list(refs.values()), item_key(lease.day, lease.rule_id), hold)
        with self._connection.transaction():
            rule = facts.rule(self._connection, lease.rule_id)
            if rule is None or not rule.enabled:
                reason = "rule_gone" if rule is None else "rule_disabled"
                return _outcome(lease, len(there), {reason: len(lease.customers) - len(there)})
            wording = self._wording(rule)
            people = facts.facts(self._connection, rule, lease.day, lease.customers)
        new = [person for person in people if person.ref not in there]
        willing = [person for person in new if person.opted_in]
        delivered = len(there) + self._inbox.put(_items(rule, lease.day, wording, willing), hold)
        opted_out = len(new) - len(willing)
        gone = len(lease.customers) - delivered - opted_out
        return _outcome(lease, delivered, {"opted_out": opted_out, "gone": gone})

    def _wording(self, rule: facts.Rule) -> Wording:
        known = self._wordings.get(rule.rule_id)
        if known is None or known[0] != rule:
            known = self._wordings[rule.rule_id] = rule, wording(rule)
        return known[1]


def wording(rule: facts.Rule) -> Wording:
    """Return a rule's texts, checked and compiled. Raises TemplateError."""
    texts = [Text(locale, text.subject, text.body) for locale, text in rule.texts.items()]
    return Wording(rule.rule_id, rule.event, [Text(rule.locale, rule.subject, rule.body), *texts])


def _items(rule: facts.Rule, day: date, wording: Wording, people: Sequence[facts.Facts]) -> Iterator[Item]:
    common = common_part(day, rule.rule_id, rule.topic)
    for person in people:
        yield new_item(person.ref, common, render(wording, day, person))


def render(wording: Wording, day: date, person: facts.Facts) -> Rendered:
    """Return what a customer is told. Raises TemplateError."""
    customer = {
        "ref": person.ref,
        "name": person.name,
        "locale": person.locale,
        "country": person.country,
        "time_zone": person.time_zone,
    }
    return wording.render(customer, day, person.event)


def _outcome(lease: Lease, delivered: int, skipped: dict[str, int]) -> Outcome:
    outcome = Outcome(delivered, {reason: count for reason, count in skipped.items() if count})
    if delivered + sum(outcome.skipped.values()) != len(lease.customers) or min([0, *skipped.values()]) < 0:
        raise AssertionError(f"{lease.name}: {outcome} does not account for {len(lease.customers)} customers")
    return outcome


def _refuses_all(error: Exception) -> bool:
    """Tell whether AWS refused for a reason that is no item's: a right that is missing, a table that is gone."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] != OF_THE_ITEM
