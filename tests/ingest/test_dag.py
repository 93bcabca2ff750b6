"""The DAGs as Airflow runs them, in this process, on the platform's real parts."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.platform import Platform
from marketplace import settings
from marketplace.ingest import load as load_module
from marketplace.ingest.operators import ArchiveObjectOperator, DeleteObjectVersionOperator
from tests.runner import Runner


@pytest.fixture(scope="module")
def runner(platform: Platform, airflow_db: None) -> Runner:
    return Runner(platform)


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Names that no other test in this database uses, and that match no other."""
    suffix = uuid.uuid4().hex[:10]
    return lambda text: f"{text}{suffix}"


def test_migrate_ends_at_the_newest_revision(runner: Runner) -> None:
    run = runner.run("migrate")
    assert run.state == "success"
    assert runner.states(run) == {
        "migrate_store": ["success"], "check_store": ["success"], "migrate_warehouse": ["success"],
    }  # fmt: skip


def test_a_rebuild_of_activity_says_what_it_mended(
    platform: Platform, runner: Runner, unique: Callable[[str], str]
) -> None:
    game, session = unique("G-"), unique("S-")
    runner.run("rebuild_activity")
    with psycopg.connect(platform.store_url("store_owner")) as owner:
        owner.execute("insert into store.game (game_id, title, title_key) values (%s, %s, %s)", (game, game, game))
        (customer,) = owner.execute(
            "insert into store.customer (ref) values (%s) returning customer_id", [unique("CUST-")]
        ).fetchone()
        owner.execute(
            "insert into store.play_session (session_id, customer_id, game_id, platform, started_at, location) "
            "values (%s, %s, %s, 'PC', '2025-01-05Z', 'POINT(13.4 52.5)')",
            (session, customer, game),
        )
    counted = []
    for damage in (None, "update geo.activity set sessions = 7, timed_sessions = 0 where game_id = %s"):
        if damage:
            with psycopg.connect(platform.store_url("store_owner")) as owner:
                owner.execute(damage, [game])
        run = runner.run("rebuild_activity")
        assert run.state == "success"
        result = runner.results(run, "count_sessions")[0]
        counted.append((result["groups"] > 0, result["added"], result["corrected"], result["removed"]))

        assert runner.announced(run) == (["geo.activity"] if damage else [])

    assert counted == [(True, 0, 0, 0), (True, 0, 1, 0)]


def test_a_run_loads_moves_and_announces(runner: Runner, unique: Callable[[str], str]) -> None:
    publisher, game, transaction = unique("P-"), unique("G-"), unique("T-")
    runner.put("transaction_detail", "d.csv", (
        "transaction_id,line_no,game_ref,publisher_ref,region,platform,gross_amount,platform_fee,net_amount\n"
        f"{transaction},1,{unique('Game ')},{unique('Publisher ')},EU,PC,10,3,7\n"
    ))  # fmt: skip
    runner.put("transaction", "t.csv", (
        "transaction_id,txn_type,txn_ts,currency,total_amount,customer_ref\n"
        f"{transaction},sale,2025-01-05,EUR,10,CUST-0001\n"
    ))  # fmt: skip
    runner.put("game", "g.csv", f"game_id,title,release_date,genre\n{game},{unique('Game ')},,\n")
    runner.put("publisher", "p.csv", f"publisher_id,name,country\n{publisher},{unique('Publisher ')},US\n")

    run = runner.run("ingest_files")

    assert run.state == "success"
    assert runner.states(run) == {
        "claim_files": ["success"],
        "file.load": ["success"] * 4,
        "file.archive": ["success"] * 4,
        "file.delete": ["success"] * 4,
        "retry_held_rows": ["success"],
        "publish_assets": ["success"],
        "check_rejected_share": ["success"],
    }
    assert runner.results(run, "check_rejected_share") == [
        {"files": 4, "set_aside": 0, "read": 4, "rejected": 0, "share": 0.0}
    ]
    assert runner.keys("landing/") == []
    assert runner.store("select game_id from store.transaction_line where transaction_id = %s", transaction) == [
        (game,)
    ]
    assert runner.announced(run) == [
        "store.customer", "store.game", "store.game_alias", "store.game_release", "store.publisher",
        "store.publisher_alias", "store.transaction", "store.transaction_line",
    ]  # fmt: skip
    accounts = runner.results(run, "file.load")
    assert [(a["status"], a["account"]["read"]) for a in accounts] == [("done", 1)] * 4
    names = runner.metadata(
        "select rendered_map_index from task_instance where run_id = %s and task_id = 'file.load' order by map_index",
        run.run_id,
    )
    (details,), *others = names
    # Here the four run one after another, in any order: the lines wait unless what they refer to came first.
    assert details.removeprefix("landing/transaction_detail/d.csv · done: ") in (
        "0 accepted + 0 rejected + 1 held", "1 accepted + 0 rejected + 0 held",
    )  # fmt: skip
    assert [name for (name,) in others] == [
        "landing/transaction/t.csv · done: 1 accepted + 0 rejected + 0 held",
        "landing/game/g.csv · done: 1 accepted + 0 rejected + 0 held",
        "landing/publisher/p.csv · done: 1 accepted + 0 rejected + 0 held",
    ]


