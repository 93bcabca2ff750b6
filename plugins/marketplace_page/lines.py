"""Lines of CSV: those of a loaded file by their numbers, and those that somebody downloads."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

# What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Record(NamedTuple):
    """A record of a file: the line on which it starts (the header's is 1), its text, and its fields."""

    line_no: int
    raw: str
    fields: list[str]


def records(text: str) -> Iterator[Record]:
    """Yield the records of a CSV text as ingestion numbers them: by the line of the file on which they start.

    Raises csv.Error where it is no CSV.
    """
    taken: list[str] = []
    number = 0

    def lines() -> Iterator[str]:
        nonlocal number
        for line in io.StringIO(text, newline=""):
            number += 1
            taken.append(line)
            yield line

    for fields in csv.reader(lines()):
        record = Record(number - len(taken) + 1, "".join(taken).rstrip("\r\n"), fields)
        taken.clear()
        if fields:  # a blank line is no record
            yield record


class Found(NamedTuple):
    """The records that start on wanted lines, with the names of their columns, and the numbers that were not found."""

    columns: list[str]
    records: list[Record]
    missing: list[int]


def find(body: bytes, is_whole: bool, wanted: Collection[int]) -> Found:
    """Return the records on some lines of a file, of which `body` is the beginning; or all, when it `is_whole`.

    Of a file that was cut off the last record is not to be trusted: it counts as missing.
    """
    found: list[Record] = []
    columns: list[str] = []
    last: Record | None = None
    try:
        for record in records(body.decode("utf-8-sig", errors="replace")):
            if not columns:
                columns = record.fields
            if last is not None and last.line_no in wanted:
                found.append(last)
            last = record
    except csv.Error:
        is_whole = False  # what comes before is as good as it was
    if is_whole and last is not None and last.line_no in wanted:
        found.append(last)
    return Found(columns, found, sorted(set(wanted) - {record.line_no for record in found}))


def as_csv(columns: list[str], rows: Iterable[dict[str, Any]]) -> str:
    """Return rows as CSV that a spreadsheet does not compute: what looks like a formula gets an apostrophe."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_harmless(row.get(column)) for column in columns])
    return text.getvalue()


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA):
        return f"'{value}"
    return value
