"""Reading records: exact line numbers, raw texts, and files that are wrong as a whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from marketplace.ingest import records
from marketplace.ingest.records import FileError, Record, decode, in_batches, parse_record, read_records


def read(body: bytes) -> list[Record]:
    return list(read_records(decode(io.BytesIO(body))))


def test_a_record_has_the_line_it_starts_on_and_its_text() -> None:
    body = b'id,name\r\n1,a\r\n\r\n2,"b\nb"\r\n3,c'
    assert read(body) == [
        Record(1, "id,name", ["id", "name"]),
        Record(2, "1,a", ["1", "a"]),
        Record(4, '2,"b\nb"', ["2", "b\nb"]),
        Record(6, "3,c", ["3", "c"]),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("last", [True, False], ids=["final line end", "no final line end"])
def test_every_line_end_counts_as_one(end: str, last: bool) -> None:
    body = end.join(["id", "1", "", "2"]) + (end if last else "")
    assert [(r.line_no, r.fields) for r in read(body.encode())] == [(1, ["id"]), (2, ["1"]), (4, ["2"])]


def test_a_byte_order_mark_is_not_part_of_the_header() -> None:
    assert read(b"\xef\xbb\xbfid\n1\n")[0].fields == ["id"]


def test_the_stream_is_left_to_those_who_opened_it() -> None:
    stream = io.BytesIO(b"a,b\n1,2\n")
    assert list(decode(stream)) == [["a,b\n", "1,2\n"]]
    assert stream.tell() == 8


def test_a_quote_that_is_never_closed_takes_the_rest_into_one_record() -> None:
    assert read(b'id,name\n1,"a\n2,b\n3,c\n')[1:] == [
        Record(2, '1,"a\n2,b\n3,c', ["1", "a\n2,b\n3,c\n"], unclosed=True)
    ]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"", "empty", "The file is empty."),
        ("id\n1\ncafé\n".encode("latin-1"), "not_utf8", "Line 3 holds the byte 0xe9, which is not UTF-8."),
        ("id\n1\n".encode("utf-16"), "not_csv", "The file is UTF-16: it must be a plain CSV file in UTF-8."),
        (b"\x1f\x8b\x08\x00", "not_csv", "The file is gzip: it must be a plain CSV file in UTF-8."),
        (b"%PDF-1.7", "not_csv", "The file is PDF: it must be a plain CSV file in UTF-8."),
    ],
    ids=["empty", "latin-1", "UTF-16", "gzip", "PDF"],
)
def test_a_file_that_is_wrong_as_a_whole_says_why(body: bytes, kind: str, message: str) -> None:
    with pytest.raises(FileError) as raised:
        read(body)
    assert (raised.value.kind, str(raised.value)) == (kind, message)


def test_an_absurdly_long_field_is_refused_with_the_line_of_its_record() -> None:
    limit = csv.field_size_limit(10)
    try:
        with pytest.raises(FileError, match=r"^The record that starts on line 3 is not CSV: field larger than field"):
            read(b"id\n1\n" + b"x" * 11 + b"\n")
    finally:
        csv.field_size_limit(limit)
    assert limit == records.MAX_FIELD_CHARACTERS


def test_the_line_of_a_byte_that_is_not_utf8_is_exact_in_a_large_file() -> None:
    body = b"id\n" + b"123456789\n" * 50_000 + b"caf\xe9\n"
    with pytest.raises(FileError, match="Line 50002 holds the byte 0xe9"):
        read(body)


def test_a_line_that_does_not_end_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_LINE_CHARACTERS", 1000)
    for size in ("BLOCK_BYTES", "READ_BYTES", "LONG_LINE_BYTES"):
        monkeypatch.setattr(records, size, 100)
    stream = io.BytesIO(b"id\n" + b"x" * 5000)
    with pytest.raises(FileError, match=r"Line 2 has 1,000 characters and does not end\."):
        list(decode(stream))
    assert stream.tell() <= 1_300


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4), max_size=20))
def test_records_are_those_of_the_csv_module_and_raw_text_reads_as_the_record(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    body = text.getvalue().encode()
    if not body or body.startswith(tuple(records.MAGIC_NUMBERS)) or body.startswith(b"\xef\xbb\xbf"):
        return
    expected = [row for row in csv.reader(io.StringIO(text.getvalue(), newline="")) if row]
    found = read(body)
    assert [r.fields for r in found] == expected
    assert [parse_record(r.raw) for r in found] == [(fields, False) for fields in expected]


def one_by_one(body: bytes) -> Iterator[Record]:
    """Read a file as simply as can be, as what `read_batches` must come to: the csv module, a record at a time."""
    taken: list[str] = []
    asked = 0

    def lines() -> Iterator[str]:
        nonlocal asked
        for line in io.TextIOWrapper(io.BytesIO(body), encoding="utf-8-sig", newline=""):
            taken.append(line)
            yield line
        asked += 1

    reader = csv.reader(lines())
    line_no = 1
    for fields in reader:
        if fields:
            yield Record(line_no, "".join(taken).rstrip("\r\n"), fields, unclosed=asked > 0)
        line_no += len(taken)
        taken.clear()


# What matters to a reader of CSV: pieces of it, among them bytes that are not UTF-8, and characters of several bytes.
PIECES = [
    b'"', b'"', b'""', b",", b",", b"\n", b"\n", b"\r\n", b"\r", b"a", b"1", b" ", b"\0", b"\\", b"\t", b"abcdefgh",
    "é".encode(), "\u2028".encode(), "\x85\x0b\x0c".encode(), "😀".encode(), b"x,y\n", b'"a\nb",c\n',
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=60).map(b"".join)


@settings(max_examples=400)
@example(b'a,b\n1,"x\ny"\n\n2,z\n3,"', 7, 2)
@given(texts, st.integers(1, 40), st.integers(1, 6))
def test_records_are_what_the_csv_module_reads_one_by_one(body: bytes, block: int, batch: int) -> None:
    if not body or body.startswith(tuple(records.MAGIC_NUMBERS)):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BLOCK_BYTES", block)
        patch.setattr(records, "BATCH_LINES", batch)
        found = read(body)
        assert found == list(one_by_one(body))
        batches = list(in_batches(iter(found)))
    assert not found or len(batches[0].rows) == 1
    assert [
        Record(line_no, raw, fields, at in unclosed)
        for line_nos, raws, rows, unclosed in batches
        for at, (line_no, raw, fields) in enumerate(zip(line_nos, raws, rows, strict=True))
    ] == found
    # A field that ends in line ends, and is never closed, has lost them in the raw text.
    assert [parse_record(r.raw) for r in found if not r.unclosed] == [
        (r.fields, False) for r in found if not r.unclosed
    ]
    assert all(parse_record(r.raw)[1] for r in found if r.unclosed)


@settings(max_examples=100)
@given(texts, st.sampled_from([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc3\n"]), texts, st.integers(1, 40))
def test_the_line_of_a_byte_that_is_not_utf8_is_exact_whatever_the_line_ends(
    start: bytes, wrong: bytes, end: bytes, block: int
) -> None:
    if start.startswith(tuple(records.MAGIC_NUMBERS)):
        return
    before = io.TextIOWrapper(io.BytesIO(start), encoding="utf-8", newline="").readlines()
    line_no = len(before) + (not before or before[-1].endswith(("\n", "\r")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BLOCK_BYTES", block)
        with pytest.raises(FileError, match=rf"^Line {line_no} holds the byte {wrong[0]:#04x}, which is not UTF-8\.$"):
            read(start + wrong + end)
