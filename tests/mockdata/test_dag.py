"""The DAG generate_mock_data as Airflow runs it: which objects it puts, byte for byte, and what it changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.platform import Platform
from marketplace.mockdata import live, profile, tasks
from marketplace.mockdata.generate import Order, generate
from marketplace.mockdata.interval import OPENING, Interval
from tests.ingest.conftest import Ingestion
from tests.runner import Runner

DAG = "generate_mock_data"
QUARTER = timedelta(minutes=15)
END = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
INTERVAL = Interval(END - QUARTER, END)
# No other test makes data of it in the platform's store.
SEED = 4711
LOADED = {"publisher", "game", "customer", "transaction", "transaction_detail", "wishlist", "play_session"}
ROWS = 60


@pytest.fixture(scope="module")
def runner(platform: Platform, airflow_db: None) -> Runner:
    return Runner(platform)


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The late transaction does not wait long."""
    monkeypatch.setattr(tasks, "LATE_BY", timedelta(milliseconds=10))


@pytest.fixture(autouse=True)
def tidy(runner: Runner) -> Iterator[None]:
    """A test finds nothing that others have put, and leaves nothing."""
    _empty(runner)
    yield
    _empty(runner)


def _empty(runner: Runner) -> None:
    for prefix in ("landing/", "mock-truth/"):
        pages = runner.s3.get_paginator("list_object_versions").paginate(Bucket=runner.bucket, Prefix=prefix)
        for entry in [
            entry for page in pages for kind in ("Versions", "DeleteMarkers") for entry in page.get(kind, [])
        ]:
            runner.s3.delete_object(Bucket=runner.bucket, Key=entry["Key"], VersionId=entry["VersionId"])


def run(runner: Runner, *, at: datetime | None = END, **conf: Any) -> Any:
    made = runner.run(DAG, logical_date=at, **{"seed": SEED, "rows": ROWS, "profile": "normal"} | conf)
    assert made.state == "success"
    return made


def versions(runner: Runner, prefix: str) -> list[tuple[str, bytes]]:
    """Return every version of every object under a prefix, those of one key oldest first."""
    listed = runner.s3.list_object_versions(Bucket=runner.bucket, Prefix=prefix).get("Versions", [])
    get = runner.s3.get_object
    return sorted(
        (
            (v["Key"], get(Bucket=runner.bucket, Key=v["Key"], VersionId=v["VersionId"])["Body"].read())
            for v in listed[::-1]
        ),
        key=lambda version: version[0],
    )


def expected(*intervals: Interval, **others: Any) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
    """Return the data and the truth that must lie in the bucket, as `versions` would."""
    files: dict[tuple[str, str], tuple[bytes, bytes]] = {}
    for interval in intervals:
        dials = profile.load(others.get("profile", "normal")).turned(others.get("dials", {}))
        for chunk in generate(Order(SEED, interval, others.get("rows", ROWS), dials)):
            if chunk.key.split("/")[1] in LOADED:
                data, truth = files.get((chunk.key, chunk.truth_key), (b"", b""))
                files[chunk.key, chunk.truth_key] = data + chunk.data, truth + chunk.truth
    data = [(key, data) for (key, _), (data, _) in files.items()]
    truth = [(key, truth) for (_, key), (_, truth) in files.items()]
    return sorted(data, key=lambda file: file[0]), sorted(truth)


def objects(runner: Runner) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
    return versions(runner, "landing/"), versions(runner, "mock-truth/")


def test_a_run_puts_the_files_of_its_interval_and_their_truth(runner: Runner) -> None:
    dials = {"same_name_new_content": 1, "late_reference": 0.5, "padding": 0.5}
    made = run(runner, dials=dials)
    data, truth = expected(INTERVAL, dials=dials)
    assert objects(runner) == (data, truth)
    name = f"mock-{SEED}-20260105T1415-15"
    assert {f"landing/{dataset}/{name}.csv" for dataset in LOADED} <= {key for key, _ in data}
    assert {f"mock-truth/{dataset}/{name}{n}.csv" for dataset in LOADED for n in ("", ".2")} <= {
        key for key, _ in truth
    }

    (account,) = runner.results(made, "put_files")
    assert account["interval"] == "20260105T1415-15"
    assert account["records"] == sum(file["records"] for file in account["files"]) > ROWS / 2
    assert sorted(file["key"] for file in account["files"]) == [key for key, _ in data]
    put = {(v["Key"], v["VersionId"]) for v in runner.s3.list_object_versions(
        Bucket=runner.bucket, Prefix="landing/")["Versions"]}  # fmt: skip
    assert {(file["key"], file["version_id"]) for file in account["files"]} == put
    ((shown,),) = runner.metadata(
        "select rendered_map_index from task_instance where run_id = %s and task_id = 'put_files'", made.run_id
    )
    assert shown == f"20260105T1415-15 · {len(data)} files, {account['records']} records"
    (changes,) = runner.results(made, "change_store")
    assert set(changes.values()) == {0}
    assert runner.announced(made) == []


