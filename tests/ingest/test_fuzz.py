"""Files as nobody would write them: each is loaded or set aside with a reason, and nothing of it is lost or left over.

Made from a seed out of generated files: the number of a batch that fails makes the same batch again.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

import pytest

from marketplace import settings
from marketplace.contracts import load_contracts
from marketplace.mockdata import profile
from marketplace.mockdata.generate import Order
from marketplace.mockdata.interval import Interval
from marketplace.mockdata.profile import Profile
from tests.ingest.landing import Landing, wipe
from tests.mockdata.loop import made

SEED = 20261121
BATCH, QUICK, FULL = 10, 30, 500
DATASETS = sorted(load_contracts())

# Characters that some reader of text takes for an end of line, a quote, a separator, nothing, or the end of the file.
NASTY = [
    "\0", "\r", "\n", "\r\n", '"', '""', "'", ",", ";", "\t", "\\", "\\N", "\\.", "\x0b", "\x0c", "\x1a", "\x1c",
    "\x1d", "\x1e", "\x1f", "\x85", "\u2028", "\u200b", "\ufeff", "\ufffd", "\ud7ff", "\U0010ffff", "e\u0301" * 30,
    "%s", "%(load_id)s", "{stage}", "'; drop table store.game; --", "=cmd|' /C calc'!A0",
]  # fmt: skip
VALUES = [
    "", " ", "NULL", "nan", "inf", "-inf", "1e999", "1" * 400, "-0", "0x10", "1_000", "٣", "½", "𝟏𝟐", "true",
    "yesterday", "0001-01-01", "9999-12-31T23:59:59Z", "2024-02-30", "24:00", "2025-01-05T14:22:10+99:99", "CUST-",
    "CUST-" + "9" * 90, "PLATFORM", "x" * 10_000, "\ufeff", "a\nb", "é" * 300, "infinity", "epoch", "now",
]  # fmt: skip
ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "cp437", "utf-8-sig", "utf-7"]


class Source(NamedTuple):
    """A generated file."""

    dataset: str
    body: bytes


@cache
def sources() -> tuple[Source, ...]:
    """Return files to make others from, of each dataset: generated ones, clean and terrible, and the samples."""
    paths = sorted((settings.include_dir() / "data").glob("*/*.csv"))
    samples = tuple(Source(path.parent.name, path.read_bytes()) for path in paths)
    found = clean() + generated(profile.load("terrible").turned({"empty_file": 0, "huge_field": 0})) + samples
    assert {source.dataset for source in found} == set(DATASETS)
    return found


@cache
def clean() -> tuple[Source, ...]:
    """Return generated files without defects."""
    return generated(profile.load("clean"))


def generated(chosen: Profile) -> tuple[Source, ...]:
    start = datetime(2026, 1, 19, 14, 15, tzinfo=UTC)
    files = made(Order(7, Interval(start, start.replace(hour=15)), 150, chosen))
    return tuple(Source(file.dataset, bytes(file.data)) for file in files if file.dataset in DATASETS and file.data)


def random_bytes(chance: random.Random, source: Source) -> bytes:
    noise = chance.randbytes(chance.randrange(3000))
    return noise if chance.random() < 0.5 else source.body.partition(b"\n")[0] + b"\n" + noise


def truncated(chance: random.Random, source: Source) -> bytes:
    return source.body[: chance.randrange(len(source.body) + 1)]


def spliced(chance: random.Random, source: Source) -> bytes:
    other = chance.choice(sources()).body
    return source.body[: chance.randrange(len(source.body))] + other[chance.randrange(len(other)) :]


def flipped(chance: random.Random, source: Source) -> bytes:
    body = bytearray(source.body)
    for _ in range(chance.randint(1, 20)):
        body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body)


def header_changed(chance: random.Random, source: Source) -> bytes:
    header, end, rest = source.body.partition(b"\n")
    names = header.split(b",")
    match chance.randrange(5):
        case 0:
            chance.shuffle(names)
        case 1:
            names.insert(chance.randrange(len(names) + 1), chance.choice(names))
        case 2:
            del names[chance.randrange(len(names))]
        case 3:
            names[chance.randrange(len(names))] = chance.choice(NASTY).encode()
        case _:
            names = [b'"' + name + b'"' if chance.random() < 0.5 else b" " + name.upper() for name in names]
    return b",".join(names) + end + rest


def encoded(chance: random.Random, source: Source) -> bytes:
    text = source.body.decode("utf-8", "replace")
    encoding = chance.choice([*ENCODINGS, "gzip", "twice"])
    if encoding == "gzip":
        return gzip.compress(source.body, mtime=0)
    if encoding == "twice":  # what UTF-8 becomes when it is taken for Latin-1 and encoded again
        return source.body.decode("latin-1").encode()
    return text.encode(encoding, "replace")


def interspersed(chance: random.Random, source: Source) -> bytes:
    body = source.body
    for _ in range(chance.randint(1, 10)):
        at = chance.randrange(len(body) + 1)
        body = body[:at] + chance.choice(NASTY).encode("utf-8", "surrogatepass") + body[at:]
    return body


def rows_changed(chance: random.Random, source: Source) -> bytes:
    header, *rows = source.body.decode("utf-8", "replace").split("\n")
    rows = rows or [""]  # the line breaks may have been broken before
    for _ in range(chance.randint(1, 30)):
        at = chance.randrange(len(rows))
        cells = rows[at].split(",")
        cells[chance.randrange(len(cells))] = chance.choice(VALUES)
        rows[at] = ",".join(cells)
    if chance.random() < 0.3:
        chance.shuffle(rows)
    if chance.random() < 0.3:
        rows += chance.choices(rows, k=5)
    end = chance.choice(["\n", "\r\n", "\r", "\n\n", "\n\r"])
    return end.join([header, *rows]).encode()


def delimited_otherwise(chance: random.Random, source: Source) -> bytes:
    return source.body.replace(b",", chance.choice([b";", b"\t", b"|", b", ", b"\0", b"\xa0"]))


MUTATIONS: tuple[Callable[[random.Random, Source], bytes], ...] = (
    random_bytes, truncated, spliced, flipped, header_changed, encoded, interspersed, rows_changed, delimited_otherwise,
)  # fmt: skip


def batch(number: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield the files of a batch: how each was made, its key and its bytes; the last is as it was generated."""
    chance = random.Random(f"{SEED} {number}")  # noqa: S311 - nobody guards anything with it
    for place in range(BATCH):
        source, mutation = chance.choice(sources()), chance.choice(MUTATIONS)
        body = mutation(chance, source)
        if chance.random() < 0.2:
            body = chance.choice(MUTATIONS)(chance, Source(source.dataset, body or b"x"))
        dataset = source.dataset if chance.random() < 0.95 else chance.choice(DATASETS)
        yield mutation.__name__, f"landing/{dataset}/{number}-{place}.csv", body
    source = clean()[number % len(clean())]
    yield "valid", f"landing/{source.dataset}/{number}-valid.csv", source.body


