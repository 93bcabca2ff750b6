"""What rewriting a statement is made of: edits of its text, and finding one's way among its tokens."""

from __future__ import annotations

from collections.abc import Callable

from local.redshift.statements import Statement

# From where to where a text is replaced, and by what.
Edits = list[tuple[int, int, str]]

# What puts a part of a statement as PostgreSQL takes it.
Rewrite = Callable[[str], str]


def edited(sql: str, edits: Edits) -> str:
    """Return a text with its edits made. One within a larger one is void: the larger one has rewritten what it has."""
    parts, done = [], 0
    for start, end, text in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        if start < done:
            continue
        parts += [sql[done:start], text]
        done = end
    return "".join([*parts, sql[done:]])


def removed(statement: Statement, first: int, last: int | None = None) -> tuple[int, int, str]:
    """Return the edit that leaves out a token, or all from one to another."""
    tokens = statement.tokens
    return tokens[first].start, tokens[first if last is None else last].end + 1, ""


def whole(statement: Statement, at: int, text: str) -> tuple[int, int, str]:
    """Return the edit that puts `text` for a call; edits within it are then void (see `edited`)."""
    return statement.tokens[at].start, statement.tokens[statement.closing(at + 1)].end + 1, text


def arguments_of(statement: Statement, opening: int) -> list[tuple[int, int]]:
    """Return the first and the last token of each argument between a bracket and its counterpart."""
    closing = statement.closing(opening)
    arguments, first, depth = [], opening + 1, 0
    for at in range(opening + 1, closing + 1):
        word = statement.word(at)
        if (word == "," and depth == 0) or at == closing:
            arguments.append((first, at - 1))
            first = at + 1
        depth += {"(": 1, ")": -1}.get(word, 0)
    return arguments if arguments != [(opening + 1, opening)] else []


def opening_of(statement: Statement, closing: int) -> int:
    """Return the place of the bracket that the one at `closing` closes, else 0."""
    depth = 0
    for at in range(closing, 0, -1):
        depth += {")": 1, "(": -1}.get(statement.word(at), 0)
        if depth == 0:
            return at
    return 0


def is_within_call_with_from(statement: Statement, at: int) -> bool:
    """Tell whether a FROM is that of EXTRACT(… FROM …) and its like."""
    depth = 0
    for place in range(at - 1, 0, -1):
        depth += {")": 1, "(": -1}.get(statement.word(place), 0)
        if depth < 0:
            return statement.word(place - 1) in ("EXTRACT", "TRIM", "SUBSTRING")
    return False
