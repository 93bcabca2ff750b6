"""What validation has to say about a row or a header."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]

SHOWN_LENGTH = 80


class Problem(NamedTuple):
    """One finding: an error rejects the row, a warning accepts it and is recorded as an issue.

    `column` is None when the finding is about the row as a whole; `kind` is a short code such as
    invalid_date; `detail` shows the value and says what is accepted.
    """

    column: str | None
    kind: str
    detail: str
    severity: Severity


def shown(value: str) -> str:
    """Return `value` as a message shows it: its repr, of at most 80 characters."""
    text = repr(value[:SHOWN_LENGTH])
    if len(value) <= SHOWN_LENGTH and len(text) <= SHOWN_LENGTH:
        return text
    return text[: SHOWN_LENGTH - 4] + "...'"