def test_a_run_that_an_event_doubles_finds_nothing_to_do(runner: Runner) -> None:
    runner.run("ingest_files")
    run = runner.run("ingest_files")
    assert run.state == "success"
    states = runner.states(run)
    assert states["file.load"] == states["file.archive"] == states["file.delete"] == ["skipped"]
    assert runner.announced(run) == []


def test_a_file_that_is_wrong_as_a_whole_fails_the_run_when_the_others_are_done(
    runner: Runner, unique: Callable[[str], str]
) -> None:
    runner.put("publisher", unique("bad"), "publisher_id;name\n")
    runner.put("publisher", unique("good"), f"publisher_id,name,country\n{unique('P-')},{unique('Publisher ')},\n")
    run = runner.run("ingest_files")
    assert run.state == "failed"
    assert runner.states(run) == {
        "claim_files": ["success"],
        "file.load": ["success"] * 2,
        "file.archive": ["success"] * 2,
        "file.delete": ["success"] * 2,
        "retry_held_rows": ["success"],
        "publish_assets": ["success"],
        "check_rejected_share": ["failed"],
    }
    assert runner.announced(run) == ["store.publisher", "store.publisher_alias"]
    assert runner.keys("landing/") == []
    assert [key.rsplit("-", 1)[-1] for key in runner.keys("rejected/publisher/")][-1] == unique("bad")
    assert runner.run("ingest_files").state == "success"


def test_a_run_may_be_allowed_a_larger_share(runner: Runner, unique: Callable[[str], str]) -> None:
    header, rows = "publisher_id,name,country\n", f"{unique('P-')},{unique('Half ')},\n{unique('Q-')},,\n"
    for name, share, state in (("r1", 0.2, "failed"), ("r2", 0.5, "success")):
        runner.put("publisher", unique(name), header + rows)
        assert runner.run("ingest_files", max_rejected_share=share).state == state
    assert runner.store("select count(*) from store.publisher where publisher_id = %s", unique("P-")) == [(1,)]


def test_rows_are_replayed_by_a_form(
    runner: Runner, unique: Callable[[str], str], mend: Callable[[str, str, str], None]
) -> None:
    header = "transaction_id,txn_type,txn_ts,currency,total_amount,customer_ref\n"
    right, wrong = unique("T-"), unique("U-")
    runner.put("transaction", unique("gifts"), (
        f"{header}{right},sale,2025-01-05,EUR,10,CUST-0001\n{wrong},gift,2025-01-05,EUR,20,CUST-0001\n"
    ))  # fmt: skip
    runner.run("ingest_files", max_rejected_share=0.5)
    for nonsense in ({}, {"dataset": "gift"}, {"dataset": "transaction", "put_to": "soon"}):
        run = runner.run("replay_rows", **nonsense)
        assert (run.state, runner.states(run)["load_rows_again"]) == ("failed", ["failed"])
    mend("transaction", "sale: []", "sale: [gift]")

    run = runner.run("replay_rows", file=f"landing/transaction/{unique('gifts')}")

    assert run.state == "success"
    (account,) = runner.results(run, "load_rows_again")[0]
    assert (account["file"], account["read"], account["inserted"]) == (f"landing/transaction/{unique('gifts')}", 1, 1)
    assert runner.results(run, "sum_up") == [{
        "files": 1, "read": 1, "accepted": 1, "rejected": 0, "held": 0, "inserted": 1, "updated": 0, "unchanged": 0,
        "superseded": 0, "held_rows_resolved": 0,
    }]  # fmt: skip
    assert runner.announced(run) == ["store.transaction"]
    assert runner.store("select reported_total::int from store.transaction where transaction_id = %s", wrong) == [(20,)]