@pytest.fixture
def landing(store: Any) -> Iterator[Landing]:
    yield Landing(store)
    wipe(store)


def check(landing: Landing, number: int) -> None:
    """Load a batch, a run a file as nothing is to depend on what came with it, and check what became of each."""
    made_by = {}
    for how, key, body in batch(number):
        made_by[landing.put(key, body)] = how
        landing.run()
    landing.check_accounts()
    for key, version, status, reason, read, rejected in landing.query(
        "select object_key, version_id, status, reason, read, rejected from ops.load where kind = 'file'"
    ):
        about = f"{key}, made by {made_by[version]} in batch {number}"
        assert status in ("done", "rejected"), about
        if made_by[version] == "valid":
            assert (status, read > 0, rejected) == ("done", True, 0), about
        if status == "rejected":
            assert actionable(reason, key), f"{about}: {reason}"
    kept = landing.query(
        "select l.dataset, r.column_name, r.reason, r.detail from ops.rejected_row as r join ops.load as l"
        " using (load_id) union all select l.dataset, h.column_name, h.reason, h.detail from ops.held_row as h"
        " join ops.load as l using (load_id)"
    )
    contracts = load_contracts()
    for dataset, column, why, detail in kept:
        assert why, (dataset, column, detail)
        assert detail, (dataset, column, why)
        assert column in contracts[dataset].header or (column is None and why in OF_A_ROW), (dataset, column, why)
    assert {version for (version,) in landing.query("select version_id from ops.load where kind = 'file'")} == set(
        made_by
    )


# What is said of a row as a whole.
OF_A_ROW = {"too_few_fields", "too_many_fields", "unclosed_quote"}
# What a person needs to know beside the kind: the line, the header as it should be, or what the file is.
ACTIONABLE = {
    "empty": ("The file is empty", "has no header"),
    "not_utf8": ("Line ",),
    "not_csv": ("line ", "Line ", "must be a plain CSV file in UTF-8"),
    "wrong_header": ("The columns are, in any order: ",),
    "wrong_delimiter": ("it must be by commas",),
}


def actionable(reason: str, key: str) -> bool:
    kind, _, why = reason.partition(": ")
    return any(part in why for part in ACTIONABLE[kind])


@pytest.mark.parametrize("number", range(QUICK))
def test_whatever_a_file_is_nothing_breaks_and_nothing_is_lost(landing: Landing, number: int) -> None:
    check(landing, number)


@pytest.mark.full
@pytest.mark.parametrize("number", range(QUICK, FULL))
def test_whatever_a_file_is_nothing_breaks_and_nothing_is_lost_of_many_more(landing: Landing, number: int) -> None:
    check(landing, number)


def test_the_batches_are_of_every_kind_and_some_files_are_loaded_some_not() -> None:
    kinds = [how for number in range(QUICK) for how, _, _ in batch(number)]
    assert {how: kinds.count(how) for how in kinds if kinds.count(how) < 15} == {}
    assert len(kinds) == QUICK * (BATCH + 1)
    assert list(batch(3)) == list(batch(3))
