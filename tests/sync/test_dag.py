"""The DAG sync_warehouse as Airflow runs it, in this process, on the platform's real parts."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import redshift_connector
from airflow.sdk.exceptions import AirflowFailException

from local import postgres
from local import warehouse as local_warehouse
from marketplace import connections
from marketplace.sync import apply, operators
from tests.runner import Runner
from tests.sync.conftest import Sync


@pytest.fixture
def runner(filled: Sync, airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Airflow, whose connection store_writer leads to the test's own store; redshift_warehouse is as it is."""
    monkeypatch.setattr(connections, "store", lambda *_, **__: filled.connect)
    return Runner(filled.store.platform)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that is sent to the warehouse."""
    statements: list[str] = []
    execute = redshift_connector.Cursor.execute

    def noted(cursor: Any, operation: str, *more: Any, **options: Any) -> Any:
        statements.append(operation)
        return execute(cursor, operation, *more, **options)

    monkeypatch.setattr(redshift_connector.Cursor, "execute", noted)
    return statements


def test_a_run_syncs_leaves_no_file_and_tells_no_credential(
    filled: Sync, runner: Runner, said: list[str], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "marketplace")
    run = runner.run("sync_warehouse")
    assert run.state == "success"
    assert runner.states(run) == {
        "export": ["success"], "write_manifests": ["success"], "apply": ["success"],
        "reconcile": ["success"], "measure_lag": ["success"], "clean_up": ["success"],
    }  # fmt: skip
    assert filled.differences() == []
    assert filled.told("select distinct run_id from ops.sync_state") == [(run.run_id,)]
    (result,) = runner.results(run, "export")
    assert (result["rows"], result["gone"]) == (25, 0)
    assert filled.s3.list_objects_v2(Bucket=filled.bucket, Prefix=result["prefix"])["KeyCount"] == 0

    state = filled.store.platform.state
    secrets = [*state.passwords.values(), "aws_access_key_id", "aws_secret_access_key"]
    printed = capfd.readouterr()
    xcoms = runner.metadata("select value::text from xcom where run_id = %s", run.run_id)
    for text in ("\n".join(said), printed.out + printed.err, caplog.text, json.dumps(xcoms, default=str)):
        assert text
        assert [secret for secret in secrets if secret in text.lower()] == []
    assert [text for text in said if text.startswith("copy ") and "iam_role default" not in text] == []
    assert max(len(text) for (text,) in xcoms) < 4000


def test_a_dry_run_counts_and_skips_the_rest(filled: Sync, runner: Runner) -> None:
    run = runner.run("sync_warehouse", dry_run=True, tables=["store.game"])
    assert runner.states(run) == {
        "export": ["success"], "write_manifests": ["skipped"], "apply": ["skipped"],
        "reconcile": ["skipped"], "measure_lag": ["success"], "clean_up": ["skipped"],
    }  # fmt: skip
    (result,) = runner.results(run, "export")
    assert {name: table["rows"] for name, table in result["tables"].items()} == {"store.game": 2}
    assert filled.told("select count(*) from ops.sync_state") == [(0,)]


def test_schemas_that_differ_fail_the_run_at_once_and_say_what_to_do(
    filled: Sync, runner: Runner, capfd: pytest.CaptureFixture[str]
) -> None:
    filled.change("alter table store.game rename column genre to kind")
    run = runner.run("sync_warehouse")
    assert (run.state, runner.states(run)["export"]) == ("failed", ["failed"])
    printed = capfd.readouterr().out
    assert "AirflowFailException" in printed
    assert "store.game.genre: the warehouse has it (character varying(400)), the store has not" in printed


def exported(sync: Sync) -> dict[str, Any]:
    """Return what the export task returns."""
    return {**sync.export().summary(), "dry_run": False}


def test_a_value_that_does_not_fit_is_named_by_its_place_and_not_shown(
    filled: Sync, runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    with postgres.connect(filled.store.platform.state, local_warehouse.DATABASE) as connection:
        connection.execute("alter table store.customer alter column email type varchar(5)")
    with pytest.raises(operators.RedshiftError) as refused:
        operators.ApplySyncOperator(task_id="apply", exported=exported(filled)).execute({})
    message = str(refused.value)
    assert "Load into table 'customer' failed" in message
    assert "/store.customer/rows-00000.csv.gz, line 1, column email (varchar of 5 bytes): String length" in message
    assert "example.org" not in message + caplog.text
    assert refused.value.__cause__ is None
    assert filled.told("select count(*) from store.customer") == [(0,)]


@pytest.mark.parametrize(("conflicts", "ends"), [(2, True), (3, False)])
def test_a_conflict_is_tried_again_but_not_for_ever(
    filled: Sync, runner: Runner, monkeypatch: pytest.MonkeyPatch, conflicts: int, ends: bool
) -> None:
    real, tries = apply.apply, []

    def conflicting(connection: Any, plan: Any, *_timeout: Any) -> bool:
        tries.append(plan.run_id)
        if len(tries) <= conflicts:
            with closing(connection.cursor()) as cursor:
                cursor.execute("delete from store.game")  # is taken back
            raise redshift_connector.ProgrammingError(
                {"C": "XX000", "M": "1023\n  Detail: Serializable isolation violation on table - 1, transactions"}
            )
        return real(connection, plan)

    monkeypatch.setattr(apply, "apply", conflicting)
    task = operators.ApplySyncOperator(task_id="apply", exported=exported(filled))
    if ends:
        task.execute({})
        assert filled.differences() == []
    else:
        with pytest.raises(operators.RedshiftError, match="Serializable isolation violation"):
            task.execute({})
        assert filled.told("select count(*) from ops.sync_state") == [(0,)]
    assert len(tries) == 3


def test_an_error_that_is_no_conflict_is_not_tried_again(
    filled: Sync, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def failing(connection: Any, plan: Any, *_timeout: Any) -> bool:
        tries.append(plan)
        with closing(connection.cursor()) as cursor:
            cursor.execute("select 'secret@example.org'::integer")
        return True

    monkeypatch.setattr(apply, "apply", failing)
    with pytest.raises(
        operators.RedshiftError, match=r"^Redshift: a value cannot be stored, or computed with \(SQLSTATE 22P02\)$"
    ):
        operators.ApplySyncOperator(task_id="apply", exported=exported(filled)).execute({})
    assert len(tries) == 1


def test_the_sql_operator_runs_its_statements_together_or_not_at_all(filled: Sync, runner: Runner) -> None:
    counted = "select count(*) from store.game"
    insert = "insert into store.game (game_id) values ('G-7')"
    task = operators.RedshiftSQLOperator(task_id="sql", sql=f"{insert}; {counted}")
    assert [list(row) for row in task.execute({})] == [[1]]
    with pytest.raises(operators.RedshiftError, match="22012"):
        operators.RedshiftSQLOperator(task_id="sql", sql=[insert, "select 1 / 0"]).execute({})
    assert filled.told(counted) == [(1,)]


def test_a_task_that_is_cleared_after_its_run_has_succeeded_says_that_the_files_are_gone(
    filled: Sync, runner: Runner
) -> None:
    (result,) = runner.results(runner.run("sync_warehouse"), "export")
    with pytest.raises(
        AirflowFailException, match=r"is gone: it is deleted when its run has succeeded.*clear the task"
    ):
        operators.ApplySyncOperator(task_id="apply", exported=result).execute({})


def test_an_apply_that_another_sync_has_overtaken_fails_for_good(filled: Sync, runner: Runner) -> None:
    slow = exported(filled)
    filled.sync()
    with pytest.raises(AirflowFailException, match="Another sync has moved the watermark of"):
        operators.ApplySyncOperator(task_id="apply", exported=slow).execute({})


def test_an_apply_that_is_cleared_after_its_commit_is_content(filled: Sync, runner: Runner) -> None:
    task = operators.ApplySyncOperator(task_id="apply", exported=exported(filled))
    task.execute({})
    task.execute({})
    assert filled.told("select count(*) from ops.sync_run") == [(17,)]


def test_a_task_waits_for_who_holds_the_watermarks_but_not_for_ever(
    filled: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "LOCK_TIMEOUT", timedelta(seconds=0.2))
    plan = filled.export()
    with closing(filled.warehouse()) as other:
        other.cursor().execute("lock ops.sync_state")
        with (
            psycopg.connect(filled.store.platform.store_url("postgres", "warehouse")) as looking,
            closing(filled.warehouse()) as mine,
        ):
            with pytest.raises(apply.LockedError, match=r"has held ops.sync_state for 0:00:00.200000, so nothing"):
                apply.apply(mine, plan)
            assert looking.execute("select count(*) from store.game").fetchone() == (0,)
