"""The stacks on a real emulator: they work, change only what changed, fail clearly, heal, and go away."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
import redshift_connector
from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook
from airflow.sdk import Connection

from infra import deploy as tool
from infra import environments, verify
from infra.deploy import main
from infra.errors import ConfigError, NotDeletable, StackFailed, StackTimeout
from infra.stacks import Stacks
from tests.infra import inventory

# What hangs fails soon.
deploy = functools.partial(tool.deploy, timeout=30)
destroy = functools.partial(tool.destroy, timeout=30)

REPOSITORY = Path(__file__).resolve().parents[2]
STACKS = [
    f"marketplace-local-{name}"
    for name in (
        *("keys", "alerts", "network", "ingest", "storage", "notifications", "access", "connections", "code", "api"),
        "monitoring",
    )
]
BUCKET = "marketplace-local-landing-000000000000-us-east-1"
EXPORT_BUCKET = "marketplace-local-export-000000000000-us-east-1"
REPORT_BUCKET = "marketplace-local-report-000000000000-us-east-1"


def receive_all(sqs: Any, url: str) -> list[dict[str, Any]]:
    """The bodies of all messages that are in the queue, which is empty then."""
    bodies: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages"):
        for message in messages:
            bodies.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def statuses(cloudformation: Any) -> dict[str, str]:
    return {stack["StackName"]: stack["StackStatus"] for stack in cloudformation.describe_stacks()["Stacks"]}


def event_ids(cloudformation: Any) -> list[str]:
    """The ids of all events of all stacks: whatever is done to a stack adds one."""
    return [
        event["EventId"]
        for stack in STACKS
        for event in cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    ]


def secret(client: Any, name: str) -> dict[str, Any]:
    value = client("secretsmanager").get_secret_value(SecretId=f"marketplace-local/airflow/connections/{name}")
    return json.loads(value["SecretString"])


def test_outputs_name_what_the_other_parts_need(emulator, emulator_url, parameters):
    outputs = deploy("local", parameters)

    given = {name: outputs.pop(name) for name in list(outputs) if name.endswith(("Id", "Ids", "KeyArn"))}
    assert {name: re.sub(r"[0-9a-f]{17}|[0-9a-f-]{36}", "…", value) for name, value in given.items()} == {
        "DataKeyArn": "arn:aws:kms:us-east-1:000000000000:key/…",
        "LogsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/…",
        "VpcId": "vpc-…",
        "PublicSubnetIds": "subnet-…,subnet-…,subnet-…",
        "PrivateSubnetIds": "subnet-…,subnet-…,subnet-…",
        "ApiId": outputs["ApiUrl"].split("/")[2].split(".")[0],
        "ApiUserPoolId": given["ApiUserPoolId"],
        **dict.fromkeys([f"{role}SecurityGroupId" for role in ("Airflow", "Store", "Warehouse", "Functions")], "sg-…"),
    }
    del outputs["ApiUrl"]
    role = outputs.pop("AirflowRoleName")
    assert role.startswith("marketplace-local-access-AirflowRole-")
    assert outputs.pop("AirflowRoleArn") == f"arn:aws:iam::000000000000:role/{role}"
    assert outputs == {
        "AlarmTopicArn": "arn:aws:sns:us-east-1:000000000000:marketplace-local-alarms",
        "MetricsNamespace": "marketplace-local",
        "ApiFunctionName": "marketplace-local-api",
        "CodeBucket": "marketplace-local-code-000000000000-us-east-1",
        "LandingBucketName": BUCKET,
        "LandingBucket": BUCKET,
        "LandingBucketArn": f"arn:aws:s3:::{BUCKET}",
        "ExportBucket": EXPORT_BUCKET,
        "ExportBucketArn": f"arn:aws:s3:::{EXPORT_BUCKET}",
        "ReportBucket": REPORT_BUCKET,
        "ReportBucketArn": f"arn:aws:s3:::{REPORT_BUCKET}",
        "LandingQueueUrl": f"{emulator_url}/000000000000/marketplace-local-landing",
        "LandingQueueArn": "arn:aws:sqs:us-east-1:000000000000:marketplace-local-landing",
        "LandingDeadLetterQueueUrl": f"{emulator_url}/000000000000/marketplace-local-landing-dead-letter",
        **{
            f"Notification{queue}Queue{what}": f"{prefix}marketplace-local-notifications{suffix}"
            for queue, suffix in (("", ""), ("DeadLetter", "-dead-letter"))
            for what, prefix in (
                ("Url", f"{emulator_url}/000000000000/"),
                ("Arn", "arn:aws:sqs:us-east-1:000000000000:"),
            )
        },
        "NotificationTable": "marketplace-local-notifications",
        "NotificationTableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/marketplace-local-notifications",
        "ConnectionsPrefix": "marketplace-local/airflow/connections",
    }
    assert statuses(emulator("cloudformation")) == dict.fromkeys(STACKS, "CREATE_COMPLETE")


def test_a_file_under_landing_is_told_to_the_queue_and_no_other_file_is(emulator, parameters):
    outputs = deploy("local", parameters)
    s3, sqs = emulator("s3"), emulator("sqs")
    assert [body["Event"] for body in receive_all(sqs, outputs["LandingQueueUrl"])] == ["s3:TestEvent"]

    for key in ("archive/game/a.csv", "landing/game/a b+c.csv", "rejected/game/a.csv"):
        s3.put_object(Bucket=outputs["LandingBucket"], Key=key, Body=b"game_id\n")

    records = [record for body in receive_all(sqs, outputs["LandingQueueUrl"]) for record in body["Records"]]
    assert [unquote_plus(record["s3"]["object"]["key"]) for record in records] == ["landing/game/a b+c.csv"]
    assert records[0]["s3"]["bucket"]["name"] == BUCKET
    assert records[0]["s3"]["object"]["versionId"]


def test_an_event_received_too_often_goes_to_the_dead_letter_queue(emulator, parameters):
    outputs = deploy("local", parameters | {"MaxReceiveCount": "2"})
    sqs, landing = emulator("sqs"), outputs["LandingQueueUrl"]
    receive_all(sqs, landing)
    emulator("s3").put_object(Bucket=BUCKET, Key="landing/game/a.csv", Body=b"game_id\n")

    for _ in range(2):
        (message,) = sqs.receive_message(QueueUrl=landing)["Messages"]
        sqs.change_message_visibility(QueueUrl=landing, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)

    assert "Messages" not in sqs.receive_message(QueueUrl=landing)
    (dead,) = receive_all(sqs, outputs["LandingDeadLetterQueueUrl"])
    assert dead["Records"][0]["s3"]["object"]["key"] == "landing/game/a.csv"


def test_tags_reach_stacks_and_resources(emulator, parameters):
    outputs = deploy("local", parameters)
    expected = {"creator": "tests", "project": "marketplace", "environment": "local"}

    for stack in emulator("cloudformation").describe_stacks()["Stacks"]:
        assert {tag["Key"]: tag["Value"] for tag in stack["Tags"]} == expected
        assert stack["Capabilities"] == ["CAPABILITY_NAMED_IAM"]  # AWS demands it for roles; the emulator does not
    queue_tags = emulator("sqs").list_queue_tags(QueueUrl=outputs["LandingQueueUrl"])["Tags"]
    assert expected.items() <= queue_tags.items()


def test_connections_are_what_airflow_reads(emulator, parameters):
    deploy("local", parameters)

    for role in ("owner", "writer", "reader"):
        assert secret(emulator, f"store_{role}") == {
            "conn_type": "postgres",
            "host": "127.0.0.1",
            "port": 15432,
            "login": f"store_{role}",
            "schema": "store",
            "password": f"{role}-password-0001",
        }


def test_without_a_password_a_connection_uses_iam(emulator, parameters):
    deploy("local", parameters | {"StoreWriterPassword": ""})

    assert secret(emulator, "store_writer") == {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "port": 15432,
        "login": "store_writer",
        "schema": "store",
        "extra": {"iam": True, "sslmode": "require"},
    }
    assert "extra" not in secret(emulator, "store_owner")


def to_redshift(said: dict[str, Any]) -> dict[str, Any]:
    """Return what Airflow's hook gives to Redshift's driver for a connection, which must take each of its names."""
    hook = RedshiftSQLHook()
    hook.conn = Connection.from_json(json.dumps(said))
    hook.get_iam_token = lambda _connection: ("IAMR:airflow", "temporary", 5439)  # AWS gives it
    arguments = {**hook._get_conn_params(), **hook.conn.extra_dejson}
    return dict(inspect.signature(redshift_connector.connect).bind(**arguments).arguments)


def test_the_connection_to_the_warehouse_is_what_redshifts_driver_takes(emulator, parameters):
    deploy("local", parameters)
    address = {"host": "127.0.0.1", "port": 15439, "database": "warehouse"}
    login = {"user": "warehouse_owner", "password": "warehouse-password-1"}
    assert to_redshift(secret(emulator, "redshift_warehouse")) == {**address, **login, "ssl": False}

    deploy("local", parameters | {"WarehousePassword": "", "WarehouseWorkgroup": "marketplace-dev"})
    assert to_redshift(secret(emulator, "redshift_warehouse")) == {
        **address,
        "port": 5439,
        "user": "IAMR:airflow",
        "password": "temporary",
        "iam": True,
        "is_serverless": True,
        "serverless_work_group": "marketplace-dev",
    }


def test_a_second_deployment_executes_nothing_and_gives_the_same_outputs(emulator, parameters):
    cloudformation = emulator("cloudformation")
    first = deploy("local", parameters)
    before = event_ids(cloudformation)
    lines: list[str] = []

    second = deploy("local", parameters, progress=lines.append)

    assert second == first
    assert event_ids(cloudformation) == before
    assert lines[1:] == [f"{stack}: unchanged" for stack in STACKS]
    for stack in STACKS:
        change_sets = cloudformation.list_change_sets(StackName=stack)["Summaries"]
        assert [change_set["ExecutionStatus"] for change_set in change_sets] == ["EXECUTE_COMPLETE"]


def test_a_changed_password_updates_the_connections_and_the_apis_only(emulator, parameters):
    deploy("local", parameters)
    lines: list[str] = []

    deploy("local", parameters | {"StoreReaderPassword": "reader-password-0002"}, progress=lines.append)

    assert secret(emulator, "store_reader")["password"] == "reader-password-0002"
    assert lines[1:8] == [f"{stack}: unchanged" for stack in STACKS[:7]]
    updated = [line.removesuffix(": UPDATE_COMPLETE") for line in lines if line.endswith(": UPDATE_COMPLETE")]
    assert updated == ["marketplace-local-connections", "marketplace-local-api"]


def test_a_bad_update_rolls_back_and_names_the_resource_and_the_reason(emulator, editable: Path, parameters):
    outputs = deploy("local", parameters)
    template = editable / "templates" / "ingest.yaml"
    good = template.read_text()
    template.write_text(good.replace("VisibilityTimeout: !Ref VisibilityTimeoutSeconds", "VisibilityTimeout: 43201"))

    with pytest.raises(StackFailed) as failure:
        deploy("local", parameters)

    first, second = str(failure.value).splitlines()[:2]
    assert first == "marketplace-local-ingest ended in UPDATE_ROLLBACK_COMPLETE."
    assert second.startswith("  LandingQueue (AWS::SQS::Queue): ")
    assert "VisibilityTimeout" in second
    timeout = emulator("sqs").get_queue_attributes(
        QueueUrl=outputs["LandingQueueUrl"], AttributeNames=["VisibilityTimeout"]
    )
    assert timeout["Attributes"] == {"VisibilityTimeout": "60"}

    with pytest.raises(StackFailed) as again:
        deploy("local", parameters)
    assert str(again.value) == str(failure.value)  # without the failures of the time before

    template.write_text(good.replace("VisibilityTimeout: !Ref VisibilityTimeoutSeconds", "VisibilityTimeout: 90"))
    deploy("local", parameters)
    assert statuses(emulator("cloudformation"))["marketplace-local-ingest"] == "UPDATE_COMPLETE"


def test_a_stack_whose_creation_was_rolled_back_heals(emulator, editable: Path, parameters):
    template = editable / "templates" / "ingest.yaml"
    good = template.read_text()
    template.write_text(good.replace("VisibilityTimeout: !Ref VisibilityTimeoutSeconds", "VisibilityTimeout: 43201"))
    with pytest.raises(StackFailed, match=r"LandingQueue \(AWS::SQS::Queue\)"):
        deploy("local", parameters)
    assert statuses(emulator("cloudformation")) == {
        "marketplace-local-keys": "CREATE_COMPLETE",
        "marketplace-local-alerts": "CREATE_COMPLETE",
        "marketplace-local-network": "CREATE_COMPLETE",
        "marketplace-local-ingest": "ROLLBACK_COMPLETE",
    }

    template.write_text(good)
    deploy("local", parameters)

    assert statuses(emulator("cloudformation")) == dict.fromkeys(STACKS, "CREATE_COMPLETE")


def test_a_stack_in_review_is_created_by_a_change_set_of_its_own(emulator, put_in_review, parameters):
    cloudformation = emulator("cloudformation")
    put_in_review("local", "interrupted")
    assert statuses(cloudformation) == {"marketplace-local-ingest": "REVIEW_IN_PROGRESS"}
    lines: list[str] = []

    deploy("local", parameters, progress=lines.append)

    assert statuses(cloudformation) == dict.fromkeys(STACKS, "CREATE_COMPLETE")
    assert [line for line in lines if "DELETE" in line or "deleted" in line] == []


@pytest.mark.parametrize("call", ["create_change_set", "describe_change_set", "execute_change_set"])
@pytest.mark.parametrize("deployed", [False, True])
def test_ctrl_c_leaves_no_change_set_that_was_not_executed(
    emulator, parameters, monkeypatch, call: str, deployed: bool
):
    cloudformation = emulator("cloudformation")
    if deployed:
        deploy("local", parameters)

    with monkeypatch.context() as patch:
        interrupt_after(patch, call)
        with pytest.raises(KeyboardInterrupt):
            deploy("local", parameters | {"Creator": "others"})

    change_sets = [
        change_set["ExecutionStatus"]
        for stack in statuses(cloudformation)
        for change_set in cloudformation.list_change_sets(StackName=stack)["Summaries"]
    ]
    executing = call == "execute_change_set"
    assert [status for status in change_sets if not status.startswith("EXECUTE_")] == []
    assert list(statuses(cloudformation)) == (STACKS if deployed else STACKS[:1] if executing else [])
    deploy("local", parameters | {"Creator": "others"})  # which goes on from there
    assert list(statuses(cloudformation)) == STACKS


def interrupt_after(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Have the first of these calls to CloudFormation end as Ctrl-C ends it when the answer is already on its way."""
    connect = tool._connect

    def connected(*arguments: Any) -> Any:
        account = connect(*arguments)
        cloudformation = account.cloudformation
        real = getattr(cloudformation, call)

        def interrupted(**request: Any) -> None:
            setattr(cloudformation, call, real)
            real(**request)
            raise KeyboardInterrupt

        setattr(cloudformation, call, interrupted)
        return account

    monkeypatch.setattr(tool, "_connect", connected)


