"""Making the files of an interval: bytes, with their truth beside them, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from marketplace.mockdata import truth
from marketplace.mockdata.activity import Activity, Part
from marketplace.mockdata.defects import mess
from marketplace.mockdata.draws import Draws
from marketplace.mockdata.envelope import Envelope
from marketplace.mockdata.interval import Interval
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.settle import Known, Lines, Mask, settle_games, settle_references, settle_rows
from marketplace.mockdata.table import Table
from marketplace.mockdata.truth import Fate
from marketplace.mockdata.world import World

LANDING, TRUTH = "landing", "mock-truth"

# What the first version of a file has wrong, where the second has it right: a share of the rows, in one column.
_CORRECTED_SHARE = 0.1
_CORRECTED = {
    "publisher": "country",
    "game": "genre",
    "customer": "locale",
    "transaction": "txn_ts",
    "transaction_detail": "region",
    "wishlist": "added_at",
    "play_session": "duration_s",
}


@dataclass(frozen=True)
class Order:
    """What is to be made: `rows` records or so, over all datasets, were the interval of average activity."""

    seed: int
    interval: Interval
    rows: int
    profile: Profile

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= 9999:
            raise ValueError(f"The seed is {self.seed}; it must be from 0 to 9999.")
        if self.rows < 1:
            raise ValueError(f"{self.rows} rows are too few; there must be 1 at least.")

    @property
    def name(self) -> str:
        """The name of its files, as far as no defect changes it."""
        return f"mock-{self.seed:04d}-{self.interval.code}"


class Chunk(NamedTuple):
    """The next bytes of one version of a file and of its truth.

    `key` is where the file is to be put, `truth_key` where its truth is. `records` is how many records are in `data`.
    """

    key: str
    truth_key: str
    version: int
    data: bytes
    truth: bytes
    records: int


# What becomes of rows, given which of them are records that no defect of their own rejects.
Settle = Callable[[Table, Mask], Fate]


def generate(order: Order) -> Iterator[Chunk]:
    """Yield the files of an order in pieces, a part of the activity at a time, so that memory does not grow with it.

    The chunks of a file come in its order, with those of other files in between. The files are to be put in the order
    in which they begin; the second version of a file begins after the first.
    """
    world, profile = World.of(order.seed), order.profile
    activity = Activity(world, order.interval, order.rows)
    # With a game comes every other of its title. All of them are late, or none, so that no late game changes others.
    titles = world.title_of(np.arange(len(world.titles)), profile)
    met = np.flatnonzero(np.isin(titles, titles[activity.games]))
    late = Draws(order.seed, order.interval.code, "late").chance(titles[met], profile.rate("late_reference"))

    publishers, games = _File(order, "publisher"), _File(order, "game")
    table = world.publisher_table(activity.publishers, profile)
    yield from publishers.add(mess(table, profile, world, activity), settle_rows)
    table = world.game_table(met[~late], profile)
    yield from games.add(mess(table, profile, world, activity), settle_games)
    known = known_later = Known.of([publishers.added], [games.added])
    late_chunks: list[Chunk] = []
    if late.any():
        late_games = _File(order, "game", "-late")
        table = mess(world.game_table(met[late], profile), profile, world, activity)
        late_chunks += late_games.add(table, settle_games)
        not_yet = table, np.zeros(len(table), dtype=bool)
        known = Known.of([publishers.added], [games.added, not_yet])
        known_later = Known.of([publishers.added], [games.added, late_games.added])

    customers, transactions, details = (_File(order, of) for of in ("customer", "transaction", "transaction_detail"))
    wishes, sessions = _File(order, "wishlist"), _File(order, "play_session")
    lines = Lines(known, known_later)
    settle_reference = partial(settle_references, known=known_later)
    for first, part, last in _with_ends(activity.parts()):
        clean = partial(mess, profile=profile, world=world, met=activity)
        yield from customers.add(clean(part.customer), settle_rows, first, last)
        yield from transactions.add(clean(part.transaction), settle_rows, first, last)
        settle = partial(lines.settle, transactions=transactions.added)
        earlier = partial(settle, comes_again=True)
        yield from details.add(clean(part.transaction_detail), settle, first, last, settle_earlier=earlier)
        yield from wishes.add(clean(part.wishlist), settle_reference, first, last)
        yield from sessions.add(clean(part.play_session), settle_reference, first, last)
    yield from late_chunks


class _File:
    """A file on its way, in both of its versions if there are two.

    added   the rows that were added last, and which of them are records that no defect of their own rejects
    """

    added: tuple[Table, Mask]

    def __init__(self, order: Order, dataset: str, suffix: str = "") -> None:
        self._dataset = dataset
        self._draws = Draws(order.seed, order.interval.code, dataset, f"file{suffix}")
        make = partial(Envelope.of, dataset, f"{order.name}{suffix}", order.profile, self._draws)
        self._envelopes = [make()]
        if self._envelopes[0].twice:
            self._envelopes.append(make())

    def add(
        self,
        table: Table,
        settle: Settle,
        first: bool = True,
        last: bool = True,
        *,
        settle_earlier: Settle | None = None,
    ) -> Iterator[Chunk]:
        """Yield the chunks of the next rows: of the first version, if there are two, then of the one that counts."""
        if len(self._envelopes) == 2:
            earlier = _uncorrected(table, self._draws.stream("corrected"))
            yield self._chunk(1, earlier, settle_earlier or settle, first, last)
        yield self._chunk(len(self._envelopes), table, settle, first, last)

    def _chunk(self, version: int, table: Table, settle: Settle, first: bool, last: bool) -> Chunk:
        envelope = self._envelopes[version - 1]
        data, lines = envelope.write(table, first, last)
        there = lines >= 0
        if envelope.rejected:
            there = np.zeros(len(table), dtype=bool)
            fate = truth.set_aside(self._dataset, envelope.rejected) if first else b""
        self.added = table, there & (table.reason == "")
        if not envelope.rejected:
            fate = truth.start(self._dataset, envelope.header_issue) if first else b""
            fate += truth.rows(table, lines, settle(*self.added))
        name = envelope.file_name if version == 1 else f"{envelope.file_name.removesuffix('.csv')}.2.csv"
        return Chunk(
            key=f"{LANDING}/{self._dataset}/{envelope.file_name}",
            truth_key=f"{TRUTH}/{self._dataset}/{name}",
            version=version,
            data=data,
            truth=fate,
            records=int(there.sum()),
        )


def _uncorrected(table: Table, draws: Draws) -> Table:
    """Return the rows as the first version of their file has them: some with another's value in one column."""
    name = _CORRECTED[table.dataset]
    text, right = table.text[name].copy(), table.truth[name].copy()
    plain = np.flatnonzero((table.reason == "") & (table.issues == "") & (text == right))
    wrong = draws.chance(table.numbers[plain], _CORRECTED_SHARE)
    text[plain[wrong]] = right[plain[wrong]] = np.roll(right[plain], 1)[wrong]
    earlier = copy(table)
    earlier.text, earlier.truth = table.text | {name: text}, table.truth | {name: right}
    earlier.column, earlier.reason, earlier.issues = table.column.copy(), table.reason.copy(), table.issues.copy()
    return earlier


def _with_ends(parts: Iterable[Part]) -> Iterator[tuple[bool, Part, bool]]:
    """Yield each part with whether it is the first, and whether it is the last."""
    remaining = iter(parts)
    part, first = next(remaining), True
    for following in remaining:
        yield first, part, False
        part, first = following, False
    yield first, part, True
