"""What the databases' safety rests on, each a rule that a change of the template breaks; and zero-ETL on and off."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import deploy as tool
from infra import environments
from infra.errors import StackFailed
from tests.infra import templates

Template = dict[str, Any]

REPOSITORY = Path(__file__).resolve().parents[2]
CREATOR = {"Creator": "tests"}
deploy = functools.partial(tool.deploy, timeout=60)
# What stands in a condition's place when it is false, and is left out.
NO_VALUE = {"Ref": "AWS::NoValue"}


def imported(name: str) -> Template:
    return {"Fn::ImportValue": {"Fn::Sub": "${Project}-${Environment}-" + name}}


def split(name: str) -> Template:
    return {"Fn::Split": [",", imported(name)]}


def if_zero_etl(then: Any, otherwise: Any) -> Template:
    return {"Fn::If": ["HasZeroEtl", then, otherwise]}


def properties(template: Template, logical_id: str) -> Template:
    return template["Resources"][logical_id]["Properties"]


def template_of(name: str) -> Template:
    """A template of one's own, to spoil."""
    return copy.deepcopy(templates.load(templates.DIRECTORY / f"{name}.yaml"))


def database(template: Template) -> Template:
    return properties(template, "Store")


def parameters(template: Template) -> dict[str, Any]:
    return properties(template, "StoreParameterGroup")["Parameters"]


def encrypted_with_the_data_key(template: Template) -> bool:
    keys = (
        database(template)["KmsKeyId"],
        database(template)["PerformanceInsightsKMSKeyId"],
        database(template)["MasterUserSecret"]["KmsKeyId"],
    )
    return database(template)["StorageEncrypted"] is True and keys == (imported("DataKeyArn"),) * 3


def in_private_subnets_behind_its_own_group(template: Template) -> bool:
    found = database(template)
    return (
        found["PubliclyAccessible"] is False
        and found["DBSubnetGroupName"] == {"Ref": "StoreSubnetGroup"}
        and properties(template, "StoreSubnetGroup")["SubnetIds"] == split("PrivateSubnetIds")
        and found["VPCSecurityGroups"] == [imported("StoreSecurityGroupId")]
    )


def tls_is_forced(template: Template) -> bool:
    group = database(template)["DBParameterGroupName"] == {"Ref": "StoreParameterGroup"}
    return group and parameters(template)["rds.force_ssl"] == "1"


def no_password_of_ours(template: Template) -> bool:
    found = database(template)
    return (
        found["EnableIAMDatabaseAuthentication"] is True
        and found["ManageMasterUserPassword"] is True
        and "MasterUserPassword" not in found
    )


def backed_up(template: Template) -> bool:
    days = template["Parameters"]["StoreBackupDays"]
    return (
        database(template)["BackupRetentionPeriod"] == {"Ref": "StoreBackupDays"}
        and days["MinValue"] == 1
        and "Default" not in days
    )


def protected_and_doubled_where_the_environment_says_so(template: Template) -> bool:
    found = database(template)
    return (
        found["MultiAZ"] == {"Ref": "StoreMultiAz"}
        and found["DeletionProtection"] == {"Ref": "StoreDeletionProtection"}
        and found["DeleteAutomatedBackups"] == {"Fn::If": ["IsProtected", False, True]}
        and template["Conditions"]["IsProtected"] == {"Fn::Equals": [{"Ref": "StoreDeletionProtection"}, "true"]}
        and not any("Default" in template["Parameters"][f"Store{name}"] for name in ("MultiAz", "DeletionProtection"))
    )


