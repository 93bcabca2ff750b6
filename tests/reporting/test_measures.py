"""What the alarms watch, measured on a real store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from marketplace.ingest.objects import LandedObject
from marketplace.reporting.measures import measure

NOTHING = {
    "WaitingFiles": 0.0,
    "OldestWaitingFileSeconds": 0.0,
    "RejectedShare": 0.0,
    "HeldRows": 0.0,
    "NotificationsUnaccounted": 0.0,
    "DashboardSecondsBehind": 0.0,
}


@pytest.fixture
def connection(fresh_store):
    """The owner's connection to a store of this test's own."""
    with psycopg.connect(fresh_store.url("store_owner")) as found:
        yield found


def landed(name: str, seconds: float) -> LandedObject:
    return LandedObject("game", f"landing/game/{name}.csv", "v1", datetime.now(UTC) - timedelta(seconds=seconds), 10)


def load(connection: Any, name: str, status: str, **values: Any) -> None:
    """Enter a load of the file of that name into the ledger."""
    now = datetime.now(UTC)
    ((number,),) = connection.execute("select count(*) + 1000 from ops.load").fetchall()
    row = {
        "load_id": number, "file_load_id": number, "kind": "file", "dataset": "game",
        "object_key": f"landing/game/{name}.csv", "version_id": "v1", "put_at": now, "size_bytes": 10,
        "status": status, "finished_at": now, "inserted": values.get("accepted", 0), **values,
    }  # fmt: skip
    if row["status"] == "claimed":
        row |= {"finished_at": None}
    columns, marks = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    connection.execute(f"insert into ops.load ({columns}) overriding system value values ({marks})", row)


def test_nothing_is_wrong_with_an_empty_store(connection):
    assert measure(connection, [], None) == NOTHING


def test_a_file_waits_until_the_ledger_has_it_as_done_or_set_aside(connection):
    for name, status in (("claimed", "claimed"), ("failed", "failed"), ("done", "done"), ("aside", "rejected")):
        load(connection, name, status)

    found = measure(connection, [
        landed("new", 100), landed("claimed", 50), landed("failed", 2000), landed("done", 9000), landed("aside", 9000),
    ], None)  # fmt: skip

    assert found["WaitingFiles"] == 3
    assert found["OldestWaitingFileSeconds"] == pytest.approx(2000, abs=60)


def test_a_held_row_counts_until_it_is_tried_again_or_erased(connection):
    load(connection, "a", "done", read=3, held=3)
    connection.execute(
        "insert into ops.held_row (load_id, line_no, column_name, reason, detail, raw, ref_dataset, ref_value, ref_key)"
        " select k.load_id, n, 'game', 'unknown', 'no such game', 'raw', 'game', 'G', 'G'"
        " from ops.load as k cross join generate_series(2, 4) as n"
    )
    assert measure(connection, [], None)["HeldRows"] == 3

    connection.execute("update ops.held_row set retried_load_id = load_id where line_no = 2")
    connection.execute(
        "update ops.held_row set raw = null, detail = null, ref_value = null, ref_key = null, erased_at = now()"
        " where line_no = 3"
    )
    assert measure(connection, [], None)["HeldRows"] == 1


def test_the_rejected_share_is_of_the_last_days_rows(connection):
    load(connection, "a", "done", read=60, accepted=50, rejected=10)
    load(connection, "b", "done", read=40, accepted=25, rejected=15)
    load(connection, "old", "done", read=900, rejected=900, finished_at=datetime.now(UTC) - timedelta(hours=25))

    assert measure(connection, [], None)["RejectedShare"] == 25.0


def run(connection: Any, days_ago: int, status: str) -> None:
    connection.execute(
        "insert into ops.notification_run (day, run_id, status)"
        " values ((now() at time zone 'UTC')::date - %s::int, 'r', %s)",
        [days_ago, status],
    )


def test_a_day_without_a_finished_run_and_a_chunk_that_is_not_done_are_unaccounted(connection):
    run(connection, 4, "done")
    run(connection, 3, "failed")
    # Yesterday counts from 06:00.
    assert measure(connection, [], None)["NotificationsUnaccounted"] == pytest.approx(2, abs=1)

    for day in (1, 2):
        run(connection, day, "done")
    assert measure(connection, [], None)["NotificationsUnaccounted"] == 1

    connection.execute(
        "insert into ops.notification_due (day, rule_id, found_at, customers, chunks) "
        "select '2026-11-01', rule, now() - age, 2, 2 from (values ('old', interval '7 hours'), ('new', interval '0')) "
        "as r (rule, age)"
    )
    connection.execute(
        "insert into ops.notification_chunk (day, rule_id, chunk_no, customers, state, delivered) "
        "values ('2026-11-01', 'old', 1, '{1}', 'queued', 0), ('2026-11-01', 'old', 2, '{1}', 'done', 1), "
        "('2026-11-01', 'new', 1, '{1}', 'queued', 0)"
    )
    assert measure(connection, [], None)["NotificationsUnaccounted"] == 2


def test_what_was_nobodys_before_the_first_run_stays_so(connection):
    run(connection, 1, "done")

    assert measure(connection, [], None)["NotificationsUnaccounted"] == 0


def test_the_dashboard_is_behind_since_the_first_load_that_changed_the_store_and_that_it_does_not_show(connection):
    now = datetime.now(UTC)
    loads = {"changed": 9000, "changed later": 5000}
    for name, seconds in loads.items():
        load(connection, name, "done", read=1, accepted=1, finished_at=now - timedelta(seconds=seconds))
    load(connection, "the same again", "done", read=1, accepted=1, inserted=0, unchanged=1,
         finished_at=now - timedelta(seconds=300))  # fmt: skip
    load(connection, "aside", "rejected", finished_at=now - timedelta(seconds=200))

    def behind(dashboard_as_of: datetime | None) -> float:
        as_of = dashboard_as_of and dashboard_as_of.isoformat()
        return measure(connection, [], as_of)["DashboardSecondsBehind"]

    assert behind(None) == pytest.approx(9000, abs=60)
    assert behind(now - timedelta(seconds=10_000)) == pytest.approx(9000, abs=60)
    assert behind(now - timedelta(seconds=8000)) == pytest.approx(5000, abs=60)
    assert behind(now - timedelta(seconds=1000)) == 0.0
