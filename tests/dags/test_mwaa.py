"""The DAGs parse on MWAA: from dags/ with dags/include/ and plugins/ alone, quickly, and touching nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
DAG_FILES = {file.name for file in (REPO / "dags").glob("*.py")}


def copy_as_deployed(tree: Path) -> None:
    """Make `tree` what MWAA makes of /usr/local/airflow: dags/ with include/ in it, and plugins/."""
    leave_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPO / "dags", tree / "dags", ignore=leave_out)
    shutil.copytree(REPO / "include", tree / "dags" / "include", ignore=leave_out)
    if (REPO / "plugins").is_dir():
        shutil.copytree(REPO / "plugins", tree / "plugins", ignore=leave_out)


def parse_like_mwaa(tree: Path) -> dict[str, Any]:
    """Run parse_like_mwaa.py in `tree`, and return what it found."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tree),
        "PYTHONPATH": os.pathsep.join([str(tree / "dags"), str(tree / "plugins")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AIRFLOW_HOME": str(tree),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tree / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(tree / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # As AirflowConfigurationOptions brings the settings.
        "AIRFLOW__MARKETPLACE__ENVIRONMENT": "dev",
        "AIRFLOW__MARKETPLACE__LANDING_BUCKET": "landing-bucket",
        "AIRFLOW__MARKETPLACE__EXPORT_BUCKET": "export-bucket",
        "AIRFLOW__MARKETPLACE__REPORT_BUCKET": "report-bucket",
        "AIRFLOW__MARKETPLACE__LANDING_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/landing",
    }
    script = Path(__file__).with_name("parse_like_mwaa.py")
    answer = tree / "answer.json"
    # -P: the script's own directory is no import root.
    finished = subprocess.run(
        [sys.executable, "-P", str(script), str(answer)],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert finished.returncode == 0, f"{script.name} failed:\n{finished.stderr[-4000:]}"
    return json.loads(answer.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What parsing the DAGs in MWAA's layout found."""
    tree = tmp_path_factory.mktemp("mwaa")
    copy_as_deployed(tree)
    return {**parse_like_mwaa(tree), "tree": tree}


def test_every_dag_file_is_parsed_without_an_error(parsed):
    assert parsed["import_errors"] == {}
    assert set(parsed["dag_files"].values()) == DAG_FILES
    assert {"ingest_files.py", "migrate.py"} <= DAG_FILES


def test_each_file_holds_one_dag_of_its_own_name(parsed):
    assert parsed["dag_files"] == {file.removesuffix(".py"): file for file in DAG_FILES}


def test_airflowignore_keeps_everything_but_dag_files_from_the_dag_processor(parsed):
    assert set(parsed["parsed_files"]) == DAG_FILES


def test_every_module_of_the_package_imports_from_the_deployed_tree_alone(parsed):
    assert parsed["package"] == str(parsed["tree"] / "dags" / "marketplace" / "__init__.py")
    assert parsed["failed_modules"] == {}
    assert {"marketplace.settings", "marketplace.store"} <= set(parsed["modules"])


def test_include_is_found_below_dags(parsed):
    assert parsed["include_dir"] == str(parsed["tree"] / "dags" / "include")


def test_parsing_a_dag_file_imports_nothing_heavy(parsed):
    assert parsed["heavy_imports"] == [], "import these inside the task, or inside the function that needs them"


def test_parsing_a_dag_file_reaches_for_nothing_outside_the_process(parsed):
    assert parsed["reached_for"] == []


def test_each_dag_file_is_parsed_within_two_seconds_of_cpu_time(parsed):
    assert set(parsed["cpu_seconds"]) == DAG_FILES
    slow = {file: seconds for file, seconds in parsed["cpu_seconds"].items() if seconds >= 2}
    assert slow == {}, "the dag processor parses each file again and again: move the work into tasks"


def test_all_plugins_load(parsed):
    assert parsed["plugin_errors"] == {}
