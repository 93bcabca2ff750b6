"""The files that `bench.ingest` loads, and what must be in the store afterwards: from the generator and its truth."""

from __future__ import annotations

import csv
import io
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketplace.mockdata import profile
from marketplace.mockdata.generate import Chunk, Order, generate
from marketplace.mockdata.interval import Interval
from marketplace.mockdata.profile import Profile

DAY = datetime(2026, 1, 5, tzinfo=UTC)
# Of all rows of an interval, so many are lines of transactions.
_LINES = 0.396
# What the lines refer to, in the order in which it is loaded.
PARENTS = ("publisher", "game", "transaction")

# The profile `normal`, whose values come in many forms, with none of the defects of a file as a whole; 5 % of the lines
# come twice, half of them with other values, and 1 % are bad: rejected, or held since they name something that is not
# there, a rejected transaction among it. 5 % of games and publishers are named, not numbered.
_NO_DEFECT = (
    "empty_file", "header_only", "latin_1", "wrong_delimiter", "byte_order_mark", "crlf", "no_final_newline", "odd_key",
    "same_name_new_content", "extra_column", "reordered_columns", "header_case", "header_padding", "late_reference",
    "wrong_sign", "impossible_date", "epoch_seconds", "unknown_type", "customer_on_payout", "no_customer_on_sale",
)  # fmt: skip
_BAD = (
    "too_few_fields", "too_many_fields", "all_empty", "key_missing", "nul_byte", "missing_value", "infinity",
    "exponent", "too_large",
)  # fmt: skip
DIALS: dict[str, float] = {
    **dict.fromkeys(_NO_DEFECT, 0.0),
    **dict.fromkeys(_BAD, 0.0003),
    "negative_number": 0.003,
    "unknown_reference": 0.0005,
    "exact_duplicate": 0.025,
    "same_key_other_values": 0.025,
    "by_name": 0.05,
}

# The columns of store.transaction_line that a file brings, in the order of the final rows; the load that brought a row
# is a number that is not compared.
COLUMNS = (
    "transaction_id", "line_no", "game_id", "platform", "region", "gross", "fee", "reported_net", "load_id",
    "load_line",
)  # fmt: skip
_LOAD_ID = 1


@dataclass
class Lines:
    """A file of lines: its path, what must become of its records, and by line why those that are bad are.

    rows   a CSV file, with a header, of the final rows: those of store.transaction_line, in the order of the file
    """

    path: Path
    rows: Path
    outcomes: Counter[str] = field(default_factory=Counter)
    rejected: list[tuple[int, str | None, str]] = field(default_factory=list)
    held: list[tuple[int, str | None, str]] = field(default_factory=list)

    @property
    def records(self) -> int:
        """How many records the file has."""
        return self.outcomes.total()


@dataclass
class Files:
    """What is loaded: the parents' files, the lines, and if wanted the lines corrected, a tenth of them otherwise.

    releases   a CSV file of store.game_release as the first report of each makes it: game, platform, publisher
    """

    parents: list[Path]
    lines: Lines
    corrected: Lines | None
    releases: Path


def make(directory: Path, rows: int, *, corrected: bool) -> Files:
    """Write files with about so many lines of transactions, and what these refer to, into a directory."""
    order = Order(1, Interval.of_day(DAY), max(1, round(rows / _LINES)), _profile(corrected))
    last = 2 if corrected else 1
    versions = [
        Lines(directory / f"transaction_detail.{number}.csv", directory / f"rows.{number}.csv")
        for number in range(1, last + 1)
    ]
    parents = {dataset: directory / f"{dataset}.csv" for dataset in PARENTS}
    releases: dict[tuple[str, str], str] = {}
    with ExitStack() as stack:
        data = {path: stack.enter_context(path.open("wb")) for path in [*parents.values(), *(v.path for v in versions)]}
        finals = [
            csv.writer(stack.enter_context(v.rows.open("w", newline="", encoding="utf-8")), lineterminator="\n")
            for v in versions
        ]
        for final in finals:
            final.writerow(COLUMNS)
        for chunk in generate(order):
            dataset = chunk.key.split("/")[1]
            if dataset in parents and chunk.version == last:
                data[parents[dataset]].write(chunk.data)
            elif dataset == "transaction_detail":
                lines = versions[chunk.version - 1]
                data[lines.path].write(chunk.data)
                _note(lines, chunk, finals[chunk.version - 1], releases)
    with (directory / "releases.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([*key, publisher] for key, publisher in releases.items())
    return Files(list(parents.values()), versions[0], versions[1] if corrected else None, directory / "releases.csv")


def _profile(corrected: bool) -> Profile:
    # A file that comes twice comes first with another region in a tenth of its rows.
    return profile.load("normal").turned(DIALS | {"same_name_new_content": float(corrected)})


def _note(lines: Lines, chunk: Chunk, final: Any, releases: dict[tuple[str, str], str]) -> None:
    """Take what the truth says of the next lines."""
    for record in csv.reader(io.StringIO(chunk.truth.decode(), newline="")):
        if record[0] == "line":  # the header, with the file's first lines
            continue
        line, outcome, column, reason, _issues, transaction, line_no, game, publisher, region, platform, *rest = record
        lines.outcomes[outcome] += 1
        if outcome == "rejected":
            lines.rejected.append((int(line), column or None, reason))
        elif outcome == "held":
            lines.held.append((int(line), column or None, reason))
        else:
            releases.setdefault((game, platform), publisher)
        if outcome == "accepted":
            final.writerow([transaction, line_no, game, platform, region, *rest[:3], _LOAD_ID, line])
