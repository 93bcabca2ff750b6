"""What is refused before anything is touched, and how a stack's wait ends."""

from __future__ import annotations

import ipaddress
import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from infra import environments
from infra.deploy import deploy, destroy
from infra.errors import ConfigError, EndpointRefused, StackFailed, StackTimeout
from infra.stacks import Stacks
from local import aws
from tests.infra import templates

ON_AWS = ("dev", "qa", "prod")
# What the deploy tool finds out by itself, and who deploys.
ON_AWS_GIVEN = {
    "Creator": "tests",
    "ApiCodeKey": f"api/{64 * '0'}.zip",
    "PluginsVersion": "a",
    "RequirementsVersion": "b",
}


class OneStack:
    """A CloudFormation client with one stack: its status is the next one at each look, the last one stays."""

    def __init__(self, *statuses: str) -> None:
        self._statuses = list(statuses)

    def describe_stacks(self, **_query: str) -> dict[str, Any]:
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return {"Stacks": [{"StackId": "arn:stack", "StackStatus": status}]}

    def create_change_set(self, **_request: object) -> dict[str, str]:
        return {"Id": "arn:change-set", "StackId": "arn:stack"}

    def describe_change_set(self, **_query: str) -> dict[str, str]:
        reason = "The submitted information didn't contain changes. Submit different information."
        return {"ChangeSetId": "arn:change-set", "Status": "FAILED", "StatusReason": reason}

    def get_paginator(self, _call: str) -> OneStack:
        return self

    def paginate(self, **_query: str) -> list[dict[str, Any]]:
        return [{"Summaries": []}]


def test_local_consists_of_these_stacks_in_this_order():
    stacks = environments.load("local").stacks

    assert [(stack.name, stack.stack_name) for stack in stacks] == [
        ("keys", "marketplace-local-keys"),
        ("alerts", "marketplace-local-alerts"),
        ("network", "marketplace-local-network"),
        ("ingest", "marketplace-local-ingest"),
        ("storage", "marketplace-local-storage"),
        ("notifications", "marketplace-local-notifications"),
        ("access", "marketplace-local-access"),
        ("connections", "marketplace-local-connections"),
        ("code", "marketplace-local-code"),
        ("api", "marketplace-local-api"),
        ("monitoring", "marketplace-local-monitoring"),
    ]


def test_a_stack_gets_its_own_parameters_and_no_password_of_another(parameters):
    resolved = environments.resolve_parameters(environments.load("local"), parameters)

    assert resolved["storage"] == {
        "Project": "marketplace",
        "Environment": "local",
        "Creator": "tests",
        "RawFileRetentionDays": "30",
    }
    assert [name for name, values in resolved.items() if "StoreOwnerPassword" in values] == ["connections"]


def test_what_the_caller_gives_wins_over_the_configuration(parameters):
    resolved = environments.resolve_parameters(environments.load("local"), parameters | {"RawFileRetentionDays": "1"})

    assert resolved["storage"]["RawFileRetentionDays"] == "1"


def test_a_missing_parameter_is_named(parameters):
    del parameters["Creator"]

    with pytest.raises(ConfigError, match=r"^The stack 'keys' needs a value for Creator: write `Creator: …` into a "):
        environments.resolve_parameters(environments.load("local"), parameters)


def test_a_parameter_that_nothing_declares_is_named_before_one_that_is_missing(parameters):
    del parameters["Creator"]
    with pytest.raises(ConfigError, match=r"^No template of environment 'local' declares StorHost\.$"):
        environments.resolve_parameters(environments.load("local"), parameters | {"StorHost": "127.0.0.1"})


