"""Putting defects into clean rows, and noting of each row what must become of it.

What a defect comes to is known from how it was made, never by reading the text again. The order of work is the order
of `DIALS`: first what is true is changed (references, totals, rows with other values), then come the defects that
reject a row, then those that only change how a value looks, and last the rows that are there twice.
"""

from __future__ import annotations

import numpy as np

from marketplace.mockdata import accepted, references, rejected
from marketplace.mockdata.draws import Numbers
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.sheet import Met, Sheet
from marketplace.mockdata.table import Table
from marketplace.mockdata.world import World

# Numbers of rows that are there twice: the same modulo 2**40 as the row that they are of.
EXACT_DUPLICATE = 2**41
_FARTHEST = 20  # rows between the two


def mess(table: Table, profile: Profile, world: World, met: Met) -> Table:
    """Return the table as it is to be written, with what must become of its rows; `table` stays as it is."""
    sheet = Sheet(table, profile, world, met)
    if not len(table):
        return sheet.table
    references.put(sheet)
    earlier, places = references.earlier_rows(sheet)
    for rows in (sheet, earlier) if len(places) else (sheet,):
        rejected.put(rows)
        accepted.put(rows)
        rows.table.issues[rows.table.reason != ""] = ""
    return _together(sheet, earlier, places)


def _together(sheet: Sheet, earlier: Sheet, places: Numbers) -> Table:
    """Return the rows, some rows before them those of the same key, and some rows after either its exact duplicates.

    `places` are those of the rows that have the key of the earlier ones.
    """
    twice, earlier_twice = sheet.chosen("exact_duplicate"), earlier.chosen("exact_duplicate")
    if not len(places) and not len(twice):
        return sheet.table
    size = len(sheet.table)
    before = np.maximum(places - earlier.which("same_key_other_values", "place", np.arange(len(places)), _FARTHEST), 0)
    # Of each row, in three parts: where it comes from, beside which one it stands, and before (0) or after (2) it.
    source = np.concatenate([np.arange(size), places, twice, places[earlier_twice]])
    beside = np.concatenate([
        np.arange(size),
        before,
        twice + sheet.which("exact_duplicate", "", twice, _FARTHEST),
        before[earlier_twice] + earlier.which("exact_duplicate", "", earlier_twice, _FARTHEST),
    ])  # fmt: skip
    side = np.repeat([1, 0, 2], [size, len(places), len(twice) + len(earlier_twice)])
    order = np.argsort(beside * 3 + side, kind="stable")
    now = np.empty_like(order)
    now[order] = np.arange(len(order))
    table = sheet.table.take(source[order])
    start = size + len(places)
    table.put(now[size:start], earlier.table)
    table.put(now[start + len(twice) :], earlier.table.take(earlier_twice))
    table.numbers[now[start:]] += EXACT_DUPLICATE
    return table
