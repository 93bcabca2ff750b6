"""What `make generate` calls: days of mock data as files on this machine, each with its truth.

    .local/generated/landing/DATASET/NAME      to upload first
    .local/generated/landing-2/DATASET/NAME    to upload then: late games, and the second version of a name
    .local/generated/landing-3/DATASET/NAME    and last: the second version of a late game's
    .local/generated/mock-truth/DATASET/NAME   what must become of each line

The directory holds what the last call made.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path, PurePosixPath

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.cli import Clock, console
from local.errors import LocalError
from local.layout import Layout
from marketplace.contracts import load_contracts
from marketplace.mockdata import profile as profiles
from marketplace.mockdata.generate import Order, generate
from marketplace.mockdata.interval import Interval
from marketplace.mockdata.profile import Profile, ProfileError
from marketplace.mockdata.table import DATASETS

SEEDS = 10_000
LANDINGS = ("landing", "landing-2", "landing-3")
FIRST_DAY, LAST_DAY = date(2016, 1, 1), date(2099, 12, 31)
# More would be more than all customers of the first days can buy.
ROWS_A_DAY = 20_000_000
# Without a terminal, a line of progress is printed so often, in seconds.
SILENCE = 5.0


@dataclass(frozen=True)
class Wanted:
    """What is to be made: about `rows` records over the `days` days before `until`, by seed and profile."""

    rows: int
    days: int
    until: date
    seed: int
    profile: Profile

    def orders(self) -> Iterator[Order]:
        """Yield an order a day, the earliest first."""
        first = datetime.combine(self.until, datetime.min.time(), UTC) - timedelta(days=self.days)
        for day in range(self.days):
            rows = self.rows * (day + 1) // self.days - self.rows * day // self.days
            yield Order(self.seed, Interval.of_day(first + timedelta(days=day)), rows, self.profile)


def wanted(options: argparse.Namespace, today: date) -> Wanted:
    """Return what the command line asks for; raises LocalError, naming the variable that is wrong."""
    days = _whole("DAYS", options.days, 1, 100_000, "30")
    rows = _whole("ROWS", options.rows, days, days * ROWS_A_DAY, "100000")
    seed = _whole("SEED", options.seed, 0, SEEDS - 1, "42")
    try:
        until = date.fromisoformat(options.until) if options.until else today
    except ValueError:
        raise LocalError(f"UNTIL={options.until}: it must be a day such as 2026-01-31.") from None
    if until > LAST_DAY or (until - FIRST_DAY).days < days:
        raise LocalError(f"DAYS={days} UNTIL={until}: all days must be within {FIRST_DAY} to {LAST_DAY}.")
    try:
        profile = profiles.load(options.profile).turned(_dials(options.dials))
    except ProfileError as error:
        raise LocalError(str(error)) from None
    return Wanted(rows, days, until, seed, profile)


def _whole(name: str, text: str, least: int, most: int, example: str) -> int:
    if re.fullmatch(r"[0-9]{1,15}(_[0-9]{3})*", text) and least <= int(text) <= most:
        return int(text)
    raise LocalError(f"{name}={text}: it must be a whole number from {least:,} to {most:,}, such as {example}.")


def _dials(text: str) -> Mapping[str, float]:
    dials = {}
    for setting in text.split():
        name, _, rate = setting.partition("=")
        try:
            dials[name] = float(rate)
        except ValueError:
            raise LocalError(
                f'DIALS: {setting} must be a dial and its rate, as in DIALS="padding=0.5 crlf=1".'
            ) from None
    return dials


@dataclass
class Made:
    """What was made of one dataset; files that must be set aside as a whole count as no records."""

    files: int = 0
    set_aside: int = 0
    records: int = 0
    bytes: int = 0
    rejected: int = 0
    held: int = 0


@dataclass
class Directory:
    """The files of one call, written chunk by chunk, and counted."""

    path: Path
    made: dict[str, Made] = field(default_factory=lambda: {dataset: Made() for dataset in DATASETS})

    def write(self, order: Order) -> Iterator[int]:
        """Write the files of an order; yields after each chunk how many records it had."""
        first_names: dict[str, str] = {}
        for chunk in generate(order):
            _, dataset, name = PurePosixPath(chunk.key).parts
            # A second file of a dataset is what the others have waited for.
            is_late = first_names.setdefault(dataset, name) != name
            file = self.path / LANDINGS[is_late + chunk.version - 1] / dataset / name
            made = self.made[dataset]
            if not file.exists():
                made.files += 1
                made.set_aside += chunk.truth.count(b"\n0,rejected,", 0, 1000)
            _append(file, chunk.data)
            _append(self.path / chunk.truth_key, chunk.truth)
            made.records += chunk.records
            made.bytes += len(chunk.data)
            made.rejected += chunk.truth.count(b",rejected,")
            made.held += chunk.truth.count(b",held,")
            yield chunk.records


def _append(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(content)


class Meter:
    """Shows the day, records so far, and records a second: a bar on a terminal, else now and then a line."""

    def __init__(self, rows: int, clock: Clock) -> None:
        self._clock = clock
        self._said = 0.0
        self._records = 0
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"), TimeElapsedColumn(),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=rows, figures="")

    def __enter__(self) -> Meter:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def add(self, day: str, records: int) -> None:
        """Count the records of a chunk."""
        self._records += records
        seconds = self._clock.seconds()
        figures = f"{self._records:,} records, {self._records / max(seconds, 0.001):,.0f} a second"
        self._bar.update(self._task, description=day, completed=self._records, figures=figures)
        if not console.is_terminal and seconds - self._said > SILENCE:
            self._clock.say(f"{day}: {figures}")
            self._said = seconds


def make(asked: Wanted, path: Path) -> Directory:
    """Make the files under `path`, in the place of what is there; what is unfinished is never there.

    Raises LocalError when it cannot write there, or another call does.
    """
    if path.is_symlink() or path.is_file():
        raise LocalError(f"{path} is no directory: move it away.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        return _make(asked, path)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Keep a second call out, which would write into the same files; the lock leaves nothing behind."""
    descriptor = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise LocalError("Another `make generate` is at work here: wait until it is done.") from None
    finally:
        os.close(descriptor)


