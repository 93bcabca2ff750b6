"""The customers' inboxes, a DynamoDB table: writing what was rendered, and finding out what is written already.

An item a notification, `customer_id` and `item` its key, such as CUST-0001 and 2026-11-22#RULE-7; it is written once.
What the customer has read is an item of its own, `read#2026-11-22#RULE-7`, which nothing here touches.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

if TYPE_CHECKING:
    from marketplace.notifications.render import Rendered

log = logging.getLogger(__name__)

Item = dict[str, Any]

WRITE_BATCH, READ_BATCH = 25, 100  # what DynamoDB takes in one call
KEPT = timedelta(days=400)
# How often the same items are refused, with nothing written meanwhile, until they are given up; the pauses between are
# drawn from 0 to BASE * 2^n, at most CAP: about a quarter of a minute in all.
ATTEMPTS, BASE_S, CAP_S = 9, 0.05, 5.0
CONNECT_S, READ_S = 3, 10
# The longest that a request can be under way, since botocore repeats none. Nobody else may write by then.
REQUEST_S = CONNECT_S + READ_S + 2
# Requests are made from checked values, so botocore need not check each of a million items again. It repeats nothing:
# how often and how long is decided here, where the lease is known.
CLIENT = Config(
    connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"total_max_attempts": 1}, parameter_validation=False,
    tcp_keepalive=True,
)  # fmt: skip
BUSY = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
    }
)
AWAY = (ConnectionClosedError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError)


class InboxBusyError(RuntimeError):
    """The table took nothing any more, though it was asked again and again: it is throttled, or away."""


def item_key(day: date, rule_id: str) -> str:
    """Return the sort key of a rule's notification of a day."""
    return f"{day.isoformat()}#{rule_id}"


def common_part(day: date, rule_id: str, topic: str) -> Item:
    """Return what the items of a rule and day have in common, as DynamoDB takes it; `stored_at` is now."""
    return {
        "item": {"S": item_key(day, rule_id)},
        "day": {"S": day.isoformat()},
        "rule_id": {"S": rule_id},
        "topic": {"S": topic},
        "stored_at": {"S": datetime.now(UTC).isoformat(timespec="milliseconds")},
        "expires_at": {"N": str(expiry(day))},
    }


def new_item(customer_ref: str, common: Item, rendered: Rendered) -> Item:
    """Return a customer's item as DynamoDB takes it."""
    return {
        "customer_id": {"S": customer_ref},
        **common,
        "locale": {"S": rendered.locale},
        "subject": {"S": rendered.subject},
        "body": {"S": rendered.body},
    }


def expiry(day: date) -> int:
    """Return when what belongs to a day expires, in seconds since 1970."""
    return int((datetime(day.year, day.month, day.day, tzinfo=UTC) + KEPT).timestamp())


class Inbox:
    """The table, by boto3's client, made with CLIENT.

    `hold` of its methods is called before each request: it raises when the caller may not write.
    """

    def __init__(self, dynamodb: Any, table: str, sleep: Callable[[float], object] = time.sleep) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._sleep = sleep
        events, name = dynamodb.meta.events, "dynamodb.BatchWriteItem"
        events.register(f"provide-client-params.{name}", _take_items, unique_id="inbox-takes-items")
        events.register_first(f"before-call.{name}", _give_items, unique_id="inbox-gives-items")

    def put(self, items: Iterable[Item], hold: Callable[[], None]) -> int:
        """Write items, whatever is there under their keys, and return how many; keys must differ.

        What DynamoDB leaves unprocessed is tried again, with growing pauses of random length. Raises InboxBusyError
        when it takes nothing for ATTEMPTS times, and what boto3 raises.
        """
        coming = iter(items)
        pending: deque[Item] = deque()
        written = refused = 0
        while batch := list(_filled(pending, coming)):
            hold()
            left = self._put(batch)
            written += len(batch) - len(left)
            pending.extend(left)
            # Taking some is taking: only a table that takes nothing at all is given up.
            refused = 0 if not left else refused + 1 if len(left) == len(batch) else 1
            if refused:
                self._pause(refused, len(left))
        return written

    def _put(self, batch: list[Item]) -> list[Item]:
        """Write a batch, and return what was not written."""
        puts: Any = [{"PutRequest": {"Item": item}} for item in batch]
        answer = self._ask(self._dynamodb.batch_write_item, {self._table: puts})
        if answer is None:
            return batch
        return [put["PutRequest"]["Item"] for put in answer["UnprocessedItems"].get(self._table, ())]

    def existing(self, customer_refs: Sequence[str], key: str, hold: Callable[[], None]) -> set[str]:
        """Return those of the customers who have an item of this sort key, as of now. Raises as `put` does."""
        names = {"ProjectionExpression": "#c", "ExpressionAttributeNames": {"#c": "customer_id"}}
        found: set[str] = set()
        for start in range(0, len(customer_refs), READ_BATCH):
            group = customer_refs[start : start + READ_BATCH]
            keys: Any = [{"customer_id": {"S": ref}, "item": {"S": key}} for ref in group]
            refused = 0
            while keys:
                hold()
                request: Any = {self._table: {"Keys": keys, "ConsistentRead": True, **names}}
                answer = self._ask(self._dynamodb.batch_get_item, request)
                if answer is None:
                    left = keys
                else:
                    found.update(item["customer_id"]["S"] for item in answer["Responses"].get(self._table, ()))
                    left = answer["UnprocessedKeys"].get(self._table, {}).get("Keys", [])
                if left:
                    refused = refused + 1 if len(left) == len(keys) else 1
                    self._pause(refused, len(left))
                keys = left
        return found

    def _ask(self, call: Callable[..., Any], request: Any) -> Any:
        """Return the answer, or None when the table is busy or away, and is to be asked again."""
        try:
            return call(RequestItems=request)
        except ClientError as error:
            if error.response["Error"]["Code"] not in BUSY:
                raise
            log.warning("DynamoDB: %s", error)
        except AWAY as error:
            log.warning("DynamoDB: %s", error)
        return None

    def _pause(self, refused: int, left: int) -> None:
        if refused >= ATTEMPTS:
            raise InboxBusyError(f"The table {self._table} took none of {left} items for {ATTEMPTS} times.")
        self._sleep(random.uniform(0, min(CAP_S, BASE_S * 2**refused)))  # noqa: S311 - spreads load, hides nothing


# A write's items are made as DynamoDB's JSON has them. botocore would walk through each by the service's model, which
# takes it as long as all else of a request. So it gets a request without items, and before it is signed and sent these
# two put the whole one in its place. (Events of botocore: provide-client-params, before-call.)


def _take_items(params: dict[str, Any], context: dict[str, Any], **_: Any) -> dict[str, Any]:
    context["whole_body"] = json.dumps(params).encode()
    return {"RequestItems": {table: [] for table in params["RequestItems"]}}


def _give_items(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    params["body"] = context["whole_body"]


def _filled(pending: deque[Item], coming: Iterator[Item]) -> Iterator[Item]:
    """Yield a batch: what was refused before first, then what is new."""
    for _ in range(WRITE_BATCH):
        if pending:
            yield pending.popleft()
        else:
            item = next(coming, None)
            if item is None:
                return
            yield item
