"""Every customer's inbox, asked of the API page by page, is what notify_customers stored for them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from marketplace.api.app import create_app
from tests.api import tokens
from tests.api.client import Client, app_config
from tests.api.test_notifications import Customers
from tests.notifications import brute_force
from tests.notifications.conftest import Bench
from tests.notifications.test_exactly_once import Days


@pytest.fixture
def inboxes(bench: Bench) -> Customers:
    """Asks the app about the bench's table, as any customer."""
    key = tokens.Key("first")
    config = app_config(bench.store.platform.state, bench.store.name, bench.table, key)
    return Customers(Client(create_app(config)), key, bench.table)


Page = list[tuple[str, str]]


def pages(inboxes: Customers, ref: str) -> Iterator[Page]:
    """Yield a customer's notifications, two at a time: the key of each, and its text."""
    for page in inboxes.pages(ref, limit=2):
        yield [(f"{each['day']}#{each['rule_id']}", each["body"]) for each in page]


def test_every_inbox_is_what_was_stored_while_another_day_is_delivered(bench: Bench, inboxes: Customers) -> None:
    brute_force.fill(bench, 3, 120)
    days = Days(bench, random.Random(3), kills=0)  # noqa: S311 - reproducible
    early, late, between = brute_force.DAYS[0], brute_force.DAYS[2], brute_force.DAYS[1]
    stored = {key: text for day in (early, late) for key, text in brute_force.told(bench, day).items.items()}
    days.run(early, late)
    everybody = sorted(ref for (ref,) in bench.execute("select ref from store.customer"))
    assert len({ref for ref, _ in stored}) > 60

    reading: dict[str, Iterator[Page]] = {ref: pages(inboxes, ref) for ref in everybody}
    seen: dict[str, Page] = {ref: next(reading[ref]) for ref in everybody}
    arriving: dict[Any, str] = brute_force.told(bench, between).items
    days.run(between)
    for ref in everybody:
        for page in reading[ref]:
            seen[ref] += page

    for ref in everybody:
        keys = [key for key, _ in seen[ref]]
        assert keys == sorted(set(keys), reverse=True), ref
        known = [(key, text) for key, text in seen[ref] if (ref, key) in stored]
        assert known == sorted(((key, text) for (of, key), text in stored.items() if of == ref), reverse=True)
        # What arrived meanwhile comes where its day belongs, or is of a page that was read already.
        assert {key for key, _ in seen[ref]} <= {key for of, key in (stored | arriving) if of == ref}
        whole = [entry for page in pages(inboxes, ref) for entry in page]
        assert whole == sorted(
            ((key, text) for (of, key), text in (stored | arriving).items() if of == ref), reverse=True
        )
