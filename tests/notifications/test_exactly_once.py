"""Exactly one item a customer, rule and day, whatever is doubled, lost, throttled or killed, and run again.

What should be there is computed by brute force from a dump of the store (brute_force.py), not by the code's queries.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from multiprocessing.context import ForkServerProcess
from typing import Any

import pytest

from local.supervisor import wait_until
from marketplace.notifications import account, find
from marketplace.notifications.queue import Order
from tests.notifications import brute_force
from tests.notifications.conftest import Bench
from tests.notifications.working_process import work

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.notifications.working_process"])
MOMENTS = ("before-send", "after-call")


class Days:
    """Runs days as the DAG does, with everything going wrong that can."""

    def __init__(self, bench: Bench, chance: random.Random, kills: int) -> None:
        self.bench = bench
        self.chance = chance
        self.killed = 0
        # What there was whenever a worker had died: nobody who takes over may write it anew, not even as it is.
        self.written: dict[tuple[str, str], dict[str, Any]] = {}
        self._kills = kills
        self._place = {
            "environment": {
                name: value for name, value in os.environ.items() if name.startswith(("AWS_", "MARKETPLACE_"))
            },
            "store": bench.store.url("store_writer"),
            "url": bench.url,
            "dead_url": bench.dead_url,
            "table": bench.table,
        }

    def run(self, *days: date, workers: int = 2) -> dict[date, account.Account]:
        """Find, send (twice, and in any order), have workers work at once that get killed, and account."""
        with closing(self.bench.connect()) as connection:
            orders = []
            for day in days:
                account.start(connection, day, "a run")
                connection.commit()
                find.plan(connection, day)
                orders += [Order(day, chunk.rule_id, chunk.chunk_id) for chunk in find.to_send(connection, day)]
            doubled = [*orders, *self.chance.sample(orders, len(orders) // 3)]
            self.chance.shuffle(doubled)
            self.bench.queue.send(doubled)
            find.mark_queued(connection, [order.chunk_id for order in orders])
            connection.commit()
            self._work(days, workers)
            accounts = {}
            for day in days:
                accounts[day] = account.account(connection, day)
                account.finish(connection, day, "a run", accounts[day])
                connection.commit()
        return accounts

    def _work(self, days: Sequence[date], workers: int) -> None:
        running: list[tuple[date, ForkServerProcess]] = [
            (day, self._start(day)) for day in days for _ in range(workers)
        ]

        def all_ended() -> bool:
            for place, (day, process) in enumerate(running):
                if process.exitcode == -signal.SIGKILL:
                    self.killed += 1
                    self.written |= self.bench.items()
                    running[place] = day, self._start(day)
                assert process.exitcode in (None, 0, -signal.SIGKILL)
            return all(process.exitcode == 0 for _, process in running)

        try:
            wait_until(all_ended, 240, lambda: f"workers go on: {self.bench.chunk_states()}")
        finally:
            for _, process in running:
                process.kill()

    def _start(self, day: date) -> ForkServerProcess:
        """Start a worker; the first ones of the test are to be killed, at their first writes or later."""
        kill_at = None
        if self._kills:
            self._kills -= 1
            kill_at = self.chance.choice(MOMENTS), self.chance.randint(1, 6)
        process = CONTEXT.Process(target=work, args=(self._place, day, self.chance.randrange(10**9), kill_at))
        process.start()
        return process


def read_some(bench: Bench, chance: random.Random) -> dict[tuple[str, str], dict[str, Any]]:
    """Mark some notifications as read, as the API does; returns these items."""
    keys = sorted(key for key in bench.items() if not key[1].startswith("read#"))
    for ref, item in chance.sample(keys, len(keys) // 10):
        read = {"customer_id": {"S": ref}, "item": {"S": f"read#{item}"}, "read_at": {"S": "2026-11-21T08:00:00Z"}}
        bench.dynamodb.put_item(TableName=bench.table, Item=read)
    return {key: item for key, item in bench.items().items() if key[1].startswith("read#")}


@pytest.mark.parametrize(
    ("seed", "customers", "chunk"),
    [(1, 3_200, 100), pytest.param(2, 32_000, 500, marks=pytest.mark.full)],
)
def test_each_customer_is_told_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, seed: int, customers: int, chunk: int
) -> None:
    monkeypatch.setattr(find, "CHUNK_CUSTOMERS", chunk)
    chance = random.Random(seed)  # noqa: S311 - reproducible
    brute_force.fill(bench, seed, customers)
    days = Days(bench, chance, kills=6)
    expected: dict[tuple[str, str], str] = {}
    accounts: dict[date, account.Account] = {}
    first, second, third, fourth, fifth = brute_force.DAYS
    for turn, at_once in enumerate([[first], [second, third], [fourth, fifth]]):
        told = {day: brute_force.told(bench, day) for day in at_once}
        done = days.run(*at_once)
        for day in at_once:
            expected |= told[day].items
            check_account(done[day], told[day])
        accounts |= done
        read_some(bench, chance)
        brute_force.change(bench, seed + turn)
    assert days.killed == 6
    # About a hundred thousand in full, ten thousand otherwise.
    assert len(expected) > 3.1 * customers

    before = bench.items()
    assert {key: before[key] for key in days.written} == days.written
    reads = {key for key in before if key[1].startswith("read#")}
    assert {key: before[key]["body"] for key in before.keys() - reads} == expected
    assert len(reads) > len(expected) // 20

    # Every day once more, after all of that has changed, and with each message of the days again.
    sent = [Order(*row) for row in bench.execute("select day, rule_id, chunk_id from ops.notification_chunk")]
    chance.shuffle(sent)
    bench.queue.send(sent)
    assert days.run(*brute_force.DAYS, workers=1) == accounts
    assert bench.drain(first).delivered == 0
    assert bench.items() == before
    assert bench.dead() == []
    statuses = bench.execute("select distinct status, found = queued and queued = processed from ops.notification_run")
    assert statuses == [("done", True)]


def check_account(found: account.Account, told: brute_force.Told) -> None:
    """Compare a day's account, and each of its rules', with the brute force."""
    assert found.problems == []
    assert found.found == found.queued == found.processed > 0
    assert (found.delivered, found.skipped.get("opted_out", 0)) == (len(told.items), sum(told.opted_out.values()))
    assert found.expected == found.delivered + sum(found.skipped.values())
    assert set(found.skipped) <= {"opted_out"}
    of_rules = {key.partition("#")[2]: count for key, count in told.opted_out.items()}
    assert set(found.rules) == set(of_rules)
    for rule_id, of_rule in found.rules.items():
        delivered = sum(key.partition("#")[2] == rule_id for _, key in told.items)
        assert (of_rule.delivered, of_rule.skipped.get("opted_out", 0)) == (delivered, of_rules[rule_id])
