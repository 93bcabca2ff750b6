"""The environments for AWS on a real emulator: whole, side by side, rolled back, and gone without a trace."""

from __future__ import annotations

import functools
import io
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from infra import airflow_package, environments
from infra import deploy as tool
from infra.errors import NotConfirmed, NotConnected, NotDeletable, StackFailed
from local import aws
from tests.infra import inventory

REPOSITORY = Path(__file__).resolve().parents[2]
CREATOR = {"Creator": "tests"}

deploy = functools.partial(tool.deploy, timeout=60)
destroy = functools.partial(tool.destroy, timeout=60)


def added(before: dict[str, Any], after: dict[str, Any]) -> Counter[str]:
    """How many of each kind are there now that were not there before."""
    return Counter(key.split()[0] for key in after.keys() - before.keys())


@pytest.mark.parametrize(
    ("environment", "nat_gateways"),
    [("dev", 1), pytest.param("qa", 1, marks=pytest.mark.full), pytest.param("prod", 3, marks=pytest.mark.full)],
)
def test_an_environment_is_deployed_destroyed_without_a_trace_and_deployed_again(
    emulator, monkeypatch, environment: str, nat_gateways: int
):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{environment} 000000000000\n"))
    empty = inventory.of(emulator)
    deploy(environment, CREATOR)

    whole = inventory.of(emulator)
    counts = added(empty, whole)
    assert counts.pop("Tags") > 0
    assert counts == {
        "Addresses": nat_gateways,
        "Aliases": 2,
        "BackupPlansList": 1,
        "BackupSelections": 1,
        "BackupVaultList": 1,
        "Buckets": 4,
        "Budgets": 1,
        "DBInstances": 1,
        "DBParameterGroups": 1,
        "DBParameters": 1,
        "DBSubnetGroups": 1,
        "DashboardEntries": 1,
        "Exports": 46,
        "FlowLogs": 1,
        "Functions": 1,
        "InternetGateways": 1,
        "Items": 1,  # the HTTP API
        "Keys": 2,
        "MetricAlarms": 24,
        "NatGateways": nat_gateways,
        "NetworkAcls": 1,  # the VPC's own
        "Queues": 4,
        "Roles": 5,
        "RouteTables": 5,  # one public, three private, and the VPC's own
        "SecretList": 5,
        "SecurityGroups": 5,  # four, and the VPC's own
        "Subnets": 6,
        "Tables": 1,
        "Topics": 1,
        "UserPools": 1,
        "VpcEndpoints": 2,
        "Vpcs": 1,
        "logGroups": 13,
    }
    lines: list[str] = []
    deploy(environment, CREATOR, progress=lines.append)
    assert inventory.of(emulator) == whole
    stacks = [f"marketplace-{environment}-{stack.name}" for stack in environments.load(environment).stacks]
    assert [line for line in lines if line.startswith("marketplace")] == [f"{stack}: unchanged" for stack in stacks]
    lines.clear()
    deploy(environment, CREATOR | {"MaxReceiveCount": "7"}, progress=lines.append)
    assert [line for line in lines if line.endswith("UPDATE_COMPLETE")] == [
        f"marketplace-{environment}-ingest: UPDATE_COMPLETE"
    ]
    emulator("s3").put_object(Bucket=bucket(environment), Key="landing/game/a.csv", Body=b"game_id\n")

    unprotect(emulator, environment)
    destroy(environment)

    assert inventory.of(emulator) == empty
    assert emulator("cloudformation").describe_stacks()["Stacks"] == []
    deploy(environment, CREATOR)
    assert added(empty, inventory.of(emulator)) == added(empty, whole)


