"""Writing a file: its header and rows as CSV, and the defects that a file has as a whole."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from marketplace.mockdata.draws import Draws, Numbers
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.table import DATASETS, Table

# What sets a file aside as a whole, and the code of the reason; a file has the first of DIALS that it gets.
_SET_ASIDE = {
    "empty_file": "empty",
    "not_csv": "",  # by what it is instead
    "gzip": "not_csv",
    "utf_16": "not_csv",
    "latin_1": "not_utf8",
    "wrong_delimiter": "wrong_delimiter",
}
_NO_CSV = {"json": "wrong_header", "pdf": "not_csv"}
# What a header has, and the code of the reason or of the issue.
_WRONG_HEADER = {"missing_column", "extra_column", "duplicated_column"}
_REFORMATTED_HEADER = {"header_case", "header_padding"}

_ODD_NAMES = ("{} (1)", "{}+50%", "{}-été", "{} – копия", "{}%20", "{}~東京")
_PADS = ((" ", ""), ("", " "), ("\t", " "), ("", "\u200b"))
_EXTRA = ("Unnamed: 0", "remark", "", "export_id")
_DELIMITERS = b";\t|"
_PDF_START, _PDF_END = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", b"%%EOF\n"

# While the text of rows is put together, what stands between values and between rows: of no value.
_FIELD, _RECORD = "\x1f", "\x1e"
_QUOTED = b'",\n\r'  # what makes quotes necessary
# How far from the end a quote is opened that is never closed, at most.
_SPOILED_ROWS, _SPOILED_BYTES = 40, 100_000
_ONE = np.zeros(1, dtype=np.int64)


class Envelope:
    """One file: what is wrong with it as a whole, and how its rows are written, chunk by chunk.

    file_name      with `.csv`; it may have odd characters.
    rejected       the code of the reason for which the file must be set aside as a whole, or None.
    header_issue   the kind of the issue that must be recorded of its header, or None.
    twice          whether the file is to come twice under its name, first with other values.
    """

    def __init__(self, dataset: str, name: str, profile: Profile, draws: Draws) -> None:
        self._draws = draws.stream("file", dataset, name)
        self._columns = [column.name for column in DATASETS[dataset]]

        def has(dial: str) -> bool:
            return bool(self._draws.stream(dial).chance(_ONE, profile.rate(dial))[0])

        self._defect = next(filter(has, _SET_ASIDE), "")
        self._instead = list(_NO_CSV)[self._draw("not_csv", 2)] if self._defect == "not_csv" else ""
        self._needs_quotes = _QUOTED + (_DELIMITERS if self._defect == "wrong_delimiter" else b"")
        self._is_bare = not self._defect and has("header_only")
        headers = ("missing_column", "extra_column", "duplicated_column", "reordered_columns", "header_case")
        self._header_defect = next(filter(has, (*headers, "header_padding")), "")
        if self._defect == "latin_1" and self._header_defect in _WRONG_HEADER:
            self._header_defect = ""  # a file is read as it comes: which of the two is met first is nobody's promise
        self._header = self._make_header()
        self._mark = has("byte_order_mark") and self._defect not in ("utf_16", "latin_1", "not_csv")
        self._end = b"\r\n" if has("crlf") else b"\r" if has("lone_cr") else b"\n"
        self._ends = not has("no_final_newline")
        self._never_closed = has("unbalanced_quote")
        self.file_name = (_ODD_NAMES[self._draw("odd_key", len(_ODD_NAMES))] if has("odd_key") else "{}").format(name)
        self.file_name += ".csv"
        self.twice = has("same_name_new_content")
        self.rejected = _SET_ASIDE.get(self._defect) or _NO_CSV.get(self._instead)
        if not self._defect and self._header_defect in _WRONG_HEADER:
            self.rejected = "wrong_header"
        self.header_issue = (
            "reformatted_header" if not self.rejected and self._header_defect in _REFORMATTED_HEADER else None
        )

    @classmethod
    def of(cls, dataset: str, name: str, profile: Profile, draws: Draws) -> Envelope:
        """Return the file `name` (without folder and `.csv`) of a dataset; the same for the same arguments."""
        return cls(dataset, name, profile, draws)

    def write(self, table: Table, first: bool, last: bool) -> tuple[bytes, Numbers]:
        """Return the bytes of some of the file's rows, and the physical line on which the record of each starts.

        `first` and `last` say whether they are the file's first or last rows; there may be none at all. The line is
        -1 for a row that is no record. When a quote that is never closed spoils a record, it is noted in `table`.
        """
        if first:
            self._line, self._sum, self._size = 2, 0, 0
        if self._defect == "empty_file" or self._is_bare:
            lines = np.full(len(table), -1, dtype=np.int64)
            body = b""
        elif self._instead:
            lines, body = np.full(len(table), -1, dtype=np.int64), self._instead_of(table, first, last)
        else:
            body, lines = self._records(table, last)
        return self._enclosed(body, first, last), lines

    def _draw(self, what: str, limit: int) -> int:
        return int(self._draws.stream(what, "which").below(_ONE, limit)[0])

    # --- the header --------------------------------------------------------------------------------------------------

    def _make_header(self) -> list[str]:
        """Return the header, and put the columns into the order in which their values are written."""
        which = self._draw(self._header_defect, 1_000)
        at = which % len(self._columns)
        header = list(self._columns)
        match self._header_defect:
            case "missing_column":
                del header[at], self._columns[at]
            case "extra_column":
                header.insert(at, _EXTRA[which % len(_EXTRA)])
                self._columns.insert(at, "")
            case "duplicated_column":
                header.append(header[at])
                self._columns.append(self._columns[at])
            case "reordered_columns":
                places = np.arange(len(header))
                order = np.argsort(self._draws.stream("order").bits(places), kind="stable").tolist()
                if order == sorted(order):
                    order.reverse()
                self._columns = [self._columns[place] for place in order]
                header = list(self._columns)
            case "header_case":
                header = [name.upper() for name in header] if which % 2 else [name.title() for name in header]
            case "header_padding":
                before, after = _PADS[which % len(_PADS)]
                header[at] = f"{before}{header[at]}{after}"
        return header

    # --- the rows ----------------------------------------------------------------------------------------------------

    def _records(self, table: Table, last: bool) -> tuple[bytes, Numbers]:
        """Return the rows, each after the line end of what stands before it, and their lines."""
        size = len(table)
        if not size:
            return b"", np.zeros(0, dtype=np.int64)
        nothing = [""] * size
        columns = [table.text[name].tolist() if name else nothing for name in self._columns]
        data = _RECORD.join(map(_FIELD.join, zip(*columns, strict=True))).encode()
        codes = np.frombuffer(data, dtype=np.uint8)
        borders = np.flatnonzero(codes == ord(_RECORD))
        special = table.blank | (table.width != 0)
        special[np.searchsorted(borders, list(_found(data, self._needs_quotes)))] = True
        rows = np.flatnonzero(special).tolist()
        spoiled = self._place_of_quote(special, borders, len(data)) if last and not self.rejected else None
        if spoiled is not None:
            rows.append(spoiled)
            table.reject(np.array([spoiled]), "", "unclosed_quote")
            table.issues[spoiled] = ""
        more = np.zeros(size, dtype=np.int64)  # lines beyond the one that each record has
        blanks = table.blank.astype(np.int64)
        pieces, at = [], 0
        starts, ends = np.concatenate([[0], borders + 1]), np.concatenate([borders, [len(data)]])
        for row, start, end in zip(rows, starts[rows].tolist(), ends[rows].tolist(), strict=True):
            pieces.append(data[at:start])
            record = data[start:end]
            if row == spoiled:
                pieces.append(b'"' + record)
            else:
                record = self._special(record, int(table.width[row]), bool(table.blank[row]))
                more[row] = record.count(b"\n") + record.count(b"\r") - record.count(b"\r\n")
                pieces.append(record)
            at = end
        pieces.append(data[at:])
        whole = self._plain(b"".join(pieces))
        before = blanks + np.concatenate([[0], (1 + more[:-1])])
        lines = self._line + np.cumsum(before)
        self._line = int(lines[-1] + 1 + more[-1])
        if spoiled is not None:
            lines[spoiled + 1 :] = -1
        return whole, lines

    def _special(self, record: bytes, width: int, blank: bool) -> bytes:
        """Return a record with quotes where they are needed, more or fewer fields, and a blank line before it."""
        values = record.split(_FIELD.encode())
        if width < 0:
            values = values[:width]
        elif width:
            values += [b"", b"x", b"0"][:width]
        quoted = [
            b'"' + value.replace(b'"', b'""') + b'"' if any(code in value for code in self._needs_quotes) else value
            for value in values
        ]
        # The line ends of the file are not those within values: both are set apart until the file's are put in.
        return (_RECORD.encode() if blank else b"") + _FIELD.encode().join(quoted)

    def _plain(self, data: bytes) -> bytes:
        """Return rows with the file's delimiter and line ends."""
        delimiter = b","
        if self._defect == "wrong_delimiter":
            delimiter = _DELIMITERS[self._draw("wrong_delimiter", 3) :][:1]
        data = data.replace(_FIELD.encode(), delimiter)
        return self._end + data.replace(_RECORD.encode(), self._end)

    def _place_of_quote(self, special: NDArray[np.bool_], borders: Numbers, size: int) -> int | None:
        """Return the row whose first value gets a quote that is never closed; None if there is no place for it.

        There is no quote after it, so that all of the rest is one record, of one field.
        """
        if not self._never_closed:
            return None
        quoted = np.flatnonzero(special)
        after = int(quoted[-1]) + 1 if len(quoted) else 0
        near = int(np.searchsorted(borders, size - _SPOILED_BYTES)) + 1 if size > _SPOILED_BYTES else 0
        after = max(after, near, len(special) - _SPOILED_ROWS)
        if after >= len(special):
            return None
        return after + self._draw("unbalanced_quote", len(special) - after)

    # --- the whole ---------------------------------------------------------------------------------------------------

    def _instead_of(self, table: Table, first: bool, last: bool) -> bytes:
        """Return the rows as JSON, or as something like a PDF."""
        rows = zip(*(table.text[name].tolist() for name in self._columns if name), strict=True)
        names = [name for name in self._columns if name]
        objects = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False).encode() for row in rows]
        if self._instead == "pdf":
            body = b"".join(each + b"\n" for each in objects)
            return (_PDF_START if first else b"") + body + (_PDF_END if last else b"")
        body = b"".join(b"\n" + each + b"," for each in objects)
        return (b"[" if first else b"") + body + (b"\n{}]\n" if last else b"")

    def _enclosed(self, body: bytes, first: bool, last: bool) -> bytes:
        """Return a chunk of the file with its header and its end, encoded and compressed."""
        if self._defect == "empty_file":
            return b""
        if self._instead:
            return body
        if first:
            names = self._plain(_FIELD.join(self._header).encode())
            body = names.removeprefix(self._end) + body
        if last and self._defect == "latin_1":
            body += "é".encode()
        if last and self._ends:
            body += self._end
        if first and self._mark:
            body = b"\xef\xbb\xbf" + body
        match self._defect:
            case "utf_16":
                return (b"\xff\xfe" if first else b"") + body.decode().encode("utf-16-le")
            case "latin_1":
                return body.decode().encode("latin-1", "replace")
            case "gzip":
                return self._stored(body, first, last)
        return body

    def _stored(self, data: bytes, first: bool, last: bool) -> bytes:
        """Return a chunk of a gzip file, stored as it is: how well zlib compresses differs between its versions."""
        self._sum, self._size = zlib.crc32(data, self._sum), self._size + len(data)
        pieces = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff"] if first else []
        for at in range(0, len(data), 0xFFFF):
            block = data[at : at + 0xFFFF]
            pieces += [b"\0", _little(len(block), 2), _little(len(block) ^ 0xFFFF, 2), block]
        if last:
            pieces += [b"\x01\0\0\xff\xff", _little(self._sum, 4), _little(self._size % 2**32, 4)]
        return b"".join(pieces)


def _found(data: bytes, codes: bytes) -> Iterator[int]:
    """Yield where in `data` there is one of `codes`, which is seldom."""
    for code in codes:
        place = data.find(code)
        while place >= 0:
            yield place
            place = data.find(code, place + 1)


def _little(number: int, size: int) -> bytes:
    return number.to_bytes(size, "little")
