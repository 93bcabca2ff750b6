"""What MWAA gets: complete, the same bytes each time, readable from where MWAA puts it, and installable offline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra import airflow_package, packages

UV = Path(sys.executable).with_name("uv")
# What a DAG reads when it is read: its settings.
SETTINGS = {
    "MARKETPLACE_ENVIRONMENT": "dev",
    **{
        f"AIRFLOW__MARKETPLACE__{name}": f"of-mwaa-{name.lower()}"
        for name in (
            *("LANDING_BUCKET", "EXPORT_BUCKET", "REPORT_BUCKET", "LANDING_QUEUE_URL", "NOTIFICATION_QUEUE_URL"),
            *("NOTIFICATION_DEAD_LETTER_QUEUE_URL", "NOTIFICATION_TABLE", "METRICS_NAMESPACE"),
        )
    },
}
READ = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag()
print(json.dumps([sorted(bag.dags), bag.import_errors]))
"""


def environment(home: Path) -> dict[str, str]:
    """The variables of a process that finds Airflow's files under `home` and nowhere else."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if name in os.environ}
    return (
        kept
        | SETTINGS
        | {
            "AIRFLOW_HOME": str(home),
            "PYTHONPATH": f"{home}/dags:{home}/plugins",  # as Airflow and MWAA have it
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        }
    )


def test_the_package_has_the_dags_with_what_they_read_and_the_same_bytes_each_time():
    package = airflow_package.build(private=False)
    names = set(package.dags)

    assert {"ingest_files.py", ".airflowignore", "marketplace/settings.py", "constraints-3.3.1-py3.12.txt"} <= names
    assert {"include/sql/store/bootstrap.sql", "include/contracts/game.yaml"} <= names
    assert [name for name in names if "__pycache__" in name or name.startswith("dags/")] == []
    plugins = zipfile.ZipFile(package.plugins).namelist()
    # At the root: MWAA adds no directory, and Airflow looks into none.
    assert set(plugins) == {
        path.relative_to(packages.REPO / "plugins").as_posix()
        for path in (packages.REPO / "plugins").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    before = package.plugins.read_bytes(), package.requirements.read_bytes()
    shutil.rmtree(package.plugins.parent)
    again = airflow_package.build(private=False)
    assert (again.plugins.read_bytes(), again.requirements.read_bytes()) == before


def test_requirements_begin_with_the_constraints_and_pin_airflow():
    lines = airflow_package.requirements(private=False).splitlines()

    assert lines[0] == f"--constraint {airflow_package.MWAA_CONSTRAINTS}"
    assert "apache-airflow==3.3.1" in lines
    assert all("==" in line for line in lines[1:])
    private = airflow_package.requirements(private=True).splitlines()
    assert private == ["--no-index", "--find-links /usr/local/airflow/plugins", *lines]


def test_all_dags_are_read_from_the_unpacked_layout_alone(tmp_path):
    airflow_package.unpack(airflow_package.build(private=False), tmp_path)
    command = [sys.executable, "-P", "-c", READ]

    done = subprocess.run(command, env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    dags = sorted(path.stem for path in (packages.REPO / "dags").glob("*.py"))
    assert done.stdout.splitlines()[-1] == f'[["{dags[0]}"' + "".join(f', "{dag}"' for dag in dags[1:]) + "], {}]"


@pytest.mark.full
@pytest.mark.skipif(sys.version_info[:2] != (3, 12), reason="MWAA runs Python 3.12")
def test_the_private_package_installs_without_any_network_beside_what_mwaas_image_holds(tmp_path):
    """In a Python of its own that has what the image has; MWAA's paths are the temporary directory's."""
    package = airflow_package.build(private=True)
    airflow_package.unpack(package, tmp_path)
    assert package.plugins.stat().st_size < airflow_package.LARGEST_PLUGINS
    python = tmp_path / "python" / "bin" / "python"
    subprocess.run([UV, "venv", "--quiet", f"--python={sys.executable}", python.parents[1]], check=True)
    image = [f"--constraint={airflow_package.CONSTRAINTS}", *airflow_package.IN_IMAGE, "pip"]
    subprocess.run([UV, "pip", "install", "--quiet", f"--python={python}", *image], check=True)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(requirements.read_text().replace("/usr/local/airflow", str(tmp_path)))

    offline = environment(tmp_path) | {"PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_NO_CACHE_DIR": "1"}
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "-r", requirements],
        env=offline, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    read = subprocess.run(
        [python, "-P", "-c", READ], env=offline, cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert read.stdout.splitlines()[-1].endswith("], {}]")