def test_an_alias_is_corrected_by_a_form(runner: Runner, unique: Callable[[str], str]) -> None:
    transaction, publisher, game = unique("T-"), unique("P-"), unique("G-")
    runner.put("publisher", unique("p"), f"publisher_id,name,country\n{publisher},{unique('Right ')},US\n")
    runner.put("game", unique("g"), f"game_id,title,release_date,genre\n{game},{unique('Game ')},,\n")
    runner.put("transaction", unique("t"), (
        "transaction_id,txn_type,txn_ts,currency,total_amount,customer_ref\n"
        f"{transaction},sale,2025-01-05,EUR,10,CUST-0001\n"
    ))  # fmt: skip
    runner.put("transaction_detail", unique("d"), (
        "transaction_id,line_no,game_ref,publisher_ref,region,platform,gross_amount,platform_fee,net_amount\n"
        f"{transaction},1,{game},{unique('Wrong ')},EU,PC,10,3,7\n"
    ))  # fmt: skip
    runner.run("ingest_files")
    lines = "select game_id from store.transaction_line where transaction_id = %s"
    form = {"kind": "publisher", "alias": unique("wrong "), "reason": "a typing error"}
    for nonsense in ({}, {"remove": True, "stands_for": publisher}, {"remove": True}, {"stands_for": unique("X-")}):
        run = runner.run("correct_alias", **form, **nonsense)
        assert (run.state, runner.states(run)["correct"]) == ("failed", ["failed"])
    run = runner.run("correct_alias", **form, stands_for=publisher, dry_run=True)
    assert (run.state, runner.announced(run), runner.store(lines, transaction)) == ("success", [], [])

    run = runner.run("correct_alias", **form, stands_for=publisher)

    assert run.state == "success"
    (said,) = runner.results(run, "correct")
    assert (said["held_rows_to_retry"], said["before"]) == (1, "nothing was said of it")
    assert runner.results(run, "sum_up")[0]["inserted"] == 1
    assert runner.announced(run) == ["store.game_release", "store.transaction_line"]
    assert runner.store(lines, transaction) == [(game,)]
    assert runner.store("select made_by, reason from ops.alias_correction where stands_for = %s", publisher) == [
        ("dag_test", "a typing error")
    ]


def test_a_persons_raw_lines_are_erased_by_a_form(runner: Runner, unique: Callable[[str], str]) -> None:
    ref = f"CUST-{int(unique(''), 16)}"
    header = "transaction_id,txn_type,txn_ts,currency,total_amount,customer_ref\n"
    runner.put("transaction", unique("theirs"), f"{header}{unique('T-')},gift,2025-01-05,EUR,20,{ref}\n")
    runner.run("ingest_files")
    mine = (
        "select count(*) from ops.rejected_row r join ops.load l using (load_id) where l.object_key like %s and raw is "
    )
    report = os.environ["MARKETPLACE_REPORT_BUCKET"]
    for conf, erased in (({}, 0), ({"customer_ref": ref}, 1)):
        runner.s3.put_object(Bucket=report, Key="status/lines/rejected/transaction/unknown_value/a.json", Body=b"{}")
        run = runner.run("expire_raw_lines", **conf)
        assert run.state == "success"
        assert "Contents" not in runner.s3.list_objects_v2(Bucket=report, Prefix="status/lines/"), "copies are left"
        assert runner.states(run)["erase_lines_of_person"] == ["success" if conf else "skipped"]
        assert runner.store(f"{mine} null", f"%{unique('theirs')}") == [(erased,)]
    assert runner.results(run, "erase_lines_of_person") == [
        {"loads": 0, "rejected_rows": 1, "held_rows": 0, "held_rows_closed": 0, "issues": 0}
    ]


