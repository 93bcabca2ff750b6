"""The ledger: a file is loaded once, whoever is told of it how often, and whoever dies at it."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from marketplace.ingest import ledger, objects
from marketplace.ingest import load as load_module
from marketplace.ingest.failures import without_values
from marketplace.ingest.ledger import ClaimLostError
from marketplace.ingest.records import Batch


def expire_leases(ingestion: Any) -> None:
    ingestion.execute("update ops.load set lease_until = now() - interval '1 second'")


def test_files_are_claimed_oldest_first_up_to_the_limit(ingestion: Any) -> None:
    keys = [ingestion.put("publisher", f"P-{n},Publisher {n},", name=f"{9 - n}.csv") for n in range(5)]
    assert [c["object_key"] for c in ingestion.claim("first", max_files=3)] == keys[:3]
    assert [c["object_key"] for c in ingestion.claim("second", max_files=3)] == keys[3:]
    assert ingestion.claim("third") == []


def test_a_run_that_asks_again_gets_what_it_had(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,One,")
    assert ingestion.claim("run") == ingestion.claim("run")


def test_two_versions_of_a_key_are_two_files_in_their_order(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,One,")
    ingestion.put("publisher", "P-1,Uno,")
    assert [r["account"]["inserted"] + 2 * r["account"]["updated"] for r in ingestion.run()] == [1, 2]
    assert ingestion.query("select name from store.publisher") == [("Uno",)]
    assert ingestion.keys("landing/") == []


def test_a_file_put_while_its_predecessor_is_loaded_is_not_lost(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,One,")
    (claim,) = ingestion.claim()
    ingestion.put("publisher", "P-1,Uno,")
    ingestion.load(claim)
    assert len(ingestion.keys("landing/")) == 1
    ingestion.run()
    assert ingestion.query("select name from store.publisher") == [("Uno",)]


def test_what_a_person_deleted_from_landing_is_not_loaded(ingestion: Any) -> None:
    key = ingestion.put("publisher", "P-1,One,")
    ingestion.s3.delete_object(Bucket=ingestion.bucket, Key=key)
    assert ingestion.claim() == []
    ingestion.put("publisher", "P-2,Two,")
    assert len(ingestion.claim()) == 1


def test_a_key_that_was_deleted_and_put_again_waits(ingestion: Any) -> None:
    key = ingestion.put("publisher", "P-1,One,")
    ingestion.s3.delete_object(Bucket=ingestion.bucket, Key=key)
    ingestion.put("publisher", "P-1,Uno,")
    ingestion.run()
    assert ingestion.query("select name from store.publisher") == [("Uno",)]
    ingestion.put("publisher", "P-1,Un,")
    ingestion.s3.delete_object(Bucket=ingestion.bucket, Key=key)
    assert ingestion.claim() == []


class Pages:
    """A listing in pages, as S3 gives it: by key, the newest version of a key first, markers in lists of their own."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self._pages = pages

    def get_paginator(self, _name: str) -> Pages:
        return self

    def paginate(self, **_arguments: Any) -> Any:
        return iter(self._pages)


def version(key: str, number: int, second: int) -> dict[str, Any]:
    put_at = datetime(2025, 1, 1, second=second, tzinfo=UTC)
    return {"Key": f"landing/publisher/{key}", "VersionId": f"v{number}", "LastModified": put_at, "Size": 1}


def test_a_listing_in_pages_knows_what_is_deleted_and_the_order_within_a_second() -> None:
    deleted = {"Key": "landing/publisher/b", "IsLatest": True, "LastModified": datetime(2025, 1, 1, tzinfo=UTC)}
    old_marker = version("a", 0, 5) | {"IsLatest": False}
    pages = Pages(
        {"Versions": [version("a", 2, 5), version("a", 1, 5)], "DeleteMarkers": [old_marker, deleted]},
        {"Versions": [version("b", 1, 1), version("c", 1, 0)]},
    )
    listed = objects.list_landed(pages, "bucket")  # type: ignore[arg-type]
    assert [(o.object_key[-1], o.version_id) for o in listed] == [("c", "v1"), ("a", "v1"), ("a", "v2")]


def test_a_file_that_is_deleted_after_it_was_claimed_is_gone_and_no_longer_tried(ingestion: Any) -> None:
    key = ingestion.put("publisher", "P-1,One,")
    (claim,) = ingestion.claim()
    ingestion.s3.delete_object(Bucket=ingestion.bucket, Key=key, VersionId=claim["version_id"])
    result = ingestion.load(claim)
    assert (result["status"], result["destination_key"]) == ("rejected", None)
    assert ingestion.loads()[0]["reason"] == f"gone: {key} was deleted before it was loaded."


