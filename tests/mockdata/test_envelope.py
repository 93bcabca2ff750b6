"""What is wrong with a file as a whole comes out of the ingestion as it was noted."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest

from marketplace.mockdata.activity import Activity
from marketplace.mockdata.defects import mess
from marketplace.mockdata.dials import DIALS
from marketplace.mockdata.draws import Draws
from marketplace.mockdata.envelope import Envelope
from marketplace.mockdata.interval import Interval
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.table import DATASETS, Table
from marketplace.mockdata.world import World
from tests.mockdata.validated import File, read, written, written_lines

INTERVAL = Interval(datetime(2026, 1, 19, 14, 15, tzinfo=UTC), datetime(2026, 1, 19, 14, 30, tzinfo=UTC))
DRAWS = Draws(1, "test")
FILE_DIALS = [dial for dial, what in DIALS.items() if what.level in ("file", "header")]
SET_ASIDE = {
    "empty_file": {"empty"},
    "not_csv": {"not_csv", "wrong_header"},  # a PDF; JSON, whose first line is no header
    "gzip": {"not_csv"},
    "utf_16": {"not_csv"},
    "latin_1": {"not_utf8"},
    "wrong_delimiter": {"wrong_delimiter"},
    "missing_column": {"wrong_header"},
    "extra_column": {"wrong_header"},
    "duplicated_column": {"wrong_header"},
}
# Those that leave every record what it is.
HARMLESS = (
    "byte_order_mark", "crlf", "lone_cr", "no_final_newline", "odd_key", "same_name_new_content", "reordered_columns",
    "header_case", "header_padding",
)  # fmt: skip


@cache
def tables(rate: float = 0.05) -> dict[str, Table]:
    """Return a table of each dataset, with defects in its rows."""
    rows = [dial for dial, what in DIALS.items() if what.level not in ("file", "header") and dial != "huge_field"]
    profile, world = Profile("test", dict.fromkeys(rows, rate)), World.of(7)
    met = Activity(world, INTERVAL, 150)
    clean = [world.publisher_table(met.publishers, profile), world.game_table(met.games, profile)]
    clean += [table for part in met.parts() for table in part]
    return {table.dataset: mess(table, profile, world, met) for table in clean}


def copied(dataset: str, rate: float = 0.05) -> Table:
    table = tables(rate)[dataset]
    return table.take(np.arange(len(table)))


def files(profile: Profile, count: int = 4) -> Iterator[tuple[str, Envelope, Table, bytes, list[int]]]:
    """Yield files of each dataset, under several names."""
    for dataset in DATASETS:
        for number in range(count):
            name, table = f"mock-{number}", copied(dataset)
            data, lines = written_lines(table, profile, name=name)
            yield dataset, Envelope.of(dataset, name, profile, DRAWS), table, data, lines


def agrees(file: File, envelope: Envelope, table: Table, lines: list[int]) -> None:
    """Assert that a file is what its envelope and its table say."""
    assert file.rejected == envelope.rejected
    if file.rejected:
        return
    assert file.header_issues == [envelope.header_issue] * bool(envelope.header_issue)
    records = [at for at, line in enumerate(lines) if line > 0]
    assert [row.line for row in file.rows] == [lines[at] for at in records]
    assert [(row.reason, row.column) for row in file.rows] == [(table.reason[at], table.column[at]) for at in records]
    assert [" ".join(row.issues) for row in file.rows] == [
        " ".join(sorted(issue for issue in table.issues[at].split() if not issue.startswith("null_island")))
        for at in records
    ]


@pytest.mark.parametrize("dial", SET_ASIDE)
def test_a_file_is_set_aside_as_a_whole(dial: str):
    found = set()
    for dataset, envelope, table, data, lines in files(Profile("test", {dial: 1.0})):
        agrees(read(dataset, data), envelope, table, lines)
        found.add(envelope.rejected)
    assert found == SET_ASIDE[dial]


@pytest.mark.parametrize("dial", SET_ASIDE)
def test_an_empty_file_is_set_aside_as_well(dial: str):
    profile = Profile("test", {dial: 1.0})
    for dataset in DATASETS:
        nothing = copied(dataset).take(np.zeros(0, dtype=np.int64))
        envelope = Envelope.of(dataset, "mock", profile, DRAWS)
        assert read(dataset, written(nothing, profile)).rejected == envelope.rejected


@pytest.mark.parametrize("dial", HARMLESS)
def test_the_records_are_the_same_in_another_envelope(dial: str):
    for dataset, envelope, table, data, lines in files(Profile("test", {dial: 1.0})):
        agrees(read(dataset, data), envelope, table, lines)
        if dial not in ("odd_key", "same_name_new_content"):
            assert data != written(copied(dataset))
        assert min(lines) > 1


def test_what_each_of_them_is():
    table = copied("game", 0.0)
    plain = written(table)
    assert plain.startswith(b"game_id,title,release_date,genre\nGAM-0007-")

    def of(**rates: float) -> bytes:
        return written(table, Profile("test", rates))

    assert of(byte_order_mark=1.0) == b"\xef\xbb\xbf" + plain
    assert of(crlf=1.0) == plain.replace(b"\n", b"\r\n")
    assert of(lone_cr=1.0) == plain.replace(b"\n", b"\r")
    assert of(no_final_newline=1.0) == plain.removesuffix(b"\n")
    assert of(utf_16=1.0) == plain.decode().encode("utf-16-le").join((b"\xff\xfe", b""))
    assert gzip.decompress(of(gzip=1.0)) == plain
    assert of(latin_1=1.0).endswith(b"\xe9\n")
    assert of(empty_file=1.0) == b""
    assert of(header_only=1.0) == plain.splitlines(keepends=True)[0]
    assert of(extra_column=1.0).splitlines()[1].count(b",") == plain.splitlines()[1].count(b",") + 1
    assert of(missing_column=1.0).splitlines()[1].count(b",") < plain.splitlines()[1].count(b",") + 1


def test_values_are_quoted_where_they_must_be():
    table = copied("game", 0.0).take(np.arange(7))
    odd = ['"', 'a "b" c', "a, b", "a\nb", "a\r\nb", "a\rb", "a;b\t| c"]
    table.text["title"] = np.array(odd, dtype=object)
    table.text["genre"][:] = ""
    data, lines = written_lines(table)
    assert [row.values["title"] for row in read("game", data).rows] == [" ".join(text.split()) for text in odd]
    assert lines == [2, 3, 4, 5, 7, 9, 11]
    assert data.splitlines()[1].split(b",")[1] == b'""""'
    assert b",a;b\t| c," in data


