"""Reading a CSV file record by record: exact line numbers, the raw text of each record, memory flat in its size."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

# A field may be long (a polygon, a text); beyond this a quote was surely never closed.
MAX_FIELD_CHARACTERS = 8 * 1024 * 1024
csv.field_size_limit(MAX_FIELD_CHARACTERS)  # of the process: the csv module knows no other
MAX_LINE_CHARACTERS = 2 * MAX_FIELD_CHARACTERS
SNIFFED_BYTES = 4096
MAGIC_NUMBERS = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"%PDF": "PDF",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"PAR1": "Parquet",
}


class FileError(ValueError):
    """A file is wrong as a whole; `kind` is a short code (empty, not_utf8, not_csv …), the message says why."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class Record(NamedTuple):
    """One record: the physical line on which it starts (the header's is 1), its text, and its fields."""

    line_no: int
    raw: str
    fields: list[str]


class _Tape:
    """The lines of a file, remembered since the last `take`."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._taken: list[str] = []

    def __iter__(self) -> _Tape:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._taken.append(line)
        return line

    def take(self) -> list[str]:
        taken, self._taken = self._taken, []
        return taken


def read_records(lines: Iterable[str]) -> Iterator[Record]:
    """Yield the records of a CSV text, the header included; blank lines are no records.

    `lines` keep their line ends. A record is what the standard csv module makes of it, so a quote that is never
    closed takes the rest of the file into one record. Raises FileError for a field that is absurdly long.
    """
    tape = _Tape(lines)
    reader = csv.reader(tape)
    line_no = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileError("not_csv", f"The record that starts on line {line_no} is not CSV: {error}") from error
        taken = tape.take()
        if fields:
            yield Record(line_no, "".join(taken).rstrip("\r\n"), fields)
        line_no += len(taken)


def parse_record(raw: str) -> list[str]:
    """Return the fields of the raw text of one record, as `read_records` gave it."""
    return next(csv.reader([raw]))


def decode(stream: BinaryIO) -> Iterator[str]:
    """Yield the lines of a UTF-8 stream, with their line ends and without a byte order mark.

    Raises FileError when the stream is empty, is something else than text, or is not UTF-8 (naming the line).
    """
    buffered = io.BufferedReader(stream, SNIFFED_BYTES * 64)  # type: ignore[type-var]  # reads like a raw stream
    start = buffered.peek(SNIFFED_BYTES)[:SNIFFED_BYTES]
    if not start:
        raise FileError("empty", "The file is empty.")
    for magic, name in MAGIC_NUMBERS.items():
        if start.startswith(magic):
            raise FileError("not_csv", f"The file is {name}: it must be a plain CSV file in UTF-8.")
    text = io.TextIOWrapper(buffered, encoding="utf-8-sig", newline="")
    line_no = 0
    try:
        while line := text.readline(MAX_LINE_CHARACTERS):
            line_no += 1
            if len(line) == MAX_LINE_CHARACTERS:
                raise FileError("not_csv", f"Line {line_no} has {MAX_LINE_CHARACTERS:,} characters and does not end.")
            yield line
    except UnicodeDecodeError as error:
        # A chunk is decoded when the lines before it are used up; the fault lies so many line ends into the chunk.
        fault = line_no + 1 + error.object[: error.start].count(b"\n")
        raise FileError(
            "not_utf8", f"Line {fault} holds the byte {error.object[error.start]:#04x}, which is not UTF-8."
        ) from error
