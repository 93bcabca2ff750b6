"""Putting defects into clean rows, and noting of each row what must become of it.

What a defect comes to is known from how it was made, never by reading the text again. The order of work is the order
of `DIALS`: first what is true is changed (references, totals, rows with other values), then come the defects that
reject a row, then those that only change how a value looks, and last the rows that are there twice.
"""

from __future__ import annotations

import numpy as np

from marketplace.mockdata import accepted, references, rejected
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.sheet import Met, Sheet, World
from marketplace.mockdata.table import Table

# Numbers of rows that are there twice: the same modulo 2**40 as the row that they are of.
EXACT_DUPLICATE = 2**41
_FARTHEST = 20  # rows between the two


def mess(table: Table, profile: Profile, world: World, met: Met) -> Table:
    """Return the table as it is to be written, with what must become of its rows; `table` stays as it is."""
    sheet = Sheet(table, profile, world, met)
    if not len(table):
        return sheet.table
    references.put(sheet)
    rejected.put(sheet)
    accepted.put(sheet)
    sheet.table.issues[sheet.table.reason != ""] = ""
    _twice(sheet)
    return sheet.table


def _twice(sheet: Sheet) -> None:
    """Put exact duplicates of rows some rows after them."""
    rows = sheet.chosen("exact_duplicate")
    if not len(rows):
        return
    copies = sheet.table.take(rows)
    copies.numbers = copies.numbers + EXACT_DUPLICATE
    places = rows + sheet.which("exact_duplicate", "", rows, _FARTHEST)
    sheet.add(copies, np.minimum(places, len(sheet.table) - 1), after=True)
