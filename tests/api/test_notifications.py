"""/notifications: a customer's own, in order, whole across pages, and marked as read without being changed."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.api import tokens
from tests.api.test_refusals import refusal

ADA, BOB = "CUST-0001", "CUST-0002"
LATER = str(int(time.time()) + 86_400)


def item(customer: str, day: str, rule: str, expires_at: str = LATER) -> dict[str, Any]:
    """Return a notification as notify_customers stores it."""
    return {
        "customer_id": {"S": customer},
        "item": {"S": f"{day}#{rule}"},
        "day": {"S": day},
        "rule_id": {"S": rule},
        "topic": {"S": "marketing"},
        "locale": {"S": "de"},
        "subject": {"S": f"{rule} für {customer}"},
        "body": {"S": f"Am {day}"},
        "stored_at": {"S": f"{day}T01:00:00+00:00"},
        "expires_at": {"N": expires_at},
    }


class Customers:
    """Asks as one customer or another, and stores what they are told."""

    def __init__(self, client: Any, issuer_key: tokens.Key, table: str) -> None:
        self._client = client
        self._key = issuer_key
        self._table = table
        self._dynamodb = boto3.client("dynamodb")

    def store(self, *items: dict[str, Any]) -> None:
        """Write items as they are."""
        for start in range(0, len(items), 25):
            batch = [{"PutRequest": {"Item": each}} for each in items[start : start + 25]]
            assert not self._dynamodb.batch_write_item(RequestItems={self._table: batch})["UnprocessedItems"]

    def stored(self, customer: str) -> list[dict[str, Any]]:
        """Return all items of a customer, as the table has them."""
        return self._dynamodb.query(
            TableName=self._table,
            KeyConditionExpression="customer_id = :c",
            ExpressionAttributeValues={":c": {"S": customer}},
        )["Items"]

    def forget(self, customer: str) -> None:
        """Delete all items of a customer."""
        keys = [{name: each[name] for name in ("customer_id", "item")} for each in self.stored(customer)]
        for start in range(0, len(keys), 25):
            batch = [{"DeleteRequest": {"Key": key}} for key in keys[start : start + 25]]
            self._dynamodb.batch_write_item(RequestItems={self._table: batch})

    def ask(self, customer: str, path: str = "/notifications", /, **parameters: Any) -> Any:
        """Return the answer to a GET."""
        return self._client.get(path, parameters, self._bearer(customer))

    def mark(self, customer: str, identifier: str, body: bytes = b'{"read": true}') -> Any:
        """Return the answer to a PATCH."""
        headers = {**self._bearer(customer), "Content-Type": "application/json"}
        return self._client.request("PATCH", f"/notifications/{identifier}", (), headers, body)

    def pages(self, customer: str, **parameters: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield the pages of an inbox."""
        cursor: dict[str, str] = {}
        while True:
            answer = self.ask(customer, **parameters, **cursor)
            assert answer.status_code == 200, answer.text
            yield answer.json()["notifications"]
            if answer.json()["next"] is None:
                return
            cursor = {"cursor": answer.json()["next"]}

    def _bearer(self, customer: str) -> dict[str, str]:
        return tokens.bearer(tokens.signed(self._key, customer=customer))


@pytest.fixture
def customers(client: Any, issuer_key: tokens.Key, table: str) -> Iterator[Customers]:
    """Two customers whose inboxes are empty again after the test."""
    made = Customers(client, issuer_key, table)
    yield made
    for customer in (ADA, BOB):
        made.forget(customer)


def rules(found: list[dict[str, Any]]) -> list[str]:
    return [f"{notification['day']}#{notification['rule_id']}" for notification in found]


def test_an_inbox_has_what_was_stored_the_newest_first(customers):
    customers.store(item(ADA, "2026-11-20", "R1"), item(ADA, "2026-11-22", "R1"), item(ADA, "2026-11-20", "R2"))
    customers.store(item(BOB, "2026-11-21", "R1"))

    (page,) = customers.pages(ADA)
    assert rules(page) == ["2026-11-22#R1", "2026-11-20#R2", "2026-11-20#R1"]
    assert page[0] == {
        "id": "MjAyNi0xMS0yMiNSMQ",
        "day": "2026-11-22",
        "rule_id": "R1",
        "topic": "marketing",
        "locale": "de",
        "subject": "R1 für CUST-0001",
        "body": "Am 2026-11-22",
        "stored_at": "2026-11-22T01:00:00+00:00",
        "read_at": None,
    }
    assert customers.ask(ADA, "/notifications/MjAyNi0xMS0yMiNSMQ").json() == page[0]
    assert rules(next(customers.pages(BOB))) == ["2026-11-21#R1"]
    assert customers.ask("CUST-0003").json() == {"notifications": [], "next": None}


