"""What every DAG must have, and exactly which DAGs, tasks and schedules there are."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk import AssetOrTimeSchedule, CronDataIntervalTimetable, CronTriggerTimetable

from marketplace.mockdata import profile

DAGS = Path(__file__).resolve().parents[2] / "dags"
# A new DAG, task or edge is added here as well. Each task with the tasks it waits for.
EXPECTED_TASKS = {
    "build_marts": {
        "build": set(),
    },
    "check_platform": {
        "check_connections": set(),
        "check_store": {"check_connections"},
        "check_warehouse": {"check_connections"},
        "check_copy": {"check_connections"},
        "put_canary": set(),
        "wait_for_canary": {"put_canary"},
    },
    "correct_alias": {
        "correct": set(),
        "retry_held_rows": {"correct"},
        "publish_assets": {"correct", "retry_held_rows"},
        "sum_up": {"retry_held_rows", "publish_assets"},
    },
    "count_reads": {
        "count": set(),
    },
    "expire_raw_lines": {
        "erase_old_lines": set(),
        "erase_lines_of_person": set(),
        "delete_shown_lines": {"erase_old_lines", "erase_lines_of_person"},
    },
    "generate_mock_data": {
        "choose_intervals": set(),
        "put_files": {"choose_intervals"},
        "change_store": {"put_files"},
    },
    "ingest_files": {
        "claim_files": set(),
        "file.load": {"claim_files"},
        "file.archive": {"file.load"},
        "file.delete": {"file.load", "file.archive"},
        "retry_held_rows": {"file.load"},
        "publish_assets": {"retry_held_rows"},
        "check_rejected_share": {"retry_held_rows", "publish_assets"},
    },
    "notify_customers": {
        "find_notifications": set(),
        "choose_workers": {"find_notifications"},
        "generate_notifications": {"find_notifications", "choose_workers"},
        "account": {"generate_notifications"},
    },
    "publish_dashboard": {
        "publish": set(),
    },
    "publish_metrics": {
        "publish": set(),
    },
    "publish_status": {
        "publish": set(),
    },
    "rebuild_activity": {
        "count_sessions": set(),
    },
    "redrive_notifications": {
        "look_at_dead_letters": set(),
        "deliver_again": {"look_at_dead_letters"},
    },
    "replay_rows": {
        "load_rows_again": set(),
        "retry_held_rows": {"load_rows_again"},
        "publish_assets": {"retry_held_rows"},
        "sum_up": {"load_rows_again", "retry_held_rows", "publish_assets"},
    },
    "sync_warehouse": {
        "export": set(),
        "write_manifests": {"export"},
        "apply": {"export", "write_manifests"},
        "reconcile": {"export", "apply"},
        "measure_lag": {"reconcile"},
        "clean_up": {"reconcile"},
    },
    "migrate": {
        "migrate_store": set(),
        "check_store": {"migrate_store"},
        "migrate_warehouse": set(),
    },
}
SECTIONS = ["What it does", "Starts", "Reads", "Writes", "Running it again", "Not guaranteed"]
# Several runs at once, where that is safe, and why.
MAX_ACTIVE_RUNS = {
    "build_marts": 1,
    "check_platform": 1,
    "correct_alias": 1,
    "count_reads": 1,
    "expire_raw_lines": 1,
    "generate_mock_data": 4,  # intervals share nothing, and a backfill has many
    "ingest_files": 4,  # a large file must not keep others waiting; claims keep the runs apart
    "migrate": 1,
    "notify_customers": 3,  # several days of a backfill at once; who gets what is decided in the store
    "publish_dashboard": 1,
    "publish_metrics": 1,
    "publish_status": 1,
    "rebuild_activity": 1,
    "redrive_notifications": 1,
    "replay_rows": 1,
    "sync_warehouse": 1,  # a watermark has one owner at a time
}
TAGS = {"ingest", "mock-data", "notifications", "operations", "reporting", "store", "warehouse"}
OWNERS = {"data-platform"}

every_dag = pytest.mark.parametrize("dag_id", sorted(EXPECTED_TASKS))


def test_there_are_exactly_these_dags(dags):
    assert set(dags) == set(EXPECTED_TASKS)


@every_dag
def test_there_are_exactly_these_tasks_in_this_order(dags, dag_id):
    upstream = {task.task_id: set(task.upstream_task_ids) for task in dags[dag_id].tasks}
    assert upstream == EXPECTED_TASKS[dag_id]


def test_the_sync_is_made_of_the_operators_for_s3_and_sql(dags):
    from airflow.providers.amazon.aws.operators.s3 import S3CreateObjectOperator, S3DeleteObjectsOperator

    from marketplace.sync.operators import RedshiftSQLOperator

    expected = {
        "write_manifests": S3CreateObjectOperator,
        "apply": RedshiftSQLOperator,
        "clean_up": S3DeleteObjectsOperator,
    }
    for task_id, operator in expected.items():
        assert isinstance(dags["sync_warehouse"].get_task(task_id), operator), task_id


def test_migrate_runs_only_when_asked(dags):
    assert dags["migrate"].schedule is None


def test_ingest_files_starts_on_a_landed_file_or_every_quarter_hour(dags, landing_queue_url):
    timetable = dags["ingest_files"].timetable
    assert isinstance(timetable, AssetOrTimeSchedule)
    assert timetable.timetable == CronTriggerTimetable("*/15 * * * *", timezone="UTC")

    (asset,) = timetable.asset_condition.objects
    assert (asset.name, asset.uri) == ("landing", "s3://landing-bucket/landing")
    (watcher,) = asset.watchers
    classpath, arguments = watcher.trigger.serialize()
    assert classpath == "airflow.providers.amazon.aws.triggers.sqs.SqsSensorTrigger"
    assert arguments["sqs_queue"] == landing_queue_url
    assert arguments["aws_conn_id"] == "aws_default"
    assert arguments["waiter_delay"] == 1, "a landed file waits up to so many seconds before its run starts"


def test_a_run_that_matters_and_is_late_is_counted(dags):
    late = {dag_id: dag.deadline[0] for dag_id, dag in dags.items() if dag.deadline}

    assert {dag_id: deadline.interval for dag_id, deadline in late.items()} == {
        "ingest_files": timedelta(hours=1),
        "notify_customers": timedelta(hours=2),
        "sync_warehouse": timedelta(hours=1),
    }
    assert {deadline.callback.path for deadline in late.values()} == {"marketplace.metrics.deadline_missed"}


def test_mock_data_is_made_for_each_quarter_hour(dags):
    # Not by a plain cron expression, whose data intervals are empty.
    assert dags["generate_mock_data"].timetable == CronDataIntervalTimetable("*/15 * * * *", timezone="UTC")


def test_notifications_are_of_whole_days(dags):
    assert dags["notify_customers"].timetable == CronDataIntervalTimetable("0 0 * * *", timezone="UTC")


@pytest.mark.parametrize(("environment", "paused"), [("local", True), ("dev", False), ("qa", False), ("prod", True)])
def test_mock_data_begins_paused_where_it_would_mix_with_other_data(monkeypatch, environment, paused):
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("MARKETPLACE_ENVIRONMENT", environment)
    bag = DagBag(DAGS / "generate_mock_data.py")
    assert bag.dags["generate_mock_data"].is_paused_upon_creation is paused


def test_the_profiles_in_the_form_are_the_files(dags):
    form = dags["generate_mock_data"].params.get_param("profile").schema
    assert form["enum"] == profile.names()


@every_dag
def test_documentation_has_every_section(dags, dag_id):
    doc = dags[dag_id].doc_md
    assert doc, "pass doc_md=__doc__"
    parts = re.split(r"^#+ +(.+?) *$", doc, flags=re.MULTILINE)
    text = {heading: body.strip() for heading, body in zip(parts[1::2], parts[2::2], strict=True)}
    assert [heading for heading in text if heading in SECTIONS] == SECTIONS
    assert all(text[heading] for heading in SECTIONS), f"an empty section: {text}"


@every_dag
def test_tags_and_owner_are_known(dags, dag_id):
    dag = dags[dag_id]
    assert dag.tags
    assert set(dag.tags) <= TAGS, f"use one of {sorted(TAGS)}, or add the tag to TAGS"
    assert {task.owner for task in dag.tasks} <= OWNERS


@every_dag
def test_each_task_is_retried_and_ends(dags, dag_id):
    dag = dags[dag_id]
    assert isinstance(dag.dagrun_timeout, timedelta)
    for task in dag.tasks:
        assert task.retries >= 1, f"{task.task_id}: set retries"
        assert task.execution_timeout is not None, f"{task.task_id}: set execution_timeout"
        assert task.execution_timeout <= dag.dagrun_timeout, f"{task.task_id}: the run ends before the task may"


@every_dag
def test_runs_do_not_pile_up(dags, dag_id):
    assert dags[dag_id].catchup is False
    assert dags[dag_id].max_active_runs == MAX_ACTIVE_RUNS[dag_id]


@every_dag
def test_each_parameter_is_described_in_the_form(dags, dag_id):
    params = dags[dag_id].params
    for name in params:
        param = params.get_param(name)
        assert param.description, f"parameter {name}: add a description"
        assert param.schema.get("type"), f"parameter {name}: add a type"


@every_dag
def test_a_dag_survives_being_stored_as_json(dags, dag_id):
    from airflow.serialization.serialized_objects import DagSerialization

    stored = json.loads(json.dumps(DagSerialization.to_dict(dags[dag_id])))
    DagSerialization.validate_schema(stored)
    restored = DagSerialization.from_dict(stored)
    upstream = {task_id: set(task.upstream_task_ids) for task_id, task in restored.task_dict.items()}
    assert upstream == EXPECTED_TASKS[dag_id]
    assert restored.doc_md == dags[dag_id].doc_md


@every_dag
def test_parsing_a_dag_twice_gives_the_same_dag(dag_bags, dag_id):
    from airflow.serialization.serialized_objects import DagSerialization

    first, second = (json.dumps(DagSerialization.to_dict(bag.dags[dag_id]), sort_keys=True) for bag in dag_bags)
    assert first == second, "something in the DAG changes with each parse, and each parse would be a new version of it"
