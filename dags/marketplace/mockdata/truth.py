"""Truth files: for every record of a generated file what must become of it, and with which values.

A truth file is a CSV file with LF line ends and this header:

    line,outcome,column,reason,issues, the columns of the export, and for some datasets numbers

line      the physical line on which the record starts; 0 stands for the file as a whole, 1 for its header
outcome   accepted, superseded (accepted, but another line of the file has the same key and counts), rejected, held, or
          of the header: header
column    what it is rejected or held for; empty when it is for no column
reason    why it is rejected or held
issues    what must be recorded of it when it is accepted, `kind@column`, with a space between
values    what must stand in the store, empty for NULL; a reference is the id that the store uses. A rejected record
          has none, a held one no references
numbers   what is behind ids and names, so that several files can be reckoned together; -1 is nothing

A file that must be set aside as a whole has the one line 0, and the reason. All of it is what becomes of the files of
one interval when they are loaded into an empty store in the order in which they are put, and the held lines are tried
again afterwards.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from marketplace.mockdata.draws import Numbers
from marketplace.mockdata.table import DATASETS, Kind, Table, Texts

# By dataset: the numbers of a truth file, and the fact that each of them is.
NUMBERS: dict[str, dict[str, str]] = {
    "publisher": {"alias_no": "alias", "entity_no": "entity"},
    "game": {"alias_no": "alias", "entity_no": "entity", "title_no": "title"},
    "customer": {},
    "transaction": {},
    "transaction_detail": {
        "game_alias_no": "game_alias",
        "game_title_no": "game_title",
        "publisher_alias_no": "publisher_alias",
        "publisher_name_no": "publisher_name",
    },
    "wishlist": {"game_alias_no": "game_alias", "game_title_no": "game_title"},
    "play_session": {"game_alias_no": "game_alias", "game_title_no": "game_title"},
}
# The kinds of columns whose values may hold a comma, a quote or a line break.
_FREE: frozenset[Kind] = frozenset({"name", "text", "enum"})


class Fate(NamedTuple):
    """What becomes of the rows of a table; all arrays have its length.

    references  by column: the ids of what the rows name, '' where they are held
    """

    outcome: Texts
    column: Texts
    reason: Texts
    issues: Texts
    references: dict[str, Texts]


def header(dataset: str) -> tuple[str, ...]:
    """Return the columns of a dataset's truth files."""
    columns = (column.name for column in DATASETS[dataset])
    return ("line", "outcome", "column", "reason", "issues", *columns, *NUMBERS[dataset])


def start(dataset: str, header_issue: str | None) -> bytes:
    """Return how a truth file begins: its header, and the line of an issue that the file's own header is."""
    names = header(dataset)
    issue = _row(names, line="1", outcome="header", issues=f"{header_issue}@") if header_issue else ""
    return f"{','.join(names)}\n{issue}".encode()


def set_aside(dataset: str, reason: str) -> bytes:
    """Return all of the truth of a file that must be set aside as a whole."""
    names = header(dataset)
    return f"{','.join(names)}\n{_row(names, line='0', outcome='rejected', reason=reason)}".encode()


def rows(table: Table, lines: Numbers, fate: Fate) -> bytes:
    """Return the truth of the rows that are records, in their order; `lines` is -1 for one that is none."""
    there: NDArray[np.intp] | slice = slice(None) if (lines >= 0).all() else np.flatnonzero(lines >= 0)
    rejected = np.flatnonzero(fate.outcome[there] == "rejected")
    standing = table.truth | fate.references
    columns = [_numbers(lines[there]), _verdicts(fate, there)]
    for column in DATASETS[table.dataset]:
        texts = standing[column.name][there]
        if len(rejected):
            texts = texts.copy()
            texts[rejected] = ""
        columns.append(_quoted(texts.tolist()) if column.kind in _FREE else texts.tolist())
    columns += [_numbers(table.facts[fact][there]) for fact in NUMBERS[table.dataset].values()]
    text = "\n".join(map(",".join, zip(*columns, strict=True)))
    return f"{text}\n".encode() if text else b""


def read(content: bytes) -> Iterator[dict[str, str]]:
    """Yield the records of a truth file, by column."""
    return csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)


def _row(names: tuple[str, ...], **values: str) -> str:
    return ",".join(values.get(name, "") for name in names) + "\n"


@cache
def _small_numbers() -> Texts:
    """Return the numbers from -1 on as texts, as far as those of the catalogue go."""
    return np.array([str(number) for number in range(-1, 2**17)], dtype=object)


def _numbers(numbers: Numbers) -> list[str]:
    if numbers.max(initial=0) < 2**17:
        return _small_numbers()[numbers + 1].tolist()
    return list(map(str, numbers.tolist()))


def _verdicts(fate: Fate, there: NDArray[np.intp] | slice) -> list[str]:
    """Return outcome, column, reason and issues in one: most rows are accepted, and that is all."""
    outcome, column, reason, issues = (texts[there] for texts in fate[:4])
    verdicts = ["accepted,,,"] * len(outcome)
    for row in np.flatnonzero((outcome != "accepted") | (issues != "")).tolist():
        verdicts[row] = f"{outcome[row]},{column[row]},{reason[row]},{issues[row]}"
    return verdicts


def _quoted(texts: list[str]) -> list[str]:
    """Return the texts as fields of a CSV line, in quotes where they need them."""
    together = "".join(texts)
    if not any(sign in together for sign in ',"\n\r'):
        return texts
    return [
        '"{}"'.format(text.replace('"', '""')) if any(sign in text for sign in ',"\n\r') else text for text in texts
    ]
