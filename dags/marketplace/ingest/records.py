"""Reading a CSV file batch by batch: exact line numbers, the raw text of each record, memory flat in its size."""

from __future__ import annotations

import codecs
import csv
import io
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import BinaryIO, NamedTuple, cast

# A field may be long (a polygon, a text); beyond this a quote was surely never closed.
MAX_FIELD_CHARACTERS = 8 * 1024 * 1024
csv.field_size_limit(MAX_FIELD_CHARACTERS)  # of the process: the csv module knows no other
# Of a line, and of a record of many lines.
MAX_LINE_CHARACTERS = 2 * MAX_FIELD_CHARACTERS
# How much is read at once.
READ_BYTES = 256 * 1024
# How much of it is decoded at once, and how many of its lines are parsed at once: it bounds the memory, and more is
# slower. A few hundred rows and what becomes of them stay in a core's own cache: with 128 kB all takes a fifth longer.
# And one wide character makes all of a text wide.
BLOCK_BYTES = 32 * 1024
BATCH_LINES = 5_000
# How much more is read at once of a line that does not end.
LONG_LINE_BYTES = 2 * 1024 * 1024
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
    """One record: the physical line on which it starts (the header's is 1), its text, and its fields.

    `unclosed` says that it has a quote that is never closed: it takes in all that follows in the file.
    """

    line_no: int
    raw: str
    fields: list[str]
    unclosed: bool = False


class Batch(NamedTuple):
    """Records that follow one another, by what a `Record` says of each; `unclosed` has the positions of such."""

    line_nos: Sequence[int]
    raws: Sequence[str]
    rows: Sequence[list[str]]
    unclosed: Collection[int] = ()


class _Tape:
    """Lines one by one from slices of them: those `taken`, those `left` of a slice, whether more were asked for."""

    def __init__(self, lines: Iterable[str], slices: Iterator[list[str]]) -> None:
        self.taken: list[str] = []
        self.left = deque(lines)
        self.ended = False
        self._slices = slices
        self._characters = 0

    def __iter__(self) -> _Tape:
        return self

    def __next__(self) -> str:
        if not self.left:
            self.left.extend(next(self._slices, ()))
            if not self.left:
                self.ended = True
                raise StopIteration
        line = self.left.popleft()
        self.taken.append(line)
        self._characters += len(line)
        if self._characters > MAX_LINE_CHARACTERS:
            raise csv.Error(f"it has more than {MAX_LINE_CHARACTERS:,} characters")
        return line


def read_records(blocks: Iterable[list[str]]) -> Iterator[Record]:
    """Yield the records of a CSV text one by one, as `read_batches` reads them."""
    for line_nos, raws, rows, unclosed in read_batches(blocks):
        for at, (line_no, raw, fields) in enumerate(zip(line_nos, raws, rows, strict=True)):
            yield Record(line_no, raw, fields, at in unclosed)


def in_batches(records: Iterator[Record]) -> Iterator[Batch]:
    """Yield records in batches, as `read_batches` does: the first, the header, is a batch of its own."""
    batch = list(islice(records, 1))
    while batch:
        line_nos, raws, rows, unclosed = zip(*batch, strict=True)
        yield Batch(line_nos, raws, rows, [at for at, is_unclosed in enumerate(unclosed) if is_unclosed])
        batch, characters = [], 0
        while len(batch) < BATCH_LINES and characters < BLOCK_BYTES and (record := next(records, None)):
            batch.append(record)
            characters += len(record.raw)


def read_batches(blocks: Iterable[list[str]]) -> Iterator[Batch]:
    """Yield the records of a CSV text in batches; the first record, the header, is a batch of its own.

    `blocks` are of lines, which keep their line ends. A record is what the standard csv module makes of it, so a
    quote that is never closed takes the rest of the file into one record; blank lines are no records. Raises
    FileError for a field or a record that is absurdly long.
    """
    batches = (batch for batch in _batches(blocks) if batch.rows)
    for (line_no, *line_nos), (raw, *raws), (fields, *rows), unclosed in batches:
        yield Batch([line_no], [raw], [fields], unclosed)  # an unclosed record is a batch of its own
        if rows:
            yield Batch(line_nos, raws, rows)
        break
    yield from batches


