"""What is uploaded when, and what Airflow is asked in which order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import deploy as tool
from infra import mwaa
from infra import publish as publishing
from infra.airflow_package import Package
from infra.errors import AirflowFailed, NotConnected, StackFailed

BUCKET = "code"


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A small package whose files a test may change."""
    files = {name: tmp_path / name.replace("/", "-") for name in ("a.py", "marketplace/b.py", "include/c.sql")}
    for name, path in {**files, "plugins": tmp_path / "plugins", "requirements": tmp_path / "requirements"}.items():
        path.write_text(name)
    return Package(files, tmp_path / "plugins", tmp_path / "requirements")


@pytest.fixture
def s3(emulator) -> Any:
    """S3 with a versioned bucket of code."""
    client = emulator("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client


def publish(s3: Any, package: Package) -> tuple[dict[str, str], str]:
    lines: list[str] = []
    versions = publishing.publish(s3, BUCKET, package, lines.append)
    return versions, lines[-1].partition("airflow/: ")[2]


def keys(s3: Any) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]


def test_only_what_has_changed_is_uploaded_and_what_is_gone_is_deleted(s3, package: Package):
    versions, said = publish(s3, package)
    assert said == "5 files uploaded, 0 deleted, of 5"
    assert keys(s3) == [
        "airflow/dags/a.py",
        "airflow/dags/include/c.sql",
        "airflow/dags/marketplace/b.py",
        "airflow/plugins.zip",
        "airflow/published.json",
        "airflow/requirements.txt",
    ]
    newest = s3.head_object(Bucket=BUCKET, Key="airflow/plugins.zip")["VersionId"]
    assert versions["PluginsVersion"] == newest
    assert publish(s3, package) == (versions, "0 files uploaded, 0 deleted, of 5")

    package.dags["a.py"].write_text("changed")
    assert publish(s3, package) == (versions, "1 files uploaded, 0 deleted, of 5")
    fewer = Package({"a.py": package.dags["a.py"]}, package.plugins, package.requirements)
    assert publish(s3, fewer) == (versions, "0 files uploaded, 2 deleted, of 3")

    package.requirements.write_text("changed")
    assert publishing.expected_versions(s3, BUCKET, fewer) == versions | {"RequirementsVersion": publishing.NOT_YET}
    changed, said = publish(s3, fewer)
    assert said == "1 files uploaded, 0 deleted, of 3"
    assert changed["PluginsVersion"] == versions["PluginsVersion"]
    assert changed["RequirementsVersion"] != versions["RequirementsVersion"]


def test_a_dag_comes_after_what_it_reads_and_an_interrupted_upload_is_done_again(s3, package: Package, monkeypatch):
    put, names = s3.put_object, []

    def interrupted(**request: Any) -> Any:
        names.append(request["Key"])
        if len(names) == 3:
            raise KeyboardInterrupt
        return put(**request)

    monkeypatch.setattr(s3, "put_object", interrupted)
    with pytest.raises(KeyboardInterrupt):
        publish(s3, package)
    assert names == ["airflow/dags/include/c.sql", "airflow/dags/marketplace/b.py", "airflow/dags/a.py"]
    monkeypatch.setattr(s3, "put_object", put)

    assert publish(s3, package)[1] == "5 files uploaded, 0 deleted, of 5"


class Mwaa:
    """boto3's client `mwaa` of an Airflow with these DAGs: {id: paused}; it keeps what it was asked to do."""

    def __init__(self, dags: dict[str, bool], heads: list[str], errors: list[dict[str, str]] | None = None) -> None:
        self.dags, self.heads, self.errors = dags, heads, errors or []
        self.asked: list[str] = []
        self.away = 0

    def invoke_rest_api(self, *, Name: str, Method: str, Path: str, **rest: Any) -> dict[str, Any]:
        assert Name == "marketplace-dev"
        if self.away:
            self.away -= 1
            raise ClientError({"Error": {"Code": "RestApiServerException", "Message": "away"}}, "InvokeRestApi")
        return {"RestApiStatusCode": 200, "RestApiResponse": self.answer(Method, Path, rest)}

    def answer(self, method: str, path: str, rest: dict[str, Any]) -> Any:
        if method != "GET":
            self.asked.append(f"{method} {path}")
        if (method, path) == ("GET", "/dags"):
            dags = [{"dag_id": dag_id, "is_paused": paused} for dag_id, paused in self.dags.items()]
            offset = rest["QueryParameters"]["offset"]
            return {"dags": dags[offset : offset + 2], "total_entries": len(dags)}
        if path == "/importErrors":
            return {"import_errors": self.errors, "total_entries": len(self.errors)}
        if method == "PATCH":
            assert rest == {"Body": {"is_paused": False}, "QueryParameters": {"update_mask": "is_paused"}}
            return {}
        if method == "POST":
            return {"dag_run_id": "run 1"}
        if path.endswith("/taskInstances"):
            return {"task_instances": [{"task_id": "migrate_store"}], "total_entries": 1}
        if path.endswith("/return_value"):
            return {"value": self.heads.pop(0)}
        return {"state": "success" if self.heads else "failed"}