def test_without_nat_gateways_the_private_subnets_reach_aws_by_endpoints_and_packages_come_as_wheels(
    emulator, editable: Path, monkeypatch
):
    asked: list[bool] = []
    build = airflow_package.build
    # The wheels themselves: test_airflow_package.py.
    monkeypatch.setattr(airflow_package, "build", lambda private: [asked.append(private), build(False)][1])
    stacks = editable / "config" / "dev" / "stacks.yaml"
    stacks.write_text(stacks.read_text().replace("NatGateways: One", "NatGateways: None"))
    empty = inventory.of(emulator)

    outputs = deploy("dev", CREATOR)

    of_vpc = [{"Name": "vpc-id", "Values": [outputs["VpcId"]]}]
    ec2 = emulator("ec2")
    assert ec2.describe_nat_gateways(Filters=of_vpc)["NatGateways"] == []
    routes = [route for table in ec2.describe_route_tables(Filters=of_vpc)["RouteTables"] for route in table["Routes"]]
    ways_out = [route for route in routes if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
    assert [route["GatewayId"][:4] for route in ways_out] == ["igw-"]  # of the public subnets, in which nothing is
    endpoints = ec2.describe_vpc_endpoints(Filters=of_vpc)["VpcEndpoints"]
    kinds = Counter(endpoint["VpcEndpointType"] for endpoint in endpoints)
    assert kinds == {"Interface": 10, "Gateway": 2}
    assert asked == [True]
    destroy("dev")
    assert inventory.of(emulator) == empty


def test_a_vault_is_emptied_before_it_is_deleted():
    """By a client of two pages: the emulator keeps no backups."""

    class Backup:
        def __init__(self) -> None:
            self.deleted: list[tuple[str, str]] = []

        def get_paginator(self, call: str) -> Backup:
            assert call == "list_recovery_points_by_backup_vault"
            return self

        def paginate(self, **_vault: str) -> list[dict[str, Any]]:
            return [{"RecoveryPoints": [{"RecoveryPointArn": arn} for arn in page]} for page in ("ab", "c", "")]

        def delete_recovery_point(self, **point: str) -> None:
            self.deleted.append((point["BackupVaultName"], point["RecoveryPointArn"]))

    backup = Backup()
    tool._empty_vault(backup, "marketplace-dev")

    assert backup.deleted == [("marketplace-dev", arn) for arn in "abc"]


def unprotect(emulator: Any, environment: str) -> None:
    """Let the database and the table be deleted, as a person does before prod is destroyed."""
    emulator("rds").modify_db_instance(
        DBInstanceIdentifier=f"marketplace-{environment}-store", DeletionProtection=False, ApplyImmediately=True
    )
    emulator("dynamodb").update_table(
        TableName=f"marketplace-{environment}-notifications", DeletionProtectionEnabled=False
    )


def bucket(environment: str) -> str:
    return f"marketplace-{environment}-landing-000000000000-us-east-1"


@pytest.mark.parametrize(
    ("environment", "nat_zones"), [("dev", "a"), pytest.param("prod", "abc", marks=pytest.mark.full)]
)
def test_private_subnets_go_out_by_the_nat_gateway_of_their_zone_where_there_is_one(
    emulator, environment: str, nat_zones: str
):
    outputs = deploy(environment, CREATOR)

    ec2 = emulator("ec2")
    of_vpc = [{"Name": "vpc-id", "Values": [outputs["VpcId"]]}]
    subnets = ec2.describe_subnets(Filters=of_vpc)["Subnets"]
    zone_of = {subnet["SubnetId"]: subnet["AvailabilityZone"].removeprefix("us-east-1") for subnet in subnets}
    gateways = ec2.describe_nat_gateways(Filters=of_vpc)["NatGateways"]
    zone_of |= {gateway["NatGatewayId"]: zone_of[gateway["SubnetId"]] for gateway in gateways}
    ways_out = {
        (zone_of[association["SubnetId"]], zone_of[route["NatGatewayId"]])
        for table in ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]
        for association in table["Associations"]
        for route in table["Routes"]
        if "NatGatewayId" in route
    }

    assert {gateway["SubnetId"] for gateway in gateways} <= {*outputs["PublicSubnetIds"].split(",")}
    assert "".join(sorted(zone_of[gateway["NatGatewayId"]] for gateway in gateways)) == nat_zones
    assert ways_out == {(zone, zone if zone in nat_zones else "a") for zone in "abc"}


def test_two_environments_share_an_account_and_one_is_destroyed_without_touching_the_other(emulator):
    deploy("qa", CREATOR)
    emulator("s3").put_object(Bucket=bucket("qa"), Key="landing/game/a.csv", Body=b"game_id\n")
    qa_alone = inventory.of(emulator)
    deploy("dev", CREATOR)
    assert qa_alone.items() <= inventory.of(emulator).items()

    destroy("dev")

    assert inventory.of(emulator) == qa_alone


