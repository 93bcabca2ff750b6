"""A messy set written by hand, with what must become of each line: the ingestion agrees with it, row by row.

Generator and ingestion are tested against each other elsewhere; neither had a part in these files.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from marketplace.mockdata.dials import DIALS

HERE = Path(__file__).parent / "handwritten"
# Customers come last: those whom the others name are known by reference until then.
FIRST = ("publisher", "game", "transaction", "transaction_detail", "wishlist", "play_session", "customer")
_REF = "(select c.ref from store.customer as c where c.customer_id = r.customer_id)"

# What stands in each table, as text; NULL is ''. The file and line of a row are where its values come from.
TABLES = {
    "publisher": "publisher_id, name, country_code",
    "publisher_alias": "alias_id, publisher_id, name, country_code",
    "game": "game_id, title, release_date::text, genre",
    "game_alias": "alias_id, game_id, title, release_date::text, genre",
    "game_release": "game_id, platform, publisher_id",
    "customer": (
        "ref, name, email, country_code, locale, time_zone, marketing_opt_in::text,"
        " (created_at at time zone 'UTC')::text"
    ),
    "transaction": (
        "transaction_id, type, (occurred_at at time zone 'UTC')::text, currency, trim_scale(reported_total)::text,"
        f" {_REF}"
    ),
    "transaction_line": (
        "transaction_id, line_no::text, game_id, platform, region, trim_scale(gross)::text, trim_scale(fee)::text,"
        " trim_scale(reported_net)::text"
    ),
    "wishlist": f"{_REF}, game_id, (added_at at time zone 'UTC')::text",
    "play_session": (
        f"session_id, {_REF}, game_id, platform, (r.started_at at time zone 'UTC')::text, duration_s::text,"
        " st_x(location::geometry)::text, st_y(location::geometry)::text"
    ),
}

# What no line can be an example of in a set to be read: what sets the file aside as a whole, what is a matter of two
# versions of a file or of its name, and a value of a megabyte.
ELSEWHERE = {
    "empty_file", "header_only", "not_csv", "gzip", "utf_16", "latin_1", "wrong_delimiter", "lone_cr",
    "odd_key", "same_name_new_content", "missing_column", "extra_column", "duplicated_column", "huge_field",
}  # fmt: skip


def rows(name: str) -> list[tuple[str, ...]]:
    """Return the rows of one of the expected files, without its header."""
    with (HERE / "expected" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


LINES = rows("lines")


def lines_that_are(outcome: str) -> list[tuple[str, ...]]:
    """Return file, line, column and reason of the lines with an outcome, sorted."""
    return sorted((file, line, column, why) for file, line, said, column, why, *_ in LINES if said == outcome)


@pytest.fixture
def loaded(ingestion: Any) -> Any:
    """The store after the files, and then the late one, have been loaded."""
    for dataset in FIRST:
        put(ingestion, dataset, dataset)
    ingestion.run()
    put(ingestion, "game", "game_late")
    ingestion.run()
    return ingestion


def put(ingestion: Any, dataset: str, name: str) -> None:
    content = (HERE / f"{name}.csv").read_bytes().replace("␀".encode(), b"\0")
    ingestion.put_bytes(f"landing/{dataset}/{name}.csv", content)


def found(ingestion: Any, columns: str, table: str, where: str = "true") -> list[tuple[str, ...]]:
    """Return rows of a table that has load_id, sorted, as texts: the name of the file they come from, then columns."""
    found = ingestion.query(
        f"select regexp_replace(l.object_key, '.*/', ''), {columns} from {table} as r"
        f" left join ops.load as l on r.load_id = l.load_id where {where}"
    )
    return sorted(tuple("" if value is None else value for value in row) for row in found)


def test_the_ingestion_agrees_with_what_was_written_by_hand(loaded: Any) -> None:
    for table, columns in TABLES.items():
        expected = sorted((file, line, *values) for *values, file, line in rows(table))
        assert found(loaded, f"r.load_line::text, {columns}", f"store.{table}") == expected, table

    kept = "r.line_no::text, r.column_name, r.reason"
    assert found(loaded, kept, "ops.rejected_row") == lines_that_are("rejected")
    assert found(loaded, kept, "ops.held_row", "r.retried_load_id is null") == lines_that_are("held")
    assert found(loaded, kept, "ops.held_row", "r.retried_load_id is not null") == lines_that_are("held then accepted")
    assert found(loaded, "r.line_no::text, r.column_name, r.kind", "ops.issue") == sorted(
        (file, line, column, kind)
        for file, line, *_, issues, _dials in LINES
        for kind, _, column in (issue.partition("@") for issue in issues.split())
    )

    first_loads = {
        load["object_key"].rpartition("/")[2]: (load["read"], load["accepted"], load["superseded"], load["held"])
        for load in loaded.loads()
        if load["kind"] != "retry"
    }
    outcomes = Counter((file, outcome) for file, _line, outcome, *_ in LINES)
    assert first_loads == {
        file: (
            sum(count for (of, outcome), count in outcomes.items() if of == file and outcome != "header"),
            outcomes[file, "accepted"] + outcomes[file, "superseded"],
            outcomes[file, "superseded"],
            outcomes[file, "held"] + outcomes[file, "held then accepted"],
        )
        for file in {file for file, *_ in LINES}
    }


def test_every_dial_that_can_be_written_by_hand_has_an_example() -> None:
    shown = {dial for *_, dials in LINES for dial in dials.split()}
    assert shown == set(DIALS) - ELSEWHERE
