"""What `plan` says, to the letter, and that it leaves the account as it was."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.client
import pytest
from botocore.exceptions import ClientError

from infra import deploy as tool
from infra import environments
from infra import plan as planning
from infra.errors import StackFailed
from infra.stacks import Stacks
from tests.infra import inventory, templates
from tests.infra.test_access import actions
from tests.infra.test_deploy import interrupt_after

deploy = functools.partial(tool.deploy, timeout=60)

CREATOR = {"Creator": "tests"}
KEYS = """\
marketplace-dev-keys: new
  + DataKey (AWS::KMS::Key)
  + DataKeyAlias (AWS::KMS::Alias)
  + LogsKey (AWS::KMS::Key)
  + LogsKeyAlias (AWS::KMS::Alias)
"""
INGEST = """\
marketplace-dev-ingest: new; cannot be computed before there is marketplace-dev-AlarmTopicArn; by its template, at \
most:
  + LandingQueue (AWS::SQS::Queue)
  + LandingDeadLetterQueue (AWS::SQS::Queue)
  + LandingQueuePolicy (AWS::SQS::QueuePolicy)
  + LandingDeadLetterQueuePolicy (AWS::SQS::QueuePolicy)
  + DeadLetterAlarm (AWS::CloudWatch::Alarm)
  + OldestEventAlarm (AWS::CloudWatch::Alarm)
"""
STORAGE = """\
marketplace-dev-storage: new; cannot be computed before there is marketplace-dev-DataKeyArn, \
marketplace-dev-LandingBucketName, marketplace-dev-LandingQueueArn; by its template, at most:
  + LandingBucket (AWS::S3::Bucket)
  + LandingBucketPolicy (AWS::S3::BucketPolicy)
  + ExportBucket (AWS::S3::Bucket)
  + ExportBucketPolicy (AWS::S3::BucketPolicy)
  + ReportBucket (AWS::S3::Bucket)
  + ReportBucketPolicy (AWS::S3::BucketPolicy)
"""
NOTIFICATIONS = """\
marketplace-dev-notifications: new; cannot be computed before there is marketplace-dev-AlarmTopicArn, \
marketplace-dev-DataKeyArn; by its template, at most:
  + NotificationQueue (AWS::SQS::Queue)
  + NotificationDeadLetterQueue (AWS::SQS::Queue)
  + NotificationQueuePolicy (AWS::SQS::QueuePolicy)
  + NotificationDeadLetterQueuePolicy (AWS::SQS::QueuePolicy)
  + NotificationTable (AWS::DynamoDB::Table)
  + NotificationDeadLetterAlarm (AWS::CloudWatch::Alarm)
  + OldestNotificationAlarm (AWS::CloudWatch::Alarm)
"""
STORE = """\
marketplace-dev-store: new; cannot be computed before there is marketplace-dev-DataKeyArn, \
marketplace-dev-LogsKeyArn, marketplace-dev-PrivateSubnetIds, marketplace-dev-StoreSecurityGroupId; by its template, \
at most:
  + StoreSubnetGroup (AWS::RDS::DBSubnetGroup)
  + StoreParameterGroup (AWS::RDS::DBParameterGroup)
  + StoreLogGroup (AWS::Logs::LogGroup)
  + StoreUpgradeLogGroup (AWS::Logs::LogGroup)
  + Store (AWS::RDS::DBInstance)
"""
WAREHOUSE = """\
marketplace-dev-warehouse: new; cannot be computed before there is marketplace-dev-DataKeyArn, \
marketplace-dev-ExportBucketArn, marketplace-dev-LogsKeyArn, marketplace-dev-PrivateSubnetIds, \
marketplace-dev-StoreArn, marketplace-dev-WarehouseSecurityGroupId; by its template, at most:
  + WarehouseRole (AWS::IAM::Role)
  + WarehouseConnectionLogGroup (AWS::Logs::LogGroup)
  + WarehouseUserLogGroup (AWS::Logs::LogGroup)
  + WarehouseActivityLogGroup (AWS::Logs::LogGroup)
  + WarehouseNamespace (AWS::RedshiftServerless::Namespace)
  + WarehouseWorkgroup (AWS::RedshiftServerless::Workgroup)
  + WarehouseBudget (AWS::Budgets::Budget)
  + WarehouseIntegration (AWS::RDS::Integration), if HasZeroEtl