def test_what_cloudformation_refuses_before_it_begins_is_named_too(emulator, parameters):
    emulator("s3").create_bucket(Bucket=BUCKET)

    with pytest.raises(StackFailed) as failure:
        deploy("local", parameters)

    assert str(failure.value).splitlines()[-1] == (
        f"  LandingBucket (AWS::S3::Bucket): Resource of type 'AWS::S3::Bucket' with identifier '{BUCKET}' "
        "already exists."
    )


def test_a_value_that_the_template_refuses_is_named_with_its_stack(emulator, parameters):
    with pytest.raises(StackFailed, match=r"^marketplace-local-connections: .*StoreOwnerPassword"):
        deploy("local", parameters | {"StoreOwnerPassword": "short"})


def test_destroy_leaves_nothing(emulator, parameters):
    deploy("local", parameters)
    s3 = emulator("s3")
    for body in (b"1", b"2"):
        s3.put_object(Bucket=BUCKET, Key="landing/game/a.csv", Body=body)
    s3.delete_object(Bucket=BUCKET, Key="landing/game/a.csv")
    s3.put_object(Bucket=BUCKET, Key="archive/game/a.csv", Body=b"1")
    lines: list[str] = []

    destroy("local", progress=lines.append)

    assert statuses(emulator("cloudformation")) == {}
    assert s3.list_buckets()["Buckets"] == []
    assert emulator("sqs").list_queues().get("QueueUrls", []) == []
    assert emulator("secretsmanager").list_secrets()["SecretList"] == []
    assert emulator("cloudwatch").describe_alarms()["MetricAlarms"] == []
    deleted = [line.removesuffix(": DELETE_COMPLETE") for line in lines if line.endswith(": DELETE_COMPLETE")]
    assert deleted == list(reversed(STACKS))

    again: list[str] = []
    destroy("local", progress=again.append)
    assert again[1:] == ["local: there is nothing to delete"]