def test_a_very_long_name_is_shortened_where_it_is_kept(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,One,", name="x" * 900 + ".csv")
    ingestion.run()
    (kept,) = ingestion.keys("archive/")
    assert len(kept) < 300
    assert kept.endswith("xxx.csv")


def test_an_attempt_that_hangs_does_not_hold_up_the_one_that_takes_over(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,One,")
    (claim,) = ingestion.claim("hangs")
    taken_over: list[dict[str, Any]] = []

    def records_that_hang() -> Iterator[Batch]:
        yield Batch([1], [""], [["publisher_id", "name", "country"]])
        expire_leases(ingestion)
        ingestion.claim("takes over")
        taken_over.append(ingestion.load(claim))
        yield Batch([2], [""], [["P-1", "One", ""]])

    with ingestion.connect() as hanging:
        load, _ = ledger.start(hanging, claim["load_id"], "hangs")
        account = load_module.load_records(hanging, load_module.contract_of(load), load, records_that_hang())
        with pytest.raises(ClaimLostError, match="was taken over while it ran"):
            ledger.finish(hanging, load, "hangs", "done", account, archive_key=None)
        hanging.rollback()
    assert taken_over[0]["account"]["inserted"] == 1


def test_folder_markers_are_no_files(ingestion: Any) -> None:
    ingestion.put_bytes("landing/", b"")
    ingestion.put_bytes("landing/publisher/", b"")
    assert ingestion.claim() == []


def test_a_running_lease_is_respected_and_an_expired_one_is_taken_over(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,One,")
    (claim,) = ingestion.claim("dies")
    assert ingestion.claim("waits") == []
    expire_leases(ingestion)
    assert ingestion.claim("takes over") == [claim]
    with pytest.raises(ClaimLostError, match=r"Load 1 .* has been taken over by takes over\."):
        ingestion.load(claim, "dies")
    assert ingestion.load(claim, "takes over")["status"] == "done"


def test_a_load_that_loses_its_claim_while_it_runs_keeps_nothing(
    ingestion: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingestion.put("publisher", "P-1,One,")
    (claim,) = ingestion.claim("slow")
    finish = ledger.finish

    def lose_then_finish(*arguments: Any, **options: Any) -> None:
        expire_leases(ingestion)
        ingestion.claim("quick")
        finish(*arguments, **options)

    monkeypatch.setattr(load_module.ledger, "finish", lose_then_finish)
    with pytest.raises(ClaimLostError, match="was taken over while it ran: rolled back"):
        ingestion.load(claim, "slow")
    assert ingestion.query("select count(*) from store.publisher_alias") == [(0,)]
    monkeypatch.undo()
    assert ingestion.load(claim, "quick")["account"]["inserted"] == 1


def test_a_lease_is_renewed_while_its_load_runs(ingestion: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LEASE_S", 0.6)
    ingestion.put("publisher", "P-1,One,")
    (claim,) = ingestion.claim("run")
    renewed = threading.Event()
    renew = ledger.execute

    def execute(connection: Any, path: str, *arguments: Any, **options: Any) -> Any:
        result = renew(connection, path, *arguments, **options)
        if path == "ledger/renew.sql":
            connection.commit()
            renewed.set()
        return result

    monkeypatch.setattr(ledger, "execute", execute)
    with ingestion.connect() as connection:
        ledger.start(connection, claim["load_id"], "run")
    before = ingestion.loads()[0]["lease_until"]
    with ledger.Lease(ingestion.connect, claim["load_id"], "run"):
        assert renewed.wait(10)
    assert ingestion.loads()[0]["lease_until"] > before


def test_a_file_that_was_loaded_but_not_moved_is_moved_by_a_later_run(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,One,")
    (claim,) = ingestion.claim("dies")
    load_module.load_file(ingestion.connect, ingestion.s3, ingestion.bucket, claim["load_id"], "dies")
    assert len(ingestion.keys("landing/")) == 1
    assert ingestion.claim("too early") == []
    expire_leases(ingestion)
    (result,) = ingestion.run()
    assert (result["status"], result["account"]) == ("done", None)
    assert (ingestion.keys("landing/"), len(ingestion.keys("archive/"))) == ([], 1)
    assert len(ingestion.loads()) == 1


def test_a_failing_file_says_why_and_after_six_attempts_waits_for_a_person(
    ingestion: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingestion.put("publisher", "P-1,One,")

    def fail(*_arguments: Any) -> None:
        raise psycopg.OperationalError("the disk is full")

    monkeypatch.setattr(load_module, "load_records", fail)
    for attempt in range(1, ledger.MAX_ATTEMPTS + 1):
        (claim,) = ingestion.claim(f"run {attempt}")
        with pytest.raises(psycopg.OperationalError, match="the disk is full"):
            ingestion.load(claim)
        assert ingestion.loads()[0]["reason"] == f"attempt {attempt} failed: OperationalError: the disk is full"
        expire_leases(ingestion)
    assert ingestion.claim("one too many") == []
    (load,) = ingestion.loads()
    assert (load["status"], load["attempts"]) == ("failed", 6)
    assert ingestion.keys("landing/") == ["landing/publisher/a.csv"]

    monkeypatch.undo()
    (claim,) = ingestion.claim("a person", retry_failed=True)
    assert ingestion.load(claim)["status"] == "done"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "if new.name is not null then raise exception 'no such person: %', new.email; end if",
            "RaiseException: P0001: the database's log has its message",
        ),
        ("perform new.email::integer", "InvalidTextRepresentation: 22P02: the database's log has its message"),
        (
            "insert into store.customer (ref, email) values (new.ref || '/', new.email)",
            'CheckViolation: 23514: new row for relation "customer" violates check constraint "ref_is_one"; '
            "table store.customer, constraint ref_is_one",
        ),
        ("perform 1 from store.nothing", 'UndefinedTable: 42P01: relation "store.nothing" does not exist'),
    ],
    ids=["a trigger's own", "a form", "a row", "a name"],
)
def test_why_an_attempt_failed_quotes_no_value_of_a_row(ingestion: Any, statement: str, said: str) -> None:
    ingestion.execute("alter table store.customer add constraint ref_is_one check (ref !~ '/')")
    ingestion.execute(
        "create function store.fail() returns trigger language plpgsql as"
        f" $$ begin {statement}; return new; end $$".replace("%", "%%")
    )
    ingestion.execute(
        "create trigger fail before insert on store.customer for each row when (new.ref !~ '/')"
        " execute function store.fail()"
    )
    ingestion.put("customer", "CUST-1,Ann Other,ann.other@example.org,,,,,")
    (claim,) = ingestion.claim()
    with pytest.raises(psycopg.Error) as caught:
        ingestion.load(claim)
    shown = "".join(traceback.format_exception(caught.value))
    assert f"{type(caught.value).__name__}: {caught.value}" == said
    assert ingestion.loads()[0]["reason"] == f"attempt 1 failed: {said}"
    assert "load_records" in shown
    assert "ann.other" not in shown.lower()


def test_a_value_that_the_stage_refuses_is_named_by_its_place(ingestion: Any) -> None:
    with ingestion.connect() as connection:
        connection.execute("create temporary table stage (a text, b integer)")
        with (
            pytest.raises(psycopg.Error) as caught,
            connection.cursor() as cursor,
            cursor.copy("copy stage from stdin") as copy,
        ):
            copy.write(b"x\t1\ny\tann.other@example.org\n")
        connection.rollback()
    assert "ann.other" in str(caught.value)
    assert str(without_values(caught.value)) == "22P02: in COPY stage, line 2, column b"


def test_two_runs_that_claim_at_once_share_the_files(ingestion: Any) -> None:
    for n in range(20):
        ingestion.put("publisher", f"P-{n},Publisher {n},", name=f"{n}.csv")
    landed = objects.list_landed(ingestion.s3, ingestion.bucket)
    together = threading.Barrier(4)
    claimed: list[int] = []

    def claim(run: str) -> None:
        with ingestion.connect() as connection:
            together.wait()
            claimed.extend(c["load_id"] for c in ledger.claim_files(connection, landed, run, 500))

    threads = [threading.Thread(target=claim, args=(f"run {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 20
    assert len(ingestion.loads()) == 20


def test_a_claim_is_small_enough_to_travel_between_tasks(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,One,")
    (claim,) = ingestion.claim()
    assert sorted(json.loads(json.dumps(claim))) == ["dataset", "load_id", "object_key", "version_id"]
