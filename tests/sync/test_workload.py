"""The workload itself: that a seed decides what is done, that all of it is done, and that the log of rows is right."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg

from local.supervisor import wait_until
from tests.sync import workload
from tests.sync.workload import Change, Pause, Savepoint

SEED = 20261121
SECONDS = 120.0  # the writers need some five
ENDINGS = {"commit", "rollback", "commit prepared", "rollback prepared", "refused"}
KINDS = {"insert", "update", "delete", "key update", "upsert", "copy", "merge"}
REFUSALS = {"UniqueViolation", "ForeignKeyViolation"}


def test_what_a_writer_does_follows_from_its_seed_and_number() -> None:
    def first(seed: int, writer: int) -> list[workload.Plan]:
        return list(itertools.islice(workload.plans(seed, writer), 200))

    assert first(SEED, 1) == first(SEED, 1)
    assert first(SEED, 1) != first(SEED, 2)
    assert first(SEED, 1) != first(SEED + 1, 1)


def test_there_is_everything_in_what_eight_writers_do() -> None:
    plans = [plan for writer in range(8) for plan in itertools.islice(workload.plans(SEED, writer), 200)]
    steps = [step for plan in plans for step in plan.steps]

    assert {plan.ending for plan in plans} == {"commit", "rollback", "commit prepared", "rollback prepared"}
    assert {plan.begin.removeprefix("begin").strip() for plan in plans} == {
        "", "isolation level repeatable read", "isolation level serializable",
    }  # fmt: skip
    kinds = {step.kind for step in steps if isinstance(step, Change)}
    assert kinds == KINDS
    assert {step.statement for step in steps if isinstance(step, Savepoint)} == {
        "savepoint s", "release savepoint s", "rollback to savepoint s",
    }  # fmt: skip
    assert any(isinstance(step, Pause) and step.seconds > 1 for step in steps)
    assert any(plan.held > 10 for plan in plans)


def test_writers_change_every_table_and_leave_nothing_open(fresh_store: Any) -> None:
    url = fresh_store.url("store_writer")
    workload.fill(url, SEED)
    with psycopg.connect(fresh_store.url("store_owner"), autocommit=True) as connection:

        def rows() -> dict[str, int]:
            return dict(connection.execute(
                "select c.relname, (xpath('//n/text()', query_to_xml('select count(*) as n from store.' || c.relname,"
                " false, true, '')))[1]::text::integer from pg_class as c where c.relkind = 'r'"
                " and c.relnamespace = 'store'::regnamespace"
            ).fetchall())  # fmt: skip

        def buried() -> set[str]:
            return {table for (table,) in connection.execute("select distinct table_name from ops.tombstone")}

        def all_was_done() -> bool:
            writers.check()
            account, found = writers.account, rows()
            return (
                set(account.refused) >= REFUSALS
                and set(account.transactions) >= ENDINGS
                and set(account.statements) >= KINDS
                and min(found.values()) > 0
                and buried() == {f"store.{table}" for table in found}
            )

        with workload.at_work(url, SEED) as writers:
            wait_until(all_was_done, SECONDS, lambda: f"{writers.account}, rows {rows()}, tombstones of {buried()}")
        account = writers.account
        prepared = connection.execute(
            "select count(*) from pg_prepared_xacts where database = current_database()"
        ).fetchone()

    assert set(account.transactions) == ENDINGS
    assert set(account.statements) == KINDS
    assert prepared == (0,)