@pytest.mark.parametrize(
    ("days", "found"),
    [
        ({"from": "2026-11-21"}, ["2026-11-22#R1", "2026-11-21#é#~"]),
        ({"to": "2026-11-21"}, ["2026-11-21#é#~", "2026-11-20#R1"]),
        ({"from": "2026-11-21", "to": "2026-11-21"}, ["2026-11-21#é#~"]),
        ({"from": "2027-01-01"}, []),
    ],
)
def test_days_are_chosen_with_both_ends(customers, days, found):
    customers.store(item(ADA, "2026-11-20", "R1"), item(ADA, "2026-11-21", "é#~"), item(ADA, "2026-11-22", "R1"))

    assert rules(next(customers.pages(ADA, **days))) == found


@pytest.mark.parametrize("seed", range(3))
def test_pages_have_each_notification_once_while_new_ones_arrive(customers, seed):
    chosen = random.Random(seed)  # noqa: S311 - nothing to guess at
    everyday = [f"2026-{month:02}-{day:02}" for month in (1, 6, 11) for day in range(1, 29)]
    first = [item(ADA, day, f"R{rule}") for day in everyday for rule in range(3) if chosen.random() < 0.3]
    customers.store(*first)
    known = {each["item"]["S"] for each in first}

    seen: list[str] = []
    for page in customers.pages(ADA, limit=[3, 7, 100][seed]):
        assert len(page) <= 100
        seen += rules(page)
        customers.store(item(ADA, chosen.choice(everyday), f"new-{chosen.random()}"))

    assert [key for key in seen if key in known] == sorted(known, reverse=True)
    assert seen == sorted(set(seen), reverse=True)
    everything = [each["item"]["S"] for each in customers.stored(ADA)]
    assert [key for page in customers.pages(ADA, limit=100) for key in rules(page)] == sorted(everything, reverse=True)


def test_a_notification_is_marked_as_read_and_unread_and_its_text_stays(customers):
    customers.store(item(ADA, "2026-11-20", "R1"), item(ADA, "2026-11-21", "R1"))
    newest, oldest = next(customers.pages(ADA))

    marked = customers.mark(ADA, newest["id"]).json()
    assert marked == newest | {"read_at": marked["read_at"]}
    assert marked["read_at"].startswith("20")
    assert customers.mark(ADA, newest["id"]).json() == marked
    assert next(customers.pages(ADA)) == [marked, oldest]
    assert next(customers.pages(ADA, unread=True)) == [oldest]
    assert customers.ask(ADA, "/notifications/unread").json() == {"unread": 1}
    assert [each for each in customers.stored(ADA) if "body" in each] == [
        item(ADA, "2026-11-20", "R1"),
        item(ADA, "2026-11-21", "R1"),
    ]

    assert customers.mark(ADA, newest["id"], b'{"read": false}').json() == newest
    assert customers.ask(ADA, "/notifications/unread").json() == {"unread": 2}


def test_a_rerun_that_stores_a_notification_again_forgets_no_mark(customers):
    customers.store(item(ADA, "2026-11-20", "R1"))
    ((notification,),) = customers.pages(ADA)
    customers.mark(ADA, notification["id"])

    customers.store(item(ADA, "2026-11-20", "R1"))

    assert customers.ask(ADA, "/notifications/unread").json() == {"unread": 0}


