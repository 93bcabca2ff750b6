"""What `make generate` calls: days of mock data as files on this machine, each with its truth.

    .local/generated/landing/DATASET/NAME           what to upload first
    .local/generated/landing-later/DATASET/NAME     what to upload then: late games, second versions under their names
    .local/generated/mock-truth/DATASET/NAME        what must become of each line

The directory holds what the last call made.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import NoReturn

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from local.cli import Clock, console
from local.errors import LocalError
from local.layout import Layout
from marketplace.contracts import load_contracts
from marketplace.mockdata import profile as profiles
from marketplace.mockdata.generate import Chunk, Order, generate
from marketplace.mockdata.interval import Interval
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.table import DATASETS

SEEDS = 10_000
# Days of which every event, refunds and payouts included, has a time that the store accepts.
DAYS_FROM, DAYS_UNTIL = date(1971, 1, 1), date(2100, 1, 1)
# Without a terminal a line is printed so often, in seconds, if a day takes longer.
QUIET = 10.0


@dataclass(frozen=True)
class Wanted:
    """What was asked for: about so many rows over the days before `until`."""

    rows: int
    days: int
    until: date
    seed: int
    profile: Profile

    def orders(self) -> Iterator[Order]:
        """Yield an order for each day, the earliest first."""
        first = datetime.combine(self.until, datetime.min.time(), UTC) - timedelta(days=self.days)
        for day in range(self.days):
            rows = self.rows * (day + 1) // self.days - self.rows * day // self.days
            yield Order(self.seed, Interval.of_day(first + timedelta(days=day)), max(rows, 1), self.profile)


@dataclass
class Made:
    """What was made of one dataset."""

    files: int = 0
    set_aside: int = 0
    records: int = 0
    bytes: int = 0
    rejected: int = 0
    held: int = 0


@dataclass
class Directory:
    """The files of one call: written chunk by chunk, and counted."""

    path: Path
    made: dict[str, Made] = field(default_factory=lambda: {dataset: Made() for dataset in DATASETS})

    def write(self, order: Order) -> Iterator[int]:
        """Write the files of an order; yields the number of records as they are written."""
        later: dict[str, str] = {}
        for chunk in generate(order):
            landing, dataset, name = PurePosixPath(chunk.key).parts
            # A dataset's second file of an order is what the first files were waiting for.
            if chunk.version > 1 or later.setdefault(dataset, name) != name:
                landing += "-later"
            file = self.path / landing / dataset / name
            made = self.made[dataset]
            made.files += not file.exists()
            made.set_aside += _append(self.path / _truth(chunk), chunk.truth) and _is_set_aside(chunk.truth)
            _append(file, chunk.data)
            made.records += chunk.records
            made.bytes += len(chunk.data)
            made.rejected += chunk.truth.count(b",rejected,")
            made.held += chunk.truth.count(b",held,")
            yield chunk.records