@pytest.mark.parametrize(
    ("stacks", "message"),
    [
        ("[{name: nowhere}]", r"the stack 'nowhere' has no template"),
        (
            "[{name: storage, parameters: {RetentionDays: 1}}]",
            r"template of stack 'storage' declares no parameter RetentionDays",
        ),
        (
            "[{name: storage, parameters: {RawFileRetentionDays: [30]}}]",
            r"stacks\.yaml: storage: the value of RawFileRetentionDays must be a single text or number\.$",
        ),
        ("[{name: storage, parameters: 30}]", r"stacks\.yaml: storage: parameters must be names with values"),
        ("[{name: storage, parameters: {Project: other}}]", r"^Project must not be given: infra/config and ENV say it"),
        ("[storage]", r"stacks\.yaml must have a project and a list of stacks, each with its name\.$"),
        ("30", r"stacks\.yaml must have a project and a list of stacks, each with its name\.$"),
        ("[{name: storage}", r"stacks\.yaml is not YAML: line 3, column 1\.$"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(editable: Path, parameters, stacks: str, message: str):
    (editable / "config" / "local" / "stacks.yaml").write_text(f"project: marketplace\nstacks: {stacks}\n")

    with pytest.raises(ConfigError, match=message):
        environments.resolve_parameters(environments.load("local"), parameters)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Resources: {Queue: [}", r"storage\.yaml is not YAML: line 1, column 21\.$"),
        ("AWSTemplateFormatVersion: 2010-09-09", r"storage\.yaml has no Resources\.$"),
        ("- Resources", r"storage\.yaml has no Resources\.$"),
        (
            "Resources: {Bucket: {Properties: {BucketName: {Fn::ImportValue: {Fn::Sub: a}}}}}",
            r"storage\.yaml: Fn::ImportValue must be applied to a text, or to !Sub and a text: \{'Fn::Sub': 'a'\}$",
        ),
        (
            "Resources: {Bucket: {Properties: {BucketName: {Fn::ImportValue: !Join ['-', [a, b]]}}}}",
            r"storage\.yaml: Fn::ImportValue must be applied to a text, or to !Sub and a text: ",
        ),
    ],
)
def test_a_template_that_cannot_be_read_is_named(editable: Path, text: str, message: str):
    (editable / "templates" / "storage.yaml").write_text(text)

    with pytest.raises(ConfigError, match=message):
        environments.load("local")


def test_configuration_is_read_as_it_is_typed(editable: Path):
    (editable / "config" / "local" / "stacks.yaml").write_text(
        "project: marketplace\nstacks: [{name: storage, parameters: {RawFileRetentionDays: 012}}]\n"
    )

    assert environments.load("local").stacks[0].parameters == {"RawFileRetentionDays": "012"}


@pytest.mark.parametrize(
    "environment", ["staging", "", ".", "./local", "local/", "../config/prod", "prod/../prod", "Prod", "/", "local\n"]
)
def test_an_environment_is_the_name_of_a_directory_of_the_configuration(environment: str):
    expected = rf"^No environment {re.escape(repr(environment))}\. There are: dev, local, prod, qa\.$"

    with pytest.raises(ConfigError, match=expected):
        deploy(environment, {})
    with pytest.raises(ConfigError, match=expected):
        destroy(environment)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"Environment": "prod"}, "Environment"),
        ({"Project": "other"}, "Project"),
        ({"Environment": "local", "Project": "marketplace"}, "Environment and Project"),
    ],
)
def test_nobody_sets_project_and_environment(parameters, given: dict[str, str], named: str):
    with pytest.raises(ConfigError, match=rf"^{named} must not be given: infra/config and ENV say it\.$"):
        environments.resolve_parameters(environments.load("local"), parameters | given)


@pytest.mark.parametrize("environment", ["local", *ON_AWS])
def test_every_environment_has_what_its_templates_ask_for(environment: str, parameters):
    given = parameters if environment == "local" else ON_AWS_GIVEN
    config = environments.load(environment)

    resolved = environments.resolve_parameters(config, given)

    for stack in config.stacks:
        for name, specification in environments.template_parameters(stack.template).items():
            value = resolved[stack.name].get(name, specification.get("Default"))
            if "AllowedPattern" in specification:
                assert re.search(specification["AllowedPattern"], value), f"{stack.name}.{name}"
            elif "AllowedValues" in specification:
                assert int(value) in specification["AllowedValues"], f"{stack.name}.{name}"
            else:
                assert specification["MinValue"] <= int(value) <= specification["MaxValue"], f"{stack.name}.{name}"


def test_dev_qa_and_prod_are_the_same_stacks_with_the_same_parameters_set():
    local, dev, qa, prod = (
        [(stack.name, sorted(stack.parameters)) for stack in environments.load(name).stacks]
        for name in ("local", *ON_AWS)
    )

    assert dev == qa == prod
    assert [name for name, _ in dev] == [
        *("keys", "alerts", "network", "ingest", "storage", "notifications", "store", "warehouse", "access"),
        *("connections", "code", "api", "orchestration", "backup", "monitoring"),
    ]
    # What runs on AWS runs on a machine first; its databases and its Airflow run there without a stack.
    assert local[:6] == dev[:6]
    missing = ("store", "warehouse", "orchestration", "backup")
    assert [name for name, _ in local] == [name for name, _ in dev if name not in missing]
    assert [[stack.name for stack in environments.load(name).bootstrap] for name in ON_AWS] == [["delivery"]] * 3
    assert [environments.load(name).paused for name in ON_AWS] == [set(), set(), {"generate_mock_data"}]