def test_a_file_with_nothing_but_a_header_has_no_records():
    for dataset, envelope, _table, data, lines in files(Profile("test", {"header_only": 1.0}), count=1):
        assert set(lines) == {-1}
        assert envelope.rejected is None
        assert read(dataset, data).rows == []


def test_a_quote_that_is_never_closed_takes_the_rest_into_one_record():
    swallowed = 0
    for dataset, envelope, table, data, lines in files(Profile("test", {"unbalanced_quote": 1.0}), count=20):
        agrees(read(dataset, data), envelope, table, lines)
        if -1 in lines:
            last = lines.index(-1) - 1
            assert (table.reason[last], table.column[last]) == ("unclosed_quote", "")
            assert set(lines[last + 1 :]) == {-1}
            swallowed += len(lines) - last - 1
    assert swallowed > 50


@pytest.mark.parametrize("dial", [dial for dial in FILE_DIALS if dial != "unbalanced_quote"])
def test_a_file_is_the_same_in_however_many_chunks_it_is_written(dial: str):
    profile = Profile("test", {dial: 1.0})
    for dataset in DATASETS:
        size = len(copied(dataset))
        files = [written_lines(copied(dataset), profile, chunks=chunks) for chunks in (1, 3, size + 2)]
        if dial == "gzip":  # whose blocks may be cut elsewhere
            files = [(gzip.decompress(data), lines) for data, lines in files]
        assert files[0] == files[1] == files[2]


def test_all_of_them_together_agree_with_the_ingestion():
    profile = Profile(
        "test", dict.fromkeys(FILE_DIALS, 0.08) | dict.fromkeys(HARMLESS, 0.4) | {"unbalanced_quote": 0.4}
    )
    rejected, loaded = set(), 0
    for dataset, envelope, table, data, lines in files(profile, count=30):
        agrees(read(dataset, data), envelope, table, lines)
        rejected.add(envelope.rejected)
        loaded += envelope.rejected is None
    assert rejected == {reason for reasons in SET_ASIDE.values() for reason in reasons} | {None}
    assert loaded > 60


def test_the_envelope_is_the_same_for_the_same_file_only():
    profile = Profile("test", dict.fromkeys(FILE_DIALS, 0.3))

    def of(name: str, draws: Draws) -> tuple[object, ...]:
        envelope = Envelope.of("game", name, profile, draws)
        body = envelope.write(copied("game"), True, True)[0]
        return envelope.file_name, envelope.rejected, envelope.header_issue, envelope.twice, body

    assert of("a", DRAWS) == of("a", Draws(1, "test"))
    assert len({of(f"a{number}", DRAWS)[1:4] for number in range(30)}) > 5
    assert len({of("a", Draws(seed, "test"))[1:4] for seed in range(30)}) > 5


def test_odd_names_are_still_names_of_their_own():
    profile = Profile("test", {"odd_key": 1.0})
    names = [Envelope.of("game", f"mock-{number}", profile, DRAWS).file_name for number in range(100)]
    assert len(set(names)) == 100
    assert all(name.endswith(".csv") and "/" not in name for name in names)
    for odd in " +%é":
        assert any(odd in name for name in names)
    assert Envelope.of("game", "mock-1", Profile("clean"), DRAWS).file_name == "mock-1.csv"
