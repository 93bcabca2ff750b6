"""Each class of defect comes often enough, and any two of them come together in one row: the loop closes all the same.

What a dial has really done is witnessed where it is done: of a row, that its text is another before and after.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pytest

from marketplace.mockdata import accepted, references, rejected, truth
from marketplace.mockdata.dials import DIALS
from marketplace.mockdata.envelope import Envelope
from marketplace.mockdata.generate import Order
from marketplace.mockdata.interval import Interval
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.sheet import Sheet
from tests.mockdata.loop import Loop, Made, made

SEED = 11
START = datetime(2026, 1, 19, 9, tzinfo=UTC)  # a Monday morning: payouts are made in office hours
TIMES = 20  # at least so often each class comes
QUICK, FULL = 8, 100

# A row by its dataset, its number, and whether it is the row itself or one that was put beside it.
Row = tuple[str, int]

# Dials whose rows are those that `Sheet.chosen` has given; all others are seen by what they change.
CHOSEN = {
    "by_name", "other_publisher", "unknown_reference", "total_mismatch", "net_mismatch", "line_sign",
    "exact_duplicate", "same_key_other_values",
}  # fmt: skip
# Dials of the catalogue: what they do is seen in the truth of publishers and games.
CATALOGUE = {"several_publisher_ids", "several_game_ids", "same_title", "late_reference"}
OF_FILES = [dial for dial, about in DIALS.items() if about.level in ("file", "header")]
OF_ROWS = [dial for dial, about in DIALS.items() if about.level not in ("file", "header")]
# What any row of a file can have, and no other row decides.
PAIRED = [dial for dial in OF_ROWS if dial not in CATALOGUE | {"huge_field"}]

# By how a file is written, the dials that are seen of it.
ENVELOPE: dict[str, Callable[[Any], bool]] = {
    "header_only": lambda file: file._is_bare and not file.rejected,
    "byte_order_mark": lambda file: file._mark and not file.rejected,
    "crlf": lambda file: file._end == b"\r\n" and not file.rejected,
    "lone_cr": lambda file: file._end == b"\r" and not file.rejected,
    "no_final_newline": lambda file: not file._ends and not file.rejected,
    "odd_key": lambda file: not file.file_name.isascii() or not set(" +%").isdisjoint(file.file_name),
    "same_name_new_content": lambda file: file.twice and not file.rejected,
}


class Witness:
    """What the dials have done: the rows that each has changed, and the files that each has met."""

    def __init__(self) -> None:
        self.rows: dict[str, set[Row]] = {dial: set() for dial in DIALS}
        self.files: dict[str, set[str]] = {dial: set() for dial in DIALS}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See to it that what is generated meanwhile is noted."""
        with pytest.MonkeyPatch.context() as patch:
            for functions in (rejected.SPOILED, accepted.VARIED):
                for dial, function in list(functions.items()):
                    patch.setitem(functions, dial, self._seen(dial, function))
            patch.setattr(references, "_large_refunds", self._seen("refund_too_large", references._large_refunds))
            chosen, envelope = Sheet.chosen, Envelope.__init__
            place_of_quote = Envelope._place_of_quote

            def seen_chosen(sheet: Sheet, dial: str, *arguments: Any, **options: Any) -> Any:
                rows = chosen(sheet, dial, *arguments, **options)
                if dial in CHOSEN:
                    self._note(dial, sheet, rows)
                return rows

            def seen_envelope(file: Any, dataset: str, name: str, *arguments: Any) -> None:
                envelope(file, dataset, name, *arguments)
                met = [dial for dial, has in ENVELOPE.items() if has(file)]
                if file._defect:
                    met.append(file._defect)
                elif file._header_defect:
                    met.append(file._header_defect)
                for dial in met:
                    self.files[dial].add(f"{dataset}/{name}")

            def seen_quote(file: Any, *arguments: Any) -> Any:
                place = place_of_quote(file, *arguments)
                if place is not None:
                    self.files["unbalanced_quote"].add(f"{len(self.files['unbalanced_quote'])}")
                return place

            patch.setattr(Sheet, "chosen", seen_chosen)
            patch.setattr(Envelope, "__init__", seen_envelope)
            patch.setattr(Envelope, "_place_of_quote", seen_quote)
            yield

    def _seen(self, dial: str, function: Callable[[Sheet], None]) -> Callable[[Sheet], None]:
        def seen(sheet: Sheet) -> None:
            table = sheet.table
            before = {name: texts.copy() for name, texts in table.text.items()}
            width, blank = table.width.copy(), table.blank.copy()
            function(sheet)
            other = (table.width != width) | (table.blank != blank)
            for name, texts in table.text.items():
                other |= texts != before[name]
            self._note(dial, sheet, np.flatnonzero(other))

        return seen

    def _note(self, dial: str, sheet: Sheet, rows: Any) -> None:
        self.rows[dial] |= {(sheet.table.dataset, number) for number in sheet.table.numbers[rows].tolist()}

    def catalogue(self, files: list[Made]) -> Counter[str]:
        """Return how many rows of publishers and games show the dials that are about them, by the truth."""
        found: Counter[str] = Counter()
        publishers, games = (
            [record for file in files if file.dataset == of for record in truth.read(bytes(file.truth))
             if record["outcome"] == "accepted"]
            for of in ("publisher", "game")
        )  # fmt: skip
        ids: dict[str, set[str]] = {}
        for record in publishers:
            ids.setdefault(record["entity_no"], set()).add(record["publisher_id"])
        found["several_publisher_ids"] = sum(len(some) - 1 for some in ids.values())
        ids, days = {}, {}
        for record in games:
            ids.setdefault(record["title_no"], set()).add(record["game_id"])
            days.setdefault(record["title_no"], set()).update({record["release_date"]} - {""})
        found["same_title"] = sum(len(some) for title, some in ids.items() if len(days[title]) > 1)
        found["several_game_ids"] = sum(len(some) - 1 for title, some in ids.items() if len(days[title]) < 2)
        late = (file for file in files if file.dataset == "game" and "-late" in file.key)
        found["late_reference"] = sum(
            record["outcome"] == "accepted" for file in late for record in truth.read(bytes(file.truth))
        )
        return found