def test_a_load_that_fails_fails_the_run_and_leaves_its_file(
    runner: Runner, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.put("publisher", unique("breaks"), f"publisher_id,name,country\n{unique('P-')},{unique('Broken ')},\n")
    runner.put("publisher", unique("works"), f"publisher_id,name,country\n{unique('Q-')},{unique('Working ')},\n")
    load_records = load_module.load_records

    def fail_on_one(connection: Any, contract: Any, load: Any, batches: Any, position: Any) -> Any:
        if load.object_key.endswith(unique("breaks")):
            raise psycopg.OperationalError("the disk is full")
        return load_records(connection, contract, load, batches, position)

    monkeypatch.setattr(load_module, "load_records", fail_on_one)
    run = runner.run("ingest_files")
    assert run.state == "failed"
    assert sorted(runner.states(run)["file.load"]) == ["failed", "success"]
    assert sorted(runner.states(run)["file.delete"]) == ["success", "upstream_failed"]
    assert runner.keys("landing/") == [f"landing/publisher/{unique('breaks')}"]
    assert runner.announced(run) == ["store.publisher", "store.publisher_alias"]
    assert runner.store("select status, reason from ops.load where object_key like %s", f"%{unique('breaks')}") == [
        ("claimed", "attempt 1 failed: OperationalError: the disk is full")
    ]

    monkeypatch.undo()
    with psycopg.connect(runner._url) as connection:
        connection.execute("update ops.load set lease_until = now() where status = 'claimed'")
    assert runner.run("ingest_files").state == "success"
    assert runner.keys("landing/") == []


def test_a_run_that_leaves_files_calls_for_the_next(runner: Runner, unique: Callable[[str], str]) -> None:
    for n in range(3):
        runner.put(
            "publisher",
            unique(f"{n}-"),
            f"publisher_id,name,country\n{unique(f'P{n}-')},{unique(f'Many {n} ')},\n",
        )
    run = runner.run("ingest_files", max_files=2)
    assert (len(runner.keys("landing/")), runner.announced(run)[0]) == (1, "landing")
    run = runner.run("ingest_files", max_files=2)
    assert (len(runner.keys("landing/")), "landing" in runner.announced(run)) == (0, False)


def test_archived_files_are_reloaded_by_parameter(runner: Runner, unique: Callable[[str], str]) -> None:
    runner.put("publisher", unique("r"), f"publisher_id,name,country\n{unique('P-')},{unique('Reloaded ')},US\n")
    runner.run("ingest_files")
    ((put_at,),) = runner.store("select put_at::text from ops.load where object_key like %s", f"%{unique('r')}")
    with psycopg.connect(runner._url) as connection:
        connection.execute("update store.publisher_alias set country_code = null where alias_id = %s", (unique("P-"),))
    run = runner.run("ingest_files", reload_from=put_at.replace(" ", "T"))
    assert run.state == "success"
    assert runner.states(run)["file.archive"] == ["skipped"]
    assert runner.store("select country_code from store.publisher_alias where alias_id = %s", unique("P-")) == [("US",)]


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"reload_to": "2025-01-01T00:00:00Z"}, "reload_to is set, but reload_from is not"),
        ({"reload_from": "yesterday"}, "reload_from is 'yesterday': it must be a date or time such as 2025-01-31"),
        ({"reload_from": "2025-01-02", "reload_to": "2025-01-01T23:00:00-05:00"}, None),
        (
            {"reload_from": "2025-01-02T08:00:00Z", "reload_to": "2025-01-02T07:00:00Z"},
            r"reload_from \(2025-01-02 08:00:00\+0000\) must be before reload_to \(2025-01-02 07:00:00\+0000\)",
        ),
    ],
    ids=["no beginning", "no time", "zones", "swapped"],
)
def test_a_range_to_reload_must_make_sense(conf: dict[str, str], message: str | None) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from marketplace.ingest.tasks import _range_to_reload

    if message is None:
        found = _range_to_reload(conf["reload_from"], conf["reload_to"])
        assert found == (datetime(2025, 1, 2, tzinfo=UTC), datetime(2025, 1, 2, 4, tzinfo=UTC))
        return
    with pytest.raises(AirflowFailException, match=message):
        _range_to_reload(conf.get("reload_from"), conf.get("reload_to"))


