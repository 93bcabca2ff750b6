"""A worker as a process of its own, which may be killed at any moment, and may end itself in the middle of a batch."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from typing import Any

import boto3
import psycopg

from marketplace.notifications.deliver import Limits, Worker
from marketplace.notifications.inbox import Inbox
from marketplace.notifications.queue import Queue
from tests.notifications.throttle import WRITE, Throttled

# A killed worker's chunk is soon somebody's again.
LIMITS = Limits(lease_s=3, margin_s=1, wait_s=1, pause_s=1, patience_s=8)


def work(place: Mapping[str, str], day: date, seed: int, kill_at: tuple[str, int] | None) -> None:
    """Work until the day is done, on a table that throttles by `seed`.

    `kill_at` says at which of this process's writes it ends itself by SIGKILL: before-send, nothing of it was written;
    after-call, all of it, and nobody knows.
    """
    os.environ.update(place["environment"])
    chance = random.Random(seed)  # noqa: S311 - reproducible

    def left(_request: int, items: int) -> int | None:
        drawn = chance.random()
        return None if drawn < 0.1 else chance.randrange(items) if drawn < 0.4 else 0

    throttled = Throttled(left)
    if kill_at is not None:
        moment, number = kill_at

        def end(**_: Any) -> None:
            if throttled.requests >= number:
                os.kill(os.getpid(), signal.SIGKILL)

        throttled.client.meta.events.register(f"{moment}.{WRITE}", end)
    queue = Queue(boto3.client("sqs"), place["url"], place["dead_url"])
    with closing(psycopg.connect(place["store"])) as connection:
        inbox = Inbox(throttled.client, place["table"])
        Worker(connection, queue, inbox, f"process {os.getpid()} {seed}", limits=LIMITS).drain(day)