def test_networks_of_the_environments_do_not_overlap():
    ranges = [
        ipaddress.ip_network(stack.parameters["VpcCidr"])
        for environment in ("local", *ON_AWS)
        for stack in environments.load(environment).stacks
        if stack.name == "network"
    ]

    assert len(ranges) == 4
    assert [pair for pair in itertools.combinations(ranges, 2) if pair[0].overlaps(pair[1])] == []


def test_what_differs_between_environments_is_this():
    values: dict[str, list[str]] = {}
    for environment in ("local", *ON_AWS):
        for stack in environments.load(environment).stacks:
            for name, value in stack.parameters.items():
                values.setdefault(name, []).append(value)

    assert values == {
        "KeyDeletionWindowDays": ["7", "7", "7", "30"],
        "VpcCidr": ["10.10.0.0/16", "10.20.0.0/16", "10.30.0.0/16", "10.40.0.0/16"],
        "NatGateways": ["One", "One", "One", "PerZone"],
        "FlowLogRetentionDays": ["1", "7", "14", "90"],
        "RawFileRetentionDays": ["30", "30", "30", "90"],
        "NotificationDeletionProtection": ["false", "false", "false", "true"],
        "RunsOnMwaa": ["false"] * 2,  # of access and of monitoring
        "CustomerClaim": ["customer"],
        "ApiLogRetentionDays": ["1", "7", "14", "90"],
        # dev, qa and prod
        "StoreInstanceClass": ["db.t4g.small", "db.t4g.small", "db.m7g.large"],
        "StoreStorageGiB": ["20", "20", "100"],
        "StoreMaxStorageGiB": ["50", "50", "500"],
        "StoreMultiAz": ["false", "false", "true"],
        "StoreDeletionProtection": ["false", "false", "true"],
        "StoreBackupDays": ["1", "1", "14"],
        "StoreLogRetentionDays": ["7", "14", "90"],
        "ZeroEtl": ["false"] * 6,  # of the store and of the warehouse
        "WarehouseBaseRpu": ["8", "8", "8"],
        "WarehouseMaxRpu": ["16"] * 4 + ["64"] * 2,  # of the warehouse and of monitoring
        "WarehouseMaxQuerySeconds": ["900", "900", "3600"],
        "WarehouseMonthlyBudgetUsd": ["100", "100", "1000"],
        "WarehouseLogRetentionDays": ["7", "14", "90"],
        "AirflowClass": ["mw1.micro", "mw1.small", "mw1.small"],
        "AirflowMinWorkers": ["1", "1", "2"],
        "AirflowMaxWorkers": ["1", "2", "5"],
        "AirflowSchedulers": ["1", "2", "2"],
        "AirflowWebservers": ["1", "2", "2"],
        "AirflowWebserverAccess": ["PUBLIC_ONLY", "PUBLIC_ONLY", "PRIVATE_ONLY"],
        "AirflowLogRetentionDays": ["7", "14", "90"],
        "BackupRetentionDays": ["7", "7", "35"],
        "StoreLeastFreeBytes": ["2147483648", "2147483648", "10737418240"],
        "StoreMostConnections": ["150", "150", "600"],
    }


@pytest.mark.parametrize("environment", ON_AWS)
def test_storage_and_capacity_have_room_to_grow_and_a_warehouse_integrates_no_store_that_does_not(environment: str):
    stacks = {stack.name: stack.parameters for stack in environments.load(environment).stacks}
    store, warehouse = stacks["store"], stacks["warehouse"]

    # RDS takes no less than a tenth.
    assert int(store["StoreMaxStorageGiB"]) >= 1.1 * int(store["StoreStorageGiB"])
    assert int(warehouse["WarehouseMaxRpu"]) >= int(warehouse["WarehouseBaseRpu"])
    assert (store["ZeroEtl"], warehouse["ZeroEtl"]) != ("false", "true")


