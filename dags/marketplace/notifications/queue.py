"""The queue of what is to be written: a message names a chunk of a rule's audience on a day, and no person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

VERSION = 1
BATCH = 10  # what SQS takes in one call
SEND_ATTEMPTS = 3
# SQS keeps an attribute with the message; of a reason that is longer, its beginning says what it is about.
REASON_LENGTH = 1_000
LONGEST_HIDDEN_S = 43_200  # the longest that SQS hides a message


class MessageError(ValueError):
    """A message that is none of ours, or of a version that this code does not know; the text says which."""


class SendError(RuntimeError):
    """SQS refused messages again and again; the text names the first."""


@dataclass(frozen=True)
class Order:
    """What a message asks for: to notify the customers of one chunk."""

    day: date
    rule_id: str
    chunk_id: int

    def body(self) -> str:
        """Return the message's body."""
        return json.dumps(
            {"version": VERSION, "day": self.day.isoformat(), "rule_id": self.rule_id, "chunk_id": self.chunk_id}
        )


def read_order(body: str) -> Order:
    """Return what a message asks for. Raises MessageError."""
    try:
        read = json.loads(body)
    except ValueError:
        raise MessageError("the body is not JSON") from None
    if not isinstance(read, dict) or read.get("version") != VERSION:
        version = read.get("version") if isinstance(read, dict) else None
        raise MessageError(f"the version is {version!r}, and this worker knows {VERSION}")
    day, rule_id, chunk_id = (read.get(name) for name in ("day", "rule_id", "chunk_id"))
    try:
        on = date.fromisoformat(str(day))
    except ValueError:
        raise MessageError(f"the day is {day!r}, and it must be a date such as 2026-11-22") from None
    # Not printable: control characters, and halves of characters, which the store would choke on.
    known = isinstance(rule_id, str) and rule_id.isprintable()
    if not known or type(chunk_id) is not int or not 0 < chunk_id < 2**63:
        raise MessageError(f"the rule_id is {rule_id!r} and the chunk_id {chunk_id!r}: a text and a number are needed")
    return Order(on, str(rule_id), chunk_id)


class Received(NamedTuple):
    """A message as a worker has it: its receipt hides it from others, for a while; `receives` counts this receipt."""

    body: str
    receipt: str
    receives: int
    message_id: str
    attributes: dict[str, str]


class Queue:
    """A queue and its dead-letter queue, by boto3's client."""

    def __init__(self, sqs: Any, url: str, dead_letter_url: str) -> None:
        self._sqs = sqs
        self._url = url
        self._dead_letter_url = dead_letter_url

    def send(self, orders: Sequence[Order]) -> None:
        """Send a message an order. Raises SendError, or what boto3 raises; some of the messages may be sent then."""
        for start in range(0, len(orders), BATCH):
            self._send(self._url, [{"MessageBody": order.body()} for order in orders[start : start + BATCH]])

    def _send(self, url: str, messages: Sequence[dict[str, Any]]) -> None:
        entries: list[Any] = [{"Id": str(number), **message} for number, message in enumerate(messages)]
        for attempt in range(1, SEND_ATTEMPTS + 1):
            refused = {failed["Id"]: failed for failed in self._sqs.send_message_batch(
                QueueUrl=url, Entries=entries
            ).get("Failed", [])}  # fmt: skip
            if not refused:
                return
            entries = [entry for entry in entries if entry["Id"] in refused]
            first = refused[entries[0]["Id"]]
            if first["SenderFault"] or attempt == SEND_ATTEMPTS:
                raise SendError(
                    f"SQS refused {len(entries)} messages, the first: {first['Code']} {first.get('Message')}:"
                    f" {entries[0]['MessageBody']}"
                )

    def receive(self, *, wait_s: int, hidden_s: int, most: int = 1) -> list[Received]:
        """Return at most so many messages, hidden from others for `hidden_s`; wait for the first up to `wait_s`."""
        return self._receive(self._url, wait_s, hidden_s, most)

    def dead(self, *, hidden_s: int, most: int = BATCH) -> list[Received]:
        """Return at most so many messages of the dead-letter queue, with the attribute `reason` where there is one."""
        return self._receive(self._dead_letter_url, 1, hidden_s, most)

    def _receive(self, url: str, wait_s: int, hidden_s: int, most: int) -> list[Received]:
        answer = self._sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=most,
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=hidden_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            MessageAttributeNames=["All"],
        )
        return [
            Received(
                message["Body"],
                message["ReceiptHandle"],
                int(message["Attributes"]["ApproximateReceiveCount"]),
                message["MessageId"],
                {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()
                 if "StringValue" in value},
            )
            for message in answer.get("Messages", [])
        ]  # fmt: skip

    def hide(self, received: Received, seconds: float) -> None:
        """Hide a message from now on for so long; 0 shows it at once."""
        self._sqs.change_message_visibility(
            QueueUrl=self._url,
            ReceiptHandle=received.receipt,
            VisibilityTimeout=min(max(0, round(seconds)), LONGEST_HIDDEN_S),
        )

    def delete(self, received: Received) -> None:
        """Delete a message that is done."""
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=received.receipt)

    def bury(self, received: Received, reason: str) -> None:
        """Move a message to the dead-letter queue, with the reason as an attribute.

        First it is there, then it is gone here: a worker that ends between the two leaves it in both.
        """
        self._send(
            self._dead_letter_url,
            [
                {
                    "MessageBody": received.body,
                    "MessageAttributes": {
                        "reason": {"DataType": "String", "StringValue": reason[:REASON_LENGTH] or "none was given"}
                    },
                }
            ],
        )
        self.delete(received)

    def redrive(self, received: Received) -> None:
        """Move a message of the dead-letter queue back, as a new one; its reason stays behind."""
        self._send(self._url, [{"MessageBody": received.body}])
        self.discard(received)

    def show(self, received: Received) -> None:
        """Leave a message of the dead-letter queue where it is, for the next who looks."""
        self._sqs.change_message_visibility(
            QueueUrl=self._dead_letter_url, ReceiptHandle=received.receipt, VisibilityTimeout=0
        )

    def discard(self, received: Received) -> None:
        """Delete a message of the dead-letter queue."""
        self._sqs.delete_message(QueueUrl=self._dead_letter_url, ReceiptHandle=received.receipt)

    def counts(self) -> dict[str, int]:
        """Return about how many messages wait, are with a worker, and are in the dead-letter queue."""
        names: list[Any] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        here, there = (
            self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            for url in (self._url, self._dead_letter_url)
        )
        return {
            "waiting": int(here[names[0]]),
            "with_a_worker": int(here[names[1]]),
            "dead": int(there[names[0]]) + int(there[names[1]]),
        }