def test_a_run_with_a_bad_range_fails_and_claims_nothing(runner: Runner, unique: Callable[[str], str]) -> None:
    runner.put("publisher", unique("waits"), f"publisher_id,name,country\n{unique('P-')},{unique('Waiting ')},US\n")
    assert runner.run("ingest_files", reload_from="yesterday").state == "failed"
    assert runner.run("ingest_files").state == "success"
    assert runner.store("select country_code from store.publisher_alias where alias_id = %s", unique("P-")) == [("US",)]


def test_a_broken_contract_fails_the_run_and_loses_nothing(
    runner: Runner,
    unique: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    include = shutil.copytree(settings.include_dir(), tmp_path / "include")
    contract = include / "contracts" / "publisher.yaml"
    contract.write_text(contract.read_text().replace("type: country", "type: land"))
    runner.put("publisher", unique("waits"), f"publisher_id,name,country\n{unique('P-')},{unique('Patient ')},US\n")
    with monkeypatch.context() as patch:
        patch.setattr(settings, "include_dir", lambda: include)
        run = runner.run("ingest_files")
    assert (run.state, runner.states(run)["claim_files"]) == ("failed", ["failed"])
    assert (
        "No file is loaded until the contract is right: publisher.yaml: column 'country', type: found 'land'; accepted:"
    ) in capsys.readouterr().out
    assert runner.store("select count(*) from ops.load where object_key like %s", f"%{unique('waits')}") == [(0,)]
    assert runner.keys("landing/") == [f"landing/publisher/{unique('waits')}"]

    assert runner.run("ingest_files").state == "success"
    assert runner.store("select country_code from store.publisher_alias where alias_id = %s", unique("P-")) == [("US",)]


def moved(runner: Runner, key: str, *, destination: str | None) -> dict[str, Any]:
    version = runner.s3.put_object(Bucket=runner.bucket, Key=key, Body=b"x")["VersionId"]
    return {"source_key": key, "version_id": version, "destination_key": destination, "size_bytes": 1}


def test_moving_twice_is_no_error_and_a_newer_version_stays(runner: Runner, unique: Callable[[str], str]) -> None:
    key, destination = unique("moving/"), unique("moved/")
    loaded = moved(runner, key, destination=destination)
    runner.s3.put_object(Bucket=runner.bucket, Key=key, Body=b"newer")
    for _ in range(2):
        ArchiveObjectOperator(task_id="archive", bucket=runner.bucket, loaded=loaded).execute({})
        DeleteObjectVersionOperator(task_id="delete", bucket=runner.bucket, loaded=loaded).execute({})
    assert runner.s3.get_object(Bucket=runner.bucket, Key=destination)["Body"].read() == b"x"
    assert runner.s3.get_object(Bucket=runner.bucket, Key=key)["Body"].read() == b"newer"
    runner.s3.delete_object(Bucket=runner.bucket, Key=key)


def test_an_object_that_is_nowhere_is_an_error(runner: Runner, unique: Callable[[str], str]) -> None:
    from botocore.exceptions import ClientError

    loaded = moved(runner, unique("gone/"), destination=unique("nowhere/"))
    DeleteObjectVersionOperator(task_id="delete", bucket=runner.bucket, loaded=loaded).execute({})
    with pytest.raises(ClientError, match="NoSuch"):
        ArchiveObjectOperator(task_id="archive", bucket=runner.bucket, loaded=loaded).execute({})


def test_an_object_above_the_limit_is_copied_in_parts(
    runner: Runner, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketplace.ingest.operators.COPY_LIMIT_BYTES", 0)
    loaded = moved(runner, unique("large/"), destination=unique("copied/"))
    ArchiveObjectOperator(task_id="archive", bucket=runner.bucket, loaded=loaded).execute({})
    assert runner.s3.get_object(Bucket=runner.bucket, Key=unique("copied/"))["Body"].read() == b"x"
    runner.s3.delete_object(Bucket=runner.bucket, Key=unique("large/"))
