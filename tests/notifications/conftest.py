"""A store, two queues and a table of its own for every test, and workers on them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Any

import boto3
import psycopg
import pytest

from marketplace.notifications import chunks
from marketplace.notifications.deliver import Limits, Work, Worker
from marketplace.notifications.inbox import CLIENT, Inbox
from marketplace.notifications.queue import Order, Queue
from tests.conftest import Store
from tests.infra import templates

DAY = date(2026, 11, 20)
# Nothing has to be waited for, and what goes wrong is tried again at once.
QUICK = Limits(lease_s=30, margin_s=5, wait_s=0, pause_s=0, patience_s=1)
MAX_RECEIVES = 50  # of SQS itself


@dataclass
class Bench:
    """What workers work on."""

    store: Store
    dynamodb: Any
    sqs: Any
    table: str
    url: str
    dead_url: str

    @property
    def queue(self) -> Queue:
        return Queue(self.sqs, self.url, self.dead_url)

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection as the DAG's role."""
        return psycopg.connect(self.store.url("store_writer"))

    def owner(self) -> psycopg.Connection[Any]:
        """Open a connection as the owner."""
        return psycopg.connect(self.store.url("store_owner"))

    def execute(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a statement as the owner, and return its rows, if it has any."""
        with self.owner() as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def customers(self, count: int, **columns: Any) -> list[int]:
        """Add customers CUST-1, CUST-2 and so on, and return their ids."""
        values = {"name": "Ada", "locale": "en", "marketing_opt_in": True} | columns
        (before,) = self.execute("select count(*) from store.customer")[0]
        return [
            customer_id
            for (customer_id,) in self.execute(
                "insert into store.customer (ref, name, locale, marketing_opt_in)"
                " select 'CUST-' || n, %s, %s, %s from generate_series(%s::int, %s::int) as n returning customer_id",
                values["name"], values["locale"], values["marketing_opt_in"], before + 1, before + count,
            )
        ]  # fmt: skip

    def rule(self, rule_id: str = "RULE-1", body: str = "Hello {{ customer.name }}", topic: str = "service") -> str:
        """Add a rule, which is due on each 1st (nothing here asks when), and return its id."""
        self.execute(
            "insert into store.notification_rule (rule_id, topic, subject, body, locale, due_kind, due_value)"
            " values (%s, %s, 'News', %s, 'en', 'month_day', '1')",
            rule_id, topic, body,
        )  # fmt: skip
        return rule_id

    def chunk(self, customers: Sequence[int], rule_id: str = "RULE-1", day: date = DAY, *, send: bool = True) -> Order:
        """Add a chunk, and send its message."""
        self.execute(
            "insert into ops.notification_due as d (day, rule_id, customers, chunks) values (%s, %s, %s, 1)"
            " on conflict (day, rule_id) do update set customers = d.customers + excluded.customers,"
            " chunks = d.chunks + 1",
            day, rule_id, len(customers),
        )  # fmt: skip
        ((chunk_id,),) = self.execute(
            "insert into ops.notification_chunk (day, rule_id, chunk_no, customers, queued_at)"
            " select %s, %s, count(*) + 1, %s, now() from ops.notification_chunk where day = %s and rule_id = %s"
            " returning chunk_id",
            day, rule_id, list(customers), day, rule_id,
        )  # fmt: skip
        order = Order(day, rule_id, chunk_id)
        if send:
            self.queue.send([order])
        return order

    def worker(self, connection: psycopg.Connection[Any], limits: Limits = QUICK, inbox: Inbox | None = None) -> Worker:
        """Return a worker in this process."""
        return Worker(connection, self.queue, inbox or self.inbox(), uuid.uuid4().hex, limits=limits)

    def inbox(self, client: Any = None) -> Inbox:
        """Return the table, whose pauses are left out."""
        return Inbox(client or self.dynamodb, self.table, sleep=lambda _seconds: None)

    def drain(self, day: date = DAY, limits: Limits = QUICK, inbox: Inbox | None = None) -> Work:
        """Have one worker work until the day is done."""
        with closing(self.connect()) as connection:
            return self.worker(connection, limits, inbox).drain(day)

    def items(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return all items of the table, by their keys."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for page in self.dynamodb.get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True):
            for item in page["Items"]:
                plain = {name: next(iter(value.values())) for name, value in item.items()}
                key = (plain.pop("customer_id"), plain.pop("item"))
                assert key not in found
                found[key] = plain
        return found

    def chunk_states(self) -> list[tuple[Any, ...]]:
        """Return state, delivered, skipped and error of all chunks."""
        return self.execute("select state, delivered, skipped, error from ops.notification_chunk order by chunk_id")

    def dead(self) -> list[tuple[str, str]]:
        """Take all messages out of the dead-letter queue; returns each body and the reason."""
        found = []
        while messages := self.queue.dead(hidden_s=60):
            for message in messages:
                found.append((message.body, message.attributes.get("reason", "")))
                self.queue.discard(message)
        return found

    def waiting(self) -> int:
        """Return how many messages there are, hidden ones too."""
        counts = self.queue.counts()
        return counts["waiting"] + counts["with_a_worker"]

    def send_raw(self, *bodies: str) -> None:
        """Send messages as they are."""
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)


@pytest.fixture
def bench(fresh_store: Store) -> Iterator[Bench]:
    """Everything empty; gone afterwards."""
    name = f"notify-{uuid.uuid4().hex[:12]}"
    sqs, dynamodb = boto3.client("sqs"), boto3.client("dynamodb", config=CLIENT)
    dead_url = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    dead_arn = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": MAX_RECEIVES})
    url = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": redrive})["QueueUrl"]
    layout = templates.of_type("AWS::DynamoDB::Table")["NotificationTable"]
    dynamodb.create_table(
        TableName=name,
        **{part: layout[part] for part in ("BillingMode", "AttributeDefinitions", "KeySchema")},
        GlobalSecondaryIndexes=layout["GlobalSecondaryIndexes"],
    )
    with closing(sqs), closing(dynamodb):
        yield Bench(fresh_store, dynamodb, sqs, name, url, dead_url)
        dynamodb.delete_table(TableName=name)
        for queue in (url, dead_url):
            sqs.delete_queue(QueueUrl=queue)


def held(bench: Bench, order: Order, seconds: float = 60) -> chunks.Lease:
    """Take a chunk, as another worker does."""
    with closing(bench.connect()) as connection:
        lease = chunks.take(connection, order, "another", seconds)
    assert lease is not None
    return lease
