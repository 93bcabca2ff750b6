"""Defects that change what is true: what rows refer to, what they add up to, and rows that were corrected later."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from marketplace.mockdata.draws import Numbers
from marketplace.mockdata.sheet import AMOUNTS, NOTHING, Sheet
from marketplace.mockdata.spellings import COUNTRIES
from marketplace.mockdata.world import SLOTS

REFUND = 1
# Numbers of rows that have the key of another row and come before it: the same modulo 2**40.
EARLIER = 2**40


def put(sheet: Sheet) -> None:
    """Change what is true, in the text, the truth and the facts alike."""
    if "gross" in sheet.table.facts or "total" in sheet.table.facts:
        _amounts(sheet)
    if "publisher" in sheet.table.facts:
        _other_publisher(sheet)
        _slots(sheet, "publisher", sheet.world.publisher_slots)
        _by_name(sheet, "publisher", "publisher_name")
    if "game" in sheet.table.facts:
        _slots(sheet, "game", sheet.world.game_slots)
        _by_name(sheet, "game", "game_title")
    _unknown(sheet)


def _slots(sheet: Sheet, what: str, slots: Callable[..., Numbers]) -> None:
    """Refer to a game or publisher by any of its ids; clean rows have the first."""
    if not sheet.on(f"several_{what}_ids"):
        return
    entities = sheet.table.facts[what]
    slot = sheet.which(f"several_{what}_ids", "", np.arange(len(entities)), slots(entities, sheet.profile))
    rows = np.flatnonzero(slot)
    _refer(sheet, what, rows, entities[rows] * SLOTS + slot[rows])


def _refer(sheet: Sheet, what: str, rows: Numbers, aliases: Numbers) -> None:
    sheet.own("facts", f"{what}_alias")[rows] = aliases
    sheet.say(f"{what}_ref", rows, _ids(sheet, what, aliases))


def _ids(sheet: Sheet, what: str, aliases: Numbers) -> Iterable[str]:
    ids = sheet.world.game_ids if what == "game" else sheet.world.publisher_ids
    return ids(aliases).tolist()


def _by_name(sheet: Sheet, what: str, fact: str) -> None:
    """Refer to a game or publisher by name. A title may be that of two games."""
    rows = sheet.chosen("by_name", f"{what}_ref")
    entities = sheet.table.facts[what][rows]
    numbers = sheet.world.title_of(entities, sheet.profile) if what == "game" else entities
    names = sheet.world.titles if what == "game" else sheet.world.publisher_names
    sheet.own("facts", f"{what}_alias")[rows], sheet.own("facts", fact)[rows] = NOTHING, numbers
    sheet.say(f"{what}_ref", rows, (names[number] for number in numbers.tolist()))


def _other_publisher(sheet: Sheet) -> None:
    """Name another of the publishers that the interval's rows name."""
    publishers = sheet.met.publishers
    if len(publishers) < 2:
        return
    rows = sheet.chosen("other_publisher")
    own = np.searchsorted(publishers, sheet.table.facts["publisher"][rows])
    step = 1 + sheet.which("other_publisher", "", rows, len(publishers) - 1)
    others = publishers[(own + step) % len(publishers)]
    sheet.own("facts", "publisher")[rows] = others
    _refer(sheet, "publisher", rows, others * SLOTS)


def _unknown(sheet: Sheet) -> None:
    """Refer to what never comes: no id of any file ends in X."""
    facts = sheet.table.facts
    names = [
        column
        for column, fact in (("transaction_id", "parent"), ("game_ref", "game"), ("publisher_ref", "publisher"))
        if column in sheet.columns and fact in facts
    ]
    if not names:
        return
    for column, rows in sheet.spread("unknown_reference", dict.fromkeys(names)):
        if column == "transaction_id":
            sheet.own("facts", "parent")[rows] = NOTHING
            sheet.say(column, rows, (f"{text}X" for text in sheet.table.text[column][rows]))
            continue
        what = column.removesuffix("_ref")
        for fact in (what, f"{what}_alias", "game_title" if what == "game" else "publisher_name"):
            sheet.own("facts", fact)[rows] = NOTHING
        numbers = sheet.which("unknown_reference", "number", rows, 10**5)
        sheet.say(column, rows, (f"{text}X" for text in _ids(sheet, what, numbers)))


# --- amounts ---------------------------------------------------------------------------------------------------------


def _amounts(sheet: Sheet) -> None:
    facts = sheet.table.facts
    _large_refunds(sheet)
    if "total" in facts:
        rows = sheet.chosen("total_mismatch", can=facts["total"] != 0)
        total = facts["total"][rows]
        more = 1 + sheet.which("total_mismatch", "", rows, 5_000)
        sheet.say_amount("total_amount", rows, _larger(total, more))
        return
    rows = sheet.chosen("line_sign", can=facts["gross"] != 0)
    for column in ("gross_amount", "platform_fee", "net_amount"):
        sheet.say_amount(column, rows, -facts[AMOUNTS[column]][rows])
    rows = sheet.chosen("net_mismatch")
    sheet.say_amount("net_amount", rows, facts["net"][rows] + 1 + sheet.which("net_mismatch", "", rows, 500))


def _larger(amounts: Numbers, by: Numbers) -> Numbers:
    """Return amounts farther from zero by some hundredths; what is zero stays so."""
    return amounts + (amounts > 0) * by - (amounts < 0) * by


def _large_refunds(sheet: Sheet) -> None:
    """Multiply a refund and its lines: the draws are the transaction's, so that both tables agree."""
    facts = sheet.table.facts
    rate = sheet.profile.rate("refund_too_large")
    if not rate:
        return
    draws = sheet.table.draws.beside("transaction").stream("refund_too_large")
    refunds = facts.get("parent", sheet.table.numbers)
    rows = np.flatnonzero((facts["kind"] == REFUND) & draws.chance(refunds, rate))
    times = 2 + draws.stream("which").below(refunds[rows], 3)
    for column in sheet.of_kind("amount"):
        sheet.say_amount(column, rows, facts[AMOUNTS[column]][rows] * times)


# --- rows with other values ------------------------------------------------------------------------------------------


def earlier_rows(sheet: Sheet) -> tuple[Sheet, Numbers]:
    """Return rows of the keys of others, with values that were right at the time, and where the others stand."""
    rows = sheet.chosen("same_key_other_values")
    table = sheet.table.take(rows)
    table.numbers = table.numbers + EARLIER
    earlier = Sheet(table, sheet.profile, sheet.world, sheet.met)
    every, facts = np.arange(len(rows)), table.facts
    less = 1 + sheet.which("same_key_other_values", "", rows, 400)
    match table.dataset:
        case "publisher" | "customer":
            codes = sorted(COUNTRIES)
            now = table.truth["country"].tolist()
            drawn = [codes[draw % len(codes)] for draw in less.tolist()]
            earlier.say("country", every, ("" if code == old else code for code, old in zip(drawn, now, strict=True)))
        case "game":
            earlier.say("genre", every, (("" if genre == "Other" else "Other") for genre in table.truth["genre"]))
        case "transaction":
            earlier.say_amount("total_amount", every, _larger(facts["total"], less))
        case "transaction_detail":
            gross = _larger(facts["gross"], less)
            earlier.say_amount("net_amount", every, facts["net"] + gross - facts["gross"])
            earlier.say_amount("gross_amount", every, gross)
        case "wishlist":
            earlier.say_time("added_at", every, facts["at"] - less)
        case "play_session":
            earlier.say_time("started_at", every, facts["at"] - less)
    return earlier, rows