def _batches(blocks: Iterable[list[str]]) -> Iterator[Batch]:
    slices = (block[at : at + BATCH_LINES] for block in blocks for at in range(0, len(block), BATCH_LINES))
    line_no, lines = 1, next(slices, [])
    while lines:
        rows, ends = _parse(lines)
        yield _batch(line_no, lines, rows, ends)
        taken = ends[-1] if ends else 0
        line_no += taken
        if taken == len(lines):
            lines = next(slices, [])
            continue
        # A record that goes on after these lines, or is no CSV, is read by itself.
        tape = _Tape(lines[taken:], slices)
        try:
            fields = next(csv.reader(tape))
        except csv.Error as error:
            hint = " (is a quote on that line never closed?)" if len(tape.taken) > 1 else ""
            raise FileError("not_csv", f"The record that starts on line {line_no} is not CSV: {error}{hint}") from error
        yield _batch(line_no, tape.taken, [fields], [len(tape.taken)])._replace(unclosed=[0] if tape.ended else [])
        line_no += len(tape.taken)
        lines = list(tape.left) or next(slices, [])


def _parse(lines: list[str]) -> tuple[list[list[str]], list[int]]:
    """Return the records that end within `lines`, and the number of lines up to the end of each.

    The csv module reads an empty line as an empty record, or as part of a record that goes on: so one after the last
    tells which it is.
    """
    rows: list[list[str]] = []
    ends: list[int] = []
    reader = csv.reader(chain(lines, ("",)))
    with suppress(csv.Error):
        for fields in reader:
            rows.append(fields)
            ends.append(reader.line_num)
        del rows[-1], ends[-1]
    return rows, ends


def _batch(line_no: int, lines: list[str], rows: list[list[str]], ends: list[int]) -> Batch:
    """Return the records `rows`, of which each ends after so many of `lines`, without those that are blank lines."""
    line_nos: Sequence[int] = range(line_no, line_no + len(rows))
    if len(rows) == len(lines):  # the usual case: each line is one record
        raws = [line.rstrip("\r\n") for line in lines]
    else:
        starts = [0, *ends][:-1]
        line_nos = [line_no + start for start in starts]
        raws = [
            (lines[start] if end == start + 1 else "".join(lines[start:end])).rstrip("\r\n")
            for start, end in zip(starts, ends, strict=True)
        ]
    if [] in rows:
        kept = [at for at, fields in enumerate(rows) if fields]
        line_nos, raws, rows = [line_nos[at] for at in kept], [raws[at] for at in kept], [rows[at] for at in kept]
    return Batch(line_nos, raws, rows)


def parse_record(raw: str) -> tuple[list[str], bool]:
    """Return the fields of the raw text of one record, as `read_batches` gave it, and whether it is unclosed."""
    fields, *more = csv.reader([raw, ""])
    return fields, not more


def decode(stream: BinaryIO) -> Generator[list[str], None, None]:
    """Yield the lines of a UTF-8 stream in blocks, with their line ends and without a byte order mark.

    The stream stays open. Raises FileError when it is empty, is something else than text, or is not UTF-8 (naming the
    line).
    """
    buffered = io.BufferedReader(stream, READ_BYTES)  # type: ignore[type-var]  # reads like a raw stream
    try:
        yield from _decode(cast(BinaryIO, buffered))
    finally:
        buffered.detach()


def _decode(buffered: BinaryIO) -> Iterator[list[str]]:
    data = buffered.read(BLOCK_BYTES)
    if not data:
        raise FileError("empty", "The file is empty.")
    for magic, name in MAGIC_NUMBERS.items():
        if data.startswith(magic):
            raise FileError("not_csv", f"The file is {name}: it must be a plain CSV file in UTF-8.")
    data = data.removeprefix(codecs.BOM_UTF8)
    line_no = 1
    while data:
        more = buffered.read(BLOCK_BYTES)
        # A carriage return at the very end may be half of a line end.
        end = max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1 if more else len(data)
        if not end:
            if len(str(data, "utf-8", "ignore")) >= MAX_LINE_CHARACTERS:
                raise _endless(line_no)
            # As much again, so that a line of megabytes is looked through a few times and not a thousand.
            data += more + buffered.read(min(len(data), LONG_LINE_BYTES))
            continue
        try:
            text = str(data[:end], "utf-8")
        except UnicodeDecodeError as error:
            before = io.StringIO(str(data[: error.start], "utf-8"), newline="").readlines()
            line_no += len(before) - (bool(before) and not before[-1].endswith(("\r", "\n")))
            raise FileError(
                "not_utf8", f"Line {line_no} holds the byte {data[error.start]:#04x}, which is not UTF-8."
            ) from error
        lines = io.StringIO(text, newline="").readlines()
        for at, line in enumerate(lines if len(text) >= MAX_LINE_CHARACTERS else ()):
            if len(line) >= MAX_LINE_CHARACTERS:
                raise _endless(line_no + at)
        yield lines
        line_no += len(lines)
        data = data[end:] + more


def _endless(line_no: int) -> FileError:
    return FileError("not_csv", f"Line {line_no} has {MAX_LINE_CHARACTERS:,} characters and does not end.")
