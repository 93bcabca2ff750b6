"""What becomes of rows by what else there is: superseded, held, resolved, flagged.

It follows from numbers alone: which ids and titles are one thing is known from what the text was made from, never
from the text. All of it is for one interval whose files are loaded into an empty store in the order in which they are
put; a second try then takes the rows that were held for a game of the late file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketplace.mockdata.draws import Numbers
from marketplace.mockdata.table import Table, Texts
from marketplace.mockdata.truth import Fate

# A row that comes again has the number of the first plus this.
AGAIN = 2**40

Mask = NDArray[np.bool_]
# Tables, each with which of its rows are records that no defect of their own rejects.
Files = list[tuple[Table, Mask]]

_NONE, _SEVERAL = -1, -2
_OUTCOMES = np.array(["accepted", "superseded", "held", "rejected"], dtype=object)
_ACCEPTED, _SUPERSEDED, _HELD, _REJECTED = range(4)
# Why a row is held, in the order in which it is looked for.
_RESOLVED, _NO_TRANSACTION, _NO_GAME, _SEVERAL_GAMES, _NO_PUBLISHER = range(5)
_HELD_FOR = np.array(["", "transaction_id", "game_ref", "game_ref", "publisher_ref"], dtype=object)
_HELD_WHY = np.array(["", "unknown_transaction", "unknown_game", "ambiguous_game", "unknown_publisher"], dtype=object)
_SALE, _PAYOUT = 0, 2
# More ids of games than there are, and more platforms than anybody has thought of.
_GAME_IDS = 2**20
_PLATFORMS = 2**20


def counting(table: Table, alive: Mask) -> Mask:
    """Return which rows count: of those that are `alive`, the last one of each key."""
    again = table.numbers >= AGAIN
    if not again.any():
        return alive
    keys = table.numbers % AGAIN
    rivals = alive & np.isin(keys, keys[again])
    return (alive & ~rivals) | _last_of_each(keys, rivals)


def _last_of_each(keys: Numbers, of: Mask) -> Mask:
    """Return, of these rows, the last one of each key."""
    rows = np.flatnonzero(of)[::-1]
    last = np.zeros(len(of), dtype=bool)
    last[rows[np.unique(keys[rows], return_index=True)[1]]] = True
    return last


@dataclass(frozen=True)
class Known:
    """What ids and names stand for once the catalogue's files are loaded.

    In the first four, -1 is none and -2 several, and a look-up of -1 gives -1.

    publisher, game   by the number of an id: the number of the id that the store uses
    named             by entity: the publisher of the name
    titled            by the title's number: the game that has it
    """

    publisher: Numbers
    named: Numbers
    game: Numbers
    titled: Numbers
    publisher_ids: Texts
    game_ids: Texts

    @classmethod
    def of(cls, publishers: Files, games: Files) -> Known:
        """Return what the files make of it."""
        alias, entity, ids = (_together(publishers, what) for what in ("alias", "entity", "publisher_id"))
        publisher, named = _nothing_yet(publishers, "alias"), _nothing_yet(publishers, "entity")
        publisher[alias] = _lowest(alias, entity)
        named[entity] = publisher[alias]
        publisher_ids = _pool(publisher, alias, ids)

        alias, title, ids = (_together(games, what) for what in ("alias", "title", "game_id"))
        day = _days(_together(games, "release_date"))
        game, titled = _nothing_yet(games, "alias"), _nothing_yet(games, "title")
        differ = _dates_differ(title, day)
        # Where the dates of a title differ, each date is a game of its own, and so is none.
        game[alias] = _lowest(alias, title * (len(day) + 1) + np.where(differ, day + 1, 0))
        titled[title] = np.where(differ, _SEVERAL, game[alias])
        return cls(publisher, named, game, titled, publisher_ids, _pool(game, alias, ids))

    def games_of(self, table: Table) -> Numbers:
        """Return the game that each row refers to, as the number of its id."""
        alias, title = table.facts["game_alias"], table.facts["game_title"]
        return np.where(alias >= 0, self.game[alias], self.titled[title])

    def publishers_of(self, table: Table) -> Numbers:
        """Return the publisher that each row refers to, as the number of its id."""
        alias, name = table.facts["publisher_alias"], table.facts["publisher_name"]
        return np.where(alias >= 0, self.publisher[alias], self.named[name])


def settle_rows(table: Table, alive: Mask) -> Fate:
    """Return what becomes of rows that refer to nothing: publishers, customers, transactions."""
    return _fate(table, alive, counting(table, alive), table.issues.copy())


def settle_games(table: Table, alive: Mask) -> Fate:
    """Return what becomes of the games of a file that has all the ids of its titles."""
    counts, issues = counting(table, alive), table.issues.copy()
    rows = np.flatnonzero(counts)
    day = _days(table.truth["release_date"][rows])
    unclear = (day == _NONE) & _dates_differ(table.facts["title"][rows], day)
    _note(issues, rows[unclear], "ambiguous_title@release_date")
    return _fate(table, alive, counts, issues)


def settle_references(table: Table, alive: Mask, known: Known) -> Fate:
    """Return what becomes of wishes and play sessions, which refer to a game, when all games have come.

    A customer wishes for a game once, under whatever ids or titles: of such wishes the last one counts.
    """
    games = known.games_of(table)
    held = np.select([games >= 0, games == _SEVERAL], [_RESOLVED, _SEVERAL_GAMES], _NO_GAME)
    resolved = alive & (held == _RESOLVED)
    if table.dataset == "wishlist":
        counts = _last_of_each(table.facts["customer"] * _GAME_IDS + games, resolved)
    else:
        counts = counting(table, resolved)
    fate = _fate(table, alive, counts, table.issues.copy(), held)
    fate.references["game_ref"] = known.game_ids[np.where(resolved, games, _NONE)]
    return fate


@dataclass
class Lines:
    """What becomes of the lines of transactions, table by table in the order of their file.

    `known` is what is known when the lines come, `known_later` what is known with the late games. A late game shares
    its title with none that is not.
    """

    known: Known
    known_later: Known
    _platforms: dict[str, int] = field(default_factory=dict)
    # By game and platform: the publisher that was reported first.
    _releases: dict[int, int] = field(default_factory=dict)

    def settle(self, table: Table, alive: Mask, transactions: tuple[Table, Mask], *, comes_again: bool = False) -> Fate:
        """Return what becomes of lines.

        transactions   all that the lines may name, and which of them are records that no defect of their own rejects
        comes_again    a second version of the file follows, with the same keys
        """
        headers = transactions[0]
        parent = _positions(table.facts["parent"], headers, counting(*transactions))
        games, publishers = self.known.games_of(table), self.known.publishers_of(table)
        held, issues = _why_held(parent, games, publishers), table.issues.copy()
        loaded = alive & (held == _RESOLVED)
        stands = counting(table, loaded)
        self._flag_publishers(issues, table, loaded, games, publishers)
        _flag_amounts(issues, table, stands, parent, headers)
        _flag_totals(issues, table, stands, stands, parent, headers)

        later = self.known_later.games_of(table)
        waiting = alive & (held == _NO_GAME) & (later != _NONE)
        if waiting.any():
            games = np.where(waiting, later, games)
            held = np.where(waiting, _why_held(parent, games, publishers), held)
            resolved = waiting & (held == _RESOLVED)
            if comes_again:  # what stands is of the second version by then, and later than every line of the first
                keys = table.numbers % AGAIN
                taken_in = counting(table, resolved & ~np.isin(keys, keys[stands]))
                stands = stands | taken_in
            else:
                stands = counting(table, stands | resolved)
                taken_in = stands & resolved
            self._flag_publishers(issues, table, resolved, games, publishers)
            _flag_amounts(issues, table, taken_in, parent, headers)
            _flag_totals(issues, table, taken_in, stands, parent, headers)
            loaded = loaded | resolved

        fate = _fate(table, alive, stands, issues, held)
        fate.references["game_ref"] = self.known_later.game_ids[np.where(loaded, games, _NONE)]
        fate.references["publisher_ref"] = self.known_later.publisher_ids[np.where(loaded, publishers, _NONE)]
        return fate

    def _flag_publishers(self, issues: Texts, table: Table, loaded: Mask, games: Numbers, publishers: Numbers) -> None:
        """Flag the lines whose publisher is not the one that was reported first of the game on its platform."""
        rows = np.flatnonzero(loaded)
        release = games[rows] * _PLATFORMS + self._platform_numbers(table.truth["platform"][rows].tolist())
        releases, first, which = np.unique(release, return_index=True, return_inverse=True)
        reported = map(self._releases.setdefault, releases.tolist(), publishers[rows][first].tolist())
        standing = np.fromiter(reported, dtype=np.int64, count=len(releases))
        _note(issues, rows[standing[which] != publishers[rows]], "publisher_mismatch@publisher_ref")

    def _platform_numbers(self, platforms: list[str]) -> Numbers:
        for platform in sorted(set(platforms).difference(self._platforms)):
            self._platforms[platform] = len(self._platforms)
        return np.fromiter(map(self._platforms.__getitem__, platforms), dtype=np.int64, count=len(platforms))


def _flag_amounts(issues: Texts, table: Table, taken_in: Mask, parent: Numbers, transactions: Table) -> None:
    """Flag nets that are not gross less fee, and signs that the transaction forbids."""
    gross, fee, net = (table.facts[fact] for fact in ("gross", "fee", "net"))
    rows = np.flatnonzero(taken_in)
    _note(issues, rows[net[rows] != (gross - fee)[rows]], "net_mismatch@net_amount")
    is_sale = transactions.facts["kind"][parent[rows]] == _SALE
    wrong = np.where(is_sale, gross[rows] < 0, gross[rows] > 0)
    _note(issues, rows[wrong], "wrong_sign@gross_amount")


def _flag_totals(
    issues: Texts, table: Table, taken_in: Mask, stands: Mask, parent: Numbers, transactions: Table
) -> None:
    """Flag the transactions whose total is not the sum of what stands, each at the last of its lines in `taken_in`."""
    gross, fee = table.facts["gross"], table.facts["fee"]
    rows = np.flatnonzero(stands)
    pays_out = transactions.facts["kind"][parent[rows]] == _PAYOUT
    sums = np.zeros(len(transactions), dtype=np.int64)
    np.add.at(sums, parent[rows], np.where(pays_out, gross[rows] - fee[rows], gross[rows]))
    rows = np.flatnonzero(taken_in)
    last = np.full(len(transactions), _NONE)
    np.maximum.at(last, parent[rows], rows)
    wrong = (last != _NONE) & (sums != transactions.facts["total"])
    _note(issues, last[wrong], "total_mismatch@transaction_id")


def _why_held(parent: Numbers, games: Numbers, publishers: Numbers) -> Numbers:
    return np.select(
        [parent == _NONE, games == _NONE, games == _SEVERAL, publishers == _NONE],
        [_NO_TRANSACTION, _NO_GAME, _SEVERAL_GAMES, _NO_PUBLISHER],
        _RESOLVED,
    )


def _fate(table: Table, alive: Mask, counts: Mask, issues: Texts, held: Numbers | None = None) -> Fate:
    """Return what becomes of rows that count or not; `held` is why they do not, if it is for what they refer to."""
    outcome = np.where(counts, _ACCEPTED, _SUPERSEDED)
    column, reason = table.column, table.reason
    if held is not None:
        rows = np.flatnonzero(alive & (held != _RESOLVED))
        outcome[rows] = _HELD
        column, reason = column.copy(), reason.copy()
        column[rows], reason[rows] = _HELD_FOR[held[rows]], _HELD_WHY[held[rows]]
    outcome[table.reason != ""] = _REJECTED
    issues[outcome == _REJECTED] = ""
    return Fate(_OUTCOMES[outcome], column, reason, issues, {})


def _note(issues: Texts, rows: Numbers, noted: str) -> None:
    issues[rows] = [f"{found} {noted}" if found else noted for found in issues[rows]]


def _positions(numbers: Numbers, transactions: Table, counts: Mask) -> Numbers:
    """Return where in `transactions` the rows that count have these numbers; -1 for none."""
    rows = np.flatnonzero(counts)
    own = transactions.numbers[rows] % AGAIN
    order = np.argsort(own, kind="stable")
    own = np.append(own[order], _NONE)
    found = np.minimum(np.searchsorted(own[:-1], numbers), len(rows))
    return np.where(own[found] == numbers, np.append(rows[order], _NONE)[found], _NONE)


def _together(files: Files, what: str) -> NDArray[Any]:
    """Return a fact or a value of all rows that count."""
    return np.concatenate([
        (table.facts[what] if what in table.facts else table.truth[what])[counting(table, alive)]
        for table, alive in files
    ])  # fmt: skip


def _nothing_yet(files: Files, fact: str) -> Numbers:
    """Return -1 for each of the numbers that a fact has, and once more for what is looked up as -1."""
    return np.full(max(int(table.facts[fact].max(initial=0)) for table, _alive in files) + 2, _NONE)


def _lowest(alias: Numbers, group: Numbers) -> Numbers:
    """Return for each id the lowest of its group."""
    _, which = np.unique(group, return_inverse=True)
    lowest = np.full(len(group), np.iinfo(np.int64).max)
    np.minimum.at(lowest, which, alias)
    return lowest[which]


def _days(dates: Texts) -> Numbers:
    """Return a number for each of the dates there are, and -1 for none."""
    found, day = np.unique(dates.astype(str), return_inverse=True)
    return day - 1 if len(found) and found[0] == "" else day


def _dates_differ(title: Numbers, day: Numbers) -> Mask:
    """Return for each row whether there are several dates among those of its title."""
    _, which = np.unique(title, return_inverse=True)
    dated = day != _NONE
    first, last = np.full(len(which), np.iinfo(np.int64).max), np.full(len(which), _NONE)
    np.minimum.at(first, which[dated], day[dated])
    np.maximum.at(last, which[dated], day[dated])
    return (first < last)[which]


def _pool(known: Numbers, alias: Numbers, ids: Texts) -> Texts:
    """Return the ids by their numbers, with '' for -1."""
    pool = np.full(len(known), "", dtype=object)
    pool[alias] = ids
    return pool
