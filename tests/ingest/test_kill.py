"""A loading process that is killed at any moment, and two at once: the store ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from marketplace.contracts import load_contracts
from marketplace.mockdata import profile
from marketplace.mockdata.generate import Order
from marketplace.mockdata.interval import Interval
from tests.conftest import copied
from tests.ingest.landing import Folder, Landing
from tests.mockdata.loop import made

REPO = Path(__file__).resolve().parents[2]
SEED = 20261121
QUICK, FULL = 3, 30
# What differs from one loading to the next without meaning anything.
FLEETING = {
    "row_xid", "attempts", "claimed_by", "lease_until", "claimed_at", "started_at", "finished_at",
    "issue_id", "tombstone_id",
}  # fmt: skip
# Of these which load brought a row depends on which of two was first, and that is left open when they run at once.
LINEAGE = {"load_id", "load_line"}

# Customers by number in an array, and in its order what is counted of each.
PLAYERS = {
    "player_ids": (
        "(select array_agg(format('%s: %s', c.ref, p.sessions) order by c.ref)"
        " from unnest(player_ids, player_sessions) as p (customer_id, sessions) join store.customer as c"
        " using (customer_id))"
    ),
    "player_sessions": "cardinality(player_sessions)",
}

Dump = dict[str, list[tuple[str, ...]]]


def files() -> Iterator[tuple[str, bytes]]:
    """Yield generated files: two intervals with much wrong in them, and the first again with other defects."""
    contracts = load_contracts()
    start = datetime(2026, 1, 19, 14, 15, tzinfo=UTC)
    hours = [Interval(start.replace(hour=hour), start.replace(hour=hour + 1)) for hour in (14, 15)]
    whole = {"empty_file": 0, "latin_1": 0, "utf_16": 0, "gzip": 0, "not_csv": 0, "huge_field": 0}
    messy = profile.load("terrible").turned(whole | {"unknown_reference": 0.1, "late_reference": 0.3})
    for order in (
        Order(7, hours[0], 150, messy),
        Order(7, hours[1], 150, messy),
        Order(7, hours[0], 150, profile.load("normal").turned(whole)),
    ):
        for file in made(order):
            if file.dataset in contracts:
                yield file.key, bytes(file.data)


@dataclass(frozen=True)
class Stage:
    """A store and a landing folder with the files in it."""

    landing: Landing
    folder: Path

    def process(self, run: str, *options: str) -> subprocess.Popen[str]:
        """Start a process that loads what waits."""
        command = [
            sys.executable,
            "-m",
            "tests.ingest.loading_process",
            self.landing.url,
            str(self.folder),
            run,
            *options,
        ]
        return subprocess.Popen(
            command, cwd=REPO, env=os.environ | {"PYTHONPATH": "dags"}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self) -> None:
        """Load what is left, when the leases of whoever died have expired."""
        with psycopg.connect(self.landing.owner_url) as connection:
            connection.execute("update ops.load set lease_until = now() - interval '1 second'")
        self.landing.run()

    def objects(self) -> list[tuple[str, bytes]]:
        """Return where each file lies, and its bytes."""
        folder = self.landing.s3
        return sorted((without_load(key), folder.read(key, version)) for key, version, _ in folder.listed())


def without_load(key: str) -> str:
    """Return the key of a moved object without the number of its load."""
    return re.sub(r"(/\d{4}/\d\d/\d\d/)\d+-", r"\1", key)


def stage(store: Any, folder: Path) -> Stage:
    folder.mkdir()
    found = Stage(Landing(store, Folder(folder)), folder)
    for key, body in files():
        found.landing.put(key, body)
    return found


def dump(url: str, *, without: frozenset[str] | set[str] = frozenset(), schemas: tuple[str, ...]) -> Dump:
    """Return all rows of all tables, with loads and customers by what they are and not by their numbers."""
    found: Dump = {}
    with psycopg.connect(url) as connection:
        loads = dict(connection.execute(
            "select load_id, concat_ws(' ', object_key, version_id, kind,"
            " row_number() over (partition by file_load_id, kind order by load_id)) from ops.load"
        ).fetchall())  # fmt: skip
        customers = dict(connection.execute("select customer_id, ref from store.customer").fetchall())
        columns: dict[str, list[str]] = {}
        for table, column in connection.execute(
            "select c.table_schema || '.' || c.table_name, c.column_name from information_schema.columns as c"
            " join information_schema.tables as t using (table_schema, table_name)"
            " where c.table_schema = any(%s) and t.table_type = 'BASE TABLE' order by 1, c.ordinal_position",
            (list(schemas),),
        ):
            if column not in FLEETING | without:
                columns.setdefault(table, []).append(column)
        for table, names in columns.items():
            rows = connection.execute(
                f"select {', '.join(PLAYERS.get(name, name) for name in names)} from {table}"
            ).fetchall()
            found[table] = sorted(
                tuple(_named(name, value, loads, customers) for name, value in zip(names, row, strict=True))
                for row in rows
            )
    return found


def _named(name: str, value: Any, loads: dict[int, str], customers: dict[int, str]) -> str:
    if name.endswith("load_id") and value is not None:
        return loads[value]
    if name == "customer_id" and value is not None:
        return customers[value]
    return without_load(value) if name == "archive_key" and value else str(value)


def differences(found: Dump, expected: Dump) -> list[str]:
    """Return the tables that differ, each with rows that are in one of the two only."""
    return [
        f"{table}: there is {sorted(set(found[table]) - set(rows))[:3]}, there should be "
        f"{sorted(set(rows) - set(found[table]))[:3]} ({len(found[table])} rows, {len(rows)})"
        for table, rows in expected.items()
        if found[table] != rows
    ]


EVERYTHING = ("ops", "store", "geo")


@dataclass(frozen=True)
class Undisturbed:
    """What becomes of the files when nothing happens to them, and how many moments that takes."""

    tables: Dump
    clean: Dump
    objects: list[tuple[str, bytes]]
    moments: int


@pytest.fixture(scope="module")
def undisturbed(platform: Any, store_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    for store in copied(platform, store_template):
        calm = stage(store, tmp_path_factory.mktemp("calm") / "landing")
        process = calm.process("run-1")
        printed, said = process.communicate()
        assert process.returncode == 0, said
        calm.landing.check_accounts()
        url = calm.landing.owner_url
        tables = dump(url, schemas=EVERYTHING)
        assert all(tables[f"store.{name}"] for name in ("publisher", "game", "transaction", "transaction_line"))
        assert all(tables[f"ops.{name}"] for name in ("load", "rejected_row", "held_row", "issue"))
        clean = dump(url, schemas=("store", "geo"), without=LINEAGE)
        yield Undisturbed(tables, clean, calm.objects(), int(printed))


def check_kill(fresh_store: Any, tmp_path: Path, undisturbed: Undisturbed, number: int, of: int) -> None:
    chance = random.Random(f"{SEED} {number}")  # noqa: S311 - nobody guards anything with it
    # A moment in each part of the whole duration, and one of two kinds.
    first, last = (number * undisturbed.moments // of + 1, (number + 1) * undisturbed.moments // of)
    moment, underway = chance.randint(first, last), chance.random() < 0.5
    about = f"killed at moment {moment} of {undisturbed.moments}, {'underway' if underway else 'before'}"
    disturbed = stage(fresh_store, tmp_path / "landing")
    process = disturbed.process("dies", "--kill-at", str(moment), *(["--underway"] if underway else []))
    _, said = process.communicate()
    assert process.returncode == -9, f"{about}: {said}"
    disturbed.finish()
    assert differences(dump(disturbed.landing.owner_url, schemas=EVERYTHING), undisturbed.tables) == [], about
    assert disturbed.objects() == undisturbed.objects, about
    disturbed.landing.check_accounts()


@pytest.mark.parametrize("number", range(QUICK))
def test_a_load_that_is_killed_and_done_again_leaves_no_trace(
    fresh_store: Any, tmp_path: Path, undisturbed: Undisturbed, number: int
) -> None:
    check_kill(fresh_store, tmp_path, undisturbed, number, QUICK)


@pytest.mark.full
@pytest.mark.parametrize("number", range(FULL))
def test_a_load_that_is_killed_at_any_of_many_moments_leaves_no_trace(
    fresh_store: Any, tmp_path: Path, undisturbed: Undisturbed, number: int
) -> None:
    check_kill(fresh_store, tmp_path, undisturbed, number, FULL)


def test_two_runs_at_once_over_the_same_files_load_each_once(
    fresh_store: Any, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    both = stage(fresh_store, tmp_path / "landing")
    processes = [both.process(run, "--by-twos") for run in ("left", "right")]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [(process.communicate(), process.returncode) for process in processes]
    assert [code for _, code in ended] == [0, 0], ended
    url = both.landing.owner_url
    with psycopg.connect(url) as connection:
        loads = connection.execute(
            "select count(*), count(distinct (object_key, version_id)), sum(attempts), count(distinct claimed_by),"
            " bool_and(status in ('done', 'rejected')) from ops.load where kind = 'file'"
        ).fetchone()
    number = len(list(files()))
    assert loads == (number, number, number, 2, True)
    assert differences(dump(url, schemas=("store", "geo"), without=LINEAGE), undisturbed.clean) == []
    assert both.objects() == undisturbed.objects
    both.landing.check_accounts()
