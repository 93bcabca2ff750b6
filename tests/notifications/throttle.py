"""A client of the real table whose writes are throttled as DynamoDB throttles: some items of a request, or all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse

from marketplace.notifications.inbox import CLIENT

WRITE = "dynamodb.BatchWriteItem"
REFUSAL = (
    b'{"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", "message": "slow down"}'
)


class Refusal(AWSResponse):
    """DynamoDB's answer when it takes nothing."""

    def __init__(self) -> None:
        super().__init__("", 400, {}, None)
        self._content = REFUSAL


class Throttled:
    """Makes `client`, and counts its requests.

    `left(request, items)` says how many items of a request are left unprocessed, at least: one is always written; with
    None the request is refused as a whole. `request` counts from 1.
    """

    def __init__(self, left: Callable[[int, int], int | None]) -> None:
        self.requests = 0
        self.client: Any = boto3.client("dynamodb", config=CLIENT)
        self._left = left
        self._unprocessed: dict[str, Any] = {}
        self._refuse = False
        events = self.client.meta.events
        events.register(f"before-call.{WRITE}", self._hold_back)
        events.register(f"before-send.{WRITE}", self._refuse_all)
        events.register(f"after-call.{WRITE}", self._give_back)

    def _hold_back(self, params: dict[str, Any], **_: Any) -> None:
        """Take items out of the request."""
        self.requests += 1
        asked = json.loads(params["body"])
        ((table, puts),) = asked["RequestItems"].items()
        count = self._left(self.requests, len(puts))
        self._refuse = count is None
        cut = len(puts) if count is None else max(1, len(puts) - count)
        self._unprocessed = {table: puts[cut:]} if cut < len(puts) else {}
        params["body"] = json.dumps({**asked, "RequestItems": {table: puts[:cut]}}).encode()

    def _refuse_all(self, **_: Any) -> AWSResponse | None:
        return Refusal() if self._refuse else None

    def _give_back(self, parsed: dict[str, Any], **_: Any) -> None:
        if not self._refuse:
            parsed["UnprocessedItems"] = self._unprocessed
