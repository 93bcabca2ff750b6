"""What every kind of value shares: what counts as missing, what parsing gives, and why a value is refused."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import NamedTuple

# A cell that says nothing, compared without case and padding.
MISSING = frozenset({"", "null", "n/a", "nan", "none", "-"})

# Between the values of a column that has many: no comma, which would need quotes, and no bar, as in Xbox Series X|S.
SEPARATOR = ";"

# Invisible characters that spreadsheets leave around a value; str.strip() takes them for content.
_INVISIBLE = "\ufeff\u200b\u2060"


class Parsed(NamedTuple):
    """A value in its canonical form and, when reading it took a decision, the warning's kind and note."""

    value: str
    kind: str | None = None
    note: str = ""


class Invalid(ValueError):
    """A value that its column's type does not accept: `kind` is a code, the message says what is wrong."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


def trimmed(raw: str) -> str:
    r"""Return `raw` without the white space and invisible characters around it, in whatever order they come.

    >>> trimmed(" \u200b \ufeffG-1\u200b \u200b")
    'G-1'
    """
    text = raw.strip()
    while (inner := text.strip(_INVISIBLE).strip()) != text:
        text = inner
    return text


def is_missing(text: str) -> bool:
    """Return whether the trimmed `text` is a way of saying nothing.

    >>> is_missing("n/a"), is_missing("-"), is_missing("NA")
    (True, True, False)
    """
    return text.casefold() in MISSING


def clean_text(text: str) -> str:
    r"""Return `text` in NFC, with every run of white space, line breaks too, as one space.

    >>> clean_text("Iron\n  Harbour")
    'Iron Harbour'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def parse_text(text: str) -> Parsed:
    """Read a free text, a name or a reference: anything, with white space made regular."""
    return Parsed(clean_text(text))


def parse_id(text: str) -> Parsed:
    """Read an identifier: printable characters on one line, with white space made regular as in references to it."""
    if not text.isprintable():
        raise Invalid("invalid_id", "it has a line break, a tab or a control character in it")
    return Parsed(clean_text(text))


def parse_lines(text: str) -> Parsed:
    r"""Read a free text whose lines stay lines; white space within them is made regular.

    >>> parse_lines("Dear  Ann,\r\n\r\nit is out. ").value
    'Dear Ann,\n\nit is out.'
    """
    return Parsed("\n".join(map(clean_text, text.splitlines())).strip())


def parse_many(text: str, parse: Callable[[str], Parsed]) -> Parsed:
    """Read several values, each of them by `parse`, as an array for Postgres: in order, each once.

    Raises Invalid when one of them is, naming it, or when there is none.
    """
    kind, notes, values = None, [], set()
    for part in filter(None, map(trimmed, text.split(SEPARATOR))):
        try:
            value, found, note = parse(part)
        except Invalid as error:
            raise Invalid(error.kind, f"{part!r}: {error}") from error
        values.add(value)
        if found is not None:
            kind = found
            notes.append(f"{part!r}: {note}")
    if not values:
        raise Invalid("missing", "it has separators and no value")
    quoted = (value.replace("\\", r"\\").replace('"', r"\"") for value in sorted(values))
    return Parsed("{" + ",".join(f'"{value}"' for value in quoted) + "}", kind, "; ".join(notes))