# What is changed, by stack, and a resource that fails after it: {text in the template: its replacement}.
CHANGES = {
    "network": {
        "RetentionInDays: !Ref FlowLogRetentionDays": "RetentionInDays: 30",
        "Description: from functions": "Description: from functions only",
        "EnableDnsHostnames: true": "EnableDnsHostnames: false",
        "  S3Endpoint:": "  OtherEndpoint:",  # one is removed and one is added
        "\nOutputs:\n": """
  Broken:
    Type: AWS::EC2::NatGateway
    DependsOn: [FlowLogGroup, StoreFromFunctions, Vpc, OtherEndpoint]
    Properties:
      SubnetId: subnet-00000000
      ConnectivityType: private

Outputs:
""",
    },
    "storage": {
        "BucketKeyEnabled: true": "BucketKeyEnabled: false",
        "Value: landing/": "Value: elsewhere/",
        "Sid: TlsOnly": "Sid: OnlyTls",
        "DaysAfterInitiation: 7": "DaysAfterInitiation: 1",
        "\nOutputs:\n": """
  Broken:
    Type: AWS::SQS::Queue
    DependsOn:
      - LandingBucket
      - LandingBucketPolicy
      - ExportBucket
      - ExportBucketPolicy
      - ReportBucket
      - ReportBucketPolicy
    Properties:
      VisibilityTimeout: 43201

Outputs:
""",
    },
    "store": {
        'log_min_duration_statement: "1000"': 'log_min_duration_statement: "500"',
        "log_lock_waits:": "log_checkpoints:",  # one is removed and one is added
        "MultiAZ: !Ref StoreMultiAz": "MultiAZ: true",
        "\nOutputs:\n": """
  Broken:
    Type: AWS::SQS::Queue
    DependsOn: [Store, StoreParameterGroup]
    Properties:
      VisibilityTimeout: 43201

Outputs:
""",
    },
}
UPDATED = {
    "network": {"FlowLogGroup", "StoreFromFunctions", "Vpc"},
    "storage": {f"{name}Bucket{what}" for name in ("Landing", "Export", "Report") for what in ("", "Policy")},
    "store": {"Store", "StoreParameterGroup"},
}


@pytest.mark.parametrize("stack", ["network", "storage", pytest.param("store", marks=pytest.mark.full)])
def test_an_update_that_fails_half_way_is_rolled_back_to_what_was(emulator, editable: Path, stack: str):
    deploy("dev", CREATOR)
    emulator("s3").put_object(Bucket=bucket("dev"), Key="landing/game/a.csv", Body=b"game_id\n")
    before = inventory.of(emulator)
    template = editable / "templates" / f"{stack}.yaml"
    text = template.read_text()
    for old, new in CHANGES[stack].items():
        assert old in text
        text = text.replace(old, new)
    template.write_text(text)

    with pytest.raises(StackFailed, match=rf"^marketplace-dev-{stack} ended in UPDATE_ROLLBACK_COMPLETE\.\n  Broken "):
        deploy("dev", CREATOR)

    assert inventory.of(emulator) == before
    # It did get half way.
    events = emulator("cloudformation").describe_stack_events(StackName=f"marketplace-dev-{stack}")["StackEvents"]
    started = {event["LogicalResourceId"] for event in events if event["ResourceStatus"] == "UPDATE_IN_PROGRESS"}
    assert started >= UPDATED[stack]


