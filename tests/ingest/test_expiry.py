"""Raw lines are erased when they are old, or when somebody asks; the accounts stay."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.supervisor import wait_until
from marketplace.ingest import expiry
from marketplace.ingest.replay import Selection, replay_rows

KEPT = {"rejected_rows": 0, "held_rows": 0, "held_rows_closed": 0, "issues": 0}
WHY = ("load_id", "line_no", "column_name", "reason")
ADDRESS = "ann.other+games@example.org"


def put_dirt(ingestion: Any) -> None:
    """Put files that leave two rejected rows, two held ones, an issue, and a reason that quotes a row."""
    ingestion.put("transaction", "T-1,gift,2025-01-05,EUR,10,CUST-12", f"T-2,sale,2025-01-05,EUR,{ADDRESS},CUST-1")
    ingestion.put("publisher", "P-1,Valve,Nowhere")
    ingestion.put("transaction_detail", "T-1,1,CUST-1,P-1,EU,PC,1,0,1", "T-2,1,G-1,P-1,EU,PC,1,0,1")
    ingestion.put_bytes("landing/transaction/b.csv", b"T-3,sale,2025-01-05,EUR,10,CUST-1\n")
    ingestion.run()
    reason = f"wrong_header: The header does not fit transaction: 'cust-1 {ADDRESS}' not in the contract"
    ingestion.execute("update ops.load set reason = %s where status = 'rejected'", reason)


def erase_old(ingestion: Any, before: datetime) -> dict[str, int]:
    with ingestion.connect() as connection:
        return expiry.erase_old_lines(connection, before)


def erase_person(ingestion: Any, customer_ref: str | None = None, email: str | None = None) -> dict[str, int]:
    sha256 = email and hashlib.sha256(email.encode()).hexdigest()
    with ingestion.connect() as connection:
        return expiry.erase_lines_of_person(connection, customer_ref, sha256)


def why(ingestion: Any) -> list[tuple[Any, ...]]:
    return [
        ingestion.query(f"select {', '.join(WHY)} from ops.{table} order by 1, 2")
        for table in ("rejected_row", "held_row")
    ]  # type: ignore[return-value]


def blocked(ingestion: Any) -> int:
    """Return how many sessions of this store wait for another."""
    statement = (
        "select count(distinct pid) from pg_locks join pg_stat_activity as a using (pid)"
        " where not granted and datname = current_database()"
    )
    return int(ingestion.query(statement)[0][0])


def later() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)


def test_old_lines_are_erased_once_and_the_accounts_stay(ingestion: Any) -> None:
    put_dirt(ingestion)
    reasons, loads = why(ingestion), ingestion.loads()
    oldest = min(load["put_at"] for load in loads)
    assert erase_old(ingestion, oldest) == KEPT | {"loads": 0}

    assert erase_old(ingestion, later()) == {
        "loads": 4, "rejected_rows": 2, "held_rows": 2, "held_rows_closed": 2, "issues": 1,
    }  # fmt: skip

    assert why(ingestion) == reasons
    for table, columns in (("rejected_row", "raw, detail"), ("held_row", "raw, detail, ref_value, ref_key"),
                           ("issue", "detail")):  # fmt: skip
        assert ingestion.query(f"select count(*) from ops.{table} where num_nonnulls({columns}) > 0") == [(0,)]
        assert ingestion.query(f"select count(*) from ops.{table} where erased_at is null") == [(0,)]
    changed = {"raw_erased_at", "reason"}
    assert [{k: v for k, v in load.items() if k not in changed} for load in ingestion.loads()] == [
        {k: v for k, v in load.items() if k not in changed} for load in loads
    ]
    assert [load["reason"] for load in ingestion.loads()] == [None, None, None, "wrong_header: the rest is erased"]
    assert [load["raw_erased_at"] is None for load in ingestion.loads()] == [False] * 4

    before = ingestion.everything()
    assert erase_old(ingestion, later()) == KEPT | {"loads": 0}
    assert ingestion.everything() == before


def test_only_files_that_are_old_expire(ingestion: Any) -> None:
    put_dirt(ingestion)
    ingestion.execute("update ops.load set put_at = put_at - interval '91 days' where dataset = 'transaction_detail'")
    assert erase_old(ingestion, datetime.now(UTC) - timedelta(days=90)) == {
        "loads": 1, "rejected_rows": 0, "held_rows": 2, "held_rows_closed": 2, "issues": 0,
    }  # fmt: skip
    assert ingestion.query("select count(*) from ops.rejected_row where erased_at is null") == [(2,)]


def test_nobody_tries_an_erased_row_again(ingestion: Any) -> None:
    put_dirt(ingestion)
    erase_old(ingestion, later())
    ingestion.put("game", "G-1,Starforge,2022-10-14,")
    ingestion.put("transaction", "T-1,sale,2025-01-05,EUR,10,CUST-1", "T-2,sale,2025-01-05,EUR,10,CUST-1")
    ingestion.run()
    with ingestion.connect() as connection:
        assert replay_rows(connection, "replay", Selection(rows="both", load_id=1)) == []
        assert replay_rows(connection, "replay", Selection(rows="both", load_id=3)) == []
    assert ingestion.query("select count(*) from store.transaction_line") == [(0,)]
    assert ingestion.query("select retried_load_id from ops.held_row") == [(None,), (None,)]


def test_a_file_that_is_still_being_loaded_keeps_its_lines(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,,US")
    (claim,) = ingestion.claim()
    assert erase_old(ingestion, later()) == KEPT | {"loads": 0}
    ingestion.load(claim)
    assert erase_old(ingestion, later()) == KEPT | {"loads": 1, "rejected_rows": 1}


def test_why_an_old_file_failed_is_erased_though_it_may_be_tried_again(ingestion: Any) -> None:
    ingestion.put("publisher", "P-1,,US")
    ingestion.claim()
    failed = "update ops.load set status = 'failed', attempts = 6, lease_until = now(), reason = %s"
    ingestion.execute(failed, f"attempt 6 failed: CheckViolation: Failing row contains ({ADDRESS})")
    assert erase_old(ingestion, datetime.now(UTC) - timedelta(days=90)) == KEPT | {"loads": 0}
    assert erase_old(ingestion, later()) == KEPT | {"loads": 1}
    assert ingestion.query("select reason from ops.load") == [("attempt 6 failed: the rest is erased",)]
    assert erase_old(ingestion, later()) == KEPT | {"loads": 0}
    (claim,) = ingestion.claim(retry_failed=True)
    ingestion.load(claim)
    assert erase_old(ingestion, later()) == KEPT | {"loads": 1, "rejected_rows": 1}


def test_erasing_and_a_replay_at_once_do_not_wait_for_each_other_in_a_circle(ingestion: Any) -> None:
    """Somebody holds a row: erasing has the one before it by then, and the replay has those of the other table."""
    put_dirt(ingestion)
    ingestion.put(
        "transaction_detail", "T-1,1,G-1,P-1,EU,PC,x,0,1", "T-1,2,G-1,P-1,EU,PC,x,0,1", "T-1,3,G-1,P-1,EU,PC,1,0,1",
        name="b.csv",
    )  # fmt: skip
    ingestion.run()
    (load_id,) = (load["load_id"] for load in ingestion.loads() if load["object_key"].endswith("detail/b.csv"))
    selection = Selection(rows="both", load_id=load_id)

    def replay() -> list[Any]:
        with ingestion.connect() as connection:
            return replay_rows(connection, "replay", selection)

    with ThreadPoolExecutor(2) as threads, ingestion.connect() as holder:
        holder.execute("select from ops.rejected_row where load_id = %s and line_no = 3 for update", (load_id,))
        erasing = threads.submit(erase_old, ingestion, later())
        wait_until(lambda: blocked(ingestion) == 1, 30, lambda: "erasing does not wait for the row")
        replaying = threads.submit(replay)
        wait_until(lambda: blocked(ingestion) == 2, 30, lambda: "the replay waits for nobody")
        holder.commit()
        assert erasing.result()["rejected_rows"] == 4
        assert replaying.result() == []


@pytest.mark.parametrize(
    ("customer_ref", "email", "rejected", "held", "loads"),
    [
        ("CUST-1", None, [3], [2], 1),  # and not CUST-12
        ("cust-12", None, [2], [], 0),
        ("CUST-77", None, [], [], 0),
        (None, ADDRESS, [3], [], 1),
        (None, "other+games@example.org", [], [], 0),
        ("CUST-12", ADDRESS, [2, 3], [], 1),
    ],
    ids=str,
)
def test_the_lines_of_one_person_are_erased_at_once(
    ingestion: Any, customer_ref: str | None, email: str | None, rejected: list[int], held: list[int], loads: int
) -> None:
    put_dirt(ingestion)
    reasons = why(ingestion)
    counts = erase_person(ingestion, customer_ref, email)
    assert counts == {
        "loads": loads, "rejected_rows": len(rejected), "held_rows": len(held), "held_rows_closed": len(held),
        "issues": 0,
    }  # fmt: skip
    erased = "select line_no from ops.{} where raw is null order by 1"
    assert [line for (line,) in ingestion.query(erased.format("rejected_row"))] == rejected
    assert [line for (line,) in ingestion.query(erased.format("held_row"))] == held
    assert why(ingestion) == reasons
    set_aside = "select reason = 'wrong_header: the rest is erased' from ops.load where status = 'rejected'"
    assert ingestion.query(set_aside) == [(loads == 1,)]
    before = ingestion.everything()
    assert erase_person(ingestion, customer_ref, email) == KEPT | {"loads": 0}
    assert ingestion.everything() == before


@pytest.mark.parametrize("text", ["o'brien@example.org", "'o'brien@example.org'", "Write to O'Brien@example.org."])
def test_an_address_with_an_apostrophe_is_found(ingestion: Any, text: str) -> None:
    ingestion.put("publisher", f"P-1,,{text}")
    ingestion.run()
    assert erase_person(ingestion, None, "o'brien@example.org") == KEPT | {"loads": 0, "rejected_rows": 1}


def test_the_address_that_the_store_has_of_a_customer_is_looked_for_and_never_logged(
    ingestion: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    put_dirt(ingestion)
    ingestion.put("game", f"G-1,,2022-10-14,{ADDRESS.upper()}", f"G-2,,2022-10-14,x{ADDRESS}")
    ingestion.run()
    ingestion.execute("insert into store.customer (ref, email) values ('CUST-500', %s)", ADDRESS)
    caplog.clear()
    assert erase_person(ingestion, "cust-500") == KEPT | {"loads": 1, "rejected_rows": 2}
    assert "Erased: 1 loads, 2 rejected rows" in caplog.text
    assert "example.org" not in caplog.text
    assert ingestion.query("select line_no from ops.rejected_row where raw is not null and load_id > 4") == [(3,)]