def _make(asked: Wanted, path: Path) -> Directory:
    unfinished, replaced = (path.with_name(f"{path.name}.{state}") for state in ("unfinished", "replaced"))
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(replaced, ignore_errors=True)
    directory = Directory(unfinished)
    clock = Clock()
    try:
        with Meter(asked.rows, clock) as meter:
            for order in asked.orders():
                for records in directory.write(order):
                    meter.add(f"{order.interval.start:%F}", records)
        # To delete what was there takes a while, in which somebody may interrupt: so it goes last.
        if path.exists():
            path.rename(replaced)
        unfinished.rename(path)
    except OSError as error:
        raise LocalError(f"{error.filename or unfinished} cannot be written: {error.strerror}.") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)
    directory.path = path
    records = sum(made.records for made in directory.made.values())
    clock.say(f"{records:,} records made, {records / clock.seconds():,.0f} a second")
    return directory


def show(directory: Directory) -> None:
    """Print what was made, and how it gets into the landing bucket."""
    table = Table("dataset", box=None, header_style="bold")
    for heading in ("files", "set aside", "records", "MB", "rejected", "held"):
        table.add_column(heading, justify="right")
    for dataset, made in directory.made.items():
        table.add_row(
            dataset, f"{made.files:,}", f"{made.set_aside:,}", f"{made.records:,}", f"{made.bytes / 1e6:,.1f}",
            _share(made.rejected - made.set_aside, made.records), _share(made.held, made.records),
        )  # fmt: skip
    console.print(table)
    try:
        where = directory.path.relative_to(Path.cwd())
    except ValueError:
        where = directory.path
    console.print(f"\nThe files are in {where}/landing, their truth in {where}/mock-truth. To load them:\n")
    contracts = load_contracts()
    for landing, dataset in product(LANDINGS, directory.made):
        if dataset in contracts and (directory.path / landing / dataset).exists():
            console.print(f"    make upload DATASET={dataset} FILES='{where}/{landing}/{dataset}/*'")
    without = [dataset for dataset in directory.made if dataset not in contracts]
    if without:
        console.print(f"\nNothing loads {', '.join(without)} yet.")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command line's meaning, with what is not given."""
    parser = argparse.ArgumentParser(prog="local.generate")
    defaults = {"rows": "100000", "profile": "normal", "days": "1", "until": "", "seed": "1", "dials": ""}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", default=default)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Make what the command line asks for; return the exit status."""
    try:
        asked = wanted(parse(arguments), datetime.now(UTC).date())
        show(make(asked, Layout().state / "generated"))
    except LocalError as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    except KeyboardInterrupt:
        console.print("\nInterrupted: nothing was made; what was there before is still there.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