def test_prod_is_destroyed_when_environment_and_account_are_typed(emulator, monkeypatch, capsys):
    empty = inventory.of(emulator)
    deploy("prod", CREATOR)
    unprotect(emulator, "prod")
    whole = inventory.of(emulator)

    for typed in ("", "yes\n", "prod\n", "prod 111111111111\n", "dev 000000000000\n", "PROD 000000000000\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        with pytest.raises(NotConfirmed, match=r"^Not confirmed: nothing was touched\.$"):
            destroy("prod")
        assert capsys.readouterr().out == (
            "This deletes all of prod in account 000000000000, with its data. To go on, type: prod 000000000000\n"
        )
    assert inventory.of(emulator) == whole

    monkeypatch.setattr("sys.stdin", io.StringIO("prod 000000000000\n"))
    destroy("prod")
    assert inventory.of(emulator) == empty


def test_a_protected_database_or_table_keeps_its_environment_from_being_destroyed(emulator, monkeypatch):
    deploy("prod", CREATOR)
    whole = inventory.of(emulator)
    monkeypatch.setattr("sys.stdin", io.StringIO("prod 000000000000\n"))

    with pytest.raises(NotDeletable) as refused:
        destroy("prod")

    assert str(refused.value).splitlines() == [
        "Nothing was touched, because",
        "  marketplace-prod-store: the database marketplace-prod-store has deletion protection. If you mean it: aws rds"
        " modify-db-instance --db-instance-identifier marketplace-prod-store --no-deletion-protection"
        " --apply-immediately",
        "  marketplace-prod-notifications: the table marketplace-prod-notifications has deletion protection. If you"
        " mean it: aws dynamodb update-table --table-name marketplace-prod-notifications"
        " --no-deletion-protection-enabled",
    ]
    assert inventory.of(emulator) == whole


def test_a_database_that_somebody_deleted_does_not_stop_the_rest(emulator):
    empty = inventory.of(emulator)
    deploy("dev", CREATOR)
    emulator("rds").delete_db_instance(DBInstanceIdentifier="marketplace-dev-store", SkipFinalSnapshot=True)

    destroy("dev")

    assert inventory.of(emulator) == empty


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person does: with the AWS_ variables of this process, and nothing to read."""
    command = ["make", "-s", *arguments]
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_make_plans_deploys_and_destroys(emulator, emulator_url):
    empty = inventory.of(emulator)
    where = f"account 000000000000, {emulator_url}"

    planned = make("plan", "ENV=dev", "CREATOR=tests")
    assert (planned.returncode, planned.stderr) == (0, "")
    assert planned.stdout.splitlines()[:2] == [f"dev: {where}", "marketplace-dev-keys: new"]
    assert inventory.of(emulator) == empty

    deployed = make("deploy", "ENV=dev", "CREATOR=tests")
    assert (deployed.returncode, deployed.stderr) == (0, "")
    assert f"LandingBucket={bucket('dev')}" in deployed.stdout.splitlines()

    refused = make("destroy", "ENV=prod")
    assert refused.returncode == 2
    assert "destroy prod: Not confirmed: nothing was touched." in refused.stderr.splitlines()

    destroyed = make("destroy", "ENV=dev")
    assert (destroyed.returncode, destroyed.stderr) == (0, "")
    assert inventory.of(emulator) == empty


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan"], "plan: Say which environment: make plan ENV=dev CREATOR=you@example.org"),
        (["deploy", "ENV=dev"], "deploy dev: Say who deploys, for the tag on every resource: make deploy ENV=dev"),
        (["destroy"], "destroy: Say which environment: make destroy ENV=dev"),
        (["destroy", "ENV=local"], "destroy local: local is this machine: make up deploys it, make reset deletes it."),
    ],
)
def test_make_says_what_to_type(arguments: list[str], message: str):
    refused = make(*arguments)

    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith(message)


COMMANDS = {
    "plan": lambda environment, progress: tool.plan(environment, CREATOR, progress=progress),
    "deploy": lambda environment, progress: tool.deploy(environment, CREATOR, progress=progress),
    "destroy": lambda environment, progress: tool.destroy(environment, progress=progress),
}


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("AWS_DEFAULT_REGION", None, r"^No region: set AWS_DEFAULT_REGION"),
        ("AWS_ACCESS_KEY_ID", None, r"^No credentials: set AWS_PROFILE"),
        ("AWS_ENDPOINT_URL", "garbage", r"^Invalid endpoint: garbage: look at AWS_ENDPOINT_URL and the other AWS_ var"),
        ("AWS_DEFAULT_REGION", "a b", r"^Provided region_name 'a b' doesn't match a supported format: look at AWS_"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", r'^Nobody answers: .*"http://127\.0\.0\.1:9/" For the emulator'),
    ],
)
@pytest.mark.parametrize("command", list(COMMANDS))
def test_without_a_way_to_aws_one_line_says_what_is_missing(
    monkeypatch, command: str, variable: str, value: str | None, message: str
):
    for name, given in aws.variables("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, given)
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    lines: list[str] = []

    with pytest.raises(NotConnected, match=message):
        COMMANDS[command]("dev", lines.append)

    assert lines == []