IMPORTER = """\
Resources:
  Nothing:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Value: {"Fn::ImportValue": marketplace-local-LandingBucketName}}
"""
WAITING = """
  Handle:
    Type: AWS::CloudFormation::WaitConditionHandle
  Waiting:
    Type: AWS::CloudFormation::WaitCondition
    Properties: {Handle: !Ref Handle, Timeout: 3600}

Outputs:
"""


@pytest.mark.parametrize("obstacle", ["importer", "protection", "operation"])
def test_destroy_touches_nothing_when_one_stack_cannot_be_deleted(emulator, editable: Path, parameters, obstacle: str):
    cloudformation = emulator("cloudformation")
    deploy("local", parameters)
    emulator("s3").put_object(Bucket=BUCKET, Key="landing/game/a.csv", Body=b"game_id\n")
    if obstacle == "importer":
        cloudformation.create_stack(StackName="other", TemplateBody=IMPORTER)
        cloudformation.get_waiter("stack_create_complete").wait(StackName="other", WaiterConfig={"Delay": 1})
        expected = (
            "marketplace-local-ingest exports marketplace-local-LandingBucketName, which other imports: delete that "
            "first"
        )
    elif obstacle == "protection":
        cloudformation.update_termination_protection(
            StackName="marketplace-local-keys", EnableTerminationProtection=True
        )
        expected = "marketplace-local-keys has termination protection: switch it off if you mean it"
    else:
        template = editable / "templates" / "ingest.yaml"
        template.write_text(template.read_text().replace("\nOutputs:\n", WAITING))
        with pytest.raises(StackTimeout):
            tool.deploy("local", parameters, timeout=1)
        expected = "marketplace-local-ingest is in UPDATE_IN_PROGRESS: wait for its end"
    before = inventory.of(emulator), statuses(cloudformation)

    with pytest.raises(NotDeletable) as refused:
        destroy("local")

    assert str(refused.value) == f"Nothing was touched, because\n  {expected}"
    assert (inventory.of(emulator), statuses(cloudformation)) == before
    assert emulator("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 1


def test_a_bucket_is_empty_before_its_stack_is_deleted(emulator, parameters, monkeypatch):
    """S3 insists on it."""
    deploy("local", parameters)
    s3 = emulator("s3")
    for number in range(8):
        s3.put_object(Bucket=BUCKET, Key=f"archive/game/{number % 6}.csv", Body=b"1")
    s3.delete_object(Bucket=BUCKET, Key="archive/game/0.csv")
    monkeypatch.setattr("infra.deploy.DELETE_BATCH", 4)  # 9 versions and markers are three pages then
    found = {}

    def look(_stacks: Stacks, name: str) -> None:
        page = s3.list_object_versions(Bucket=BUCKET)
        found[name] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]

    monkeypatch.setattr(Stacks, "delete", look)
    destroy("local")

    after = ("monitoring", "api", "code", "connections", "access", "notifications")
    assert [len(found.pop(f"marketplace-local-{stack}")) for stack in after] == [9] * 6
    assert found == {stack: [] for stack in STACKS[:5]}


