"""What the tables refuse by themselves, each check by its name; and the balance of each transaction."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

BASE = """
insert into store.publisher (publisher_id, name, name_key) values ('P-1', 'One', 'one');
insert into store.game (game_id, title, title_key) values ('G-1', 'One', 'one');
insert into store.game_release (game_id, platform, publisher_id) values ('G-1', 'PC', 'P-1');
insert into store.customer (customer_id, ref) overriding system value values (1001, 'CUST-0001');
insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total, customer_id)
values ('T-1', 'sale', '2025-01-05T14:22:10Z', 'EUR', 10, 1001);
insert into store.notification_rule (rule_id, topic, subject, body, due_kind, due_value)
values ('R-1', 'service', 'One', 'One', 'weekday', 'monday');
insert into ops.notification_due (day, rule_id, customers, chunks) values ('2025-01-05', 'R-1', 3, 1);
insert into ops.load (load_id, kind, object_key, version_id, put_at, size_bytes, file_load_id) overriding system value
values (1001, 'file', 'landing/game/base.csv', 'v1', '2025-01-05T14:22:10Z', 10, 1001),
(1002, 'file', 'landing/game/told.csv', 'v1', '2025-01-05T14:22:10Z', 10, 1002);
insert into ops.load_account (
    load_id, kind, object_key, file_load_id, put_at, finished_at, status, read, accepted, rejected, held, inserted,
    updated, unchanged, superseded, issues
)
values (
    1002, 'file', 'landing/game/told.csv', 1002, '2025-01-05T14:22:10Z', '2025-01-05T14:22:20Z', 'done', 0, 0, 0, 0,
    0, 0, 0, 0, 0
);
"""
ERASED_AT = "2025-04-05T14:22:10Z"
# A row of each table that has checks, as it is accepted.
ROWS: dict[str, dict[str, Any]] = {
    "geo.area": {
        "area_id": "A-9",
        "name": "Nine",
        "kind": "city",
        "boundary": "SRID=4326;MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))",
    },
    "store.publisher": {"publisher_id": "P-9", "name": "Nine", "name_key": "nine", "country_code": "DE"},
    "store.publisher_alias": {
        "alias_id": "P-9",
        "publisher_id": "P-1",
        "name": "Nine",
        "name_key": "nine",
        "country_code": "DE",
    },
    "store.game": {"game_id": "G-9", "title": "Nine", "title_key": "nine", "release_date": "2022-10-14"},
    "store.game_alias": {
        "alias_id": "G-9",
        "game_id": "G-1",
        "title": "Nine",
        "title_key": "nine",
        "release_date": "2022-10-14",
    },
    "store.game_release": {"game_id": "G-1", "platform": "Linux", "publisher_id": "P-1"},
    "store.customer": {"ref": "CUST-0009", "country_code": "DE", "created_at": "2025-01-05T14:22:10Z"},
    "store.wishlist": {"customer_id": 1001, "game_id": "G-1", "added_at": "2025-01-05T14:22:10Z"},
    "store.transaction": {
        "transaction_id": "T-9",
        "type": "sale",
        "occurred_at": "2025-01-05T14:22:10Z",
        "currency": "EUR",
        "reported_total": "10",
        "customer_id": 1001,
    },
    "store.transaction_line": {
        "transaction_id": "T-1",
        "line_no": 1,
        "game_id": "G-1",
        "platform": "PC",
        "region": "EU",
        "gross": "10",
        "fee": "3",
        "reported_net": "7",
    },
    "store.play_session": {
        "session_id": "S-9",
        "customer_id": 1001,
        "game_id": "G-1",
        "platform": "PC",
        "started_at": "2025-01-05T14:22:10Z",
        "duration_s": 0,
        "location": "SRID=4326;POINT(13.4 52.5)",
    },
    "geo.activity": {
        "cell_id": 20002000,
        "day": "2025-01-05",
        "game_id": "G-1",
        "platform": "PC",
        "sessions": 2,
        "timed_sessions": 2,
        "seconds": 60,
        "player_ids": [1001],
        "player_sessions": [2],
    },
    "store.notification_rule": {
        "rule_id": "R-9",
        "topic": "marketing",
        "subject": "Out now",
        "body": "It is out",
        "due_kind": "date",
        "due_value": "2025-01-05",
        "audience": '{"countries": ["DE"], "platforms": ["PC"]}',
    },
    "store.notification_text": {"rule_id": "R-1", "locale": "de", "subject": "Neu", "body": "Es ist da"},
    "ops.notification_due": {"day": "2025-01-05", "rule_id": "R-9", "customers": 5, "opted_out": 2, "chunks": 1},
    "ops.notification_chunk": {
        "day": "2025-01-05",
        "rule_id": "R-1",
        "chunk_no": 1,
        "customers": [1001, 1002, 1003],
        "state": "done",
        "delivered": 1,
        "skipped": '{"gone": 1, "opted_out": 1}',
    },
    "ops.notification_run": {
        "day": "2025-01-05",
        "run_id": "manual",
        "status": "done",
        "found": 2,
        "queued": 2,
        "processed": 2,
        "expected": 5,
        "delivered": 3,
        "skipped": '{"gone": 2}',
    },
    "ops.notification_account": {
        "day": "2025-01-05",
        "rule_id": "RULE-7",
        "expected": 5,
        "delivered": 3,
        "opted_out": 1,
        "gone": 1,
        "rule_disabled": 0,
        "rule_gone": 0,
        "read": 2,
    },
    "ops.load": {
        "kind": "retry",
        "object_key": "landing/game/a.csv",
        "version_id": "v1",
        "put_at": "2025-01-05T14:22:10Z",
        "size_bytes": 10,
        "file_load_id": 1,
        "read": 10,
        "accepted": 7,
        "rejected": 2,
        "held": 1,
        "inserted": 3,
        "updated": 2,
        "unchanged": 1,
        "superseded": 1,
    },
    "ops.load_account": {
        "load_id": 1001,
        "kind": "file",
        "dataset": "game",
        "object_key": "landing/game/a.csv",
        "file_load_id": 1001,
        "put_at": "2025-01-05T14:22:10Z",
        "finished_at": "2025-01-05T14:22:20Z",
        "status": "done",
        "reason": "none",
        "archive_key": "archive/game/2025/01/05/1001-a.csv",
        **dict.fromkeys(
            ("read", "accepted", "rejected", "held", "inserted", "updated", "unchanged", "superseded", "issues"), 0
        ),
    },
    "ops.load_finding": {
        "load_id": 1002,
        "outcome": "rejected",
        "column_name": "title",
        "reason": "missing",
        "findings": 2,
    },
    "ops.rejected_row": {"load_id": 1001, "line_no": 2, "reason": "missing", "detail": "it is empty", "raw": "G-1,,,"},
    "ops.held_row": {
        "load_id": 1001,
        "line_no": 2,
        "column_name": "game_ref",
        "reason": "unknown_game",
        "detail": "no game has the id G-9",
        "raw": "T-1,1,G-9",
        "ref_dataset": "game",
        "ref_value": "G-9",
        "ref_key": "g 9",
    },
    "ops.issue": {"load_id": 1001, "line_no": 2, "kind": "missing_date", "detail": "it is empty"},
    "ops.confirmation": {
        "dataset": "game",
        "load_id": 1001,
        "first_key": "G-1",
        "last_key": "G-2",
        "keys": ["G-1", "G-2"],
        "load_lines": [2, 3],
    },
    "ops.alias_correction": {
        "dataset": "publisher",
        "alias_is": "id",
        "alias": "P-9",
        "alias_key": "P-9",
        "stands_for": "P-1",
        "reason": "a typing error",
        "made_by": "ann",
    },
}
NO_TIMES = [
    "infinity",
    "-infinity",
    "0044-03-15 00:00:00Z BC",
    "1969-12-31T23:59:59Z",
    "2101-01-01T00:00:00Z",
]
NO_DATES = ["infinity", "-infinity", "0044-03-15 BC", "1949-12-31", "2101-01-01"]
NO_COUNTRIES = ["de", "DEU", "", "DE\n"]
NO_PLACES = ["POINT EMPTY", "POINT(NaN NaN)"]
# Texts that the warehouse could not tell from NULL; by the check that refuses them, the table and its columns.
NULL_MARKS = {
    "publisher_has_no_null_mark": ("store.publisher", ["publisher_id", "name", "name_key"]),
    "publisher_alias_has_no_null_mark": ("store.publisher_alias", ["alias_id", "publisher_id", "name", "name_key"]),
    "game_has_no_null_mark": ("store.game", ["game_id", "title", "title_key", "genre"]),
    "game_alias_has_no_null_mark": ("store.game_alias", ["alias_id", "game_id", "title", "title_key", "genre"]),
    "game_release_has_no_null_mark": ("store.game_release", ["game_id", "platform", "publisher_id"]),
    "customer_has_no_null_mark": ("store.customer", ["ref", "name", "email", "locale", "time_zone"]),
    "wishlist_has_no_null_mark": ("store.wishlist", ["game_id"]),
    "transaction_has_no_null_mark": ("store.transaction", ["transaction_id"]),
    "transaction_line_has_no_null_mark": (
        "store.transaction_line",
        ["transaction_id", "game_id", "platform", "region"],
    ),
    "play_session_has_no_null_mark": ("store.play_session", ["session_id", "game_id", "platform"]),
    "notification_rule_has_no_null_mark": (
        "store.notification_rule",
        ["rule_id", "topic", "subject", "body", "locale"],
    ),
    "area_has_no_null_mark": ("geo.area", ["area_id", "name", "kind"]),
    "load_account_has_no_null_mark": (
        "ops.load_account",
        ["kind", "dataset", "object_key", "status", "reason", "archive_key"],
    ),
    "load_finding_has_no_null_mark": ("ops.load_finding", ["column_name", "reason"]),
    "notification_account_has_no_null_mark": ("ops.notification_account", ["rule_id"]),
    "notification_text_has_no_null_mark": ("store.notification_text", ["rule_id", "locale", "subject", "body"]),
}
# Keys that the warehouse could not tell apart.
TRIMMED = {
    "publisher_id_is_trimmed": ("store.publisher", "publisher_id"),
    "publisher_alias_id_is_trimmed": ("store.publisher_alias", "alias_id"),
    "game_id_is_trimmed": ("store.game", "game_id"),
    "game_alias_id_is_trimmed": ("store.game_alias", "alias_id"),
    "game_release_platform_is_trimmed": ("store.game_release", "platform"),
    "transaction_id_is_trimmed": ("store.transaction", "transaction_id"),
    "area_id_is_trimmed": ("geo.area", "area_id"),
    "load_finding_is_trimmed": ("ops.load_finding", "reason"),
    "play_session_id_is_trimmed": ("store.play_session", "session_id"),
    "notification_rule_id_is_trimmed": ("store.notification_rule", "rule_id"),
    "notification_account_is_trimmed": ("ops.notification_account", "rule_id"),
    "notification_text_locale_is_trimmed": ("store.notification_text", "locale"),
}
LOAD_READS = "load_reads_are_accounted_for"
LOAD_ACCEPTED = "load_accepted_are_accounted_for"

# check → (its table, the changes of the accepted row that it refuses)
REFUSED: dict[str, tuple[str, list[dict[str, Any]]]] = {
    **{check: (table, [{name: "@NULL@"} for name in names]) for check, (table, names) in NULL_MARKS.items()},
    **{check: (table, [{name: "X "}]) for check, (table, name) in TRIMMED.items()},
    "publisher_country_code_check": ("store.publisher", [{"country_code": v} for v in NO_COUNTRIES]),
    "publisher_alias_country_code_check": (
        "store.publisher_alias",
        [{"country_code": v} for v in NO_COUNTRIES],
    ),
    "game_release_date_check": ("store.game", [{"release_date": v} for v in NO_DATES]),
    "game_alias_release_date_check": ("store.game_alias", [{"release_date": v} for v in NO_DATES]),
    "customer_country_code_check": ("store.customer", [{"country_code": v} for v in NO_COUNTRIES]),
    "customer_created_at_check": ("store.customer", [{"created_at": v} for v in NO_TIMES]),
    "wishlist_added_at_check": ("store.wishlist", [{"added_at": v} for v in NO_TIMES]),
    "transaction_type_check": ("store.transaction", [{"type": "SALE", "reported_total": "0"}]),
    "transaction_occurred_at_check": ("store.transaction", [{"occurred_at": v} for v in NO_TIMES]),
    "transaction_currency_check": ("store.transaction", [{"currency": v} for v in ("eur", "EURO", "")]),
    "transaction_payout_has_no_customer": (
        "store.transaction",
        [{"type": "payout", "reported_total": "-1"}, {"customer_id": None}],
    ),
    "transaction_total_has_its_sign": (
        "store.transaction",
        [
            {"reported_total": "NaN"},
            {"reported_total": "-0.0001"},
            {"type": "refund", "reported_total": "0.0001"},
            {"type": "refund", "reported_total": "NaN"},
            {"type": "payout", "reported_total": "0.0001", "customer_id": None},
        ],
    ),
    "transaction_line_line_no_check": ("store.transaction_line", [{"line_no": 0}]),
    "transaction_line_gross_check": ("store.transaction_line", [{"gross": "NaN"}]),
    "transaction_line_fee_check": ("store.transaction_line", [{"fee": "NaN"}]),
    "transaction_line_reported_net_check": ("store.transaction_line", [{"reported_net": "NaN"}]),
    "play_session_started_at_check": ("store.play_session", [{"started_at": v} for v in NO_TIMES]),
    "play_session_duration_s_check": ("store.play_session", [{"duration_s": -1}]),
    "play_session_location_is_a_place": ("store.play_session", [{"location": v} for v in NO_PLACES]),
    "activity_counts_what_is_there": (
        "geo.activity",
        [{"sessions": 1}, {"timed_sessions": -1}, {"sessions": -1, "timed_sessions": -1}],
    ),
    "notification_rule_due_kind_check": ("store.notification_rule", [{"due_kind": "hourly"}]),
    "notification_rule_topic_check": ("store.notification_rule", [{"topic": v} for v in ("weekly", "Marketing")]),
    "notification_rule_due_value_check": (
        "store.notification_rule",
        [
            *({"due_value": v} for v in ("2025-1-5", "05/01/2025", "2025-01-05\n", "monday", "", "@NULL@")),
            *({"due_kind": "weekday", "due_value": v} for v in ("mon", "Monday", "8")),
            *({"due_kind": "month_day", "due_value": v} for v in ("0", "32", "01", "-1", "monday")),
            *({"due_kind": "event", "due_value": v} for v in ("birthday", "")),
        ],
    ),
    "notification_rule_audience_check": (
        "store.notification_rule",
        [
            {"audience": v}
            for v in (
                "null",
                "[]",
                '"DE"',
                '{"country": ["DE"]}',
                '{"countries": "DE"}',
                '{"countries": []}',
                '{"countries": null}',
                '{"countries": ["DE", 1]}',
                '{"platforms": [["PC"]]}',
            )
        ],
    ),
    "notification_due_counts_its_customers": (
        "ops.notification_due",
        [{"opted_out": -1}, {"opted_out": 6}, {"chunks": -1}, {"chunks": 4}, {"customers": -1}],
    ),
    "notification_due_is_whole_or_pruned": (
        "ops.notification_due",
        [{"pruned_at": ERASED_AT}, {"processed": 1, "delivered": 3, "skipped": "{}"}],
    ),
    "notification_chunk_chunk_no_check": ("ops.notification_chunk", [{"chunk_no": 0}]),
    "notification_chunk_customers_check": (
        "ops.notification_chunk",
        [{"customers": [], "state": "queued"}, {"customers": list(range(1001)), "state": "queued"}],
    ),
    "notification_chunk_state_check": ("ops.notification_chunk", [{"state": "lost"}]),
    "notification_chunk_is_accounted_for": (
        "ops.notification_chunk",
        [{"delivered": 2}, {"skipped": "{}"}, {"skipped": '{"gone": 1}'}, {"customers": [1001]}],
    ),
    "notification_chunk_fails_for_a_reason": ("ops.notification_chunk", [{"state": "failed"}]),
    "notification_run_status_check": ("ops.notification_run", [{"status": "queued"}]),
    "notification_run_chunks_are_accounted_for": (
        "ops.notification_run",
        [{"found": 3}, {"queued": 1}, {"processed": 3}],
    ),
    "notification_run_customers_are_accounted_for": (
        "ops.notification_run",
        [{"expected": 6}, {"delivered": 2}, {"skipped": "{}"}, {"skipped": '{"gone": 2, "opted_out": 1}'}],
    ),
    "notification_account_day_check": (
        "ops.notification_account",
        [{"day": v} for v in ("infinity", "1969-12-31", "2101-01-01")],
    ),
    "notification_account_counts": (
        "ops.notification_account",
        [{name: -1} for name in ("expected", "delivered", "opted_out", "gone", "rule_disabled", "rule_gone", "read")],
    ),
    "load_account_put_at_check": ("ops.load_account", [{"put_at": v} for v in NO_TIMES]),
    "load_account_finished_at_check": ("ops.load_account", [{"finished_at": v} for v in NO_TIMES]),
    "load_finding_outcome_check": ("ops.load_finding", [{"outcome": "guess"}]),
    "load_kind_check": ("ops.load", [{"kind": "guess"}]),
    "load_status_check": ("ops.load", [{"status": "running"}]),
    "load_of_file_is_its_own_file": ("ops.load", [{"kind": "file", "file_load_id": -1}]),
    LOAD_READS: ("ops.load", [{"read": 11}, {"rejected": 3}, {"held": 0}]),
    LOAD_ACCEPTED: (
        "ops.load",
        [{"inserted": 4}, {"updated": 1}, {"unchanged": 2}, {"superseded": 0}, {"read": 11, "accepted": 8}],
    ),
    "rejected_row_is_whole_or_erased": (
        "ops.rejected_row",
        [{"raw": None}, {"detail": None}, {"erased_at": ERASED_AT}, {"raw": None, "erased_at": ERASED_AT}],
    ),
    "confirmation_has_a_line_for_each_key": ("ops.confirmation", [{"load_lines": [2]}, {"keys": ["G-1"]}]),
    "held_row_is_whole_or_erased": (
        "ops.held_row",
        [
            {"raw": None},
            {"ref_key": None},
            {"erased_at": ERASED_AT},
            {"raw": None, "detail": None, "ref_value": None, "erased_at": ERASED_AT},
        ],
    ),
    "issue_is_whole_or_erased": ("ops.issue", [{"detail": None}, {"erased_at": ERASED_AT}]),
    "alias_correction_dataset_check": ("ops.alias_correction", [{"dataset": "customer"}]),
    "alias_correction_alias_is_check": ("ops.alias_correction", [{"alias_is": "guess"}]),
    "alias_correction_is_not_its_target": ("ops.alias_correction", [{"stands_for": "P-9"}]),
    "alias_correction_removed_by_somebody": (
        "ops.alias_correction",
        [{"removed_by": "ann"}, {"removed_at": ERASED_AT}],
    ),
}
FLAT = [(check, table, change) for check, (table, changes) in REFUSED.items() for change in changes]


def insert(connection: psycopg.Connection, table: str, values: dict[str, Any]) -> None:
    connection.execute(
        sql.SQL("insert into {} ({}) values ({})").format(
            sql.Identifier(*table.split(".")),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(map(sql.Placeholder, values)),
        ),
        values,
    )


@pytest.fixture
def based(owner: psycopg.Connection) -> psycopg.Connection:
    """The owner, in a transaction in which there is something to refer to."""
    owner.execute(BASE)
    return owner


def test_every_check_is_tried(owner: psycopg.Connection) -> None:
    found = owner.execute(
        """
        select conname, conrelid::regclass::text from pg_constraint
         where contype = 'c' and connamespace::regnamespace::text in ('ops', 'store', 'geo')
        """
    ).fetchall()

    assert dict(found) == {check: table for check, (table, _) in REFUSED.items()}


@pytest.mark.parametrize("table", ROWS)
def test_the_row_that_the_checks_are_tried_with_is_accepted(based: psycopg.Connection, table: str) -> None:
    insert(based, table, ROWS[table])


@pytest.mark.parametrize(
    ("check", "table", "change"),
    FLAT,
    ids=[f"{check}-{'-'.join(map(str, change.values()))!r}" for check, _, change in FLAT],
)
def test_a_check_refuses(based: psycopg.Connection, check: str, table: str, change: dict[str, Any]) -> None:
    with pytest.raises(errors.CheckViolation) as refused:
        insert(based, table, ROWS[table] | change)

    assert refused.value.diag.constraint_name == check


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("store.transaction", "reported_total"),
        ("store.transaction_line", "gross"),
        ("store.transaction_line", "fee"),
        ("store.transaction_line", "reported_net"),
    ],
)
@pytest.mark.parametrize("amount", ["infinity", "-infinity", "100000000000000"])
def test_an_amount_that_is_infinite_or_has_15_digits_is_refused(
    based: psycopg.Connection, table: str, column: str, amount: str
) -> None:
    with pytest.raises(errors.NumericValueOutOfRange):
        insert(based, table, ROWS[table] | {column: amount})


def test_two_publishers_of_one_name_are_refused_at_the_end(based: psycopg.Connection) -> None:
    insert(based, "store.publisher", ROWS["store.publisher"] | {"name_key": "one"})

    with pytest.raises(errors.UniqueViolation) as refused:
        based.execute("set constraints all immediate")

    assert refused.value.diag.constraint_name == "publisher_one_per_name"


def test_a_file_version_is_entered_once_but_reloaded_often(based: psycopg.Connection) -> None:
    # Its own file: the number that the identity gives next.
    (following,) = based.execute("select nextval('ops.load_load_id_seq')").fetchone()
    insert(based, "ops.load", ROWS["ops.load"] | {"kind": "file", "file_load_id": following + 1})
    for kind in ("reload", "reload", "retry"):
        insert(based, "ops.load", ROWS["ops.load"] | {"kind": kind})

    with pytest.raises(errors.UniqueViolation) as refused:
        insert(based, "ops.load", ROWS["ops.load"] | {"kind": "file", "file_load_id": following + 5})

    assert refused.value.diag.constraint_name == "load_file_once"


# transaction: type, customer, reported total; lines: gross, fee, reported net
BALANCED = {
    "T-SALE": ("sale", 1001, "30.00", [("19.99", "6.00", "13.99"), ("10.00", "3.00", "7.00")]),
    "T-REFUND": ("refund", 1001, "-19.99", [("-19.99", "-6.00", "-13.99")]),
    "T-PAYOUT": ("payout", None, "-20.99", [("-19.99", "-6.00", "-13.99"), ("-10.00", "-3.00", "-7.01")]),
}


def test_the_balance_is_gross_for_customers_and_net_for_publishers(based: psycopg.Connection) -> None:
    for transaction_id, (kind, customer, total, lines) in BALANCED.items():
        header = {
            "transaction_id": transaction_id,
            "type": kind,
            "customer_id": customer,
            "reported_total": total,
        }
        insert(based, "store.transaction", ROWS["store.transaction"] | header)
        for line_no, (gross, fee, net) in enumerate(lines, start=1):
            line = {"transaction_id": transaction_id, "line_no": line_no, "gross": gross, "fee": fee}
            insert(based, "store.transaction_line", ROWS["store.transaction_line"] | line | {"reported_net": net})

    found = based.execute(
        """
        select transaction_id, type, currency, reported_total, expected_total,
               reported_net, expected_net, lines
          from store.transaction_balance order by 1
        """
    ).fetchall()

    # By hand: 19.99 + 10.00 = 29.99, 13.99 + 7.00 = 20.99. T-1 has no line: there is nothing to compare.
    assert found == [
        (
            "T-PAYOUT",
            "payout",
            "EUR",
            Decimal("-20.99"),
            Decimal("-20.99"),
            Decimal("-21.00"),
            Decimal("-20.99"),
            2,
        ),
        (
            "T-REFUND",
            "refund",
            "EUR",
            Decimal("-19.99"),
            Decimal("-19.99"),
            Decimal("-13.99"),
            Decimal("-13.99"),
            1,
        ),
        (
            "T-SALE",
            "sale",
            "EUR",
            Decimal("30.00"),
            Decimal("29.99"),
            Decimal("20.99"),
            Decimal("20.99"),
            2,
        ),
    ]


def scans(plan: dict[str, Any]) -> set[tuple[str, str | None]]:
    """Return each way in which a plan reads something, with the index that it uses."""
    found = {(plan["Node Type"], plan.get("Index Name"))} if "Scan" in plan["Node Type"] else set()
    return found.union(*(scans(below) for below in plan.get("Plans", ())))


def test_the_balance_of_one_transaction_is_read_by_indexes(based: psycopg.Connection) -> None:
    based.execute(
        """
        insert into store.transaction
               (transaction_id, type, occurred_at, currency, reported_total, customer_id)
        select 'T-' || n, 'sale', '2025-01-05T14:22:10Z', 'EUR', 20, 1001 from generate_series(2, 5000) n;
        insert into store.transaction_line
               (transaction_id, line_no, game_id, platform, region, gross, fee, reported_net)
        select 'T-' || n, line_no, 'G-1', 'PC', 'EU', 10, 3, 7
          from generate_series(2, 5000) n, generate_series(1, 2) line_no;
        analyze store.transaction, store.transaction_line;
        """
    )

    ((plan,),) = based.execute(
        "explain (format json) select * from store.transaction_balance where transaction_id = 'T-2500'"
    )

    found = scans(plan[0]["Plan"])
    assert {index for _, index in found if index} == {"transaction_pkey", "transaction_line_pkey"}
    # The heap scan of a bitmap reads only what the bitmap index scan below it found.
    assert {node for node, index in found if not index} <= {"Bitmap Heap Scan"}
