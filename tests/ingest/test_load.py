"""What becomes of each row of a file: stored, rejected, held or flagged, and always accounted for."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from marketplace import settings
from marketplace.contracts import load_contracts
from marketplace.ingest import again, ledger, records, replay

DATASETS = ", ".join(load_contracts())
CUSTOMER = ",".join(load_contracts()["customer"].header)
CATALOGUE = {
    "publisher": ("P-3,Valve,US", "P-5,Nova Games,DE"),
    "game": ("G-1,Starforge,2022-10-14,RPG", "G-2,Echo,2001-02-03,Puzzle"),
    "transaction": (
        "T-1,sale,2025-01-05T14:22:10Z,EUR,30.00,CUST-0001",
        "T-2,refund,2025-01-06,EUR,-10,CUST-0001",
    ),
}


def put_catalogue(ingestion: Any) -> None:
    for dataset, rows in CATALOGUE.items():
        ingestion.put(dataset, *rows)
    ingestion.run()


def account(result: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in result["account"].items() if isinstance(count, int) and count}


def problems(ingestion: Any, table: str) -> list[tuple[Any, ...]]:
    reason = "kind" if table == "issue" else "reason"
    return ingestion.query(
        f"select line_no, column_name, {reason} from ops.{table} order by load_id, line_no, {reason}"
    )


def test_each_row_of_a_dirty_file_is_accounted_for(ingestion: Any) -> None:
    ingestion.put(
        "transaction",
        ' T-1 ,SALE,01/05/2025,usd,"1,070.50",CUST-0001',
        "T-2,refund,2025-01-05T14:22:10Z,USD,10,CUST-0001",
        "",
        "T-3,payout,2025/01/06 09:01:00,USD,-70,PLATFORM",
        "T-4,payout,2025/01/06 09:01:00,USD,-70,CUST-0001",
        "T-5,sale,yesterday,USD,5,CUST-0001",
        "T-6,sale,2025-01-05",
        "T-1,sale,2025-01-05,USD,1070.50,CUST-0002",
    )
    (result,) = ingestion.run()
    assert account(result) == {
        "read": 7, "accepted": 3, "rejected": 4, "inserted": 2, "superseded": 1, "issues": 1,
    }  # fmt: skip
    assert problems(ingestion, "rejected_row") == [
        (3, "total_amount", "positive_amount"),
        (6, "customer_ref", "customer_on_payout"),
        (7, "txn_ts", "invalid_timestamp"),
        (8, None, "too_few_fields"),
    ]
    assert ingestion.query("select raw from ops.rejected_row where line_no = 8") == [("T-6,sale,2025-01-05",)]
    assert ingestion.clean_tables()["transaction"] == [
        ("T-1", "sale", datetime(2025, 1, 5, tzinfo=UTC), "USD", Decimal("1070.5000"), "CUST-0002"),
        ("T-3", "payout", datetime(2025, 1, 6, 9, 1, tzinfo=UTC), "USD", Decimal("-70.0000"), None),
    ]
    assert ingestion.query("select load_line from store.transaction order by transaction_id") == [(9,), (5,)]


def test_a_nul_character_is_refused_and_kept_visible(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,Va\0lve,US")
    ingestion.run()
    assert ingestion.query("select raw from ops.rejected_row") == [("P-1,Va␀lve,US",)]


@pytest.mark.parametrize("row", ['P-2,"Nova,DE', 'P-2,Nova,"DE', 'P-2,Nova,DE,"x'], ids=["few", "fitting", "many"])
def test_a_quote_that_is_never_closed_rejects_its_record_with_the_lines_it_takes(ingestion: Any, row: str) -> None:
    ingestion.put("publisher", "P-1,Valve,US", row, "P-4,Echo,DE", "", "P-5,Aurora,FR")
    (result,) = ingestion.run()
    assert account(result) == {"read": 2, "accepted": 1, "rejected": 1, "inserted": 1}
    assert ingestion.query("select line_no, column_name, reason, detail from ops.rejected_row") == [
        (
            3, None, "unclosed_quote",
            "a quote in it is never closed; it runs from line 3 to line 6, which a quote may have made one record",
        )
    ]  # fmt: skip


def test_a_record_of_several_lines_and_a_wrong_width_names_its_lines(ingestion: Any) -> None:
    ingestion.put("publisher", 'P-1,"Valve,US', 'P-2"', "P-3,Echo,FR")
    (result,) = ingestion.run()
    assert account(result) == {"read": 2, "accepted": 1, "rejected": 1, "inserted": 1}
    assert ingestion.query("select line_no, reason, detail, raw from ops.rejected_row") == [
        (
            2, "too_few_fields",
            "the row has 2 fields; accepted: 3, as the header has; it runs from line 2 to line 3, "
            "which a quote may have made one record",
            'P-1,"Valve,US\nP-2"',
        )
    ]  # fmt: skip


def test_publishers_of_one_name_are_one_known_by_the_lowest_id(ingestion: Any) -> None:
    ingestion.put("publisher", "P-10,Valve,US", "P-9,VALVE CORP,", "P-11,Nova,")
    ingestion.put("publisher", "P-3,Valvé,DE", name="b.csv")
    ingestion.run()
    assert ingestion.clean_tables()["publisher"] == [
        ("P-11", "Nova", "nova", None),
        ("P-3", "Valvé", "valve", "DE"),
    ]
    assert ingestion.query("select alias_id, publisher_id from store.publisher_alias order by 1") == [
        ("P-10", "P-3"), ("P-11", "P-11"), ("P-3", "P-3"), ("P-9", "P-3"),
    ]  # fmt: skip


def test_a_lower_id_that_comes_later_takes_the_references_over(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put("transaction_detail", "T-1,1,G-2,P-5,EU,PC,30,9,21")
    ingestion.run()
    ingestion.put("publisher", "P-1,NOVA GAMES Ltd.,FR", name="b.csv")
    ingestion.put("game", "G-0,echo,,", name="b.csv")
    ingestion.run()
    tables = ingestion.clean_tables()
    assert tables["release"] == [("G-0", "PC", "P-1")]
    assert [line[2] for line in tables["line"]] == ["G-0"]
    assert ("G-0", "echo", date(2001, 2, 3), "Puzzle") in tables["game"]
    assert [p[0] for p in tables["publisher"]] == ["P-1", "P-3"]
    assert [g[0] for g in tables["game"]] == ["G-0", "G-1"]


def test_titles_with_different_dates_are_different_games(ingestion: Any) -> None:
    ingestion.put(
        "game",
        "G-1,Echo,2001-02-03,",
        "G-2,ECHO,2001-02-03,Puzzle",
        "G-3,Echo,2015-01-02,",
        "G-4,Echo,2015-09-31,",
    )
    ingestion.run()
    assert ingestion.query("select alias_id, game_id from store.game_alias order by 1") == [
        ("G-1", "G-1"), ("G-2", "G-1"), ("G-3", "G-3"), ("G-4", "G-4"),
    ]  # fmt: skip
    assert problems(ingestion, "issue") == [
        (5, "release_date", "ambiguous_title"),
        (5, "release_date", "invalid_date"),
    ]


def test_a_game_without_date_is_flagged_in_each_file_that_reports_it(ingestion: Any) -> None:
    rows = ("G-1,Echo,2001-02-03,", "G-3,Echo,2015-01-02,", "G-4,Echo,,")
    ingestion.put("game", *rows)
    ingestion.run()
    ingestion.put("game", *rows, name="b.csv")
    (result,) = ingestion.run()
    assert account(result) == {"read": 3, "accepted": 3, "unchanged": 3, "issues": 2}
    assert problems(ingestion, "issue") == 2 * [
        (4, "release_date", "ambiguous_title"),
        (4, "release_date", "missing_date"),
    ]


def test_lines_are_held_until_what_they_name_has_come(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put(
        "transaction_detail",
        "T-1,1,starforge,VALVE CORPORATION,EU,pc,20,6,14",
        "T-1,2,Comet,Nova Games,EU,PC,10,3,7",
        "T-9,1,G-1,P-3,EU,PC,10,3,7",
    )
    (result,) = ingestion.run()
    assert account(result) == {"read": 3, "accepted": 1, "held": 2, "inserted": 1, "issues": 1}
    assert problems(ingestion, "held_row") == [
        (3, "game_ref", "unknown_game"), (4, "transaction_id", "unknown_transaction"),
    ]  # fmt: skip

    ingestion.put("game", "G-3,COMET,2020-01-01,", name="b.csv")
    ingestion.put("transaction", "T-9,sale,2025-01-09,EUR,10,CUST-0002", name="b.csv")
    ingestion.run()
    retries = [load for load in ingestion.loads() if load["kind"] == "retry"]
    assert [(r["object_key"], r["status"], r["read"], r["accepted"], r["inserted"], r["held"]) for r in retries] == [
        ("landing/transaction_detail/a.csv", "done", 2, 2, 2, 0)
    ]
    assert ingestion.query("select line_no, retried_load_id from ops.held_row order by 1") == [
        (3, retries[0]["load_id"]), (4, retries[0]["load_id"]),
    ]  # fmt: skip
    assert ingestion.query("select transaction_id, line_no, load_line from store.transaction_line order by 1, 2") == [
        ("T-1", 1, 2), ("T-1", 2, 3), ("T-9", 1, 4),
    ]  # fmt: skip


def test_a_line_that_names_two_unknown_things_waits_for_both(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put("transaction_detail", "T-9,1,Comet,P-3,EU,PC,10,3,7")
    ingestion.run()
    ingestion.put("transaction", "T-9,sale,2025-01-09,EUR,10,CUST-0002", name="b.csv")
    ingestion.run()
    assert ingestion.query("select reason from ops.held_row where retried_load_id is null") == [("unknown_game",)]
    ingestion.put("game", "G-3,Comet,2020-01-01,", name="b.csv")
    ingestion.run()
    assert ingestion.query("select count(*) from ops.held_row where retried_load_id is null") == [(0,)]
    assert [line[:3] for line in ingestion.clean_tables()["line"]] == [("T-9", 1, "G-3")]


def test_a_title_that_fits_two_games_is_held_until_it_fits_one(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put("game", "G-7,Echo,2015-01-02,", name="b.csv")
    ingestion.run()
    ingestion.put("transaction_detail", "T-1,1,Echo,P-3,EU,PC,30,9,21")
    (result,) = ingestion.run()
    assert account(result) == {"read": 1, "held": 1}
    assert problems(ingestion, "held_row") == [(2, "game_ref", "ambiguous_game")]
    ingestion.put("game", "G-7,Echo,2001-02-03,", name="c.csv")
    ingestion.run()
    assert [line[:3] for line in ingestion.clean_tables()["line"]] == [("T-1", 1, "G-2")]


def test_sums_that_disagree_are_kept_and_flagged(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put(
        "transaction_detail",
        "T-1,1,G-1,P-3,EU,PC,20,6,14",
        "T-1,2,G-2,P-5,EU,PC,11,3,7",
        "T-2,1,G-1,P-5,EU,PC,-10,-3,-7",
        "T-2,2,G-1,P-3,EU,PC,10,3,8",
    )
    (result,) = ingestion.run()
    assert account(result) == {"read": 4, "accepted": 4, "inserted": 4, "issues": 6}
    assert ingestion.query("select line_no, kind, detail from ops.issue order by line_no, kind") == [
        (3, "net_mismatch", "reported 7, but 11 - 3 is 8"),
        (3, "total_mismatch", "transaction T-1 reports 30, but its 2 lines add up to 31"),
        (4, "publisher_mismatch", "the line says P-5, but G-1 on PC is published by P-3"),
        (5, "net_mismatch", "reported 8, but 10 - 3 is 7"),
        (5, "total_mismatch", "transaction T-2 reports -10, but its 2 lines add up to 0"),
        (5, "wrong_sign", "10 in a line of a refund"),
    ]
    assert ingestion.query(
        "select reported_total, expected_total from store.transaction_balance where type = 'sale'"
    ) == [(Decimal("30.0000"), Decimal("31.0000"))]


@pytest.mark.parametrize(
    ("key", "body", "reason"),
    [
        ("landing/publisher/a.csv", b"", "empty: The file is empty."),
        ("landing/publisher/a.csv", b"\n\n", "empty: The file has no header, only blank lines."),
        (
            "landing/publisher/a.csv", b"publisher_id;name;country\n",
            "wrong_delimiter: The file is separated by semicolons, it must be by commas.",
        ),
        (
            "landing/customer/a.csv", b"CUST-0001,Ann Other,ann.other@example.org,DE,de,Europe/Berlin,yes,2025-01-05\n",
            "wrong_header: The header does not fit customer: its first line (fields: 8) has none of the columns, "
            f"so it seems to be no header. The columns are, in any order: {CUSTOMER}",
        ),
        (
            "landing/nonsense/a.csv", b"id\n1\n",
            "unknown_dataset: landing/nonsense/a.csv does not lie under landing/DATASET/ with DATASET one of "
            f"{DATASETS}.",
        ),
        (
            "landing/a.csv", b"id\n1\n",
            f"unknown_dataset: landing/a.csv does not lie under landing/DATASET/ with DATASET one of {DATASETS}.",
        ),
        (
            "landing/publisher/a.csv", "publisher_id,name,country\nP-1,Café,FR\n".encode("latin-1"),
            "not_utf8: Line 2 holds the byte 0xe9, which is not UTF-8.",
        ),
    ],
    ids=["empty", "blank lines", "semicolons", "no header", "unknown dataset", "no dataset", "latin-1"],
)  # fmt: skip
def test_a_file_that_is_wrong_as_a_whole_is_set_aside(ingestion: Any, key: str, body: bytes, reason: str) -> None:
    ingestion.put_bytes(key, body)
    (result,) = ingestion.run()
    assert (result["status"], result["reason"]) == ("rejected", reason)
    (load,) = ingestion.loads()
    assert (load["status"], load["reason"], load["read"]) == ("rejected", reason, 0)
    assert ingestion.keys("landing/") == []
    (moved,) = ingestion.keys("rejected/")
    assert ingestion.s3.get_object(Bucket=ingestion.bucket, Key=moved)["Body"].read() == body


def test_a_fault_on_the_last_line_stores_nothing_of_the_file(ingestion: Any) -> None:
    rows = "".join(f"P-{n},Publisher {n},US\n" for n in range(30_000))
    ingestion.put_bytes(
        "landing/publisher/a.csv", ("publisher_id,name,country\n" + rows).encode() + b"P-x,Caf\xe9,FR\n"
    )
    (result,) = ingestion.run()
    assert result["reason"] == "not_utf8: Line 30002 holds the byte 0xe9, which is not UTF-8."
    assert ingestion.query("select count(*) from store.publisher_alias") == [(0,)]


def test_a_header_only_file_is_done_with_nothing_read(ingestion: Any) -> None:
    ingestion.put("publisher")
    (result,) = ingestion.run()
    assert (result["status"], account(result)) == ("done", {})


def test_columns_may_come_in_another_order(ingestion: Any) -> None:
    ingestion.put_bytes("landing/publisher/a.csv", b" Country ,NAME,publisher_id\nUS,Valve,P-1\n")
    (result,) = ingestion.run()
    assert account(result) == {"read": 1, "accepted": 1, "inserted": 1, "issues": 1}
    assert ingestion.clean_tables()["publisher"] == [("P-1", "Valve", "valve", "US")]


def test_keys_with_every_kind_of_character_are_loaded_and_moved(ingestion: Any) -> None:
    names = ["a b.csv", "a+b.csv", "100%25.csv", "ü–日本.csv", "sub/folder.csv"]
    for number, name in enumerate(names):
        ingestion.put("publisher", f"P-{number},Publisher {number},US", name=name)
    assert [r["status"] for r in ingestion.run()] == ["done"] * 5
    assert ingestion.keys("landing/") == []
    assert len(ingestion.keys("archive/publisher/")) == 5


def test_a_file_of_several_batches_is_read_whole(ingestion: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "BATCH_LINES", 7)
    ingestion.put("publisher", *(f"P-{n},{'' if n % 5 == 0 else f'Publisher {n}'},US" for n in range(100)))
    (result,) = ingestion.run()
    assert account(result) == {"read": 100, "accepted": 80, "rejected": 20, "inserted": 80}


def test_the_tables_that_changed_are_named_and_no_other(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put("publisher", *CATALOGUE["publisher"], name="again.csv")
    ingestion.put("transaction", "T-3,sale,2025-01-05,EUR,1,CUST-0001", name="b.csv")
    changed = [result["account"]["tables_changed"] for result in ingestion.run()]
    assert changed == [[], ["store.transaction"]]


@pytest.mark.parametrize(
    "dataset",
    [
        "publisher", "game", "transaction", "transaction_detail", "customer", "wishlist", "play_session",
        "notification_rule", "notification_text",
    ],
)  # fmt: skip
def test_samples_are_accounted_for_as_the_csv_module_counts_them(ingestion: Any, dataset: str) -> None:
    put_catalogue(ingestion)
    for path in sorted((settings.include_dir() / "data" / dataset).glob("*.csv")):
        body = path.read_bytes()
        ingestion.put_bytes(f"landing/{dataset}/{path.name}", body)
        (result,) = ingestion.run()
        if result["status"] == "rejected":
            continue
        records = [r for r in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")) if r]
        counts = result["account"]
        assert counts["read"] == len(records) - 1
        assert counts["read"] == counts["accepted"] + counts["rejected"] + counts["held"]
        rejected = ingestion.query("select count(*) from ops.rejected_row where load_id = %s", result["load_id"])
        assert rejected == [(counts["rejected"],)]


def test_a_reference_finds_an_id_whatever_its_white_space_and_unicode_form(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put("game", "G  7,Seven,,", "e\u03011,Accent,,", name="b.csv")
    ingestion.put("transaction_detail", "T-1,1,G 7,P-3,EU,PC,20,6,14", "T-1,2,\u00e91,P-3,EU,PC,10,3,7")
    ingestion.run()
    assert [line[2] for line in ingestion.clean_tables()["line"]] == ["G 7", "\u00e91"]


def test_a_held_row_with_a_long_field_does_not_block_the_others(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put("transaction_detail", f"T-9,1,G-1,P-3,{' ' * 140_000}EU,PC,30,9,21")
    ingestion.run()
    ingestion.put("transaction", "T-9,sale,2025-01-09,EUR,30,CUST-0002", name="b.csv")
    ingestion.run()
    assert [line[:2] for line in ingestion.clean_tables()["line"]] == [("T-9", 1)]


def test_held_rows_that_a_contract_can_no_longer_read_stop_only_themselves(
    ingestion: Any, caplog: pytest.LogCaptureFixture
) -> None:
    put_catalogue(ingestion)
    for name in ("a.csv", "b.csv"):
        ingestion.put("transaction_detail", f"T-9,{1 if name == 'a.csv' else 2},G-1,P-3,EU,PC,30,9,21", name=name)
    ingestion.run()
    ingestion.execute("update ops.load set header = header[:3] where object_key = 'landing/transaction_detail/a.csv'")
    ingestion.put("transaction", "T-9,sale,2025-01-09,EUR,30,CUST-0002", name="b.csv")
    ingestion.run()
    assert "can no longer be read by their contract" in caplog.text
    assert "landing/transaction_detail/a.csv: The header" in caplog.text
    assert [line[:2] for line in ingestion.clean_tables()["line"]] == [("T-9", 2)]
    assert ingestion.query("select count(*) from ops.held_row where retried_load_id is null") == [(1,)]


def test_held_rows_that_the_database_refuses_stop_only_themselves(ingestion: Any) -> None:
    put_catalogue(ingestion)
    for number in (1, 2, 3):
        ingestion.put("transaction_detail", f"T-9,{number},G-1,P-3,EU,PC,30,9,21", name=f"{number}.csv")
    ingestion.run()
    ingestion.execute("alter table store.transaction_line add constraint not_one check (line_no <> 1)")
    ingestion.put("transaction", "T-9,sale,2025-01-09,EUR,90,CUST-0002", name="b.csv")
    (claim,) = ingestion.claim()
    ingestion.load(claim)
    with pytest.raises(again.FailedError) as caught:
        ingestion.retry()
    assert str(caught.value) == (
        "Rows of these files could not be loaded again, those of all others are: landing/transaction_detail/1.csv: "
        'CheckViolation: 23514: new row for relation "transaction_line" violates check constraint "not_one"; '
        "table store.transaction_line, constraint not_one"
    )
    assert [line[:2] for line in ingestion.clean_tables()["line"]] == [("T-9", 2), ("T-9", 3)]

    with ingestion.connect() as connection, pytest.raises(again.FailedError, match=r"detail/1\.csv: CheckViolation"):
        replay.replay_rows(connection, "replay", replay.Selection(rows="held", dataset="transaction_detail"))

    ingestion.execute("alter table store.transaction_line drop constraint not_one")
    assert [retried["inserted"] for retried in ingestion.retry()] == [1]


def test_why_a_row_is_held_is_said_anew_when_it_changes(ingestion: Any) -> None:
    put_catalogue(ingestion)
    ingestion.put("transaction_detail", "T-1,1,Comet,P-3,EU,PC,30,9,21")
    ingestion.run()
    ingestion.put("game", "G-7,Comet,2015-01-02,", "G-8,Comet,2016-01-02,", name="b.csv")
    ingestion.run()
    ingestion.run()
    assert ingestion.query("select reason, retried_load_id is null from ops.held_row order by load_id") == [
        ("unknown_game", False),
        ("ambiguous_game", True),
    ]


def test_a_reload_whose_run_died_fails_and_does_not_wait_for_ever(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,One,")
    ingestion.run()
    with ingestion.connect() as connection:
        earliest, latest = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        (claim,) = ledger.claim_reloads(connection, earliest, latest, "dies", 500)
    ingestion.execute("update ops.load set lease_until = now() - interval '1 second'")
    ingestion.run()
    assert [(load["kind"], load["status"], load["reason"]) for load in ingestion.loads()] == [
        ("file", "done", None),
        ("reload", "failed", "its run died before it was loaded"),
    ]
    with pytest.raises(ledger.ClaimLostError):
        ingestion.load(claim, "dies")


def test_a_reload_judges_anew_what_waits_of_its_file(ingestion: Any, mend: Callable[[str, str, str], None]) -> None:
    put_catalogue(ingestion)
    ingestion.put(
        "transaction_detail", "T-9,1,G-1,P-3,EU,PC,30,9,21", "T-9,2,G-1,P-3,EU,PC,x,9,21", "T-9,3,G-1,P-3,EU,PC,1,0,1"
    )  # fmt: skip
    ingestion.run()
    mend("transaction_detail", "- name: gross_amount", "- name: gross_amount\n    minimum: 2")
    with ingestion.connect() as connection:
        earliest, latest = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        claims = ledger.claim_reloads(connection, earliest, latest, "reload", 500)
    reloads = {claim["dataset"]: ingestion.load(claim, "reload") for claim in claims}
    assert account(reloads["transaction_detail"]) == {"read": 3, "rejected": 2, "held": 1}

    ingestion.put("transaction", "T-9,sale,2025-01-09,EUR,30,CUST-0002", name="b.csv")
    (claim,) = ingestion.claim()
    ingestion.load(claim)
    (retried,) = ingestion.retry()
    assert (retried["read"], retried["inserted"]) == (1, 1)
    reload = reloads["transaction_detail"]["load_id"]
    waits = "select load_id = %s, line_no, retried_load_id from ops.held_row order by load_id, line_no"
    assert ingestion.query(waits, reload) == [
        (False, 2, reload), (False, 4, reload), (True, 2, retried["load_id"]),
    ]  # fmt: skip
    assert ingestion.query("select line_no from ops.rejected_row where retried_load_id is null order by 1") == [
        (3,), (4,),
    ]  # fmt: skip


def test_the_readme_of_the_samples_counts_them_as_they_load(ingestion: Any) -> None:
    data = settings.include_dir() / "data"
    pattern = r"^\| `(\w+/\w+\.csv)` \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$"
    said = re.findall(pattern, (data / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [name for name, *_ in said if name.startswith(("customer", "wishlist", "play_session"))] == [
        "customer/customers.csv", "wishlist/wishlists.csv", "play_session/play_sessions.csv",
    ]  # fmt: skip
    loaded = []
    for name, *_ in said:
        ingestion.put_bytes(f"landing/{name}", (data / name).read_bytes())
        (result,) = ingestion.run()
        counts = result["account"] or dict.fromkeys(("read", "accepted", "superseded", "rejected", "held"), 0)
        loaded.append((name, *(str(counts[k]) for k in ("read", "accepted", "superseded", "rejected", "held"))))
    assert loaded == said
