"""Pruning confirmations reads each key some times, however many there are: never each once for each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg

from marketplace.ingest.apply import SETTINGS
from marketplace.ingest.ledger import execute
from tests.conftest import Store

KEYS, PACK = 20_000, 100
# They fit into no hash table, as a load's five million do not into its own memory: one that is not kept for the next
# pack is made anew for each.
WORK_MEM = "64kB"
# Read into tables, sorted, hashed and joined: so often is a key looked at, all in all.
LOOKS_A_KEY = 40
# Load 1 has confirmed all keys, load 2 those that are even.
CONFIRMED = """
insert into ops.confirmation (dataset, load_id, first_key, last_key, keys, load_lines)
select 'transaction', c.load_id, min(c.key), max(c.key), array_agg(c.key order by c.key), array_agg(c.n order by c.key)
from (
    select l.load_id, n.n, 'T-' || lpad(n.n::text, 8, '0') collate "C" as key
    from generate_series(1, %(keys)s) as n (n)
    cross join (values (1), (2)) as l (load_id)
    where n.n %% l.load_id = 0
) as c
group by c.load_id, c.n / %(pack)s
"""
# Of each statement, its plan with the rows that every node gave; to the client, not into the server's log.
EXPLAINED = """
load 'auto_explain';
set auto_explain.log_min_duration = 0;
set auto_explain.log_analyze = on;
set auto_explain.log_timing = off;
set auto_explain.log_format = 'json';
set auto_explain.log_level = 'notice';
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def looks(plan: dict[str, Any]) -> float:
    """Return how many rows the nodes of a plan gave or left out, all in all."""
    counted = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
    return sum(node["Actual Loops"] * sum(node.get(count, 0) for count in counted) for node in nodes(plan))


def test_each_key_is_looked_at_some_times(fresh_store: Store) -> None:
    plans: list[dict[str, Any]] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        said, _, plan = (diagnostic.message_primary or "").partition("plan:")
        if said.startswith("duration:"):
            plans.append(json.loads(plan)["Plan"])

    with psycopg.connect(fresh_store.url("postgres")) as superuser:
        superuser.execute(CONFIRMED, {"keys": KEYS, "pack": PACK})
        superuser.commit()
        superuser.add_notice_handler(note)
        superuser.execute(EXPLAINED)
        for name, value in (SETTINGS | {"work_mem": WORK_MEM}).items():
            superuser.execute("select set_config(%s, %s, true)", (name, value))
        plans.clear()
        execute(superuser, "prune.sql", {"dataset": "transaction", "load_id": 2, "pack": PACK})
        assert sum(map(looks, plans)) < LOOKS_A_KEY * KEYS
        left = superuser.execute(
            "select c.load_id, count(*), sum(substr(k.key, 3)::int % 2)"
            " from ops.confirmation as c cross join unnest(c.keys) as k (key) group by 1 order by 1"
        ).fetchall()
    assert left == [(1, KEYS // 2, KEYS // 2), (2, KEYS // 2, 0)]
