"""What must stand in the store after files have been loaded, reckoned in plain Python from their truth files alone.

Written from docs/architecture.md and docs/data-sources.md, row by row, and by numbers: which publisher an id means and
which title a game has is in the truth, so no name is normalised here and no value is read.

A row's origin is the place of its file in the order of all files, and its line; the same file loaded again in part (its
held rows, retried) has the same place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

KEYS = {
    "customer": ("customer_ref",),
    "game": ("game_id",),
    "play_session": ("session_id",),
    "publisher": ("publisher_id",),
    "transaction": ("transaction_id",),
    "transaction_detail": ("transaction_id", "line_no"),
    "wishlist": ("customer_ref", "game_ref"),
}
# What is known of a customer, by column of the store.
KNOWN = ("name", "email", "locale", "time_zone", "country_code", "marketing_opt_in", "created_at")
# Issues that depend on what else there is: reckoned here, whatever the truth says of them.
ACROSS = frozenset({"ambiguous_title", "total_mismatch", "publisher_mismatch", "net_mismatch", "wrong_sign"})

Origin = tuple[int, int]


@dataclass(frozen=True)
class File:
    """A file by its truth: the records that it has, and where it stands in the order of the files."""

    place: int
    dataset: str
    records: list[dict[str, str]]


@dataclass
class Staged:
    """A row that is not rejected, on its way into the store."""

    line: int
    record: dict[str, str]
    origin: Origin
    outcome: str | None = None
    game: str = ""
    publisher: str = ""

    def __getitem__(self, column: str) -> str:
        return self.record[column]

    @property
    def standing(self) -> bool:
        return self.outcome in ("inserted", "updated", "unchanged")


@dataclass
class Row:
    """A row of the store: its values, and where they came from."""

    values: dict[str, Any]
    origin: Origin

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


@dataclass
class Held:
    staged: Staged
    column: str
    reason: str


@dataclass
class LoadEntry:
    """What the ledger must say of one load."""

    place: int
    kind: str
    status: str = "done"
    reason: str | None = None
    account: Counter[str] = field(default_factory=Counter)


def _no(text: str) -> int:
    return int(text)


class Reckoning:
    """The store, as it must be after what was loaded so far."""

    def __init__(self) -> None:
        self.publisher_alias: dict[str, Row] = {}
        self.publisher: dict[str, Row] = {}
        self.game_alias: dict[str, Row] = {}
        self.game: dict[str, Row] = {}
        self.release: dict[tuple[str, str], Row] = {}
        self.customer: dict[str, Row] = {}
        self.transaction: dict[str, Row] = {}
        self.line: dict[tuple[str, int], Row] = {}
        self.wish: dict[tuple[str, str], Row] = {}
        self.session: dict[str, Row] = {}
        self.confirmed: dict[Hashable, Origin] = {}
        self.rejected: dict[Origin, tuple[str, str]] = {}
        self.held: dict[Origin, Held] = {}
        self.issues: Counter[tuple[int, int, str, str]] = Counter()
        self.loads: list[LoadEntry] = []
        self._files: dict[int, File] = {}
        self._apply: dict[str, Callable[[list[Staged]], None]] = {
            "publisher": self._apply_publishers,
            "game": self._apply_games,
            "customer": self._apply_customers,
            "transaction": self._apply_transactions,
            "transaction_detail": self._apply_lines,
            "wishlist": self._apply_wishes,
            "play_session": self._apply_sessions,
        }

    # ------------------------------------------------------------------------------------------------- loads

    def load(self, file: File) -> None:
        """Load a file."""
        self._files[file.place] = file
        self.loads.append(entry := LoadEntry(file.place, "file"))
        if file.records and file.records[0]["line"] == "0":
            entry.status, entry.reason = "rejected", file.records[0]["reason"]
            return
        self._load(entry, file, file.records)

    def retry(self) -> None:
        """Try the held rows again: in rounds, since a row that is resolved may be what another waits for."""
        for _ in KEYS:
            places = sorted({origin[0] for origin, held in self.held.items() if self._resolves(held)})
            if not places:
                return
            for place in places:
                taken = [o for o, held in sorted(self.held.items()) if o[0] == place and self._resolves(held)]
                if taken:
                    records = [self.held.pop(origin).staged.record for origin in taken]
                    self.loads.append(entry := LoadEntry(place, "retry"))
                    self._load(entry, self._files[place], records)

    def _load(self, entry: LoadEntry, file: File, records: Iterable[dict[str, str]]) -> None:
        before = self.issues.total()
        staged = []
        for record in records:
            origin = (file.place, int(record["line"]))
            if record["outcome"] == "header":
                self._note(origin, record["issues"])
                continue
            entry.account["read"] += 1
            if record["outcome"] == "rejected":
                self.rejected[origin] = (record["column"], record["reason"])
                entry.account["rejected"] += 1
            else:
                staged.append(Staged(origin[1], record, origin))
        self._resolve(file.dataset, staged)
        self._supersede(file.dataset, staged)
        self._apply[file.dataset](staged)
        for row in staged:
            entry.account[str(row.outcome)] += 1
            if row.outcome != "held":
                self._note(row.origin, row["issues"])
        entry.account["issues"] = self.issues.total() - before

    def _note(self, origin: Origin, noted: str) -> None:
        """Record the issues of a row that its own text gives."""
        for issue in noted.split():
            kind, column = issue.split("@")
            if kind not in ACROSS:
                self._flag(origin, kind, column)

    def _flag(self, origin: Origin, kind: str, column: str) -> None:
        self.issues[(*origin, kind, column)] += 1

    def _supersede(self, dataset: str, staged: list[Staged]) -> None:
        last: dict[tuple[str, ...], Staged] = {}
        for row in staged:
            if row.outcome is None:
                # Two spellings of one game are one wish.
                key = tuple(row.game if column == "game_ref" else row[column] for column in KEYS[dataset])
                if key in last:
                    last[key].outcome = "superseded"
                last[key] = row

    def _reported(self, row: Staged, key: Hashable, standing: Row | None, values: dict[str, Any]) -> None:
        """Decide what a row does to the one that stands; the later report stands, whichever is loaded first."""
        if row.outcome is not None:
            return
        if standing is None:
            row.outcome = "inserted"
        elif self._is_later(standing.origin, row.origin) or self.confirmed.get(key, (-1, -1)) > row.origin:
            row.outcome = "superseded"
        elif all(standing[name] == value for name, value in values.items()):
            row.outcome = "unchanged"
            self.confirmed[key] = row.origin
        else:
            row.outcome = "updated"

    def _is_later(self, standing: Origin, origin: Origin) -> bool:
        """Return whether the row that stands comes later. Only files of one dataset have an order."""
        return standing > origin and self._files[standing[0]].dataset == self._files[origin[0]].dataset

    # ------------------------------------------------------------------------------------------- publishers

    def _apply_publishers(self, staged: list[Staged]) -> None:
        affected = set()
        for row in staged:
            alias = row["publisher_id"]
            values = {"name": row["name"], "country": row["country"] or None}
            old = self.publisher_alias.get(alias)
            self._reported(row, ("publisher", alias), old, values)
            if row.outcome in ("inserted", "updated"):
                affected |= {_no(row["entity_no"])} | ({old["entity"]} if old else set())
                stands_for = old["publisher_id"] if old else alias
                numbers = {"number": _no(row["alias_no"]), "entity": _no(row["entity_no"])}
                self.publisher_alias[alias] = Row(values | numbers | {"publisher_id": stands_for}, row.origin)
        for entity in sorted(affected):
            self._settle_publisher(entity)

    def _settle_publisher(self, entity: int) -> None:
        aliases = sorted(
            (row["number"], alias, row) for alias, row in self.publisher_alias.items() if row["entity"] == entity
        )
        if not aliases:
            return
        _, lowest, row = aliases[0]
        country = next((row["country"] for _, _, row in aliases if row["country"]), None)
        _settle(self.publisher, lowest, {"name": row["name"], "country": country}, row.origin)
        for _, alias, row in aliases:
            row.values["publisher_id"] = lowest
            if alias != lowest:
                for release in self.release.values():
                    if release["publisher_id"] == alias:
                        release.values["publisher_id"] = lowest
                self.publisher.pop(alias, None)

    # ------------------------------------------------------------------------------------------------ games

    def _apply_games(self, staged: list[Staged]) -> None:
        affected = set()
        for row in staged:
            alias = row["game_id"]
            day = date.fromisoformat(row["release_date"]) if row["release_date"] else None
            values = {"title": row["title"], "day": day, "genre": row["genre"] or None}
            old = self.game_alias.get(alias)
            self._reported(row, ("game", alias), old, values)
            if row.outcome in ("inserted", "updated"):
                affected |= {_no(row["title_no"])} | ({old["number_of_title"]} if old else set())
                stands_for = old["game_id"] if old else alias
                numbers = {"number": _no(row["alias_no"]), "number_of_title": _no(row["title_no"])}
                self.game_alias[alias] = Row(values | numbers | {"game_id": stands_for}, row.origin)
        moved: dict[str, str] = {}
        settled: list[tuple[str, str]] = []
        for title in sorted(affected):
            for group in self._games_of_title(title):
                _, lowest, row = group[0]
                values = {
                    "title": row["title"],
                    "day": next((row["day"] for _, _, row in group if row["day"]), None),
                    "genre": next((row["genre"] for _, _, row in group if row["genre"]), None),
                }
                _settle(self.game, lowest, values, row.origin)
                for _, alias, row in group:
                    row.values["game_id"] = lowest
                    settled.append((alias, lowest))
        for alias, lowest in settled:
            if alias != lowest and alias in self.game:
                moved[alias] = lowest
        for row in staged:
            if row.standing and not row["release_date"]:
                days = {a["day"] for a in self.game_alias.values() if a["number_of_title"] == _no(row["title_no"])}
                if len(days - {None}) > 1:
                    self._flag(row.origin, "ambiguous_title", "release_date")
        self._move_games(moved, settled)

    def _games_of_title(self, title: int) -> list[list[tuple[int, str, Row]]]:
        """Return the games of a title, each as its ids, the lowest first."""
        aliases = sorted(
            (row["number"], alias, row) for alias, row in self.game_alias.items() if row["number_of_title"] == title
        )
        days = {row["day"] for _, _, row in aliases} - {None}
        if len(days) <= 1:
            return [aliases] if aliases else []
        groups: dict[date | None, list[tuple[int, str, Row]]] = {}
        for entry in aliases:
            groups.setdefault(entry[2]["day"], []).append(entry)
        return list(groups.values())

    def _move_games(self, moved: dict[str, str], settled: list[tuple[str, str]]) -> None:
        """Let releases and lines follow the games that have become ids of a lower one."""
        for lowest in sorted(set(moved.values())):
            ids = {alias for alias, game in settled if game == lowest}
            earliest: dict[str, Row] = {}
            for (game, platform), release in self.release.items():
                if game in ids and (platform not in earliest or release.origin < earliest[platform].origin):
                    earliest[platform] = release
            for platform, release in earliest.items():
                self.release[lowest, platform] = Row(dict(release.values), release.origin)
        for row in (*self.line.values(), *self.session.values()):
            row.values["game_id"] = moved.get(row["game_id"], row["game_id"])
        for (customer, game), wish in list(self.wish.items()):
            if game in moved:  # of two wishes that have become one the later stands
                del self.wish[customer, game]
                other = self.wish.get((customer, moved[game]))
                if other is None or other.origin < wish.origin:
                    self.wish[customer, moved[game]] = wish
        self.release = {key: row for key, row in self.release.items() if key[0] not in moved}
        self.game = {game: row for game, row in self.game.items() if game not in moved}

    # -------------------------------------------------------------------------------------------- customers

    def _apply_customers(self, staged: list[Staged]) -> None:
        for row in staged:
            ref = row["customer_ref"]
            values = {
                "name": row["name"] or None,
                "email": row["email"] or None,
                "locale": row["locale"] or None,
                "time_zone": row["time_zone"] or None,
                "country_code": row["country"] or None,
                "marketing_opt_in": {"true": True, "false": False, "": None}[row["marketing_opt_in"]],
                "created_at": _moment(row["created_at"]),
            }
            self._reported(row, ("customer", ref), self.customer.get(ref), values)
            if row.outcome in ("inserted", "updated"):
                self.customer[ref] = Row(values, row.origin)

    def _name_customers(self, staged: list[Staged]) -> None:
        """Let each customer whom an accepted row names be known, if only by reference."""
        for row in staged:
            if row.outcome != "held" and row.record.get("txn_type") != "payout":
                self.customer.setdefault(row["customer_ref"], Row(dict.fromkeys(KNOWN), row.origin))

    # ----------------------------------------------------------------------------------------- transactions

    def _apply_transactions(self, staged: list[Staged]) -> None:
        self._name_customers(staged)
        for row in staged:
            transaction = row["transaction_id"]
            values = {
                "type": row["txn_type"],
                "at": _moment(row["txn_ts"]),
                "currency": row["currency"],
                "total": Decimal(row["total_amount"]),
                "customer": None if row["txn_type"] == "payout" else row["customer_ref"],
            }
            self._reported(row, ("transaction", transaction), self.transaction.get(transaction), values)
            if row.outcome in ("inserted", "updated"):
                self.transaction[transaction] = Row(values, row.origin)
        for row in staged:
            if row.outcome in ("inserted", "updated") and self._mismatch(row["transaction_id"]):
                self._flag(row.origin, "total_mismatch", "total_amount")

    def _mismatch(self, transaction: str) -> bool:
        """Return whether a transaction's lines add up to something else; no lines add up to nothing."""
        row = self.transaction[transaction]
        lines = [line for (of, _), line in self.line.items() if of == transaction]
        payout = row["type"] == "payout"
        return bool(lines) and row["total"] != sum(
            line["gross"] - line["fee"] if payout else line["gross"] for line in lines
        )

    # ------------------------------------------------------------------------------------------- references

    def _resolve(self, dataset: str, staged: list[Staged]) -> None:
        """Find what each row names; hold what names nothing yet or two things."""
        if dataset not in ("transaction_detail", "wishlist", "play_session"):
            return
        for row in staged:
            is_line = dataset == "transaction_detail"
            games, publishers = self._games(row), self._publishers(row) if is_line else {""}
            if is_line and row["transaction_id"] not in self.transaction:
                self._hold(row, "transaction_id", "unknown_transaction")
            elif not games:
                self._hold(row, "game_ref", "unknown_game")
            elif len(games) > 1:
                self._hold(row, "game_ref", "ambiguous_game")
            elif not publishers:
                self._hold(row, "publisher_ref", "unknown_publisher")
            else:
                (row.game,), (row.publisher,) = games, publishers

    def _hold(self, row: Staged, column: str, reason: str) -> None:
        row.outcome = "held"
        self.held[row.origin] = Held(row, column, reason)

    def _games(self, row: Staged) -> set[str]:
        number, title = _no(row["game_alias_no"]), _no(row["game_title_no"])
        return {
            a["game_id"]
            for a in self.game_alias.values()
            if (a["number"] == number if number >= 0 else a["number_of_title"] == title)
        }

    def _publishers(self, row: Staged) -> set[str]:
        number, entity = _no(row["publisher_alias_no"]), _no(row["publisher_name_no"])
        return {
            a["publisher_id"]
            for a in self.publisher_alias.values()
            if (a["number"] == number if number >= 0 else a["entity"] == entity)
        }

    def _resolves(self, held: Held) -> bool:
        """Return whether it is time to try a row again; one whose title turned out to be of several games is, too."""
        match held.reason:
            case "unknown_transaction":
                return held.staged["transaction_id"] in self.transaction
            case "unknown_game":
                return bool(self._games(held.staged))
            case "ambiguous_game":
                return len(self._games(held.staged)) == 1
            case _:
                return bool(self._publishers(held.staged))

    # ------------------------------------------------------------------------------------------------ lines

    def _apply_lines(self, staged: list[Staged]) -> None:
        resolved = [row for row in staged if row.outcome != "held"]
        self._report_releases(resolved)
        for row in resolved:
            key = (row["transaction_id"], int(row["line_no"]))
            values = {
                "game_id": row.game,
                "platform": row["platform"],
                "region": row["region"],
                "gross": Decimal(row["gross_amount"]),
                "fee": Decimal(row["platform_fee"]),
                "net": Decimal(row["net_amount"]),
            }
            self._reported(row, ("line", *key), self.line.get(key), values)
            if row.outcome in ("inserted", "updated"):
                self.line[key] = Row(values, row.origin)
            if row.standing:
                if values["net"] != values["gross"] - values["fee"]:
                    self._flag(row.origin, "net_mismatch", "net_amount")
                sale = self.transaction[key[0]]["type"] == "sale"
                if values["gross"] < 0 if sale else values["gross"] > 0:
                    self._flag(row.origin, "wrong_sign", "gross_amount")
        last = {row["transaction_id"]: row for row in resolved if row.outcome in ("inserted", "updated")}
        for transaction, row in last.items():
            if self._mismatch(transaction):
                self._flag(row.origin, "total_mismatch", "transaction_id")

    def _report_releases(self, resolved: list[Staged]) -> None:
        """Let the earliest report of a release say who publishes it, and flag the lines that say otherwise."""
        first: dict[tuple[str, str], Staged] = {}
        for row in resolved:
            first.setdefault((row.game, row["platform"]), row)
        for release, row in first.items():
            standing = self.release.get(release)
            if standing and standing.origin > row.origin and standing["publisher_id"] != row.publisher:
                self._flag(row.origin, "publisher_mismatch", "publisher_ref")
            if not standing or standing.origin >= row.origin:
                if standing and standing.origin == row.origin and standing["publisher_id"] == row.publisher:
                    continue
                self.release[release] = Row({"publisher_id": row.publisher}, row.origin)
        for row in resolved:
            if self.release[row.game, row["platform"]]["publisher_id"] != row.publisher:
                self._flag(row.origin, "publisher_mismatch", "publisher_ref")

    # ----------------------------------------------------------------------------------- wishes and sessions

    def _apply_wishes(self, staged: list[Staged]) -> None:
        self._name_customers(staged)
        for row in staged:
            key = (row["customer_ref"], row.game)
            values = {"added_at": _moment(row["added_at"])}
            self._reported(row, ("wish", *key), self.wish.get(key), values)
            if row.outcome in ("inserted", "updated"):
                self.wish[key] = Row(values, row.origin)

    def _apply_sessions(self, staged: list[Staged]) -> None:
        self._name_customers(staged)
        for row in staged:
            session = row["session_id"]
            values = {
                "customer": row["customer_ref"],
                "game_id": row.game,
                "platform": row["platform"],
                "started_at": _moment(row["started_at"]),
                "duration_s": int(row["duration_s"]) if row["duration_s"] else None,
                "longitude": float(row["longitude"]),
                "latitude": float(row["latitude"]),
            }
            self._reported(row, ("session", session), self.session.get(session), values)
            if row.outcome in ("inserted", "updated"):
                self.session[session] = Row(values, row.origin)


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _settle(table: dict[str, Row], key: str, values: dict[str, Any], origin: Origin) -> None:
    """Let a row have these values; it keeps its origin when it had them before."""
    if key not in table or table[key].values != values:
        table[key] = Row(values, origin)
