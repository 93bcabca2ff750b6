"""A customer's notifications in DynamoDB: asked for by the customer's key, never by a scan.

The table holds a notification (`2026-11-22#RULE-7`: written once, by the DAG notify_customers) and whether it was read
(`read#2026-11-22#RULE-7`: written here) as items of their own, so that no run of the DAG forgets what was read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from marketplace.api.problems import Problem

READ = "read#"
# A day's items lie between DAY# and this: rules' ids are of printable characters, all of which are less.
LAST = "#\U0010ffff"
FIRST_DAY, LAST_DAY = "0000-01-01", "9999-12-31"
ATTRIBUTES = ("day", "rule_id", "topic", "locale", "subject", "body", "stored_at")
NAMES = {f"#{name}": name for name in ATTRIBUTES}  # some of them are words that DynamoDB reserves
# How many queries (up to 1 MB each) one request may take.
MOST_QUERIES = 20

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """Notifications, the newest first, and the item after which the next page begins."""

    notifications: list[dict[str, Any]]
    following: str | None


class Inbox:
    """Reads and marks the notifications of one customer after another."""

    def __init__(self, table: str) -> None:
        self._table = table

    @cached_property
    def _client(self) -> Any:
        import botocore.session

        config = BotoConfig(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})
        return botocore.session.get_session().create_client("dynamodb", config=config)

    def page(self, customer: str, first_day: str, last_day: str, *, unread: bool, rows: int, after: str | None) -> Page:
        """Return up to `rows` notifications of these days, or of the unread among them. Raises Problem.

        Among many that are read, a page of the unread may have fewer, even none, though others follow.
        """
        found: list[dict[str, Any]] = []
        for _ in range(MOST_QUERIES):
            # One more than is shown says whether there is another page.
            batch, following = self._batch(customer, first_day, last_day, after, max(rows + 1, 100 if unread else 0))
            read = self._read_states(customer, batch[-1]["item"]["S"], batch[0]["item"]["S"]) if batch else {}
            for item in batch:
                if unread and item["item"]["S"] in read:
                    continue
                if len(found) == rows:
                    return Page(found, found[-1]["item"])
                found.append(_shown(item, read))
            if following is None:
                return Page(found, None)
            after = following
        return Page(found, after)

    def unread(self, customer: str) -> int:
        """Return how many notifications are unread. Raises Problem."""
        read = self._read_states(customer, FIRST_DAY, LAST_DAY + LAST)
        bodies = self._all(customer, FIRST_DAY, LAST_DAY + LAST, "#i, expires_at")
        return sum(item["item"]["S"] not in read for item in bodies)

    def one(self, customer: str, item: str) -> dict[str, Any] | None:
        """Return a notification, or None when the customer has none of that key. Raises Problem."""
        body = self._get(customer, item)
        state = self._get(customer, READ + item)
        return None if body is None else _shown(body, {item: state["read_at"]["S"]} if state else {})

    def mark(self, customer: str, item: str, *, read: bool) -> dict[str, Any] | None:
        """Mark a notification as read or unread and return it, as `one` does. Marked again it keeps its first time."""
        body = self._get(customer, item)
        if body is None:
            return None
        key = {"customer_id": {"S": customer}, "item": {"S": READ + item}}
        if not read:
            self._call("delete_item", Key=key)
            return _shown(body, {})
        now = datetime.now(UTC).isoformat(timespec="seconds")
        marked = self._call(
            "update_item",
            Key=key,
            # read_of is the key of the index by which reads are counted: nothing else has it.
            UpdateExpression="SET read_at = if_not_exists(read_at, :now), expires_at = :expires, read_of = :item",
            ExpressionAttributeValues={":now": {"S": now}, ":expires": body["expires_at"], ":item": {"S": item}},
            ReturnValues="ALL_NEW",
        )
        return _shown(body, {item: marked["Attributes"]["read_at"]["S"]})

    def _batch(
        self, customer: str, first_day: str, last_day: str, after: str | None, rows: int
    ) -> tuple[list[Item], str | None]:
        """Return up to `rows` notifications, the newest first, and the item after which others may follow."""
        asked = _between(customer, first_day, last_day + LAST, ", ".join(["#i", "expires_at", *NAMES]))
        asked["ExpressionAttributeNames"] |= NAMES
        asked |= {"ScanIndexForward": False, "Limit": rows}
        if after:
            asked["ExclusiveStartKey"] = {"customer_id": {"S": customer}, "item": {"S": after}}
        answer = self._call("query", **asked)
        last = answer.get("LastEvaluatedKey")
        return _unexpired(answer["Items"]), last["item"]["S"] if last else None

    def _read_states(self, customer: str, first: str, last: str) -> dict[str, str]:
        """Return when each notification from `first` to `last` was read, by its item."""
        states = self._all(customer, READ + first, READ + last, "#i, expires_at, read_at")
        return {state["item"]["S"].removeprefix(READ): state["read_at"]["S"] for state in states}

    def _all(self, customer: str, first: str, last: str, projection: str) -> Iterator[Item]:
        """Yield a customer's items from `first` to `last`. Raises Problem."""
        asked = _between(customer, first, last, projection)
        for _ in range(MOST_QUERIES):
            answer = self._call("query", **asked)
            yield from _unexpired(answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "These are too many notifications at once.")

    def _get(self, customer: str, item: str) -> Item | None:
        key = {"customer_id": {"S": customer}, "item": {"S": item}}
        found = self._call("get_item", Key=key, ConsistentRead=True).get("Item")
        return next(iter(_unexpired([found])), None) if found else None

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            return getattr(self._client, operation)(TableName=self._table, **parameters)
        except (BotoCoreError, ClientError) as error:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "The notifications do not answer.", headers={"Retry-After": "5"}
            ) from error


def _between(customer: str, first: str, last: str, projection: str) -> dict[str, Any]:
    """Return the parameters of a query for a customer's items from `first` to `last`."""
    return {
        "KeyConditionExpression": "customer_id = :customer and #i between :first and :last",
        "ExpressionAttributeNames": {"#i": "item"},
        "ExpressionAttributeValues": {":customer": {"S": customer}, ":first": {"S": first}, ":last": {"S": last}},
        "ProjectionExpression": projection,
        # What a customer has just marked must be marked in the next answer.
        "ConsistentRead": True,
    }


def _unexpired(items: Sequence[Item]) -> list[Item]:
    """Return the items that have not expired: DynamoDB deletes those some days later."""
    now = time.time()
    return [item for item in items if float(item["expires_at"]["N"]) > now]


def _shown(item: Item, read: Mapping[str, str]) -> dict[str, Any]:
    key = item["item"]["S"]
    return {"item": key, **{name: item[name]["S"] for name in ATTRIBUTES}, "read_at": read.get(key)}