"""
NAMES = [stack.name for stack in environments.load("dev").stacks]
UNCHANGED = [f"marketplace-dev-{name}: unchanged" for name in NAMES]

Plan = Callable[..., list[str]]


@pytest.fixture
def plan(emulator) -> Plan:
    """Plan dev; give the lines after the first, once it is sure that nothing has changed."""

    def planned(parameters: dict[str, str] | None = None) -> list[str]:
        before = _traces(emulator)
        lines: list[str] = []
        tool.plan("dev", CREATOR | (parameters or {}), timeout=60, progress=lines.append)
        assert _traces(emulator) == before
        assert lines[0].startswith("dev: account 000000000000, http://127.0.0.1:")
        return lines[1:]

    return planned


def _traces(client: Callable[[str], Any]) -> list[Any]:
    """All that CloudFormation remembers: stacks, their events and change sets. It touches no resource without them."""
    cloudformation = client("cloudformation")
    return [
        [
            stack,
            cloudformation.describe_stack_events(StackName=stack["StackId"])["StackEvents"],
            cloudformation.list_change_sets(StackName=stack["StackName"])["Summaries"],
        ]
        for stack in cloudformation.describe_stacks()["Stacks"]
    ]


def edit(directory: Path, template: str, old: str, new: str) -> None:
    path = directory / "templates" / f"{template}.yaml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_a_new_environment(plan: Plan, emulator):
    empty = inventory.of(emulator)
    lines = plan()
    assert inventory.of(emulator) == empty

    headings = [line.partition(":")[0] for line in lines if not line.startswith("  ")]
    assert headings == [f"marketplace-dev-{name}" for name in NAMES]
    first, alerts, network, ingest = (
        next(number for number, line in enumerate(lines) if line.startswith(f"marketplace-dev-{name}: new"))
        for name in ("keys", "alerts", "network", "ingest")
    )
    assert lines[first:alerts] == KEYS.splitlines()
    access = next(number for number, line in enumerate(lines) if line.startswith("marketplace-dev-access: new; "))
    assert lines[ingest:access] == (INGEST + STORAGE + NOTIFICATIONS + STORE + WAREHOUSE).splitlines()
    # Of the rest: each resource of the template once, with its condition where it has one.
    assert lines[network : network + 2] == [
        "marketplace-dev-network: new; cannot be computed before there is marketplace-dev-LogsKeyArn; by its template, "
        "at most:",
        "  + Vpc (AWS::EC2::VPC)",
    ]
    assert len(lines[network + 1 : ingest]) == 61
    assert [line for line in lines[network:ingest] if ", if HasNatGatewayPerZone" in line] == [
        "  + NatAddressB (AWS::EC2::EIP), if HasNatGatewayPerZone",
        "  + NatGatewayB (AWS::EC2::NatGateway), if HasNatGatewayPerZone",
        "  + NatAddressC (AWS::EC2::EIP), if HasNatGatewayPerZone",
        "  + NatGatewayC (AWS::EC2::NatGateway), if HasNatGatewayPerZone",
    ]


def test_the_pipelines_plan_asks_only_what_its_role_may_and_a_deployment_takes_what_it_leaves(emulator, monkeypatch):
    (policy,) = templates.of_type("AWS::IAM::Role")["PlanRole"]["Policies"]
    allowed = {action for of in policy["PolicyDocument"]["Statement"] for action in actions(of)}
    refused = set()
    real = botocore.client.BaseClient._make_api_call

    def asked(client: Any, operation: str, request: dict[str, Any]) -> Any:
        action = f"{client.meta.service_model.service_name}:{operation}"
        if action in allowed | {"sts:GetCallerIdentity"}:  # which needs no right
            return real(client, operation, request)
        refused.add(action)
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": action}}, operation)

    for deployed in (False, True):
        lines: list[str] = []
        with monkeypatch.context() as patched:
            patched.setattr(botocore.client.BaseClient, "_make_api_call", asked)
            tool.plan("dev", CREATOR, timeout=60, progress=lines.append)
        if not deployed:
            assert lines[1:6] == KEYS.splitlines()
            assert refused == {"cloudformation:DeleteStack"}
            left = {of["StackName"]: of["StackStatus"] for of in emulator("cloudformation").describe_stacks()["Stacks"]}
            assert left == dict.fromkeys(["marketplace-dev-keys", "marketplace-dev-alerts"], "REVIEW_IN_PROGRESS")
            deploy("dev", CREATOR)
            refused.clear()
    assert lines[1:] == UNCHANGED
    assert refused == set()


@pytest.mark.parametrize("call", ["create_change_set", "describe_change_set"])
def test_ctrl_c_leaves_nothing_either(emulator, monkeypatch, capsys, call: str):
    interrupt_after(monkeypatch, call)

    assert tool.main(["plan", "--environment", "dev", "--creator", "tests"]) == 130

    assert _traces(emulator) == []
    printed = capsys.readouterr()
    assert printed.err.startswith("Interrupted.")
    assert "new" not in printed.out  # it was in the first stack


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"])
def test_a_stack_that_cannot_be_updated_now(plan: Plan, monkeypatch, status: str):
    deploy("dev", CREATOR)
    real = Stacks.status
    monkeypatch.setattr(
        Stacks, "status", lambda stacks, name: status if name == "marketplace-dev-ingest" else real(stacks, name)
    )

    assert plan() == [
        *UNCHANGED[:3],
        f"marketplace-dev-ingest: {status}, in which CloudFormation computes nothing: wait for its end, or see what "
        "deploy says",
        *UNCHANGED[4:],
    ]


def test_nothing_to_change(plan: Plan):
    deploy("dev", CREATOR)

    assert plan() == UNCHANGED


def test_changed_properties(plan: Plan):
    deploy("dev", CREATOR)

    assert plan({"MaxReceiveCount": "7"}) == [
        *UNCHANGED[:3],
        "marketplace-dev-ingest: changes",
        "  ~ LandingQueue (AWS::SQS::Queue): RedrivePolicy",
        # These refer to the queue, and the emulator does not know of alarms and policies that they are never replaced.
        "  ~ LandingQueuePolicy (AWS::SQS::QueuePolicy): PolicyDocument; may be replaced",
        "  ~ OldestEventAlarm (AWS::CloudWatch::Alarm): Dimensions; may be replaced",
        *UNCHANGED[4:],
    ]


def test_a_replacement_is_loud_and_says_what_becomes_of_the_old_one(plan: Plan, editable: Path):
    deploy("dev", CREATOR)
    edit(editable, "ingest", '-landing-dead-letter"\n      Sqs', '-landing-dlq"\n      Sqs')

    assert plan() == [
        *UNCHANGED[:3],
        "marketplace-dev-ingest: changes",
        "  ~ DeadLetterAlarm (AWS::CloudWatch::Alarm): Dimensions; may be replaced",
        "  ! LandingDeadLetterQueue (AWS::SQS::Queue): REPLACED because of QueueName; the old one is deleted with what "
        "is in it",
        "  ~ LandingDeadLetterQueuePolicy (AWS::SQS::QueuePolicy): PolicyDocument, Queues; may be replaced",
        "  ~ LandingQueue (AWS::SQS::Queue): RedrivePolicy",
        "  ~ LandingQueuePolicy (AWS::SQS::QueuePolicy): PolicyDocument; may be replaced",
        "  ~ OldestEventAlarm (AWS::CloudWatch::Alarm): Dimensions; may be replaced",
        *UNCHANGED[4:],
    ]

    template = editable / "templates" / "ingest.yaml"
    template.write_text(template.read_text().replace("UpdateReplacePolicy: Delete", "UpdateReplacePolicy: Retain"))
    assert [line for line in plan() if line.startswith("  !")] == [
        "  ! LandingDeadLetterQueue (AWS::SQS::Queue): REPLACED because of QueueName; the old one is kept, outside the "
        "stack"
    ]


def test_a_removal(plan: Plan, editable: Path):
    deploy("dev", CREATOR)
    alarm = (editable / "templates" / "ingest.yaml").read_text().partition("  OldestEventAlarm:\n")[2]
    edit(editable, "ingest", "  OldestEventAlarm:\n" + alarm.partition("\nOutputs:")[0], "")
    edit(editable, "storage", "Delete\n    UpdateReplacePolicy: Retain", "Retain\n    UpdateReplacePolicy: Retain")
    deploy("dev", CREATOR)  # the policy counts as it was deployed
    text = (editable / "templates" / "storage.yaml").read_text()
    (editable / "templates" / "storage.yaml").write_text(text.partition("Resources:")[0] + NOTHING)

    assert plan() == [
        *UNCHANGED[:4],
        "marketplace-dev-storage: changes",
        "  - ExportBucket (AWS::S3::Bucket): REMOVED; it is deleted with what is in it",
        "  - ExportBucketPolicy (AWS::S3::BucketPolicy): REMOVED; it is deleted",
        "  - LandingBucket (AWS::S3::Bucket): REMOVED; it is kept, outside the stack",
        "  - LandingBucketPolicy (AWS::S3::BucketPolicy): REMOVED; it is deleted",
        "  + Nothing (AWS::CloudFormation::WaitConditionHandle)",
        "  - ReportBucket (AWS::S3::Bucket): REMOVED; it is deleted with what is in it",
        "  - ReportBucketPolicy (AWS::S3::BucketPolicy): REMOVED; it is deleted",
        *UNCHANGED[5:],
    ]


NOTHING = """\
Resources:
  Nothing:
    Type: AWS::CloudFormation::WaitConditionHandle