def test_destroy_goes_on_when_a_bucket_was_deleted_by_hand(emulator, parameters):
    deploy("local", parameters)
    emulator("s3").delete_bucket(Bucket=BUCKET)

    destroy("local")

    assert statuses(emulator("cloudformation")) == {}


def test_the_command_prints_where_it_goes_first_then_the_outputs(emulator, emulator_url, tmp_path: Path, capsys):
    file = tmp_path / "parameters.yaml"
    file.write_text("Creator: tests\nRawFileRetentionDays: 7\n")

    assert main(["deploy", "--environment", "dev", "--parameters", str(file)]) == 0

    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"dev: account 000000000000, {emulator_url}"
    assert "LandingBucket=marketplace-dev-landing-000000000000-us-east-1" in printed
    assert printed[-1].endswith("Then: make publish ENV=dev")
    stack = emulator("cloudformation").describe_stacks(StackName="marketplace-dev-storage")["Stacks"][0]
    assert {"ParameterKey": "RawFileRetentionDays", "ParameterValue": "7"} in stack["Parameters"]

    assert main(["destroy", "--environment", "dev"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "marketplace-dev-keys: DELETE_COMPLETE"


def test_the_command_line_wins_over_the_file(emulator, tmp_path: Path):
    file = tmp_path / "parameters.yaml"
    file.write_text("Creator: somebody\n")

    assert main(["deploy", "--environment", "dev", "--creator", "tests", "--parameters", str(file)]) == 0

    stack = emulator("cloudformation").describe_stacks(StackName="marketplace-dev-keys")["Stacks"][0]
    assert {"Key": "creator", "Value": "tests"} in stack["Tags"]


def test_a_file_of_parameters_is_read_as_it_is_typed(tmp_path: Path):
    file = tmp_path / "parameters.yaml"
    file.write_text("StorePort: 05432\nStoreOwnerPassword: 1234567890e12345\nStoreHost: on\nCreator: 1:30\nOther:\n")

    assert parameters_of(file) == {
        "StorePort": "05432",
        "StoreOwnerPassword": "1234567890e12345",
        "StoreHost": "on",
        "Creator": "1:30",
        "Other": "",
    }


def parameters_of(file: Path) -> dict[str, str]:
    return tool._parameters(tool._parser().parse_args(["plan", "--environment", "dev", "--parameters", str(file)]))


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "{}"])
def test_an_empty_file_of_parameters_gives_none(tmp_path: Path, text: str):
    file = tmp_path / "parameters.yaml"
    file.write_text(text)
    options = tool._parser().parse_args(
        ["plan", "--environment", "dev", "--creator", "tests", "--parameters", str(file)]
    )

    assert tool._parameters(options) == {"Creator": "tests"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"StoreOwnerPassword: {secret-0123456789", "FILE is not YAML: line 1, column 39."),
        (b"Creator: tests\nStoreOwnerPassword: @secret\n", "FILE is not YAML: line 2, column 21."),
        (b"StoreOwnerPassword: secret\x00\n", "FILE is not YAML."),
        (b"StoreOwnerPassword: secret\xe9\n", "FILE is not UTF-8: byte 26."),
        (b"- secret\n", "FILE: parameters must be names with values, such as RawFileRetentionDays: 30."),
        (b"secret\n", "FILE: parameters must be names with values, such as RawFileRetentionDays: 30."),
        (
            b"StoreOwnerPassword: {is: secret}\nCreator: [secret]\nStoreHost: secret\n",
            "FILE: the value of Creator, StoreOwnerPassword must be a single text or number.",
        ),
    ],
)
def test_what_is_wrong_with_a_file_of_parameters_is_said_without_what_it_says(
    tmp_path: Path, content: bytes, message: str
):
    file = tmp_path / "parameters.yaml"
    file.write_bytes(content)

    with pytest.raises(ConfigError) as refused:
        parameters_of(file)

    assert str(refused.value) == message.replace("FILE", str(file))
    assert refused.value.__cause__ is None