def log_groups_first(template: Template, logical_id: str, prefix: str, exports: list[str]) -> bool:
    """Whether each export's log group, named as the service would name it, is made before the service can."""
    groups = {
        name: resource["Properties"]["LogGroupName"]["Fn::Sub"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Logs::LogGroup"
    }
    return sorted(groups.values()) == sorted(f"{prefix}/{export}" for export in exports) and sorted(
        template["Resources"][logical_id]["DependsOn"]
    ) == sorted(groups)


def logs_go_to_groups_that_expire(template: Template) -> bool:
    found = database(template)
    prefix = "/aws/rds/instance/" + found["DBInstanceIdentifier"]["Fn::Sub"]
    exports = found["EnableCloudwatchLogsExports"]
    return exports == ["postgresql", "upgrade"] and log_groups_first(template, "Store", prefix, exports)


def logs_hold_no_rows(template: Template) -> bool:
    found = parameters(template)
    return (found["log_parameter_max_length"], found["log_error_verbosity"]) == ("0", "terse")


def slow_statements_and_changes_of_the_schema_are_logged(template: Template) -> bool:
    found = parameters(template)
    return (
        (found["log_min_duration_statement"], found["log_statement"]) == ("1000", "ddl")
        and found["log_connections"] == "1"
        and database(template)["EnablePerformanceInsights"] is True
    )


def storage_grows_to_a_bound(template: Template) -> bool:
    found = database(template)
    return (found["AllocatedStorage"], found["MaxAllocatedStorage"]) == (
        {"Ref": "StoreStorageGiB"},
        {"Ref": "StoreMaxStorageGiB"},
    )


def the_version_that_the_tests_run(template: Template) -> bool:
    found, group = database(template), properties(template, "StoreParameterGroup")
    version = found["EngineVersion"].split(".")[0]
    return (found["Engine"], version, group["Family"]) == ("postgres", "15", f"postgres{version}")


STORE_RULES: dict[Callable[[Template], bool], list[tuple[str, str, Any]]] = {
    encrypted_with_the_data_key: [
        ("Store", "StorageEncrypted", False),
        ("Store", "KmsKeyId", imported("LogsKeyArn")),
        ("Store", "PerformanceInsightsKMSKeyId", None),
        ("Store", "MasterUserSecret", {"KmsKeyId": "alias/aws/secretsmanager"}),
    ],
    in_private_subnets_behind_its_own_group: [
        ("Store", "PubliclyAccessible", True),
        ("StoreSubnetGroup", "SubnetIds", split("PublicSubnetIds")),
        ("Store", "DBSubnetGroupName", "default"),
        ("Store", "VPCSecurityGroups", [imported("AirflowSecurityGroupId")]),
    ],
    tls_is_forced: [
        ("StoreParameterGroup", "Parameters", {"rds.force_ssl": "0"}),
        ("Store", "DBParameterGroupName", "default.postgres15"),
    ],
    no_password_of_ours: [
        ("Store", "EnableIAMDatabaseAuthentication", False),
        ("Store", "ManageMasterUserPassword", False),
        ("Store", "MasterUserPassword", {"Ref": "Creator"}),
    ],
    backed_up: [("Store", "BackupRetentionPeriod", 0)],
    protected_and_doubled_where_the_environment_says_so: [
        ("Store", "MultiAZ", False),
        ("Store", "DeletionProtection", False),
        ("Store", "DeleteAutomatedBackups", True),
    ],
    logs_go_to_groups_that_expire: [
        ("Store", "EnableCloudwatchLogsExports", ["postgresql"]),
        ("StoreLogGroup", "LogGroupName", {"Fn::Sub": "/${Project}-${Environment}/store"}),
    ],
    logs_hold_no_rows: [
        ("StoreParameterGroup", "Parameters", {"log_error_verbosity": "default"}),
        ("StoreParameterGroup", "Parameters", {"log_parameter_max_length": "-1"}),
    ],
    slow_statements_and_changes_of_the_schema_are_logged: [
        ("StoreParameterGroup", "Parameters", {"log_min_duration_statement": "-1"}),
        ("StoreParameterGroup", "Parameters", {"log_statement": "none"}),
        ("StoreParameterGroup", "Parameters", {"log_connections": "0"}),
        ("Store", "EnablePerformanceInsights", False),
    ],
    storage_grows_to_a_bound: [("Store", "MaxAllocatedStorage", None), ("Store", "AllocatedStorage", 20)],
    the_version_that_the_tests_run: [
        ("Store", "EngineVersion", "17.4"),
        ("Store", "Engine", "aurora-postgresql"),
        ("StoreParameterGroup", "Family", "postgres17"),
    ],
}


def namespace(template: Template) -> Template:
    return properties(template, "WarehouseNamespace")


def workgroup(template: Template) -> Template:
    return properties(template, "WarehouseWorkgroup")


def settings(template: Template) -> dict[str, Any]:
    """The workgroup's settings by name."""
    return {one["ParameterKey"]: one["ParameterValue"] for one in workgroup(template)["ConfigParameters"]}


def namespace_is_encrypted_with_the_data_key(template: Template) -> bool:
    keys = [namespace(template).get(name) for name in ("KmsKeyId", "AdminPasswordSecretKmsKeyId")]
    return keys == [imported("DataKeyArn")] * 2


def no_password_of_the_administrator(template: Template) -> bool:
    return namespace(template)["ManageAdminPassword"] is True and "AdminUserPassword" not in namespace(template)


def traffic_stays_in_private_subnets(template: Template) -> bool:
    found = workgroup(template)
    return (
        found["PubliclyAccessible"] is False
        and found["EnhancedVpcRouting"] is True
        and found["SubnetIds"] == split("PrivateSubnetIds")
        and found["SecurityGroupIds"] == [imported("WarehouseSecurityGroupId")]
    )


def who_does_not_speak_tls_is_refused(template: Template) -> bool:
    return settings(template)["require_ssl"] == "true"


def capacity_and_time_are_bounded(template: Template) -> bool:
    found = workgroup(template)
    return (
        (found["BaseCapacity"], found["MaxCapacity"]) == ({"Ref": "WarehouseBaseRpu"}, {"Ref": "WarehouseMaxRpu"})
        and settings(template)["max_query_execution_time"] == {"Ref": "WarehouseMaxQuerySeconds"}
        and not any("Default" in value for name, value in template["Parameters"].items() if "Max" in name)
    )


def queries_and_sessions_are_logged_to_groups_that_expire(template: Template) -> bool:
    prefix = "/aws/redshift/" + namespace(template)["NamespaceName"]["Fn::Sub"]
    exports = namespace(template)["LogExports"]
    return (
        sorted(exports) == ["connectionlog", "useractivitylog", "userlog"]
        and settings(template)["enable_user_activity_logging"] == "true"
        and log_groups_first(template, "WarehouseNamespace", prefix, exports)
    )


def one_role_that_only_redshift_takes(template: Template) -> bool:
    role = {"Fn::GetAtt": ["WarehouseRole", "Arn"]}
    (trust,) = properties(template, "WarehouseRole")["AssumeRolePolicyDocument"]["Statement"]
    services = {"Service": ["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"]}
    return (
        (namespace(template)["DefaultIamRoleArn"], namespace(template)["IamRoles"]) == (role, [role])
        and (trust["Principal"], trust["Action"]) == (services, "sts:AssumeRole")
        and "ManagedPolicyArns" not in properties(template, "WarehouseRole")
    )


BUCKET = imported("ExportBucketArn")
FILES = {"Fn::Sub": ["${Bucket}/sync/*", {"Bucket": BUCKET}]}


def role_reads_what_the_sync_exports_and_nothing_else(template: Template) -> bool:
    ((files, listing, decryption),) = [
        policy["PolicyDocument"]["Statement"] for policy in properties(template, "WarehouseRole")["Policies"]
    ]
    return (
        (files["Action"], files["Resource"]) == ("s3:GetObject", FILES)
        and (listing["Action"], listing["Resource"]) == ("s3:ListBucket", BUCKET)
        and listing["Condition"] == {"StringLike": {"s3:prefix": "sync/*"}}
        and (decryption["Action"], decryption["Resource"]) == ("kms:Decrypt", imported("DataKeyArn"))
        and decryption["Condition"]
        == {
            "StringEquals": {"kms:ViaService": {"Fn::Sub": "s3.${AWS::Region}.amazonaws.com"}},
            "ArnLike": {"kms:EncryptionContext:aws:s3:arn": [BUCKET, FILES]},
        }
    )


def reads(*statements: Template) -> list[Template]:
    """The role's policies with other statements."""
    return [{"PolicyName": "read-exports", "PolicyDocument": {"Statement": list(statements)}}]


def with_statement(number: int, **changes: Any) -> list[Template]:
    """The role's policies with one statement changed."""
    (policy,) = properties(template_of("warehouse"), "WarehouseRole")["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    statements[number] |= changes
    return reads(*statements)


def with_setting(name: str, value: str) -> list[Template]:
    """The workgroup's settings with one changed."""
    return [
        {"ParameterKey": key, "ParameterValue": value if key == name else old}
        for key, old in settings(template_of("warehouse")).items()
    ]


WAREHOUSE_RULES: dict[Callable[[Template], bool], list[tuple[str, str, Any]]] = {
    namespace_is_encrypted_with_the_data_key: [
        ("WarehouseNamespace", "KmsKeyId", None),
        ("WarehouseNamespace", "AdminPasswordSecretKmsKeyId", imported("LogsKeyArn")),
    ],
    no_password_of_the_administrator: [
        ("WarehouseNamespace", "ManageAdminPassword", False),
        ("WarehouseNamespace", "AdminUserPassword", {"Ref": "Creator"}),
    ],
    traffic_stays_in_private_subnets: [
        ("WarehouseWorkgroup", "PubliclyAccessible", True),
        ("WarehouseWorkgroup", "EnhancedVpcRouting", False),
        ("WarehouseWorkgroup", "SubnetIds", split("PublicSubnetIds")),
        ("WarehouseWorkgroup", "SecurityGroupIds", [imported("AirflowSecurityGroupId")]),
    ],
    who_does_not_speak_tls_is_refused: [
        ("WarehouseWorkgroup", "ConfigParameters", with_setting("require_ssl", "false")),
    ],
    capacity_and_time_are_bounded: [
        ("WarehouseWorkgroup", "MaxCapacity", None),
        ("WarehouseWorkgroup", "BaseCapacity", 512),
        ("WarehouseWorkgroup", "ConfigParameters", with_setting("max_query_execution_time", "0")),
    ],
    queries_and_sessions_are_logged_to_groups_that_expire: [
        ("WarehouseNamespace", "LogExports", ["connectionlog"]),
        ("WarehouseWorkgroup", "ConfigParameters", with_setting("enable_user_activity_logging", "false")),
        ("WarehouseUserLogGroup", "LogGroupName", {"Fn::Sub": "/${Project}-${Environment}/userlog"}),
    ],
    one_role_that_only_redshift_takes: [
        ("WarehouseNamespace", "DefaultIamRoleArn", {"Ref": "Creator"}),
        ("WarehouseNamespace", "IamRoles", []),
        ("WarehouseRole", "ManagedPolicyArns", ["arn:aws:iam::aws:policy/AmazonRedshiftAllCommandsFullAccess"]),
        (
            "WarehouseRole",
            "AssumeRolePolicyDocument",
            {"Statement": [{"Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]},
        ),
    ],
    role_reads_what_the_sync_exports_and_nothing_else: [
        ("WarehouseRole", "Policies", with_statement(0, Resource="*")),
        ("WarehouseRole", "Policies", with_statement(0, Action="s3:*")),
        ("WarehouseRole", "Policies", with_statement(0, Resource={"Fn::Sub": ["${Bucket}/*", {"Bucket": BUCKET}]})),
        ("WarehouseRole", "Policies", with_statement(1, Condition={})),
        ("WarehouseRole", "Policies", with_statement(1, Resource="*")),
        ("WarehouseRole", "Policies", with_statement(2, Resource="*")),
        ("WarehouseRole", "Policies", with_statement(2, Condition={})),
    ],
}
RULES = {"store": STORE_RULES, "warehouse": WAREHOUSE_RULES}


@pytest.mark.parametrize(
    ("name", "rule"),
    [(name, rule) for name, rules in RULES.items() for rule in rules],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_the_template_keeps_its_rules(name: str, rule: Callable[[Template], bool]):
    assert rule(template_of(name))


@pytest.mark.parametrize(
    ("name", "rule", "logical_id", "key", "value"),
    [
        pytest.param(name, rule, *change, id=f"{change[0]}.{change[1]} = {change[2]}")
        for name, rules in RULES.items()
        for rule, changes in rules.items()
        for change in changes
    ],
)
def test_a_rule_notices_what_breaks_it_and_no_other_does(
    name: str, rule: Callable[[Template], bool], logical_id: str, key: str, value: Any
):
    template = template_of(name)
    changed = properties(template, logical_id)
    changed[key] = changed[key] | value if key == "Parameters" else value

    assert [other.__name__ for other in RULES[name] if not other(template)] == [rule.__name__]


@pytest.mark.parametrize(
    ("name", "parameter", "change", "rule"),
    [
        ("store", "StoreBackupDays", {"MinValue": 0}, backed_up),
        ("store", "StoreBackupDays", {"Default": 1}, backed_up),
        ("store", "StoreMultiAz", {"Default": "false"}, protected_and_doubled_where_the_environment_says_so),
        ("store", "StoreDeletionProtection", {"Default": "false"}, protected_and_doubled_where_the_environment_says_so),
        ("warehouse", "WarehouseMaxRpu", {"Default": 512}, capacity_and_time_are_bounded),
        ("warehouse", "WarehouseMaxQuerySeconds", {"Default": 86399}, capacity_and_time_are_bounded),
    ],
)
def test_each_environment_decides_what_protects_it(
    name: str, parameter: str, change: dict[str, Any], rule: Callable[[Template], bool]
):
    template = template_of(name)
    template["Parameters"][parameter] |= change

    assert [other.__name__ for other in RULES[name] if not other(template)] == [rule.__name__]


def test_the_warehouse_answers_on_the_port_that_its_output_says():
    template = template_of("warehouse")

    assert template["Outputs"]["WarehousePort"]["Value"] == str(workgroup(template)["Port"])


# Zero-ETL


def chosen(value: Any, zero_etl: bool) -> Any:
    """A part of a template as it is with zero-ETL or without; what is left out is None."""
    if value == NO_VALUE:
        return None
    if isinstance(value, dict) and "Fn::If" in value and value["Fn::If"][0] == "HasZeroEtl":
        return chosen(value["Fn::If"][1 if zero_etl else 2], zero_etl)
    if isinstance(value, dict):
        parts = {name: chosen(part, zero_etl) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part is not None}
    return value


# What AWS asks of a PostgreSQL source: Amazon RDS User Guide, "Getting started with Amazon RDS zero-ETL integrations".
SOURCE = {
    "rds.logical_replication": "1",
    "rds.replica_identity_full": "1",
    "session_replication_role": "origin",
    "wal_sender_timeout": "30000",  # 20000 at least, or 0
    "max_wal_senders": "20",
    "max_replication_slots": "20",
}


@pytest.mark.parametrize("name", ["store", "warehouse"])
def test_zero_etl_is_off_unless_it_is_asked_for(name: str):
    template = template_of(name)

    assert template["Parameters"]["ZeroEtl"]["Default"] == "false"
    assert template["Conditions"]["HasZeroEtl"] == {"Fn::Equals": [{"Ref": "ZeroEtl"}, "true"]}


def test_the_source_writes_what_an_integration_reads_only_with_zero_etl():
    found = parameters(template_of("store"))
    on, off = chosen(found, True), chosen(found, False)

    assert SOURCE.items() <= on.items()
    assert on.keys() - off.keys() == SOURCE.keys() - {"rds.logical_replication"}
    assert off["rds.logical_replication"] == "0"


def test_only_the_store_of_this_account_may_be_integrated_and_only_with_zero_etl():
    policy = namespace(template_of("warehouse"))["NamespaceResourcePolicy"]

    assert chosen(policy, False) is None
    create, authorize = chosen(policy, True)["Statement"]
    account = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    assert (create["Principal"], create["Action"]) == (account, "redshift:CreateInboundIntegration")
    service = {"Service": "redshift.amazonaws.com"}
    assert (authorize["Principal"], authorize["Action"]) == (service, "redshift:AuthorizeInboundIntegration")
    assert authorize["Condition"] == {"StringEquals": {"aws:SourceArn": imported("StoreArn")}}


def test_the_integration_goes_from_the_store_to_the_warehouse_without_the_table_that_redshift_refuses():
    template = template_of("warehouse")
    integration = template["Resources"]["WarehouseIntegration"]

    assert (integration["Condition"], integration["DependsOn"]) == ("HasZeroEtl", "WarehouseWorkgroup")
    assert integration["Properties"]["SourceArn"] == imported("StoreArn")
    target = {"Fn::GetAtt": ["WarehouseNamespace", "Namespace.NamespaceArn"]}
    assert integration["Properties"]["TargetArn"] == target
    assert settings(template)["enable_case_sensitive_identifier"] == {"Ref": "ZeroEtl"}
    include, exclude = integration["Properties"]["DataFilter"].split(", ")
    assert include == "include: store.store.*"
    assert exclude.startswith("exclude: store.store.")


def test_the_table_that_is_left_out_is_the_one_with_a_type_of_an_extension():
    integration = properties(template_of("warehouse"), "WarehouseIntegration")
    tables = re.compile(r"^create table (store\.\w+) \((.*?)^\);", re.MULTILINE | re.DOTALL)
    created = {
        table: body
        for path in sorted((REPOSITORY / "include/sql/store/migrations").glob("*.sql"))
        for table, body in tables.findall(path.read_text())
    }

    assert len(created) == 12
    refused = [table for table, body in created.items() if re.search(r"\b(geography|geometry)\b", body)]
    excluded = re.findall(r"exclude: store\.(store\.\w+)", integration["DataFilter"])
    assert excluded == refused == ["store.play_session"]


def set_zero_etl(editable: Path, store: str, warehouse: str) -> None:
    """Set ZeroEtl of the two stacks in the configuration of dev."""
    path = editable / "config" / "dev" / "stacks.yaml"
    config = environments.read_yaml(path)
    for stack in config["stacks"]:
        if stack["name"] in ("store", "warehouse"):
            stack["parameters"]["ZeroEtl"] = store if stack["name"] == "store" else warehouse
    path.write_text(yaml.safe_dump(config))


def source_parameters(emulator: Any) -> dict[str, str]:
    """What the parameter group of the store in dev says of zero-ETL."""
    (instance,) = emulator("rds").describe_db_instances(DBInstanceIdentifier="marketplace-dev-store")["DBInstances"]
    (group,) = (group["DBParameterGroupName"] for group in instance["DBParameterGroups"])
    found = emulator("rds").describe_db_parameters(DBParameterGroupName=group, Source="user")["Parameters"]
    values = {parameter["ParameterName"]: parameter["ParameterValue"] for parameter in found}
    return {name: value for name, value in values.items() if name in SOURCE}


def integrations(emulator: Any) -> int:
    """How many integrations the stack of dev's warehouse has."""
    stack = emulator("cloudformation").list_stack_resources(StackName="marketplace-dev-warehouse")
    there = [one for one in stack["StackResourceSummaries"] if one["ResourceStatus"] != "DELETE_COMPLETE"]
    return [one["ResourceType"] for one in there].count("AWS::RDS::Integration")


def test_zero_etl_is_turned_on_store_first_and_off_warehouse_first(emulator, editable: Path):
    found = []
    on = [("false", "false"), ("true", "false"), ("true", "true")]
    for store, warehouse in (*on, *on[1::-1]):
        set_zero_etl(editable, store, warehouse)
        deploy("dev", CREATOR)
        found.append((source_parameters(emulator), integrations(emulator)))

    off = {"rds.logical_replication": "0"}
    assert found == [(off, 0), (SOURCE, 0), (SOURCE, 1), (SOURCE, 0), (off, 0)]


def test_a_warehouse_that_integrates_a_store_which_writes_nothing_for_it_fails_and_says_why(emulator, editable: Path):
    set_zero_etl(editable, "false", "true")

    with pytest.raises(StackFailed, match=r"WarehouseIntegration .*lacks rds\.logical_replication and rds\.replica_id"):
        deploy("dev", CREATOR)
