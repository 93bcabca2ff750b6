"""How many customers have read a notification, counted by the index of the marks in DynamoDB.

`PATCH /notifications/{id}` writes a mark, an item of its own with `read_of`, and takes it away again. The index `reads`
has the marks and nothing else, by `read_of`; so a count reads as many entries as there are marks, and never the table.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.rows import class_row

from marketplace.notifications.inbox import item_key
from marketplace.store import query

if TYPE_CHECKING:
    import psycopg

INDEX = "reads"


class Told(NamedTuple):
    """A rule's notification of a day, which has reached somebody."""

    day: date
    rule_id: str


def delivered(connection: psycopg.Connection[Any], within: timedelta) -> list[Told]:
    """Return the notifications that were found not longer ago than `within` and have reached somebody."""
    with connection.cursor(row_factory=class_row(Told)) as cursor:
        return cursor.execute(query("notifications/delivered_since.sql"), {"within": within}).fetchall()


def count(dynamodb: Any, table: str, told: Told) -> int:
    """Return how many have marked a notification as read; a mark of the last second may be missing.

    Raises what boto3 raises.
    """
    asked: dict[str, Any] = {
        "TableName": table,
        "IndexName": INDEX,
        "KeyConditionExpression": "read_of = :item",
        "ExpressionAttributeValues": {":item": {"S": item_key(told.day, told.rule_id)}},
        "Select": "COUNT",
    }
    return sum(page["Count"] for page in dynamodb.get_paginator("query").paginate(**asked))


def enter(connection: psycopg.Connection[Any], counts: dict[Told, int]) -> int:
    """Enter the counts in ops.notification_account, and return how many have changed."""
    changed = 0
    for told, read in counts.items():
        changed += connection.execute(query("notifications/enter_read.sql"), {**told._asdict(), "read": read}).rowcount
    return changed
