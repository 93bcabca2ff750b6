"""The same seed, interval, profile and rows give the same bytes: in any process, in any order, on any Python."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from marketplace.mockdata import profile, truth
from marketplace.mockdata.generate import Order
from marketplace.mockdata.interval import Interval
from tests.mockdata.loop import made

REPOSITORY = Path(__file__).resolve().parents[2]
NIGHT, MORNING = datetime(2026, 1, 5, 0, 15, tzinfo=UTC), datetime(2026, 3, 29, 9, tzinfo=UTC)

# Seed, start, minutes, profile, rows; and the SHA-256 of all that is made, the truth too. Another hash means that what
# is generated has changed: on purpose (then put the new one here), or because something depends on where it runs.
EXPECTED = {
    (7, NIGHT, 15, "clean", 300): "ef21176e452555b63e7ba7fddb2204366947ae7fec5fcc6cea5a6bd19451a786",
    (7, NIGHT, 15, "terrible", 300): "b81e8641c21aa3c17ba09b13780d8f1168c99d2b5da5214f70f56f375f577e80",
    (9999, MORNING, 1440, "normal", 2_000): "0f2bd1605ecb18d599ce3e5a999825e6bf3639ead0cf89235499d652a2fb7831",
    (42, MORNING, 60, "terrible", 2_000): "439d34f1b9d802d7764bef7b684682e7ca1f253b04eae2309b123b223b5b396b",
}
CASES = list(EXPECTED)


def order_of(case: tuple[int, datetime, int, str, int]) -> Order:
    seed, start, minutes, name, rows = case
    return Order(seed, Interval(start, start + timedelta(minutes=minutes)), rows, profile.load(name))


def digest(case: tuple[int, datetime, int, str, int]) -> str:
    """Return the SHA-256 of the files of a case, in the order in which they are put."""
    hashed = hashlib.sha256()
    for file in made(order_of(case)):
        for part in (f"{file.key} {file.version}".encode(), file.data, file.truth):
            hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.hexdigest()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[3]}")
def test_the_bytes_are_those_of_every_machine(case: tuple[int, datetime, int, str, int]) -> None:
    assert digest(case) == EXPECTED[case]


def test_another_process_makes_the_same_in_another_order() -> None:
    program = "from tests.mockdata.test_bytes import *\nfor case in reversed(CASES): print(digest(case))"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY / 'dags'}:{REPOSITORY}", "PYTHONHASHSEED": "1"},
    )  # fmt: skip
    assert run.stdout.split() == list(reversed(EXPECTED.values()))


@cache
def ids(seed: int, start: datetime, minutes: int, dataset: str, column: str) -> frozenset[str]:
    """Return what a column of a clean file has."""
    (file,) = (file for file in made(order_of((seed, start, minutes, "clean", 400))) if file.dataset == dataset)
    found = frozenset(record[column] for record in truth.read(bytes(file.truth)))
    assert len(found) > 3
    return found


@pytest.mark.parametrize(("dataset", "column"), [("transaction", "transaction_id"), ("play_session", "session_id")])
def test_no_two_intervals_and_no_two_seeds_share_a_key(dataset: str, column: str) -> None:
    later = NIGHT + timedelta(minutes=15)
    spans = [(7, NIGHT, 15), (7, later, 15), (7, NIGHT, 60), (8, NIGHT, 15)]
    found = [ids(*span, dataset, column) for span in spans]
    assert sum(map(len, found)) == len(frozenset().union(*found))


@pytest.mark.parametrize(
    ("dataset", "column"),
    [("publisher", "publisher_id"), ("game", "game_id"), ("customer", "customer_ref")],
)
def test_no_two_seeds_share_a_publisher_a_game_or_a_customer(dataset: str, column: str) -> None:
    assert not ids(7, NIGHT, 60, dataset, column) & ids(8, NIGHT, 60, dataset, column)


def test_an_id_of_the_catalogue_looks_the_same_in_every_interval() -> None:
    rows: dict[str, set[str]] = {}
    for start in (NIGHT, MORNING):
        for file in made(order_of((7, start, 60, "clean", 2_000))):
            if file.dataset in ("publisher", "game"):
                for line in file.data.decode().splitlines()[1:]:
                    rows.setdefault(line.partition(",")[0], set()).add(line)
    assert len(rows) > 100
    assert all(len(lines) == 1 for lines in rows.values())