COMMAND = [sys.executable, "-m", "infra.deploy"]


def test_a_deployment_goes_on_when_nobody_reads_its_output(emulator):
    """As with `| head -1`."""
    process = subprocess.Popen(
        [*COMMAND, "deploy", "--environment", "dev", "--creator", "tests"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    assert process.stdout.readline().startswith(b"dev: account 000000000000")
    process.stdout.close()

    assert (process.stderr.read(), process.wait()) == (b"", 0)
    process.stderr.close()
    names = [stack.name for stack in environments.load("dev").stacks]
    assert statuses(emulator("cloudformation")) == {f"marketplace-dev-{name}": "CREATE_COMPLETE" for name in names}


@pytest.mark.parametrize(("environment", "code"), [("dev", 0), ("staging", 1)])
def test_the_exit_code_is_the_same_when_nobody_reads_anything(emulator, environment: str, code: int):
    reading, writing = os.pipe()
    os.close(reading)
    command = [*COMMAND, "plan", "--environment", environment, "--creator", "tests"]

    assert subprocess.run(command, stdout=writing, stderr=writing, cwd=REPOSITORY, check=False).returncode == code
    os.close(writing)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "--environment", ""], "plan: Say which environment: make plan ENV=dev CREATOR=you@example.org"),
        (["destroy", "--environment", ""], "destroy: Say which environment: make destroy ENV=dev"),
        (
            ["deploy", "--environment", "dev", "--creator", ""],
            "deploy dev: Say who deploys, for the tag on every resource: make deploy ENV=dev CREATOR=you@example.org",
        ),
        (
            ["destroy", "--environment", "local"],
            "destroy local: local is this machine: make up deploys it, make reset deletes it.",
        ),
        (
            ["plan", "--environment", "dev", "--creator", "tests", "--parameters", "/nowhere/file"],
            "plan dev: /nowhere/file cannot be read: No such file or directory.",
        ),
        (
            ["plan", "--environment", "dev", "--creator", "tests", "--parameters", __file__],
            f"plan dev: {__file__} is not YAML: ",
        ),
    ],
)
def test_the_command_says_what_is_wrong_and_fails(emulator, capsys, arguments: list[str], message: str):
    assert main(arguments) == 1

    printed = capsys.readouterr()
    assert printed.err.startswith(message)
    assert printed.out == ""
    assert statuses(emulator("cloudformation")) == {}


