"""The sample files are wrong in exactly the ways meant, and their README says so line by line."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_plus

import pytest

from marketplace import settings
from marketplace.contracts import HeaderError, check_header, compile_validator, load_contract

DATA = settings.include_dir() / "data"

Finding = tuple[int, str | None, str, str]

EXPECTED: dict[str, list[Finding]] = {
    "publisher/publishers.csv": [
        (9, "country", "unknown_country", "warning"),
        (20, "country", "unknown_country", "warning"),
        (27, "name", "missing", "error"),
        (28, "publisher_id", "missing", "error"),
        (29, None, "too_few_fields", "error"),
        (30, None, "too_many_fields", "error"),
        (31, "name", "missing", "error"),
    ],
    "game/games.csv": [
        (4, "release_date", "missing_date", "warning"),
        (7, "release_date", "missing_date", "warning"),
        (10, "release_date", "invalid_date", "warning"),
        (11, "release_date", "invalid_date", "warning"),
        (16, "release_date", "day_first_date", "warning"),
        (21, "release_date", "invalid_date", "warning"),
        (22, "release_date", "invalid_date", "warning"),
        (23, "release_date", "implausible_date", "warning"),
        (26, "release_date", "missing_date", "warning"),
        (27, "release_date", "implausible_date", "warning"),
        (28, "title", "missing", "error"),
        (33, None, "too_few_fields", "error"),
        (34, "game_id", "missing", "error"),
        (36, "genre", "too_long", "error"),
    ],
    "transaction/transactions.csv": [
        (10, "txn_ts", "day_first_date", "warning"),
        (12, "txn_ts", "invalid_timestamp", "error"),
        (13, "txn_ts", "invalid_timestamp", "error"),
        (14, "txn_ts", "invalid_timestamp", "error"),
        (15, "txn_ts", "invalid_timestamp", "error"),
        (16, "txn_ts", "implausible_date", "error"),
        (17, "txn_ts", "missing", "error"),
        (18, "total_amount", "reformatted_amount", "warning"),
        (19, "total_amount", "reformatted_amount", "warning"),
        (20, "total_amount", "reformatted_amount", "warning"),
        (21, "total_amount", "invalid_amount", "error"),
        (22, "total_amount", "invalid_amount", "error"),
        (23, "total_amount", "invalid_amount", "error"),
        (24, "total_amount", "missing", "error"),
        (25, "total_amount", "rounded_amount", "warning"),
        (26, "total_amount", "out_of_range", "error"),
        (27, "currency", "unknown_currency", "error"),
        (28, "currency", "unknown_currency", "error"),
        (31, "total_amount", "positive_amount", "error"),
        (34, "customer_ref", "customer_on_payout", "error"),
        (35, "total_amount", "positive_amount", "error"),
        (36, "customer_ref", "platform_on_sale", "error"),
        (37, "total_amount", "negative_amount", "error"),
        (38, "txn_type", "unknown_value", "error"),
        (39, "customer_ref", "invalid_id", "error"),
        (44, None, "too_many_fields", "error"),
        (45, None, "too_few_fields", "error"),
        (46, "transaction_id", "missing", "error"),
        (46, "txn_type", "missing", "error"),
        (46, "txn_ts", "missing", "error"),
        (46, "currency", "missing", "error"),
        (46, "total_amount", "missing", "error"),
        (46, "customer_ref", "missing", "error"),
    ],
    "transaction_detail/transaction_details.csv": [
        (4, "line_no", "reformatted_integer", "warning"),
        (15, "gross_amount", "reformatted_amount", "warning"),
        (17, "gross_amount", "reformatted_amount", "warning"),
        (17, "platform_fee", "reformatted_amount", "warning"),
        (17, "net_amount", "reformatted_amount", "warning"),
        (18, "gross_amount", "reformatted_amount", "warning"),
        (19, "region", "unknown_value", "warning"),
        (27, "platform", "unknown_value", "warning"),
        (35, None, "too_few_fields", "error"),
        (36, None, "too_many_fields", "error"),
        (37, "line_no", "out_of_range", "error"),
        (38, "line_no", "invalid_integer", "error"),
        (39, "line_no", "missing", "error"),
        (40, "game_ref", "missing", "error"),
        (41, "region", "missing", "error"),
        (41, "platform", "missing", "error"),
        (42, "gross_amount", "invalid_amount", "error"),
    ],
    "notification_rule/rules.csv": [
        (25, "platforms", "unknown_value", "warning"),
        (26, "locale", "unknown_locale", "warning"),
        (30, "countries", "unknown_country", "error"),
        (31, "due_value", "invalid_weekday", "error"),
        (33, "due_value", "invalid_id", "error"),
        (34, "due_value", "invalid_month_day", "error"),
        (35, "due_value", "unknown_event", "error"),
        (36, "topic", "unknown_value", "error"),
        (37, "enabled", "invalid_boolean", "error"),
        (38, "body", "missing", "error"),
        (39, None, "too_many_fields", "error"),
        (40, None, "too_few_fields", "error"),
        (42, "rule_id", "invalid_id", "error"),
    ],
    "notification_text/texts.csv": [
        (13, None, "too_many_fields", "error"),
        (18, "locale", "unknown_locale", "error"),
        (19, "locale", "missing", "error"),
        (20, "body", "missing", "error"),
        (23, None, "too_few_fields", "error"),
    ],
    "customer/customers.csv": [
        (5, "email", "invalid_email", "warning"),
        (8, "country", "unknown_country", "warning"),
        (8, "marketing_opt_in", "invalid_boolean", "warning"),
        (8, "created_at", "day_first_date", "warning"),
        (9, "email", "invalid_email", "warning"),
        (9, "locale", "unknown_locale", "warning"),
        (9, "time_zone", "unknown_time_zone", "warning"),
        (9, "created_at", "invalid_timestamp", "warning"),
        (11, "time_zone", "unknown_time_zone", "warning"),
        (11, "created_at", "invalid_timestamp", "warning"),
        (12, "created_at", "implausible_date", "warning"),
        (15, "customer_ref", "invalid_id", "error"),
        (16, "customer_ref", "missing", "error"),
        (17, "customer_ref", "invalid_id", "error"),
        (18, None, "too_few_fields", "error"),
        (19, None, "too_many_fields", "error"),
        (20, "email", "invalid_email", "warning"),
    ],
    "wishlist/wishlists.csv": [
        (7, "added_at", "invalid_timestamp", "warning"),
        (13, "customer_ref", "invalid_id", "error"),
        (14, "game_ref", "missing", "error"),
        (15, "customer_ref", "missing", "error"),
        (16, None, "too_few_fields", "error"),
        (17, None, "too_many_fields", "error"),
        (19, "added_at", "day_first_date", "warning"),
        (20, "added_at", "implausible_date", "warning"),
    ],
    "play_session/play_sessions.csv": [
        (3, "duration_s", "reformatted_integer", "warning"),
        (4, "duration_s", "reformatted_integer", "warning"),
        (5, "latitude", "reformatted_number", "warning"),
        (5, "longitude", "reformatted_number", "warning"),
        (6, "latitude", "reformatted_number", "warning"),
        (6, "longitude", "reformatted_number", "warning"),
        (7, "latitude", "reformatted_number", "warning"),
        (7, "longitude", "reformatted_number", "warning"),
        (9, "platform", "unknown_value", "warning"),
        (10, "duration_s", "out_of_range", "warning"),
        (11, "duration_s", "invalid_integer", "warning"),
        (12, "latitude", "out_of_range", "error"),
        (14, "latitude", "out_of_range", "error"),
        (15, "latitude", "missing", "error"),
        (16, "latitude", "invalid_number", "error"),
        (17, "longitude", "invalid_number", "error"),
        (18, "started_at", "invalid_timestamp", "error"),
        (19, "platform", "missing", "error"),
        (20, "customer_ref", "invalid_id", "error"),
        (25, None, "too_many_fields", "error"),
        (26, None, "too_few_fields", "error"),
        (27, "session_id", "missing", "error"),
    ],
    "area/areas.csv": [
        (24, "wkt", "invalid_geometry", "error"),
        (25, "wkt", "invalid_geometry", "error"),
        (26, "wkt", "invalid_geometry", "error"),
        (27, "wkt", "invalid_geometry", "error"),
        (28, "wkt", "missing", "error"),
        (29, "kind", "unknown_value", "error"),
        (31, None, "too_many_fields", "error"),
    ],
}
WRONG_AS_A_WHOLE = {"transaction/transactions_semicolons.csv": "wrong_delimiter"}


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the records of a CSV file, its header first, with the physical line on which each starts."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        line_no = 1
        for fields in reader:
            if fields:
                yield line_no, fields
            line_no = reader.line_num + 1


def validated(name: str) -> Iterator[tuple[int, tuple[str | None, ...] | None, list[Finding]]]:
    """Yield (line, values, findings) of each row of the sample file `name`."""
    contract = load_contract(name.split("/")[0])
    records = rows(DATA / name)
    _, fields = next(records)
    header = check_header(contract, fields)
    assert header == (contract.header, ())
    validate = compile_validator(contract, header.names)
    for line_no, record in records:
        values, problems = validate(record)
        yield line_no, values, [(line_no, p.column, p.kind, p.severity) for p in problems]


def test_every_sample_file_is_expected_here() -> None:
    found = {path.relative_to(DATA).as_posix() for path in DATA.rglob("*.csv")}
    assert found == {*EXPECTED, *WRONG_AS_A_WHOLE}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_file_has_exactly_the_problems_meant(name: str) -> None:
    findings = [finding for _, _, found in validated(name) for finding in found]
    assert findings == EXPECTED[name]


@pytest.mark.parametrize(("name", "kind"), WRONG_AS_A_WHOLE.items())
def test_a_sample_file_that_is_wrong_as_a_whole_is_refused_by_its_header(name: str, kind: str) -> None:
    _, fields = next(rows(DATA / name))
    with pytest.raises(HeaderError) as caught:
        check_header(load_contract(name.split("/")[0]), fields)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("name", "line_no", "values"),
    [
        (
            "publisher/publishers.csv",
            8,
            ("PUB-007", "aurora forge interactive", "aurora forge interactive", "SE"),
        ),
        ("publisher/publishers.csv", 22, ("PUB-021", "Iron Harbour LLC", "iron harbour", "US")),
        ("game/games.csv", 24, ("GAM-023", "Moonlit Ledger", "moonlit ledger", "2025-01-05", "Management")),
        ("game/games.csv", 26, ("GAM-025", "Garden of Echoes", "garden of echoes", None, None)),
        (
            "transaction/transactions.csv",
            8,
            ("TXN-1007", "sale", "2025-01-08T21:30:00Z", "EUR", "29.99", "CUST-0007"),
        ),
        (
            "transaction/transactions.csv",
            9,
            ("TXN-1008", "sale", "2025-01-09T08:15:30.250000Z", "USD", "14.99", "CUST-0008"),
        ),
        (
            "transaction/transactions.csv",
            33,
            ("TXN-3002", "payout", "2025-01-31T00:00:00Z", "EUR", "-20.99", "PLATFORM"),
        ),
        (
            "transaction_detail/transaction_details.csv",
            15,
            (
                "TXN-1017", "1", "GAM-024", "Iron Harbour LLC", "NA", "PC", "1234.50", "370.35", "864.15",
            ),
        ),
        (
            "customer/customers.csv",
            3,
            (
                "CUST-0002", "Bruno Castellani", "bruno@example.org", "IT", "it_IT", "Europe/Rome", "true",
                "2019-03-14T00:00:00Z",
            ),
        ),
        ("customer/customers.csv", 10, ("CUST-0009", *[None] * 7)),
        (
            "customer/customers.csv",
            20,
            (
                "CUST-0016", "Oscar Peña", None, "MX", "es_MX", "America/Mexico_City", "true", "2024-05-05T09:00:00Z",
            ),
        ),
        (
            "notification_rule/rules.csv",
            20,
            (
                "RULE-XMAS", "marketing", "Merry Christmas",
                'A present waits for you in the shop, {{ customer.name | default("player") }}.', "en", "date",
                "2026-12-24", '{"AT","CH","DE"}', None, None, None, "true",
            ),
        ),
        (
            "notification_rule/rules.csv",
            25,
            (
                "RULE-AMIGA", "marketing", "For collectors", "Something old.", "en", "month_day", "1", None,
                '{"AMIGA","PC"}', None, None, "true",
            ),
        ),
        (
            "notification_text/texts.csv",
            2,
            (
                "RULE-RELEASE", "de", "{{ games[0].title }} ist da",
                'Hallo {{ customer.name | default("du") }},\n\nwas du dir gewünscht hast, ist da:\n'
                "{% for game in games %}- {{ game.title }}, erschienen am {{ game.release_date | date }}\n"
                "{% endfor %}\nBis bald!",
            ),
        ),
        ("wishlist/wishlists.csv", 7, ("CUST-0003", "salt and iron", None)),
        (
            "play_session/play_sessions.csv",
            7,
            (
                "SES-0006", "CUST-0006", "the long orbit", "Xbox Series X|S", "2025-01-07T12:00:00Z", "900", "-33.86",
                "151.21",
            ),
        ),
    ],
)  # fmt: skip
def test_a_row_of_a_sample_file_gives_the_values_meant(name: str, line_no: int, values: tuple[str | None, ...]) -> None:
    assert {line: found for line, found, _ in validated(name)}[line_no] == values


def readme_tables() -> dict[str, dict[int, str]]:
    """Return what include/data/README.md says of each line of each file: the rest of the line's table row."""
    tables: dict[str, dict[int, str]] = {}
    for section in (DATA / "README.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        name = section.splitlines()[0].strip("`")
        said = {}
        for line_nos, rest in re.findall(r"^\| ([0-9, –]+) \|(.*)\|$", section, flags=re.MULTILINE):
            for first, last in re.findall(r"([0-9]+)(?:–([0-9]+))?", line_nos):
                said |= dict.fromkeys(range(int(first), int(last or first) + 1), rest)
        tables[name] = said
    return tables


@pytest.mark.parametrize("name", EXPECTED)
def test_the_readme_names_every_problem_on_its_line(name: str) -> None:
    said = readme_tables()[name]
    unsaid = [finding for finding in EXPECTED[name] if f"`{finding[2]}`" not in said.get(finding[0], "")]
    assert unsaid == []


@pytest.mark.parametrize("name", EXPECTED)
def test_the_readme_says_rejected_of_exactly_the_lines_that_are(name: str) -> None:
    said = {line_no for line_no, rest in readme_tables()[name].items() if "rejected by its contract" in rest}
    assert said == {line_no for line_no, _, _, severity in EXPECTED[name] if severity == "error"}


def test_the_sample_event_is_of_the_sample_file_and_has_its_key_url_encoded() -> None:
    (record,) = json.loads((DATA / "s3-put-event.json").read_text(encoding="utf-8"))["Records"]
    assert (record["eventVersion"], record["eventSource"], record["eventName"]) == (
        "2.1",
        "aws:s3",
        "ObjectCreated:Put",
    )
    landed = record["s3"]["object"]
    assert "+" in landed["key"]
    assert unquote_plus(landed["key"]) == "landing/transaction/transactions 2025-01-14 (café).csv"
    content = (DATA / "transaction/transactions.csv").read_bytes()
    assert landed["size"] == len(content)
    assert landed["eTag"] == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert re.fullmatch(r"[0-9A-F]{16,}", landed["sequencer"])
    assert landed["versionId"]
    assert record["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{record['s3']['bucket']['name']}"
