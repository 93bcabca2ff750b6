"""What `bench.notify` measures: a worker of ours, and the bare loop beside it, each in one process or in several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import closing
from datetime import date
from typing import Any

import boto3
import psycopg
from botocore.config import Config

from bench.case import CaseError, Done, peak_mb
from marketplace.notifications.deliver import Worker
from marketplace.notifications.inbox import CLIENT, WRITE_BATCH, Inbox, common_part, new_item
from marketplace.notifications.queue import Queue
from marketplace.notifications.render import Rendered

DAY = date(2026, 11, 20)
RULE = "RULE-BENCH"
SUBJECT = "Something for you, {{ customer.name }}"
BODY = """Hello {{ customer.name | default("player") }},

it is {{ day | date }}, and there are new games for players in {{ customer.country }}.
{% if customer.country in ["DE", "AT"] %}Auch auf Deutsch.{% else %}Have a look at what is new.{% endif %}

Your number with us is {{ customer.ref }}."""


def worker(url: str, endpoint: str, table: str, queue: dict[str, str], rows: int, processes: int = 1) -> Done:
    """Deliver the day's chunks, which are in the store and in the queue."""
    return _in_processes(_worker, rows, processes, [(url, endpoint, table, queue, n) for n in range(processes)])


def _worker(url: str, endpoint: str, table: str, queue: dict[str, str], number: int) -> None:
    dynamodb = boto3.client("dynamodb", endpoint_url=endpoint, config=CLIENT)
    with closing(psycopg.connect(url)) as connection:
        Worker(
            connection,
            Queue(boto3.client("sqs"), queue["url"], queue["dead"]),
            Inbox(dynamodb, table),
            f"bench {number}",
        ).drain(DAY)


def bare(endpoint: str, table: str, rows: int, processes: int = 1) -> Done:
    """Write as many items of the same size, made before, by batch_write_item in a loop: the limit."""
    share = rows // processes
    return _in_processes(_bare, rows, processes, [(endpoint, table, n * share, share) for n in range(processes)])


def _bare(endpoint: str, table: str, first: int, rows: int) -> None:
    client: Any = boto3.client("dynamodb", endpoint_url=endpoint, config=Config(parameter_validation=False))
    body = (
        "Hello Customer number 12345,\n\nit is November 20, 2026, and there are new games for players in US.\n"
        "Have a look at what is new.\n\nYour number with us is CUST-0012345."
    )
    rendered = Rendered("en", "Something for you, Customer number 12345", body)
    item = new_item("CUST-0000000", common_part(DAY, RULE, "service"), rendered)
    for start in range(first, first + rows, WRITE_BATCH):
        puts = [
            {"PutRequest": {"Item": {**item, "customer_id": {"S": f"CUST-{number:07}"}}}}
            for number in range(start, min(start + WRITE_BATCH, first + rows))
        ]
        if client.batch_write_item(RequestItems={table: puts})["UnprocessedItems"]:
            raise CaseError("the endpoint left items unprocessed: a loop that leaves them out is no limit")


def _in_processes(function: Callable[..., None], rows: int, processes: int, arguments: list[tuple[Any, ...]]) -> Done:
    """Run a function once here, or once in each of several processes."""
    if processes == 1:
        function(*arguments[0])
        return Done(rows)
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        peaks = pool.starmap(_measured, [(function, one) for one in arguments])
    return Done(rows, peak_rss_mb=max(peaks))


def _measured(function: Callable[..., None], arguments: tuple[Any, ...]) -> float:
    function(*arguments)
    return peak_mb("self")