def test_a_truth_lies_there_before_its_file(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[str] = []

    class Client:
        def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> dict[str, str]:
            assert (Bucket, type(Body)) == (runner.bucket, bytes)
            put.append(Key)
            return {"VersionId": "1"}

    class Hook:
        conn = Client()

    monkeypatch.setattr(tasks, "S3Hook", Hook)
    run(runner, dials={"same_name_new_content": 1}, profile="clean")
    name = f"mock-{SEED}-20260105T1415-15"
    assert put == [
        key
        for dataset in (
            "publisher",
            "game",
            "customer",
            "transaction",
            "transaction_detail",
            "wishlist",
            "play_session",
        )
        for version in ("", ".2")
        for key in (f"mock-truth/{dataset}/{name}{version}.csv", f"landing/{dataset}/{name}.csv")
    ]


def test_a_run_again_and_days_of_history_in_any_order_give_the_same_bytes(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: list[tuple[Any, ...]] = []

    def change(_connect: Any, *arguments: Any) -> live.Changes:
        changed.append(arguments)
        return live.Changes(*[0] * 9)

    monkeypatch.setattr(live, "change", change)
    made = run(runner, days_back=2, rows=20)
    # Once, and of all that was made.
    assert changed == [(SEED, INTERVAL, datetime(2026, 1, 3, tzinfo=UTC), tasks.LATE_BY)]
    days = [Interval.of_day(END).earlier(2), Interval.of_day(END).earlier(1)]
    data, truth = expected(*days, rows=20)
    assert objects(runner) == (data, truth)
    assert [account["interval"] for account in runner.results(made, "put_files")] == [
        "20260103T0000-1440", "20260104T0000-1440",
    ]  # fmt: skip

    run(runner, days_back=1, rows=20)
    again, _ = expected(days[1], rows=20)
    assert versions(runner, "landing/") == sorted(data + again, key=lambda file: file[0])
    assert versions(runner, "mock-truth/") == sorted([*truth, *expected(days[1], rows=20)[1]])


def test_live_changes_meet_what_the_hour_before_brought(runner: Runner, platform: Platform) -> None:
    run(runner, at=END - QUARTER, rows=2000, profile="clean")
    Ingestion(platform.store_url("store_writer"), platform.store_url(), runner.s3, runner.bucket).run()
    before = transactions(runner)

    made = run(runner, rows=1)
    (changes,) = runner.results(made, "change_store")
    after = transactions(runner)
    assert (changes["refunds"], changes["cancelled_transactions"]) == (len(after - before), len(before - after))
    assert min(changes["refunds"], changes["late_lines"], changes["customers"]) > 0
    assert runner.announced(made) == ["store.customer", "store.transaction", "store.transaction_line"]

    again = run(runner, rows=1)
    (changes,) = runner.results(again, "change_store")
    assert set(changes.values()) == {0}
    assert runner.announced(again) == []


def transactions(runner: Runner) -> set[str]:
    """Return the ids of the transactions of this module's seed."""
    found = runner.store(
        "select transaction_id from store.transaction where starts_with(transaction_id, %s)", f"TXN-{SEED}-"
    )
    return {transaction_id for (transaction_id,) in found}


def test_a_run_without_an_interval_takes_the_last_full_quarter(runner: Runner) -> None:
    made = run(runner, at=None, rows=1)
    assert made.data_interval_start is None
    end = made.run_after.replace(minute=made.run_after.minute // 15 * 15, second=0, microsecond=0)
    (account,) = runner.results(made, "put_files")
    assert account["interval"] == Interval(end - QUARTER, end).code


@pytest.mark.parametrize(
    ("at", "conf"),
    [(END, {"dials": {"paddin": 1}}), (END, {"dials": {"padding": 2}}), (OPENING, {"days_back": 1})],
    ids=["no dial", "out of range", "too early"],
)
def test_what_cannot_be_made_fails_the_run_and_puts_nothing(runner: Runner, at: datetime, conf: dict[str, Any]) -> None:
    made = runner.run(DAG, logical_date=at, seed=SEED, **conf)
    assert made.state == "failed"
    assert runner.states(made)["choose_intervals"] == ["failed"]
    assert objects(runner) == ([], [])
