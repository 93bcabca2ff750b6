"""Every defect that real exports have: a file named for it, and exactly what becomes of each of its lines.

The files lie in `defects/`, what must come of them in `defects/expected.csv`: a line for each file (without a line
number, its dataset under `column`) with whether it is done or set aside, why, and its account; then a line for each
record, rejected, held or accepted, with its issues and the row of the store that comes from it. A directory is several
files, loaded in their order, in a run each. What a file of lines refers to is in `defects/catalogue/`, loaded first.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import accounting
from tests.ingest.landing import Landing, wipe

DEFECTS = Path(__file__).parent / "defects"
COLUMNS = ("file", "line", "outcome", "column", "reason", "issues", "stored")

# What is too large for a repository is made here: a field of 1 MB, in a column that it rejects and in one that it pads.
MADE = {
    "file_field_of_1_mb.csv": (
        "publisher_id,name,country\nP-1," + "x" * 2**20 + ",US\nP-2," + " " * 2**20 + "Nova Games,DE\nP-3,Third,US\n"
    ).encode()
}

# Each class of defect with the fixtures that show it. A class without one is a failure, and so is a stray fixture.
CLASSES: dict[str, tuple[str, ...]] = {
    "file: empty": ("file_empty.csv",),
    "file: header only": ("file_header_only.csv",),
    "file: no final newline": ("file_no_final_newline.csv",),
    "file: byte order mark": ("file_byte_order_mark.csv",),
    "file: latin-1 bytes": ("file_latin_1.csv",),
    "file: UTF-16": ("file_utf_16.csv",),
    "file: CRLF": ("file_crlf.csv",),
    "file: lone CR": ("file_lone_cr.csv",),
    "file: gzip": ("file_gzip.csv",),
    "file: NUL byte": ("file_nul_byte.csv",),
    "file: not CSV at all": ("file_json.csv", "file_pdf.csv"),
    "file: wrong delimiter": ("file_semicolons.csv", "file_tabs.csv"),
    "file: quoted newline": ("file_quoted_newline.csv",),
    "file: unbalanced quote": ("file_unbalanced_quote.csv",),
    "file: a 1 MB field": ("file_field_of_1_mb.csv",),
    "file: key with a space, +, % or unicode": ("file_key_with_a b+c%20ü日.csv",),
    "file: same name, new content": ("file_same_name_new_content",),
    "header: missing column": ("header_missing_column.csv",),
    "header: extra column": ("header_extra_column.csv",),
    "header: reordered": ("header_reordered.csv",),
    "header: duplicated": ("header_duplicated.csv",),
    "header: other case": ("header_other_case.csv",),
    "header: padded with spaces": ("header_padded.csv",),
    "row: too few fields": ("row_too_few_fields.csv",),
    "row: too many fields": ("row_too_many_fields.csv",),
    "row: all empty": ("row_all_empty.csv",),
    "row: exact duplicate": ("row_exact_duplicate.csv",),
    "row: same key, other values": ("row_same_key_other_values.csv",),
    "row: key missing": ("row_key_missing.csv",),
    "value: padding": ("value_padding.csv",),
    "value: case": ("value_case.csv", "value_case_of_a_title.csv"),
    "value: legal suffixes": ("value_legal_suffixes.csv",),
    "value: unicode look-alikes": ("value_look_alikes.csv",),
    "value: NFC and NFD": ("value_nfc_and_nfd.csv",),
    "value: NULL": ("value_null_word.csv",),
    "value: nan": ("value_nan.csv",),
    "value: inf": ("value_inf.csv",),
    "value: N/A": ("value_not_available.csv",),
    "value: -": ("value_dash.csv",),
    "value: decimal comma": ("value_decimal_comma.csv",),
    "value: thousands separator": ("value_thousands_separator.csv",),
    "value: currency sign": ("value_currency_sign.csv",),
    "value: exponent": ("value_exponent.csv",),
    "value: 5.0 for an integer": ("value_float_for_integer.csv",),
    "value: number too large": ("value_number_too_large.csv", "value_integer_too_large.csv"),
    "value: negative where none may be": ("value_negative.csv", "value_negative_line_number.csv"),
    "value: impossible date": ("value_impossible_date.csv", "value_impossible_timestamp.csv"),
    "value: 29 February": ("value_february_29.csv",),
    "value: day/month ambiguity": ("value_day_month_ambiguity.csv",),
    "value: epoch seconds": ("value_epoch_seconds.csv",),
    "value: time without zone": ("value_time_without_zone.csv",),
    "value: zone offset": ("value_zone_offset.csv",),
    "value: leap second": ("value_leap_second.csv",),
    "value: year 0001 or 9999": ("value_year_0001_or_9999.csv", "value_year_0001_or_9999_of_a_game.csv"),
    "value: latitude 95": ("value_latitude_95.csv",),
    "value: latitude and longitude swapped": ("value_swapped_coordinates.csv",),
    "value: (0, 0)": ("value_null_island.csv",),
    "value: coordinates with N/W letters": ("value_coordinate_letters.csv",),
    "value: unknown enum value": ("value_unknown_enum.csv", "value_unknown_type.csv", "value_unknown_currency.csv"),
    "value: country by name, alpha-2, alpha-3": ("value_country_forms.csv",),
    "value: control characters, backslashes": ("value_control_characters.csv",),
    "across: reference by name": ("across_reference_by_name.csv",),
    "across: reference to what comes in a later file": ("across_reference_to_a_later_file",),
    "across: reference to nothing": ("across_reference_to_nothing.csv",),
    "across: header total is not the sum of lines": ("across_total_mismatch.csv",),
    "across: net is not gross less fee": ("across_net_mismatch.csv",),
    "across: refund larger than its sale": ("across_refund_larger_than_its_sale",),
    "across: payout with a customer": ("across_payout_with_a_customer.csv",),
    "across: one publisher under several ids": ("across_publisher_under_several_ids",),
    "across: one game under several ids": ("across_game_under_several_ids.csv", "across_two_games_of_one_title"),
    "across: a release of two publishers": ("across_another_publisher_of_a_release.csv",),
}

# The row of the store that comes from a line, by the load and the line that it names.
STORED = {
    "publisher": "select load_id, load_line, alias_id, publisher_id, name, country_code from store.publisher_alias",
    "game": "select load_id, load_line, alias_id, game_id, title, release_date, genre from store.game_alias",
    "transaction": (
        "select t.load_id, t.load_line, t.transaction_id, t.type,"
        " to_char(t.occurred_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS'), t.currency,"
        " trim_scale(t.reported_total), c.ref from store.transaction as t left join store.customer as c"
        " using (customer_id)"
    ),
    "transaction_detail": (
        "select l.load_id, l.load_line, l.transaction_id, l.line_no, l.game_id, l.platform, r.publisher_id, l.region,"
        " trim_scale(l.gross), trim_scale(l.fee), trim_scale(l.reported_net)"
        " from store.transaction_line as l join store.game_release as r using (game_id, platform)"
    ),
    "play_session": (
        "select s.load_id, s.load_line, s.session_id, c.ref, s.game_id, s.platform, s.duration_s,"
        " st_y(s.location::geometry), st_x(s.location::geometry)"
        " from store.play_session as s join store.customer as c using (customer_id)"
    ),
}
REFERRING = ("transaction_detail", "play_session")


def expected() -> dict[str, list[dict[str, str]]]:
    """Return the rows of the table by fixture: a file, or a directory with its files."""
    with (DEFECTS / "expected.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        found.setdefault(row["file"].partition("/")[0], []).append(row)
    return found


EXPECTED = expected()


def fixtures() -> set[str]:
    """Return what lies in the directory, and what is made here."""
    there = {path.name for path in DEFECTS.iterdir()} - {"expected.csv", "catalogue"}
    return there | set(MADE)


def test_every_class_of_defect_has_its_fixture_and_every_fixture_its_class() -> None:
    shown = [name for names in CLASSES.values() for name in names]
    assert sorted(shown) == sorted(fixtures())
    assert sorted(shown) == sorted(EXPECTED)
    assert {name for name, names in CLASSES.items() if not names} == set()


@pytest.fixture
def landing(store: Any) -> Iterator[Landing]:
    """An empty store, one for all these tests; the accounts are checked at the end of each."""
    landing = Landing(store)
    yield landing
    landing.check_accounts()
    wipe(store)


def bodies(fixture: str, dataset: str) -> list[tuple[str, str, bytes]]:
    """Return the files of a fixture: the name in the table, the dataset, the bytes."""
    if fixture in MADE:
        return [(fixture, dataset, MADE[fixture])]
    path = DEFECTS / fixture
    if path.is_file():
        return [(fixture, dataset, path.read_bytes())]
    files = sorted(path.iterdir())
    return [(f"{fixture}/{file.name}", file.stem.partition("_")[2], file.read_bytes()) for file in files]


@pytest.mark.parametrize("fixture", sorted(EXPECTED))
def test_what_becomes_of_a_defect(landing: Landing, fixture: str) -> None:
    dataset = EXPECTED[fixture][0]["column"]  # of a file's own line
    files = bodies(fixture, dataset)
    if any(dataset in REFERRING for _, dataset, _ in files):
        for _, needed, body in bodies("catalogue", ""):
            landing.put(f"landing/{needed}/catalogue.csv", body)
        landing.run()
    versions = {}
    for name, of, body in files:
        versions[name] = landing.put(f"landing/{of}/{fixture}", body)
        landing.run()
    found = [row for name, of, body in files for row in became(landing, name, of, versions[name], body)]
    assert as_table(found) == as_table(EXPECTED[fixture])


def became(landing: Landing, name: str, dataset: str, version: str, body: bytes) -> Iterator[dict[str, str]]:
    """Yield the rows of the table for a file that was loaded."""
    ((load_id, status, reason, *counts),) = landing.query(
        "select load_id, status, reason, read, inserted, updated, unchanged, superseded, rejected, held from ops.load"
        " where kind = 'file' and version_id = %s",
        version,
    )
    names = ("read", "inserted", "updated", "unchanged", "superseded", "rejected", "held")
    account = ", ".join(f"{count} {what}" for what, count in zip(names, counts, strict=True) if count)
    done = {"done": "done", "rejected": "set aside"}[status]
    yield row(name, "", done, dataset, reason or "", "", account)
    if status != "done":
        return
    of_file = "load_id in (select load_id from ops.load where file_load_id = %s)"
    rejected = lines_of(landing, f"select line_no, column_name, reason from ops.rejected_row where {of_file}", load_id)
    held = lines_of(landing, "select line_no, column_name, reason from ops.held_row where load_id = %s", load_id)
    waiting = {
        line
        for (line,) in landing.query(
            f"select line_no from ops.held_row where retried_load_id is null and {of_file}", load_id
        )
    }
    issues: dict[int, list[str]] = {}
    for line, column, kind in landing.query(
        f"select line_no, column_name, kind from ops.issue where {of_file} order by kind, column_name", load_id
    ):
        issues.setdefault(line, []).append(f"{kind}@{column or ''}")
    stored = {
        line: " | ".join("" if value is None else str(value) for value in values)
        for load, line, *values in landing.query(STORED[dataset])
        if load in {load for (load,) in landing.query("select load_id from ops.load where file_load_id = %s", load_id)}
    }
    for number, line in enumerate(accounting.records(body)):
        flagged = " ".join(issues.pop(line, []))
        column, why = rejected.get(line) or held.get(line) or ("", "")
        if number == 0:
            if flagged:
                yield row(name, str(line), "header", "", "", flagged, "")
            continue
        outcome = "rejected" if line in rejected else "held" if line in waiting else "accepted"
        if line in held and outcome != "held":
            outcome = f"held, then {outcome}"
        yield row(name, str(line), outcome, column, why, flagged, stored.pop(line, ""))
    assert (issues, stored) == ({}, {})


def row(*cells: str) -> dict[str, str]:
    return dict(zip(COLUMNS, cells, strict=True))


def lines_of(landing: Landing, statement: str, load_id: int) -> dict[int, tuple[str, str]]:
    return {line: (column or "", reason) for line, column, reason in landing.query(statement, load_id)}


def as_table(rows: list[dict[str, str]]) -> str:
    """Return rows as they stand in the table: what a failure shows can be compared, and put there when it is right."""
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue()