def orders(number: int, rows: int, profile: Profile, minutes: int = 15) -> list[Order]:
    """Return orders for intervals one after another."""
    length = timedelta(minutes=minutes)
    return [
        Order(SEED, Interval(START + place * length, START + (place + 1) * length), rows, profile)
        for place in range(number)
    ]


def close(store: Any, files: list[Made]) -> None:
    """Load and reckon the files, and fail where the store and the reckoning disagree."""
    loop = Loop(store.url("store_writer"), store.url("store_owner"))
    loop.load(loop.put(files))
    told = loop.differences()
    assert not told, "\n".join([f"{len(told)} differences, the first of them:", *told[:10]])


def test_every_class_of_files_comes_often_enough_and_the_loop_closes(fresh_store: Any) -> None:
    rates = {
        "empty_file": 0.08, "not_csv": 0.07, "gzip": 0.11, "utf_16": 0.1, "latin_1": 0.09, "wrong_delimiter": 0.11,
        "header_only": 0.15, "missing_column": 0.13, "extra_column": 0.12, "duplicated_column": 0.14,
        "reordered_columns": 0.25, "header_case": 0.25, "header_padding": 0.35, "unbalanced_quote": 0.7,
        "byte_order_mark": 0.3, "crlf": 0.3, "lone_cr": 0.4, "no_final_newline": 0.3, "odd_key": 0.2,
        "same_name_new_content": 0.15,
    }  # fmt: skip
    assert set(rates) == set(OF_FILES)
    witness = Witness()
    with witness.watching():
        files = [file for order in orders(52, 12, Profile("files", rates)) for file in made(order)]
    assert {dial: len(witness.files[dial]) for dial in OF_FILES if len(witness.files[dial]) < TIMES} == {}
    close(fresh_store, files)


# A rate for what few rows can have; what comes first in the list of dials must leave enough for the others.
RARE = {
    "customer_on_payout": 0.95, "no_customer_on_sale": 0.12, "wrong_sign": 0.08, "unknown_type": 0.08,
    "unknown_currency": 0.06, "invalid_id": 0.03, "leap_second": 0.05, "latitude_95": 0.15, "huge_field": 0.0085,
    "infinity": 0.03, "negative_number": 0.05, "not_boolean": 0.4, "invalid_email": 0.5, "unknown_locale": 0.6,
    "unknown_time_zone": 0.5, "locale_form": 0.9, "boolean_form": 0.9, "country_form": 0.3, "unknown_country": 0.2,
    "letter_case": 0.1, "legal_suffix": 0.3, "look_alike": 0.3, "decomposed": 0.6, "quoted_newline": 0.3,
    "thousands_separator": 0.4, "float_for_integer": 0.1, "day_first": 0.2, "zone_offset": 0.15,
    "coordinate_letters": 0.15, "swapped_coordinates": 0.2, "null_island": 0.2, "by_name": 0.4,
    "several_publisher_ids": 0.4, "several_game_ids": 0.4, "same_title": 0.3, "late_reference": 0.2,
    "refund_too_large": 0.9, "total_mismatch": 0.1, "net_mismatch": 0.08, "line_sign": 0.06, "other_publisher": 0.08,
}  # fmt: skip


def test_every_class_of_rows_comes_often_enough_and_the_loop_closes(fresh_store: Any) -> None:
    profile = Profile("rows", {dial: RARE.get(dial, 0.04) for dial in OF_ROWS})
    witness = Witness()
    with witness.watching():
        files = [file for order in orders(3, 2000, profile, minutes=60) for file in made(order)]
    met = Counter({dial: len(rows) for dial, rows in witness.rows.items()}) + witness.catalogue(files)
    assert {dial: met[dial] for dial in OF_ROWS if met[dial] < TIMES} == {}
    close(fresh_store, files)


class Together(NamedTuple):
    """Two dials, the files in which they come together, and in how many rows they do."""

    first: str
    second: str
    files: list[Made]
    rows: int


def together(number: int) -> Together:
    """Draw two dials at random, until there are two that one row can have; the same for the same number."""
    chance = random.Random(f"pair of classes {number}")  # noqa: S311 - nobody guards anything with it
    while True:
        first, second = chance.sample(PAIRED, 2)
        length = timedelta(minutes=15)
        begin = START + number * length
        profile = Profile("pair", {first: 0.6, second: 0.6})
        witness = Witness()
        with witness.watching():
            files = made(Order(SEED, Interval(begin, begin + length), 60, profile))
        both = witness.rows[first] & witness.rows[second]
        if len(both) > 2:
            return Together(first, second, files, len(both))


def check_pairs(store: Any, numbers: range) -> None:
    found = [together(number) for number in numbers]
    assert len({frozenset(pair[:2]) for pair in found}) > len(numbers) // 2
    close(store, [file for pair in found for file in pair.files])


def test_two_classes_in_one_row_come_to_what_the_truth_says(fresh_store: Any) -> None:
    check_pairs(fresh_store, range(QUICK))


@pytest.mark.full
@pytest.mark.parametrize("number", range(QUICK, FULL, 10))
def test_two_classes_in_one_row_come_to_what_the_truth_says_of_many_more(fresh_store: Any, number: int) -> None:
    check_pairs(fresh_store, range(number, number + 10))
