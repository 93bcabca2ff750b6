"""Rows as COPY takes them, and what the log says while a file is staged."""

from __future__ import annotations

import io
import itertools
import logging
import re
import tracemalloc
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from marketplace.contracts import compile_validator, load_contract
from marketplace.ingest import records, stage

MEANT = {r"\\": "\\", r"\t": "\t", r"\n": "\n", r"\r": "\r"}
SPECIAL = ["\\", "\t", "\n", "\r", "\\N", "\x1d", "\x1e", "\x1f", "", "a", "é", "😀"]
values = st.none() | st.lists(st.sampled_from(SPECIAL), max_size=4).map("".join)


def decoded(block: bytes) -> list[tuple[str | None, ...]]:
    """Read COPY's text format, by its definition in PostgreSQL's manual."""
    assert block.endswith(b"\n")
    return [
        tuple(None if text == r"\N" else re.sub(r"\\.", lambda m: MEANT[m[0]], text) for text in line.split("\t"))
        for line in block.decode().removesuffix("\n").split("\n")
    ]


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[values] * width), min_size=1, max_size=5)))
def test_rows_are_encoded_as_copy_reads_them(rows: list[tuple[str | None, ...]]) -> None:
    assert decoded(stage.encode(list(zip(*rows, strict=True)))) == rows


def test_postgres_reads_what_is_encoded(platform: Any) -> None:
    column = [None, *SPECIAL, "".join(SPECIAL)]
    with psycopg.connect(platform.store_url()) as connection:
        connection.execute("create temporary table copied (at integer, value text)")
        for rows in (list(enumerate(column)), [(at, v) for at, v in enumerate(column) if v is None or v < "\x1d"]):
            block = stage.encode([[str(at) for at, _value in rows], [value for _at, value in rows]])
            stage._copy(connection, sql.Identifier("copied"), ("at", "value"), [block])
            assert connection.execute("select at, value from copied order by at").fetchall() == rows
            connection.execute("delete from copied")


def test_the_log_says_how_far_a_file_is_read(
    ingestion: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stage, "PROGRESS_S", 0)
    monkeypatch.setattr(stage, "PORTION_BYTES", 0)
    monkeypatch.setattr(records, "BLOCK_BYTES", 50)
    ingestion.put("publisher", *(f"P-{n},Publisher {n},US" for n in range(10)))
    with caplog.at_level(logging.INFO, logger=stage.__name__):
        ingestion.run()
    said = [record.getMessage() for record in caplog.records if record.name == stage.__name__]
    reading = re.compile(
        r"landing/publisher/a\.csv: (\d+) records read, 0\.0 of 0\.0 MB \(\d+ %\), [\d,]+ rows/s, about \d+ s to read "
        r"the rest"
    )
    *told, last = said
    counts = [int(match[1]) for match in map(reading.fullmatch, told) if match]
    assert len(counts) == len(told) > 3
    assert counts == sorted(counts)
    assert counts[-1] == 10
    assert last == "staged 10 records, rejected 0"


class Rows(io.RawIOBase):
    """A file of so many rows, made as it is read."""

    def __init__(self, rows: int) -> None:
        header = b"transaction_id,line_no,game_ref,publisher_ref,region,platform,gross_amount,platform_fee,net_amount\n"
        row = b"TXN-%09d,1,Game %d,Valve,EU,PC,59.99,18.00,%d\n"  # every seventh row is not plain, and one is rejected
        made = (row % (n, n % 500, n) if n % 7 else b'TXN-%09d,1,"Game\n7",,EU,PC,1,0,1\n' % n for n in range(rows))
        self._pieces = itertools.chain([header], made)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while len(self._left) < len(buffer) and (piece := b"".join(itertools.islice(self._pieces, 1000))):
            self._left += piece
        taken, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def peak_of(rows: int) -> int:
    """Return the most bytes that reading, checking and encoding so many rows ever held."""
    contract = load_contract("transaction_detail")
    tracemalloc.start()
    try:
        batches = records.read_batches(records.decode(Rows(rows)))
        validator = compile_validator(contract, next(batches).rows[0])
        portions = stage._portions(validator, SimpleNamespace(load_id=1), batches)
        assert sum(portion.read for portion in portions) == rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "READ_BYTES", 16 * 1024)
    monkeypatch.setattr(records, "BLOCK_BYTES", 16 * 1024)
    monkeypatch.setattr(stage, "PORTION_BYTES", 64 * 1024)
    monkeypatch.setattr("marketplace.contracts.column.REMEMBERED", 500)
    peak_of(3_000)  # what is made once
    assert peak_of(24_000) == pytest.approx(peak_of(6_000), rel=0.15)
