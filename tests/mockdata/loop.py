"""The loop: generated files go through the real ingestion into a real store, which is compared with the reckoning."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from marketplace.ingest import held, ledger
from marketplace.ingest.load import load_file
from marketplace.ingest.objects import LandedObject
from marketplace.mockdata import truth
from marketplace.mockdata.generate import LANDING, Order, generate
from tests import accounting
from tests.mockdata.expected import KNOWN, File, LoadEntry, Origin, Reckoning, Row

_FIRST_PUT = datetime(2026, 1, 1, tzinfo=UTC)
_ACCOUNT = ("read", "rejected", "held", "inserted", "updated", "unchanged", "superseded", "issues")


@dataclass
class Made:
    """One version of a generated file, with its truth."""

    key: str
    version: int
    data: bytearray = field(default_factory=bytearray)
    truth: bytearray = field(default_factory=bytearray)

    @property
    def dataset(self) -> str:
        return self.key.removeprefix(f"{LANDING}/").partition("/")[0]

    def __str__(self) -> str:
        return f"{self.key} (version {self.version})"


def made(order: Order) -> list[Made]:
    """Return the files of an order, in the order in which they are to be put."""
    files: dict[tuple[str, int], Made] = {}
    for chunk in generate(order):
        file = files.setdefault((chunk.key, chunk.version), Made(chunk.key, chunk.version))
        file.data += chunk.data
        file.truth += chunk.truth
    return list(files.values())


class Bucket:
    """A bucket in memory, as far as a load asks for one."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    def get_object(self, *, Bucket: str, Key: str, VersionId: str) -> dict[str, Any]:
        """Return the body of a version."""
        return {"Body": io.BytesIO(self.objects[Key, VersionId])}


class Loop:
    """Files on both ways: into the store at `url`, as a run of the DAG loads them, and into the reckoning."""

    def __init__(self, url: str, owner_url: str) -> None:
        self._url, self._owner_url = url, owner_url
        self._bucket = Bucket()
        self._runs = 0
        self.files: list[Made] = []
        self.reckoning = Reckoning()

    def put(self, files: Iterable[Made]) -> list[int]:
        """Put files, in their order; returns the place of each."""
        places = []
        for file in files:
            places.append(len(self.files))
            self._bucket.objects[file.key, str(len(self.files))] = bytes(file.data)
            self.files.append(file)
        return places

    def load(self, places: Iterable[int]) -> None:
        """Load files that were put, in this order, and try the held rows again."""
        run, self._runs = f"run-{self._runs}", self._runs + 1
        chosen = list(places)
        landed = [
            LandedObject(
                self.files[place].dataset, self.files[place].key, str(place),
                _FIRST_PUT + timedelta(seconds=place), len(self.files[place].data),
            )
            for place in sorted(chosen)
        ]  # fmt: skip
        with self._connect() as connection:
            claims = ledger.claim_files(connection, landed, run, len(landed))
        load_ids = {int(claim["version_id"]): claim["load_id"] for claim in claims}
        for place in chosen:
            file = self.files[place]
            load_file(self._connect, self._bucket, "landing", load_ids[place], run)  # type: ignore[arg-type]
            self.reckoning.load(File(place, file.dataset, list(truth.read(bytes(file.truth)))))
        with self._connect() as connection:
            held.retry_held_rows(connection, run)
        self.reckoning.retry()

    def differences(self) -> list[str]:
        """Return where the store and the reckoning disagree, each as a line that names file, line and values.

        The accounts are held against the csv module's count of the files as well.
        """
        found = accounting.faults(self._owner_url, self._bucket.objects)
        with psycopg.connect(self._owner_url) as connection:
            return found + [
                f"{name}: {difference}"
                for name, found, expected in _both(connection, self.reckoning)
                for difference in _compared(found, expected, self._where)
            ]

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._url)

    def _where(self, place: int) -> str:
        return str(self.files[place])


_REF = "(select c.ref from store.customer as c where c.customer_id = r.customer_id)"
# The two columns of a row's key, or one and null, and its values.
_TABLES = {
    "store.publisher": "publisher_id, null, name, country_code",
    "store.publisher_alias": "alias_id, null, publisher_id, name, country_code",
    "store.game": "game_id, null, title, release_date, genre",
    "store.game_alias": "alias_id, null, game_id, title, release_date, genre",
    "store.game_release": "game_id, platform, publisher_id",
    "store.customer": ("ref, null, name, email, locale, time_zone, country_code, marketing_opt_in, created_at"),
    "store.transaction": f"transaction_id, null, type, occurred_at, currency, reported_total, {_REF}",
    "store.transaction_line": ("transaction_id, line_no, game_id, platform, region, gross, fee, reported_net"),
    "store.wishlist": f"{_REF}, game_id, added_at",
    "store.play_session": (
        f"session_id, null, {_REF}, game_id, platform, r.started_at, duration_s,"
        " st_x(location::geometry), st_y(location::geometry)"
    ),
}

