r"""Notifications rendered and stored a second, beside a bare loop of batch_write_item on the same endpoint.

Ours is a worker as the DAG runs it: it takes messages from the queue (the emulator's), leases each chunk in the store
(a PostgreSQL of its own, fsync on), reads its thousand customers, renders subject and body, writes the items and ends
the chunk. The bare loop writes as many items of the same size that are there before it begins, by the same client, and
does nothing else. The stub takes whatever comes at no cost, so that the client is all that is measured; the emulator
stores it.

bare_stub, ours_stub              one process
bare_stub_2, ours_stub_2          two processes at once, with as many for each
bare_emulator, ours_emulator      one process; the emulator takes most of the time
ours_stub_x10                     ten times as many in one run, a million: its memory beside that of a tenth of it
"""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Any

import boto3
import psycopg

from bench.case import Case, CaseError, Measure, Run, measure
from bench.ingest_store import DATABASE, Stores, temporary_platform
from bench.notify_cases import BODY, DAY, RULE, SUBJECT
from local import aws, ports
from local.platform import Platform
from marketplace.notifications.queue import Order, Queue

CHUNK = 1000
ROWS = 100_000
TABLE = "bench-notifications"  # of the benchmark alone: it is emptied by making it anew


def cases(sizes: Sequence[int]) -> list[Case]:
    """Return the cases: so many items a process to the stub, a fifth of it to the emulator, ten times it in one run."""
    found = []
    for rows in sizes:
        found += [
            Case("bare_stub", "bare", {"rows": rows}),
            Case("ours_stub", "worker", {"rows": rows}),
            Case("bare_stub_2", "bare", {"rows": 2 * rows, "processes": 2}),
            Case("ours_stub_2", "worker", {"rows": 2 * rows, "processes": 2}),
            Case("bare_emulator", "bare", {"rows": rows // 5}),
            Case("ours_emulator", "worker", {"rows": rows // 5}),
            Case("ours_stub_x10", "worker", {"rows": 10 * rows}, runs=1),
        ]
    return found


CASES = cases((ROWS,))


def ratios(cases: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return our share of the bare loop's items a second, run by run, and whether memory grows."""
    found = {}
    for name in cases:
        bare = name.replace("ours_", "bare_")
        if name != bare and bare in cases:
            pairs = zip(cases[bare]["runs"], cases[name]["runs"], strict=False)
            found[f"items/s: {name} / {bare}"] = round(median(one / other for one, other in pairs), 2)
    if {"ours_stub_2", "ours_stub"} <= cases.keys():
        rates = [cases[name]["rows_per_s"] for name in ("ours_stub_2", "ours_stub")]
        found["items/s: ours_stub_2 / ours_stub"] = round(rates[0] / rates[1], 2)
    if {"ours_stub_x10", "ours_stub"} <= cases.keys():
        peaks = [cases[name]["peak_rss_mb"] for name in ("ours_stub_x10", "ours_stub")]
        found["peak memory: ours_stub_x10 / ours_stub"] = round(peaks[0] / peaks[1], 2)
    return found


@contextmanager
def measuring(cases: Sequence[Case]) -> Iterator[Measure]:
    """Start a platform and a stub, fill the store, and yield what measures a case on them; all goes afterwards."""
    with (
        temporary_platform() as (platform, _),
        aws.environment(platform.public_environment()),
        _stub() as port,
    ):
        yield Bench(platform, port, max(case.arguments["rows"] for case in cases)).measure


@contextmanager
def _stub() -> Iterator[int]:
    command = [sys.executable, "-m", "bench.notify_stub"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - for the type: it is a pipe
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def make_table() -> None:
    """Make the table that is written to, with the keys of the inboxes."""
    keys = {"customer_id": "HASH", "item": "RANGE"}
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": name, "KeyType": of} for name, of in keys.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        BillingMode="PAY_PER_REQUEST",
    )


class Bench:
    """Customers for the largest case, a rule, and before each run the chunks and messages of its rows."""

    def __init__(self, platform: Platform, stub: int, customers: int) -> None:
        self._platform = platform
        self._stub = stub
        stores = Stores(platform)
        stores.create(DATABASE)
        self._url, self._writer = (stores.url(role) for role in ("store_owner", "store_writer"))
        outputs = platform.state.outputs
        make_table()
        self._queue = {"url": outputs["NotificationQueueUrl"], "dead": outputs["NotificationDeadLetterQueueUrl"]}
        with psycopg.connect(self._url) as connection:
            connection.execute(
                "insert into store.customer (ref, name, locale, time_zone, country_code, marketing_opt_in)"
                " select 'CUST-' || lpad(n::text, 7, '0'), 'Customer number ' || n,"
                " (array['en_US', 'de_AT', 'fr', null])[n %% 4 + 1], 'Europe/Berlin',"
                " (array['US', 'AT', 'FR'])[n %% 3 + 1], true from generate_series(1, %s::int) as n",
                [customers],
            )
            connection.execute(
                "insert into store.notification_rule (rule_id, topic, subject, body, locale, due_kind, due_value)"
                " values (%s, 'service', %s, %s, 'en', 'weekday', 'friday')",
                [RULE, SUBJECT, BODY],
            )
        stores.settle()

    def measure(self, case: Case, python: str) -> Run:
        """Run a case once, and see that all was written. Raises CaseError."""
        rows = case.arguments["rows"]
        at_stub = "stub" in case.name
        endpoint = f"http://{ports.HOST}:{self._stub}" if at_stub else self._platform.endpoint
        arguments = {**case.arguments, "endpoint": endpoint, "table": TABLE}
        if case.function == "worker":
            self._prepare(rows)
            arguments |= {"url": self._writer, "queue": self._queue}
        self._written(at_stub)
        run = measure(replace(case, function=f"bench.notify_cases:{case.function}", arguments=arguments), python)
        if (written := self._written(at_stub)) != rows:
            raise CaseError(f"{case.name} has written {written:,} items, not {rows:,}")
        if case.function == "worker":
            self._check(case.name, rows)
        return run

    def _prepare(self, rows: int) -> None:
        """Put the day's chunks into the store, and their messages into the queue."""
        with psycopg.connect(self._url) as connection:
            connection.execute("delete from ops.notification_chunk")
            connection.execute("delete from ops.notification_due")
            connection.execute(
                "insert into ops.notification_due (day, rule_id, customers, chunks) values (%s, %s, %s, %s)",
                [DAY, RULE, rows, -(-rows // CHUNK)],
            )
            chunks = connection.execute(
                "insert into ops.notification_chunk (day, rule_id, chunk_no, customers, queued_at)"
                " select %s, %s, n.chunk_no, array_agg(n.customer_id order by n.customer_id), now()"
                " from (select customer_id, (row_number() over (order by customer_id) - 1) / %s + 1 as chunk_no"
                " from store.customer order by customer_id limit %s) as n group by n.chunk_no returning chunk_id",
                [DAY, RULE, CHUNK, rows],
            ).fetchall()
        queue = Queue(boto3.client("sqs"), self._queue["url"], self._queue["dead"])
        queue.send([Order(DAY, RULE, chunk_id) for (chunk_id,) in chunks])

    def _written(self, at_stub: bool) -> int:
        """Return how many items were written since this was asked last, which are gone then."""
        if at_stub:
            connection = http.client.HTTPConnection(ports.HOST, self._stub, timeout=30)
            connection.request("GET", "/")
            return int(connection.getresponse().read())
        dynamodb = boto3.client("dynamodb")
        pages = dynamodb.get_paginator("scan").paginate(TableName=TABLE, Select="COUNT")
        count = sum(page["Count"] for page in pages)
        dynamodb.delete_table(TableName=TABLE)
        make_table()
        return count

    def _check(self, name: str, rows: int) -> None:
        with psycopg.connect(self._url) as connection:
            found = connection.execute(
                "select sum(delivered), bool_and(state = 'done'), max(attempts) from ops.notification_chunk"
            ).fetchone()
        if found != (rows, True, 1):
            raise CaseError(f"{name}: delivered, done and attempts are {found}, not {(rows, True, 1)}")