"""


def test_a_stack_in_review_is_computed_and_keeps_the_change_set_of_somebody_else(emulator, put_in_review):
    cloudformation = emulator("cloudformation")
    put_in_review("dev", "somebody-looks-at-this")
    lines: list[str] = []

    tool.plan("dev", CREATOR, timeout=60, progress=lines.append)

    assert "\n".join(INGEST.splitlines()) in "\n".join(lines)
    # (The emulator gives the stack another id with each of these change sets; AWS adds them to the one there is.)
    (stack,) = cloudformation.describe_stacks()["Stacks"]
    assert (stack["StackName"], stack["StackStatus"]) == ("marketplace-dev-ingest", "REVIEW_IN_PROGRESS")
    change_sets = cloudformation.list_change_sets(StackName="marketplace-dev-ingest")["Summaries"]
    assert [change_set["ChangeSetName"] for change_set in change_sets] == ["somebody-looks-at-this"]


def test_a_stack_whose_creation_was_rolled_back_is_listed_by_its_template(plan: Plan, editable: Path):
    old, new = "VisibilityTimeout: !Ref VisibilityTimeoutSeconds", "VisibilityTimeout: 43201"
    edit(editable, "ingest", old, new)
    with pytest.raises(StackFailed):
        deploy("dev", CREATOR)
    edit(editable, "ingest", new, old)

    lines = plan()

    heading = "marketplace-dev-ingest: ROLLBACK_COMPLETE, so it is deleted and created anew; by its template, at most:"
    assert lines[lines.index(heading) + 1] == "  + LandingQueue (AWS::SQS::Queue)"


def test_nothing_is_said_of_a_resource_that_does_not_exist(plan: Plan):
    deploy("dev", CREATOR)

    lines = plan({"Creator": "others"})

    assert [line.split()[:2] for line in lines if "AWS::EC2::NatGateway" in line] == [["~", "NatGatewayA"]]


def detail(name: str, recreation: str, evaluation: str) -> dict[str, Any]:
    target = {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation}
    return {"Target": target, "Evaluation": evaluation}


@pytest.mark.parametrize(
    ("details", "because"),
    [
        (
            [
                detail("Perhaps", "Always", "Dynamic"),
                detail("Surely", "Always", "Static"),
                detail("InPlace", "Never", "Static"),
            ],
            " because of Surely",
        ),
        ([detail("One", "Always", "Dynamic"), detail("Two", "Conditionally", "Dynamic")], " because of One, Two"),
        ([{"Target": {"Attribute": "Tags"}, "Evaluation": "Static"}], ""),
        ([], ""),  # another type
    ],
)
def test_what_causes_a_replacement_is_what_is_certain_to(details: list[dict[str, Any]], because: str):
    change = {
        "Action": "Modify",
        "LogicalResourceId": "Thing",
        "ResourceType": "AWS::S3::Bucket",
        "Replacement": "True",
        "Details": details,
    }

    assert planning._line(change) == f"  ! Thing (AWS::S3::Bucket): REPLACED{because}; the old one is deleted with " + (
        "what is in it"
    )


def test_a_stack_that_imports_what_is_not_there_yet(plan: Plan, editable: Path):
    deploy("dev", CREATOR)
    edit(editable, "storage", "${Project}-${Environment}-LandingQueueArn", "${Project}-${Environment}-OtherQueueArn")

    assert plan() == [
        *UNCHANGED[:4],
        "marketplace-dev-storage: cannot be computed before there is marketplace-dev-OtherQueueArn",
        *UNCHANGED[5:],
    ]


def test_what_cloudformation_refuses_is_said_and_leaves_nothing(plan: Plan, emulator):
    before = _traces(emulator)

    with pytest.raises(StackFailed, match=r"^marketplace-dev-keys: .*KeyDeletionWindowDays"):
        plan({"KeyDeletionWindowDays": "6"})

    assert _traces(emulator) == before