def test_the_unread_among_many_that_are_read_are_all_found(customers):
    days = [f"2025-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)]
    bodies = [item(ADA, day, "R1") for day in days]
    read = [
        {"customer_id": {"S": ADA}, "item": {"S": f"read#{day}#R1"}, "read_at": {"S": day}, "expires_at": {"N": LATER}}
        for day in days
        if not day.endswith("-07")
    ]
    customers.store(*bodies, *read)

    found = [key for page in customers.pages(ADA, unread=True, limit=2) for key in rules(page)]
    assert found == [f"{day}#R1" for day in reversed(days) if day.endswith("-07")]
    assert customers.ask(ADA, "/notifications/unread").json() == {"unread": 12}


def test_what_has_expired_is_gone_before_dynamodb_deletes_it(customers):
    past = str(int(time.time()) - 1)
    customers.store(item(ADA, "2025-01-01", "R1", past), item(ADA, "2026-11-20", "R1"))
    identifier = "MjAyNS0wMS0wMSNSMQ"

    assert rules(next(customers.pages(ADA))) == ["2026-11-20#R1"]
    assert customers.ask(ADA, "/notifications/unread").json() == {"unread": 1}
    refusal(customers.ask(ADA, f"/notifications/{identifier}"), 404, "id")
    refusal(customers.mark(ADA, identifier), 404, "id")


def test_another_customers_notifications_are_not_there(customers):
    customers.store(item(BOB, "2026-11-20", "R1"))
    ((bobs,),) = customers.pages(BOB)
    before = customers.stored(BOB)

    refusal(customers.ask(ADA, f"/notifications/{bobs['id']}"), 404, "id")
    refusal(customers.mark(ADA, bobs["id"]), 404, "id")
    refusal(customers.ask(ADA, customer=BOB), 400, "customer")
    assert customers.stored(ADA) == []
    assert customers.stored(BOB) == before


def test_another_customers_cursor_is_refused(customers):
    customers.store(item(BOB, "2026-11-20", "R1"), item(BOB, "2026-11-21", "R1"))
    cursor = customers.ask(BOB, limit=1).json()["next"]

    assert len(customers.ask(BOB, limit=1, cursor=cursor).json()["notifications"]) == 1
    refusal(customers.ask(ADA, limit=1, cursor=cursor), 422, "cursor")
    refusal(customers.ask(BOB, limit=1, cursor=cursor, unread=True), 422, "cursor")


@pytest.mark.parametrize(
    ("identifier", "status"),
    [
        ("MjAyNi0xMS0yMCNSOQ", 404),  # of nothing
        ("cmVhZCMyMDI2LTExLTIwI1Ix", 404),  # read#2026-11-20#R1: no notification
        ("YQ", 404),
        ("_w", 404),  # no UTF-8
        ("a", 404),
        ("a" * 401, 400),
        ("CUST-0002%232026", 400),
        ("'%20or%201=1", 400),
    ],
)
def test_an_id_that_is_none_is_not_found_or_refused(customers, identifier, status):
    customers.store(item(ADA, "2026-11-20", "R1"))
    customers.mark(ADA, "MjAyNi0xMS0yMCNSMQ")

    refusal(customers.ask(ADA, f"/notifications/{identifier}"), status, "id")
    refusal(customers.mark(ADA, identifier), status, "id")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"{}", b'{"read": 1}', b'{"read": "true"}', b'{"read": true, "x": 1}', b"\xff"]
)
def test_a_mark_that_is_none_is_refused(customers, body):
    customers.store(item(ADA, "2026-11-20", "R1"))

    problem = refusal(customers.mark(ADA, "MjAyNi0xMS0yMCNSMQ", body), 400)
    assert {error["parameter"] for error in problem["errors"]} <= {"body"}
    assert customers.ask(ADA, "/notifications/unread").json() == {"unread": 1}


@pytest.mark.parametrize(
    ("parameters", "status", "parameter"),
    [
        ({"limit": 0}, 400, "limit"),
        ({"limit": 101}, 400, "limit"),
        ({"from": "today"}, 400, "from"),
        ({"to": "2026-13-01"}, 400, "to"),
        ({"from": "2026-11-21", "to": "2026-11-20"}, 422, "from"),
        ({"unread": "perhaps"}, 400, "unread"),
        ({"cursor": "abc"}, 422, "cursor"),
        ({"cursor": "a b"}, 400, "cursor"),
        ({"customer_id": ADA}, 400, "customer_id"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(customers, parameters, status, parameter):
    refusal(customers.ask(ADA, **parameters), status, parameter)


def test_notifications_that_do_not_answer_are_told_without_details(customers, client, config, issuer_key):
    from dataclasses import replace

    from marketplace.api.app import create_app
    from tests.api.client import Client

    lost = Client(create_app(replace(config, notification_table="no-such-table")))
    answer = lost.get("/notifications", (), tokens.bearer(tokens.signed(issuer_key)))

    refusal(answer, 503)
    assert "no-such-table" not in answer.text