@pytest.mark.parametrize("environment", ["local", *ON_AWS])
def test_what_a_stack_imports_is_exported_by_one_before_it(environment: str, parameters):
    config = environments.load(environment)
    resolved = environments.resolve_parameters(config, parameters if environment == "local" else ON_AWS_GIVEN)
    exported: set[str] = set()
    imported: set[str] = set()

    for stack in config.stacks:
        imports = environments.imports(stack.template, resolved[stack.name])
        if environment == "local":
            # By the templates' conditions: only where there is no host given, and where MWAA runs Airflow.
            of_stacks = ("StoreHost", "StoreResourceId", "WarehouseHost", "WarehouseWorkgroup", "WarehouseWorkgroupArn")
            imports -= {f"marketplace-local-{name}" for name in of_stacks}
        assert imports <= exported, stack.name
        imported |= imports
        outputs = templates.load(templates.DIRECTORY / f"{stack.name}.yaml")["Outputs"]
        exported |= {f"marketplace-{environment}-{name}" for name in outputs}

    of_all = ("AlarmTopicArn", "DataKeyArn", "LogsKeyArn", "LandingBucketName", "LandingQueueArn")
    of_airflow = (
        *("LandingBucketArn", "ExportBucketArn", "ReportBucketArn", "NotificationTableArn"),
        *("NotificationQueueArn", "NotificationDeadLetterQueueArn"),
    )
    of_databases = (
        "StoreHost",
        "StoreSecurityGroupId",
        "WarehouseSecurityGroupId",
        "ExportBucketArn",
        "StoreArn",
        "StoreResourceId",
        "WarehouseHost",
        "WarehouseWorkgroup",
        "WarehouseWorkgroupArn",
    )
    of_orchestration = (
        *("AirflowRoleArn", "AirflowSecurityGroupId", "LandingBucket", "LandingQueueUrl", "ExportBucket"),
        *("NotificationQueueUrl", "NotificationDeadLetterQueueUrl", "ReportBucket"),
    )
    of_apis = (
        "ApiId",
        "CodeBucket",
        "FunctionsSecurityGroupId",
        "NotificationTable",
        "NotificationTableArn",
        "PrivateSubnetIds",
    )
    names = (*of_all, *of_airflow, *of_apis, *(() if environment == "local" else (*of_databases, *of_orchestration)))
    assert imported == {f"marketplace-{environment}-{name}" for name in names}


@pytest.mark.parametrize(
    "variables",
    [
        {},  # AWS itself
        {"AWS_ENDPOINT_URL": "https://localhost.example.org"},
        {"AWS_ENDPOINT_URL": "http://10.0.0.1:4566"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_S3": "https://s3.amazonaws.com"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_STS": "https://sts.amazonaws.com"},
    ],
)
@pytest.mark.parametrize("command", ["deploy", "destroy"])
def test_local_goes_to_no_other_machine(monkeypatch, parameters, variables: dict[str, str], command: str):
    for name, value in aws.variables("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(EndpointRefused, match="to this machine only"):
        deploy("local", parameters) if command == "deploy" else destroy("local")


def test_a_deployment_waits_for_the_one_under_way():
    lines: list[str] = []
    stacks = Stacks(
        OneStack("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
        timeout=10,
        progress=lines.append,
    )

    assert stacks.deploy("one", "", {}, {}) == {}

    assert lines == ["one: UPDATE_IN_PROGRESS", "one: UPDATE_COMPLETE", "one: unchanged"]


def test_a_stack_that_does_not_settle_is_given_up():
    stacks = Stacks(OneStack("CREATE_IN_PROGRESS"), timeout=0, progress=lambda _line: None)

    with pytest.raises(StackTimeout, match=r"^one: CREATE_IN_PROGRESS, after 0 s\."):
        stacks.deploy("one", "", {}, {})


def test_a_stack_stuck_in_a_failed_rollback_is_left_to_a_human(emulator, parameters, monkeypatch):
    deploy("local", parameters)
    cloudformation = emulator("cloudformation")
    found = cloudformation.describe_stacks(StackName="marketplace-local-ingest")
    found["Stacks"][0]["StackStatus"] = "UPDATE_ROLLBACK_FAILED"
    monkeypatch.setattr(cloudformation, "describe_stacks", lambda **_query: found)

    with pytest.raises(StackFailed, match="is in UPDATE_ROLLBACK_FAILED, in which CloudFormation updates nothing"):
        Stacks(cloudformation, timeout=1, progress=lambda _line: None).deploy("marketplace-local-ingest", "", {}, {})