def test_the_bucket_is_as_the_template_says(emulator, parameters):
    outputs = deploy("local", parameters)
    s3 = emulator("s3")

    assert s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"] == [
        {"ID": "expire-archive", "Filter": {"Prefix": "archive/"}, "Status": "Enabled", "Expiration": {"Days": 30}},
        {"ID": "expire-rejected", "Filter": {"Prefix": "rejected/"}, "Status": "Enabled", "Expiration": {"Days": 30}},
        {
            "ID": "expire-mock-truth",
            "Filter": {"Prefix": "mock-truth/"},
            "Status": "Enabled",
            "Expiration": {"Days": 30},
        },
        {
            "ID": "clean-up",
            "Filter": {"Prefix": ""},
            "Status": "Enabled",
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 14},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]}
    assert {"creator": "tests", "project": "marketplace", "environment": "local"}.items() <= tags.items()
    assert s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"] == [
        {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": outputs["DataKeyArn"],
            },
            "BucketKeyEnabled": True,
        }
    ]
    assert s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"] == [
        {"ObjectOwnership": "BucketOwnerEnforced"}
    ]
    applied = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert set(applied.values()) == {True}
    assert json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"][0]["Sid"] == "TlsOnly"


def test_what_the_emulator_does_not_do_is_what_the_docs_say(emulator, emulator_url, parameters):
    """When this fails after an upgrade of the emulator, docs/deploy.md has a line less."""
    outputs = deploy("local", parameters)

    assert emulator_url.startswith("http://")
    emulator("s3").put_object(Bucket=BUCKET, Key="archive/a", Body=b"")  # without TLS, against the bucket's policy

    states = {alarm["StateValue"] for alarm in emulator("cloudwatch").describe_alarms()["MetricAlarms"]}
    assert len(receive_all(emulator("sqs"), outputs["LandingQueueUrl"])) == 1
    assert states == {"INSUFFICIENT_DATA"}


def test_an_environment_that_is_not_deployed_is_not_verified(emulator, capsys):
    assert verify.main(["--environment", "qa"]) == 1

    absent = capsys.readouterr().err
    assert absent.startswith("verify qa: There is no stack marketplace-qa-keys, marketplace-qa-alerts, ")
    assert absent.endswith(": deploy the environment first.\n")