def airflow(client: Mwaa, monkeypatch: pytest.MonkeyPatch, timeout: float = 5) -> mwaa.Airflow:
    monkeypatch.setattr(mwaa, "FIRST_DELAY_SECONDS", 0.0)
    monkeypatch.setattr(mwaa, "LONGEST_DELAY_SECONDS", 0.0)
    return mwaa.Airflow(client, "marketplace-dev", timeout=timeout, progress=lambda _line: None)


def test_airflow_is_waited_for_while_its_web_server_is_away(monkeypatch):
    client = Mwaa({"a": True, "b": False, "c": True}, [])
    client.away = 3

    assert airflow(client, monkeypatch).wait_for_dags(["a", "c"]) == {"a": True, "b": False, "c": True}


def test_a_dag_that_cannot_be_read_or_does_not_come_is_named(monkeypatch):
    errors = [{"filename": "a.py", "stack_trace": "ImportError: b\n"}]
    with pytest.raises(AirflowFailed, match=r"^marketplace-dev: Airflow cannot read:\n  a\.py: ImportError: b$"):
        airflow(Mwaa({"a": True}, [], errors), monkeypatch).wait_for_dags(["a"])
    with pytest.raises(AirflowFailed, match=r"Airflow has not read all of a, z after 0 s\.$"):
        airflow(Mwaa({"a": True}, []), monkeypatch, timeout=0).wait_for_dags(["a", "z"])


def test_migrate_runs_until_mwaa_has_fetched_the_newest_migration(monkeypatch):
    client = Mwaa({"migrate": False}, ["0001", "0002"])

    airflow(client, monkeypatch).run_until("migrate", "migrate_store", "0002")

    assert client.asked == ["POST /dags/migrate/dagRuns"] * 2


def test_a_failed_run_names_its_task(monkeypatch):
    with pytest.raises(AirflowFailed, match=r"^marketplace-dev: migrate failed in migrate_store$"):
        airflow(Mwaa({}, []), monkeypatch).run("migrate")


def test_publishing_updates_migrates_and_then_unpauses_what_the_environment_runs(emulator, monkeypatch):
    with pytest.raises(StackFailed, match=r"^There is no stack marketplace-dev-orchestration: deploy the env"):
        tool.publish("dev")
    tool.deploy("dev", {"Creator": "tests"}, timeout=60)
    with pytest.raises(NotConnected, match=r"^All is uploaded, but nobody answers for Airflow\. .* has no MWAA\.$"):
        tool.publish("dev")
    dags = dict.fromkeys(("a", "migrate", "sync_warehouse"), True) | {"ingest_files": False}
    client = Mwaa(dags, [tool.store_head()])
    monkeypatch.setattr(mwaa, "FIRST_DELAY_SECONDS", 0.0)
    connect = tool._connect
    monkeypatch.setattr(tool, "_connect", lambda *given: connect(*given)._replace(mwaa=client))
    monkeypatch.setattr(tool.airflow_package, "build", lambda _private, build=tool.airflow_package.build: Package(
        {name: path for name, path in build(False).dags.items() if "/" in name or name[:-3] in dags},
        build(False).plugins, build(False).requirements,
    ))  # fmt: skip
    lines: list[str] = []

    tool.publish("dev", timeout=10, progress=lines.append)

    assert client.asked == ["PATCH /dags/migrate", "POST /dags/migrate/dagRuns", "PATCH /dags/sync_warehouse"]
    assert "marketplace-dev-orchestration: unchanged" in lines


def test_a_change_of_plugins_updates_the_environment_and_nothing_else(emulator, monkeypatch):
    tool.deploy("dev", {"Creator": "tests"}, timeout=60)
    stacks = tool.Stacks(emulator("cloudformation"), timeout=60, progress=lambda _line: None)
    before = emulator("s3").head_object(
        Bucket="marketplace-dev-code-000000000000-us-east-1", Key="airflow/plugins.zip"
    )["VersionId"]
    put = emulator("s3").put_object(
        Bucket="marketplace-dev-code-000000000000-us-east-1", Key="airflow/plugins.zip", Body=b"new"
    )

    stacks.set_parameters("marketplace-dev-orchestration", {"PluginsVersion": put["VersionId"]})

    (stack,) = emulator("cloudformation").describe_stacks(StackName="marketplace-dev-orchestration")["Stacks"]
    assert put["VersionId"] != before
    given = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]}
    assert (given["PluginsVersion"], given["Creator"]) == (put["VersionId"], "tests")
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
