"""The rows of one dataset on their way into a file: their text, what is true of them, and what becomes of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from marketplace.mockdata.draws import Draws, Numbers

Kind = Literal[
    "id", "name", "text", "reference", "enum", "date", "timestamp", "amount", "integer", "number", "boolean",
    "currency", "country", "customer", "email", "locale", "time_zone",
]  # fmt: skip
Texts = NDArray[np.object_]


class Column(NamedTuple):
    """A column of the export, as those who write it know it."""

    name: str
    kind: Kind
    required: bool = True


# The headers of the exports, in their order.
DATASETS: dict[str, tuple[Column, ...]] = {
    "publisher": (
        Column("publisher_id", "id"),
        Column("name", "name"),
        Column("country", "country", required=False),
    ),
    "game": (
        Column("game_id", "id"),
        Column("title", "name"),
        Column("release_date", "date", required=False),
        Column("genre", "text", required=False),
    ),
    "customer": (
        Column("customer_ref", "customer"),
        Column("name", "text", required=False),
        Column("email", "email", required=False),
        Column("country", "country", required=False),
        Column("locale", "locale", required=False),
        Column("time_zone", "time_zone", required=False),
        Column("marketing_opt_in", "boolean", required=False),
        Column("created_at", "timestamp", required=False),
    ),
    "transaction": (
        Column("transaction_id", "id"),
        Column("txn_type", "enum"),
        Column("txn_ts", "timestamp"),
        Column("currency", "currency"),
        Column("total_amount", "amount"),
        Column("customer_ref", "customer"),
    ),
    "transaction_detail": (
        Column("transaction_id", "id"),
        Column("line_no", "integer"),
        Column("game_ref", "reference"),
        Column("publisher_ref", "reference"),
        Column("region", "enum"),
        Column("platform", "enum"),
        Column("gross_amount", "amount"),
        Column("platform_fee", "amount"),
        Column("net_amount", "amount"),
    ),
    "wishlist": (
        Column("customer_ref", "customer"),
        Column("game_ref", "reference"),
        Column("added_at", "timestamp", required=False),
    ),
    "play_session": (
        Column("session_id", "id"),
        Column("customer_ref", "customer"),
        Column("game_ref", "reference"),
        Column("platform", "enum"),
        Column("started_at", "timestamp"),
        Column("duration_s", "integer", required=False),
        Column("latitude", "number"),
        Column("longitude", "number"),
    ),
}


@dataclass
class Table:
    """Rows, column by column. All arrays have one length; a row is a position in them.

    The text and the truth of a column may be one array.

    text    by column of the export: what the file is to hold. Clean when the table is made; defects change it.
    truth   by column of the export: what must stand in the store ('' is NULL), whatever the text says. A reference is
            true by what it names, so `game_ref` and `publisher_ref` have no truth here but facts.
    facts   by name: whole numbers that the text was made from (see `activity` and `world`).
    draws, numbers   where the draws of a row's defects come from: the stream, and the row's number in it.
    column, reason   why the row must be rejected for what its own line says; '' and '' if it must not.
    issues  what must be recorded of the row if it is accepted: `kind@column`, several with a space between.
    width   how many fields the row has beyond those of the header; negative if it has fewer.
    blank   whether a blank line, which is no record, stands before the row.
    """

    dataset: str
    draws: Draws
    numbers: Numbers
    text: dict[str, Texts]
    truth: dict[str, Texts]
    facts: dict[str, Numbers]
    column: Texts = field(init=False)
    reason: Texts = field(init=False)
    issues: Texts = field(init=False)
    width: Numbers = field(init=False)
    blank: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.column, self.reason, self.issues = (np.full(len(self), "", dtype=object) for _ in range(3))
        self.width, self.blank = np.zeros(len(self), dtype=np.int64), np.zeros(len(self), dtype=bool)

    def __len__(self) -> int:
        return len(self.numbers)

    def reject(self, rows: Numbers, column: str, reason: str) -> None:
        """Note why the rows at these positions must be rejected."""
        self.column[rows], self.reason[rows] = column, reason

    def note(self, rows: Numbers, kind: str, column: str) -> None:
        """Note an issue of the rows at these positions."""
        noted = f"{kind}@{column}"
        self.issues[rows] = [f"{found} {noted}" if found else noted for found in self.issues[rows]]

    def take(self, rows: Numbers) -> Table:
        """Return a table of its own of the rows at these positions, in this order; a row may be there twice."""
        table = copy.copy(self)
        table.numbers = self.numbers[rows]
        table.text = {name: texts[rows] for name, texts in self.text.items()}
        table.truth = {
            name: table.text[name] if texts is self.text[name] else texts[rows] for name, texts in self.truth.items()
        }
        table.facts = {name: facts[rows] for name, facts in self.facts.items()}
        table.column, table.reason, table.issues = self.column[rows], self.reason[rows], self.issues[rows]
        table.width, table.blank = self.width[rows], self.blank[rows]
        return table

    def put(self, rows: Numbers, other: Table) -> None:
        """Put the rows of another table of the dataset in the place of those at these positions."""
        for name, texts in other.text.items():
            if self.text[name] is self.truth.get(name) and texts is not other.truth[name]:
                self.text[name] = self.text[name].copy()
            self.text[name][rows] = texts
        for name, texts in other.truth.items():
            self.truth[name][rows] = texts
        for name, facts in other.facts.items():
            self.facts[name][rows] = facts
        for name in ("numbers", "column", "reason", "issues", "width", "blank"):
            getattr(self, name)[rows] = getattr(other, name)