# Rows by their key, each with its values and the origin they came from: place (the version's name, in the ledger) and
# line. What comes from nowhere, or is no row of a file, has none.
Rows = dict[tuple[Any, ...], tuple[tuple[Any, ...], Origin | None]]

_OF_FILE = "join ops.load as l on r.load_id = l.load_id join ops.load as k on l.file_load_id = k.load_id"


def _both(connection: psycopg.Connection[Any], reckoning: Reckoning) -> Iterator[tuple[str, Rows, Rows]]:
    """Yield each table by its name: the rows that are there, and those that must be."""

    def fetch(columns: str, table: str, end: str = "") -> list[tuple[Any, ...]]:
        return connection.execute(f"select {columns} from {table} as r {end}").fetchall()

    for table, columns in _TABLES.items():
        rows = fetch(f"{columns}, k.version_id::int, r.load_line", table, _OF_FILE)
        found: Rows = {row[:2]: (row[2:-2], (row[-2], row[-1])) for row in rows}
        yield table, found, dict(_expected_rows(reckoning, table))

    kept = "k.version_id::int, r.line_no, r.column_name, r.reason"
    yield "ops.rejected_row", _by_line(fetch(kept, "ops.rejected_row", _OF_FILE)), _lines(reckoning.rejected)
    held = {origin: (held.column, held.reason) for origin, held in reckoning.held.items()}
    waiting = f"{_OF_FILE} where r.retried_load_id is null"
    yield "ops.held_row", _by_line(fetch(kept, "ops.held_row", waiting)), _lines(held)

    issues = Counter(fetch("k.version_id::int, r.line_no, r.kind, coalesce(r.column_name, '')", "ops.issue", _OF_FILE))
    yield "ops.issue", _counted(issues), _counted(reckoning.issues)

    nth = "row_number() over (partition by r.file_load_id order by r.load_id)"
    reason = "split_part(r.reason, ':', 1)"
    loads = fetch(f"r.version_id::int, r.kind, {nth}, r.status, {reason}, {', '.join(_ACCOUNT)}", "ops.load")
    yield "ops.load", {row[:3]: (row[3:], (row[0], 0)) for row in loads}, dict(_expected_loads(reckoning.loads))


def _counted(issues: Counter[Any]) -> Rows:
    return {issue: ((count,), issue[:2]) for issue, count in issues.items()}


def _by_line(rows: Iterable[tuple[Any, ...]]) -> Rows:
    return {(place, line): ((column, reason), (place, line)) for place, line, column, reason in rows}


def _lines(rows: dict[Origin, tuple[str, str]]) -> Rows:
    return {origin: ((column or None, reason), origin) for origin, (column, reason) in rows.items()}


def _expected_loads(loads: list[LoadEntry]) -> Iterator[tuple[tuple[Any, ...], tuple[tuple[Any, ...], Origin]]]:
    of_file: Counter[int] = Counter()
    for load in loads:
        of_file[load.place] += 1
        account = tuple(load.account[name] for name in _ACCOUNT)
        yield (load.place, load.kind, of_file[load.place]), ((load.status, load.reason, *account), (load.place, 0))


def _expected_rows(
    reckoning: Reckoning, table: str
) -> Iterator[tuple[tuple[Any, ...], tuple[tuple[Any, ...], Origin]]]:
    rows: dict[Any, Row]
    match table.removeprefix("store."):
        case "customer":
            rows, names = reckoning.customer, KNOWN
        case "publisher":
            rows, names = reckoning.publisher, ("name", "country")
        case "publisher_alias":
            rows, names = reckoning.publisher_alias, ("publisher_id", "name", "country")
        case "game":
            rows, names = reckoning.game, ("title", "day", "genre")
        case "game_alias":
            rows, names = reckoning.game_alias, ("game_id", "title", "day", "genre")
        case "game_release":
            rows, names = reckoning.release, ("publisher_id",)
        case "transaction":
            rows, names = reckoning.transaction, ("type", "at", "currency", "total", "customer")
        case "wishlist":
            rows, names = reckoning.wish, ("added_at",)
        case "play_session":
            rows = reckoning.session
            names = ("customer", "game_id", "platform", "started_at", "duration_s", "longitude", "latitude")
        case _:
            rows, names = reckoning.line, ("game_id", "platform", "region", "gross", "fee", "net")
    for key, row in rows.items():
        yield (key if isinstance(key, tuple) else (key, None)), (tuple(row[name] for name in names), row.origin)


def _compared(found: Rows, expected: Rows, where: Any) -> Iterator[str]:
    for key in sorted(found.keys() | expected.keys(), key=str):
        there, right = found.get(key), expected.get(key)
        if there != right:
            origins = sorted({row[1] for row in (there, right) if row and row[1]}, key=str)
            lines = " and ".join(f"line {line} of {where(place)}" for place, line in origins)
            yield f"{key}: found {there}, expected {right}; {lines}"
