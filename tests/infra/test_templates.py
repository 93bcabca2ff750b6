"""What holds for every template: valid, tagged, described, and what each resource's safety rests on."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

from tests.infra import templates

COMMON_PARAMETERS = ("Project", "Environment", "Creator")


def test_templates_are_these():
    assert [path.stem for path in templates.PATHS] == [
        "access",
        "alerts",
        "api",
        "backup",
        "code",
        "connections",
        "delivery",
        "ingest",
        "keys",
        "monitoring",
        "network",
        "notifications",
        "orchestration",
        "storage",
        "store",
        "warehouse",
    ]


@pytest.mark.parametrize("path", templates.PATHS, ids=lambda path: path.stem)
def test_cfn_lint_finds_nothing(path: Path):
    matches = lint_file(path, config=ManualArgs(regions=[templates.REGION], include_checks=["I"]))

    assert [f"{match.linenumber}: {match.rule.id} {match.message}" for match in matches] == []


def test_every_exception_from_checkovs_rules_says_why():
    exceptions = [
        line.partition("checkov:skip=")[2].split(":", 1)
        for path in templates.PATHS
        for line in path.read_text().splitlines()
        if "checkov:skip" in line
    ]

    assert len(exceptions) == 15
    assert [rule for rule, reason in exceptions if len(reason) < 8] == []


def test_every_resource_that_takes_tags_has_creator_project_and_environment():
    taggable = {
        key: (resource["Properties"], name)
        for key, resource in templates.resources().items()
        if (name := templates.tag_property(resource["Type"]))
    }

    # A resource more or less changes the counts knowingly.
    assert Counter(template for template, _ in taggable) == {
        "access": 1,  # a role
        "alerts": 1,  # a topic
        "backup": 3,  # a vault, a plan, a role
        "delivery": 4,  # an identity provider, two roles, a repository
        "monitoring": 17,  # 16 alarms, a dashboard
        "orchestration": 6,  # 5 log groups, an environment
        # 2 log groups, a secret, a role, a function, an HTTP API and its stage, a user pool, 4 alarms
        "api": 12,
        "code": 1,  # a bucket
        "connections": 4,  # secrets
        "ingest": 4,  # 2 queues, 2 alarms
        "keys": 2,
        # 1 VPC, 6 subnets, 1 internet gateway, 3 NAT gateways and their addresses, 4 route tables, 12 endpoints,
        # 5 security groups, a log group, a role, a flow log
        "network": 38,
        "notifications": 5,  # 2 queues, a table, 2 alarms
        "storage": 3,  # buckets
        "store": 5,  # a subnet group, a parameter group, 2 log groups, a database
        "warehouse": 8,  # a role, 3 log groups, a namespace, a workgroup, a budget, an integration
    }
    expected = {
        "creator": {"Ref": "Creator"},
        "project": {"Ref": "Project"},
        "environment": {"Ref": "Environment"},
    }
    found = {key: templates.tags(*where) for key, where in taggable.items()}
    # What has no name of its own is told apart in the console by its tag Name.
    names = {key: tags.pop("Name")["Fn::Sub"] for key, tags in found.items() if "Name" in tags}
    assert found == dict.fromkeys(taggable, expected)
    nameless = {key for key in taggable if templates.resources()[key]["Type"].startswith("AWS::EC2::")}
    assert set(names) == nameless
    assert len(set(names.values())) == len(nameless)
    assert {name.startswith("${Project}-${Environment}") for name in names.values()} == {True}


def test_resources_without_tags_are_types_that_take_none():
    untagged = {
        resource["Type"]
        for resource in templates.resources().values()
        if templates.tag_property(resource["Type"]) is None
    }

    assert untagged == {
        "AWS::ApiGatewayV2::Authorizer",
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Route",
        "AWS::Backup::BackupSelection",
        "AWS::Cognito::UserPoolClient",
        "AWS::Cognito::UserPoolDomain",
        "AWS::Cognito::UserPoolResourceServer",
        "AWS::EC2::Route",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::KMS::Alias",
        "AWS::Lambda::Permission",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    }


@pytest.mark.parametrize("path", templates.PATHS, ids=lambda path: path.stem)
def test_every_parameter_is_described_and_bounded(path: Path):
    for name, parameter in templates.load(path)["Parameters"].items():
        assert len(parameter["Description"]) > 10, name
        if "AllowedValues" in parameter:
            continue
        if parameter["Type"] == "Number":
            assert parameter["MinValue"] <= parameter.get("Default", parameter["MinValue"]) <= parameter["MaxValue"], (
                name
            )
        else:
            assert re.fullmatch(r"\^.*\$", parameter["AllowedPattern"]), name
            assert parameter["ConstraintDescription"], name


def test_common_parameters_are_the_same_in_every_template():
    for name in COMMON_PARAMETERS:
        specifications = [json.dumps(templates.load(path)["Parameters"][name]) for path in templates.PATHS]
        assert specifications == [specifications[0]] * len(templates.PATHS)


def test_creator_is_required_and_not_empty():
    creator = templates.load(templates.PATHS[0])["Parameters"]["Creator"]

    assert "Default" not in creator
    assert creator["MinLength"] == 1


@pytest.mark.parametrize("path", templates.PATHS, ids=lambda path: path.stem)
def test_every_output_is_described_and_exported_under_the_environment(path: Path):
    for name, output in templates.load(path)["Outputs"].items():
        assert len(output["Description"]) > 10, name
        assert output["Export"]["Name"] == {"Fn::Sub": "${Project}-${Environment}-" + name}


def test_no_two_templates_have_an_output_of_one_name():
    names = [name for path in templates.PATHS for name in templates.load(path)["Outputs"]]

    assert sorted(names) == sorted(set(names))


NAMES = (
    *("QueueName", "TableName", "AlarmName", "Name", "AliasName", "LogGroupName", "RoleName", "GroupName"),
    *("DBInstanceIdentifier", "NamespaceName", "WorkgroupName", "IntegrationName"),
    *("BackupVaultName", "DashboardName", "RepositoryName", "TopicName"),
)
# Where RDS, Redshift and MWAA write their logs is for them to say.
PREFIXES = r"(alias)?/?|/aws/rds/instance/|/aws/redshift/|airflow-"


def test_named_resources_carry_project_and_environment():
    named = [
        json.dumps(value)
        for resource in templates.resources().values()
        for name, value in resource["Properties"].items()
        if name in NAMES and "Ref" not in value
    ]

    # 4 queues, a table, 24 alarms, 5 secrets, 2 aliases, 13 log groups, a database, a namespace, a workgroup, an
    # integration, an API, its authorizer and its resource server, a topic, a vault, a dashboard, a repository of
    # images, MWAA's environment, and the two roles that the workflows name; the landing bucket's name comes from
    # another stack.
    # Security groups and roles get names from CloudFormation, which begin with the stack's: one with a name of its own
    # could not be replaced.
    assert len(named) == 63
    expected = re.compile(rf'{{"Fn::Sub": "({PREFIXES})\$\{{Project}}-\$\{{Environment}}')
    assert [name for name in named if not expected.match(name)] == []


def test_passwords_are_never_echoed():
    parameters = templates.load(templates.DIRECTORY / "connections.yaml")["Parameters"]
    passwords = {name: parameter for name, parameter in parameters.items() if "Password" in name}

    assert sorted(passwords) == [
        "StoreOwnerPassword",
        "StoreReaderPassword",
        "StoreWriterPassword",
        "WarehousePassword",
    ]
    assert [parameter["NoEcho"] for parameter in passwords.values()] == [True] * 4
    assert [parameter["Default"] for parameter in passwords.values()] == [""] * 4


def test_buckets_are_private_and_encrypted_and_what_people_put_is_versioned():
    buckets = templates.of_type("AWS::S3::Bucket")

    assert list(buckets) == ["CodeBucket", "LandingBucket", "ExportBucket", "ReportBucket"]
    for bucket in buckets.values():
        assert bucket["PublicAccessBlockConfiguration"] == {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        }
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        encryption = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption == [
            {
                "ServerSideEncryptionByDefault": {
                    "SSEAlgorithm": "aws:kms",
                    "KMSMasterKeyID": {"Fn::ImportValue": {"Fn::Sub": "${Project}-${Environment}-DataKeyArn"}},
                },
                "BucketKeyEnabled": True,
            }
        ]
    versioned = {name: bucket.get("VersioningConfiguration") for name, bucket in buckets.items()}
    assert versioned == {
        "CodeBucket": {"Status": "Enabled"},
        "LandingBucket": {"Status": "Enabled"},
        "ExportBucket": None,
        "ReportBucket": None,
    }


def test_raw_files_versions_and_leftovers_expire():
    rules = {
        rule.pop("Id"): rule
        for rule in templates.of_type("AWS::S3::Bucket")["LandingBucket"]["LifecycleConfiguration"]["Rules"]
    }

    assert rules == {
        "expire-archive": {
            "Status": "Enabled",
            "Prefix": "archive/",
            "ExpirationInDays": {"Ref": "RawFileRetentionDays"},
        },
        "expire-rejected": {
            "Status": "Enabled",
            "Prefix": "rejected/",
            "ExpirationInDays": {"Ref": "RawFileRetentionDays"},
        },
        "expire-mock-truth": {
            "Status": "Enabled",
            "Prefix": "mock-truth/",
            "ExpirationInDays": {"Ref": "RawFileRetentionDays"},
        },
        "clean-up": {
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": {"Ref": "NoncurrentVersionRetentionDays"}},
            "ExpiredObjectDeleteMarker": True,
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    }


def test_new_objects_under_landing_are_told_to_the_landing_queue():
    bucket = templates.of_type("AWS::S3::Bucket")["LandingBucket"]

    assert bucket["NotificationConfiguration"] == {
        "QueueConfigurations": [
            {
                "Event": "s3:ObjectCreated:*",
                "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "landing/"}]}},
                "Queue": {"Fn::ImportValue": {"Fn::Sub": "${Project}-${Environment}-LandingQueueArn"}},
            }
        ]
    }


def test_queues_are_encrypted_and_keep_messages_for_14_days():
    queues = templates.of_type("AWS::SQS::Queue")

    assert sorted(queues) == [
        "LandingDeadLetterQueue",
        "LandingQueue",
        "NotificationDeadLetterQueue",
        "NotificationQueue",
    ]
    for queue in queues.values():
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600


@pytest.mark.parametrize(
    ("name", "receives"), [("Landing", "MaxReceiveCount"), ("Notification", "NotificationMaxReceives")]
)
def test_a_queue_has_a_dead_letter_queue_that_takes_from_no_other(name: str, receives: str):
    queues = templates.of_type("AWS::SQS::Queue")

    assert queues[f"{name}Queue"]["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [f"{name}DeadLetterQueue", "Arn"]},
        "maxReceiveCount": {"Ref": receives},
    }
    allowed = queues[f"{name}DeadLetterQueue"]["RedriveAllowPolicy"]
    assert allowed["redrivePermission"] == "byQueue"
    # The ARN is spelled out, so it must be the queue's name that it ends with.
    (source,) = allowed["sourceQueueArns"]
    assert source["Fn::Sub"] == (
        "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" + queues[f"{name}Queue"]["QueueName"]["Fn::Sub"]
    )


def test_the_table_of_notifications_forgets_in_time_and_can_be_restored_to_any_second():
    (table,) = templates.of_type("AWS::DynamoDB::Table").values()

    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": {"Fn::ImportValue": {"Fn::Sub": "${Project}-${Environment}-DataKeyArn"}},
    }
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"] == {"Fn::If": ["IsProtected", True, False]}
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == [
        ("customer_id", "HASH"),
        ("item", "RANGE"),
    ]
    # Only marks have read_of, and only keys are asked for.
    assert table["GlobalSecondaryIndexes"] == [
        {
            "IndexName": "reads",
            "KeySchema": [
                {"AttributeName": "read_of", "KeyType": "HASH"},
                {"AttributeName": "customer_id", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ]


def test_only_s3_for_the_landing_bucket_of_this_account_may_send_events():
    policy = templates.of_type("AWS::SQS::QueuePolicy")["LandingQueuePolicy"]
    allowed = [statement for statement in templates.statements(policy) if statement["Effect"] == "Allow"]
    bucket_name = templates.load(templates.DIRECTORY / "ingest.yaml")["Outputs"]["LandingBucketName"]["Value"]

    assert allowed == [
        {
            "Sid": "EventsOfTheLandingBucket",
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": {"Fn::GetAtt": ["LandingQueue", "Arn"]},
            "Condition": {
                "ArnEquals": {"aws:SourceArn": {"Fn::Sub": "arn:${AWS::Partition}:s3:::" + bucket_name["Fn::Sub"]}},
                "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
            },
        }
    ]


def test_exports_that_a_failed_sync_left_expire():
    (rule,) = templates.of_type("AWS::S3::Bucket")["ExportBucket"]["LifecycleConfiguration"]["Rules"]

    assert rule == {
        "Id": "expire-exports",
        "Status": "Enabled",
        "ExpirationInDays": {"Ref": "ExportRetentionDays"},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    retention = templates.load(templates.DIRECTORY / "storage.yaml")["Parameters"]["ExportRetentionDays"]
    assert (retention["Default"], retention["MaxValue"]) == (3, 30)


def test_reports_of_days_and_what_the_state_of_the_parts_says_of_lines_expire_and_the_latest_dashboard_stays():
    rules = templates.of_type("AWS::S3::Bucket")["ReportBucket"]["LifecycleConfiguration"]["Rules"]

    assert [(rule.get("Prefix"), rule.get("ExpirationInDays")) for rule in rules] == [
        ("dashboard/20", 400),
        ("status/", 7),
        (None, None),
    ]
    assert rules[2]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert {rule["Status"] for rule in rules} == {"Enabled"}


def test_bucket_bears_the_name_that_the_queue_policy_admits():
    bucket = templates.of_type("AWS::S3::Bucket")["LandingBucket"]

    assert bucket["BucketName"] == {"Fn::ImportValue": {"Fn::Sub": "${Project}-${Environment}-LandingBucketName"}}


def test_every_bucket_and_queue_refuses_what_does_not_come_over_tls():
    covered = {}
    for resource_type, prefix in (("AWS::S3::BucketPolicy", "s3:*"), ("AWS::SQS::QueuePolicy", "sqs:*")):
        for properties in templates.of_type(resource_type).values():
            (target,) = properties.get("Queues") or [properties["Bucket"]]
            covered[target["Ref"]] = [
                statement["Resource"]
                for statement in templates.statements(properties)
                if (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", prefix)
                and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            ]

    assert covered == {
        "CodeBucket": [[{"Fn::GetAtt": ["CodeBucket", "Arn"]}, {"Fn::Sub": "${CodeBucket.Arn}/*"}]],
        "LandingBucket": [[{"Fn::GetAtt": ["LandingBucket", "Arn"]}, {"Fn::Sub": "${LandingBucket.Arn}/*"}]],
        "ExportBucket": [[{"Fn::GetAtt": ["ExportBucket", "Arn"]}, {"Fn::Sub": "${ExportBucket.Arn}/*"}]],
        "ReportBucket": [[{"Fn::GetAtt": ["ReportBucket", "Arn"]}, {"Fn::Sub": "${ReportBucket.Arn}/*"}]],
        "LandingQueue": [{"Fn::GetAtt": ["LandingQueue", "Arn"]}],
        "LandingDeadLetterQueue": [{"Fn::GetAtt": ["LandingDeadLetterQueue", "Arn"]}],
        "NotificationQueue": [{"Fn::GetAtt": ["NotificationQueue", "Arn"]}],
        "NotificationDeadLetterQueue": [{"Fn::GetAtt": ["NotificationDeadLetterQueue", "Arn"]}],
    }
    everything = {**templates.of_type("AWS::S3::Bucket"), **templates.of_type("AWS::SQS::Queue")}
    assert sorted(covered) == sorted(everything)


def policy_documents(properties: dict[str, Any]) -> list[dict[str, Any]]:
    """The policies in a resource's properties, whatever its type calls them."""
    own = [
        properties[name] for name in ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument") if name in properties
    ]
    policies = properties.get("Policies", [])  # of a role; a user pool's are of passwords
    if not isinstance(policies, list):
        return own
    return own + [policy.get("Fn::If", [None, policy])[1]["PolicyDocument"] for policy in policies]


def test_nothing_is_allowed_to_everyone():
    allowed = {
        f"{logical_id}.{statement.get('Sid', '')}": statement
        for (_, logical_id), resource in templates.resources().items()
        for document in policy_documents(resource["Properties"])
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
    }

    # What Airflow may do: test_access.py.
    of_airflow = {name for name in allowed if name.startswith("AirflowRole.")}
    # What the pipeline may do: test_delivery.py. What the endpoints let through: a test below.
    of_others = {
        name
        for name in allowed
        if name.startswith(("DeliveryRole.", "PlanRole.")) or name.endswith("Endpoint.ThisAccount")
    }
    assert sorted(allowed.keys() - of_airflow - of_others) == [
        "AlarmTopicPolicy.AlarmsOfThisEnvironment",
        "ApiRole.",  # who may take it, and what it may do: test_api.py
        "ApiRole.KeyOfTheEnvironmentVariables",
        "ApiRole.KeyOfTheTable",
        "ApiRole.NetworkInterfacesInTheVpc",
        "ApiRole.NotificationsByKey",
        "ApiRole.OwnLog",
        "ApiRole.StoreReader",
        "BackupRole.AwsBackup",
        "DataKey.AirflowsLogGroups",
        "DataKey.IamPoliciesOfThisAccountDecide",
        "DynamoDbEndpoint.ThisAccountOnItsOwn",
        "FlowLogRole.",  # who may take it, and what it may do: a test of its own
        "LandingQueuePolicy.EventsOfTheLandingBucket",
        "LogsKey.IamPoliciesOfThisAccountDecide",
        "LogsKey.LogGroupsOfThisEnvironment",
        "S3Endpoint.ImageLayers",
        "S3Endpoint.ThisAccountOnItsOwn",
        "WarehouseRole.",  # who may take it, and what it may do: test_store_and_warehouse.py
        "WarehouseRole.DecryptionOfTheSync",
        "WarehouseRole.FilesOfTheSync",
        "WarehouseRole.ListingOfTheSync",
    ]
    # The account's administration of its keys has no condition; an endpoint's policy has no other principal than *.
    for name in ("LandingQueuePolicy.EventsOfTheLandingBucket", "LogsKey.LogGroupsOfThisEnvironment"):
        assert "*" not in json.dumps(allowed[name]["Principal"]) + json.dumps(allowed[name]["Action"])
        assert allowed[name]["Condition"]


def test_keys_rotate_and_are_administered_by_iam_policies_of_this_account_only():
    keys = templates.of_type("AWS::KMS::Key")

    assert sorted(keys) == ["DataKey", "LogsKey"]
    root = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    for key in keys.values():
        assert key["EnableKeyRotation"] is True
        assert key["PendingWindowInDays"] == {"Ref": "KeyDeletionWindowDays"}
        assert key["KeyPolicy"]["Statement"][0]["Principal"] == root
    (airflow,) = keys["DataKey"]["KeyPolicy"]["Statement"][1:]
    assert airflow["Principal"] == {"Service": {"Fn::Sub": "logs.${AWS::Region}.${AWS::URLSuffix}"}}
    arn = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:airflow-${Project}-${Environment}-*"
    assert airflow["Condition"] == {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": {"Fn::Sub": arn}}}
    (logs,) = keys["LogsKey"]["KeyPolicy"]["Statement"][1:]
    assert logs["Principal"] == {"Service": {"Fn::Sub": "logs.${AWS::Region}.${AWS::URLSuffix}"}}
    groups = (
        "/${Project}-${Environment}/",
        "/aws/rds/instance/${Project}-${Environment}-store/",
        "/aws/redshift/${Project}-${Environment}-warehouse/",
        "airflow-${Project}-${Environment}-",
    )
    arn = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:"
    contexts = [{"Fn::Sub": f"{arn}{group}*"} for group in groups]
    assert logs["Condition"] == {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": contexts}}
    # Only a log group of such a name may use the key.
    for group in templates.of_type("AWS::Logs::LogGroup").values():
        assert group["LogGroupName"]["Fn::Sub"].startswith(groups)


def test_keys_have_an_alias_each():
    aliases = {
        alias["AliasName"]["Fn::Sub"]: alias["TargetKeyId"] for alias in templates.of_type("AWS::KMS::Alias").values()
    }

    assert aliases == {
        "alias/${Project}-${Environment}-data": {"Ref": "DataKey"},
        "alias/${Project}-${Environment}-logs": {"Ref": "LogsKey"},
    }


def test_log_groups_are_encrypted_and_expire():
    groups = templates.of_type("AWS::Logs::LogGroup")

    assert {logical_id: group["RetentionInDays"]["Ref"] for logical_id, group in groups.items()} == {
        "ApiLogGroup": "ApiLogRetentionDays",
        "ApiAccessLogGroup": "ApiLogRetentionDays",
        "FlowLogGroup": "FlowLogRetentionDays",
        **{
            f"{part}LogGroup": "AirflowLogRetentionDays"
            for part in ("DagProcessing", "Scheduler", "Task", "WebServer", "Worker")
        },
        "StoreLogGroup": "StoreLogRetentionDays",
        "StoreUpgradeLogGroup": "StoreLogRetentionDays",
        "WarehouseConnectionLogGroup": "WarehouseLogRetentionDays",
        "WarehouseUserLogGroup": "WarehouseLogRetentionDays",
        "WarehouseActivityLogGroup": "WarehouseLogRetentionDays",
    }
    for group in groups.values():
        assert group["KmsKeyId"] == {"Fn::ImportValue": {"Fn::Sub": "${Project}-${Environment}-LogsKeyArn"}}


def test_all_traffic_of_the_vpc_is_logged_by_a_role_that_only_flow_logs_of_this_account_may_take():
    (flow_log,) = templates.of_type("AWS::EC2::FlowLog").values()
    assert (flow_log["ResourceId"], flow_log["TrafficType"]) == ({"Ref": "Vpc"}, "ALL")
    assert flow_log["LogGroupName"] == {"Ref": "FlowLogGroup"}
    assert flow_log["DeliverLogsPermissionArn"] == {"Fn::GetAtt": ["FlowLogRole", "Arn"]}

    role = templates.of_type("AWS::IAM::Role")["FlowLogRole"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    arn = "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:vpc-flow-log/*"
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {"aws:SourceArn": {"Fn::Sub": arn}},
    }
    ((write, find),) = [policy["PolicyDocument"]["Statement"] for policy in role["Policies"]]
    assert write["Resource"] == {"Fn::GetAtt": ["FlowLogGroup", "Arn"]}
    assert write["Action"] == ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    assert find["Resource"] == {"Fn::Sub": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*"}
    assert find["Action"] == "logs:DescribeLogGroups"


def security_group_rules(direction: str) -> list[tuple[str, ...]]:
    """Every rule, inline or a resource of its own: (group, protocol and ports, peer)."""
    found = []
    for logical_id, group in templates.of_type("AWS::EC2::SecurityGroup").items():
        found += [(logical_id, rule) for rule in group.get(f"SecurityGroup{direction}", [])]
    for rule in templates.of_type(f"AWS::EC2::SecurityGroup{direction}").values():
        found.append((rule["GroupId"]["Ref"], rule))
    peers = ("CidrIp", "CidrIpv6", "SourceSecurityGroupId", "DestinationSecurityGroupId")
    return sorted(
        (
            group.removesuffix("SecurityGroup"),
            "all" if rule["IpProtocol"] == "-1" else f"{rule['IpProtocol']} {rule['FromPort']}-{rule['ToPort']}",
            *(
                rule[name]["Ref"].removesuffix("SecurityGroup") if isinstance(rule[name], dict) else rule[name]
                for name in peers
                if name in rule
            ),
        )
        for group, rule in found
    )


def test_security_groups_take_from_each_other_only_and_nothing_from_the_internet():
    assert security_group_rules("Ingress") == [
        ("Airflow", "all", "Airflow"),
        ("Endpoints", "tcp 443-443", "Airflow"),
        ("Store", "tcp 5432-5432", "Airflow"),
        ("Store", "tcp 5432-5432", "Functions"),
        ("Warehouse", "tcp 5439-5439", "Airflow"),
    ]


def test_security_groups_reach_no_further_than_they_must():
    rules = security_group_rules("Egress")

    # The rule that takes the place of CloudFormation's own, by which a group may reach everything.
    assert [group for group, *to in rules if to == ["all", "127.0.0.1/32"]] == [
        "Airflow",
        "Endpoints",
        "Functions",
        "Store",
        "Warehouse",
    ]
    assert [rule for rule in rules if rule[-1] != "127.0.0.1/32"] == [
        ("Airflow", "all", "Airflow"),
        ("Airflow", "tcp 443-443", "0.0.0.0/0"),
        ("Airflow", "tcp 5432-5432", "Store"),
        ("Airflow", "tcp 5439-5439", "Warehouse"),
        ("Functions", "tcp 443-443", "0.0.0.0/0"),
        ("Functions", "tcp 5432-5432", "Store"),
        ("Warehouse", "tcp 443-443", "0.0.0.0/0"),
    ]


def test_endpoints_serve_this_account_on_its_own_data_in_the_private_subnets():
    endpoints = {
        name: endpoint
        for name, endpoint in templates.of_type("AWS::EC2::VPCEndpoint").items()
        if endpoint["VpcEndpointType"] == "Gateway"
    }

    services = {endpoint["ServiceName"]["Fn::Sub"]: endpoint for endpoint in endpoints.values()}
    assert sorted(services) == ["com.amazonaws.${AWS::Region}.dynamodb", "com.amazonaws.${AWS::Region}.s3"]
    own = {"StringEquals": {key: {"Ref": "AWS::AccountId"} for key in ("aws:PrincipalAccount", "aws:ResourceAccount")}}
    for endpoint in endpoints.values():
        assert endpoint["RouteTableIds"] == [{"Ref": f"PrivateRouteTable{zone}"} for zone in "ABC"]
        assert endpoint["PolicyDocument"]["Statement"][0]["Condition"] == own
    layers = services["com.amazonaws.${AWS::Region}.s3"]["PolicyDocument"]["Statement"][1:]
    assert [(statement["Action"], statement["Resource"]["Fn::Sub"]) for statement in layers] == [
        ("s3:GetObject", "arn:${AWS::Partition}:s3:::prod-${AWS::Region}-starport-layer-bucket/*")
    ]


def test_without_nat_gateways_endpoints_serve_airflow_and_this_account_alone():
    endpoints = {
        endpoint["ServiceName"]["Fn::Sub"].removeprefix("com.amazonaws.${AWS::Region}."): endpoint
        for endpoint in templates.of_type("AWS::EC2::VPCEndpoint").values()
        if endpoint["VpcEndpointType"] == "Interface"
    }

    # What MWAA and ECR reach by identities of their own; then what the DAGs call as well.
    own = ("airflow.api", "airflow.env", "ecr.api", "ecr.dkr")
    called = ("kms", "logs", "monitoring", "redshift-serverless", "secretsmanager", "sqs")
    assert sorted(endpoints) == sorted((*own, *called))
    account = {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}
    for name, endpoint in endpoints.items():
        assert endpoint["PrivateDnsEnabled"] is True
        assert endpoint["SubnetIds"] == [{"Ref": "PrivateSubnetA"}, {"Ref": "PrivateSubnetB"}]
        assert endpoint["SecurityGroupIds"] == [{"Ref": "EndpointsSecurityGroup"}]
        conditions = [statement["Condition"] for statement in endpoint.get("PolicyDocument", {}).get("Statement", [])]
        assert conditions == ([account] if name in called else []), name
    conditions = {
        name: resource.get("Condition")
        for (template, name), resource in templates.resources().items()
        if template == "network" and ("Endpoint" in name or "Nat" in name or name.startswith("PrivateRoute"))
    }
    assert {name for name, condition in conditions.items() if condition == "HasNatGateway"} == {
        "NatAddressA",
        "NatGatewayA",
        *(f"PrivateRoute{zone}" for zone in "ABC"),
    }
    assert Counter(conditions.values())["HasEndpointsOnly"] == 12  # endpoints, their group and its rule


def test_subnets_lie_in_three_zones_and_give_out_no_public_addresses():
    subnets = templates.of_type("AWS::EC2::Subnet")
    zones = {name: subnet["AvailabilityZone"]["Fn::Select"][0] for name, subnet in subnets.items()}
    ranges = [subnet["CidrBlock"]["Fn::Select"][0] for subnet in subnets.values()]

    assert zones == {f"{kind}Subnet{zone}": "ABC".index(zone) for kind in ("Public", "Private") for zone in "ABC"}
    assert sorted(ranges) == [0, 1, 2, 3, 4, 5]
    assert {subnet["MapPublicIpOnLaunch"] for subnet in subnets.values()} == {False}


def test_only_public_subnets_have_a_route_to_the_internet_gateway():
    routes = {
        properties["RouteTableId"]["Ref"]: (properties["DestinationCidrBlock"], properties.get("GatewayId"))
        for properties in templates.of_type("AWS::EC2::Route").values()
    }
    tables = {
        properties["SubnetId"]["Ref"]: properties["RouteTableId"]["Ref"]
        for properties in templates.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
    }

    assert routes == {
        "PublicRouteTable": ("0.0.0.0/0", {"Ref": "InternetGateway"}),
        **{f"PrivateRouteTable{zone}": ("0.0.0.0/0", None) for zone in "ABC"},  # the NAT gateway: see the deployment
    }
    assert tables == {
        **{f"PublicSubnet{zone}": "PublicRouteTable" for zone in "ABC"},
        **{f"PrivateSubnet{zone}": f"PrivateRouteTable{zone}" for zone in "ABC"},
    }


def test_alarms_watch_the_apis_the_dead_letter_queues_and_the_age_of_messages():
    alarms = {
        logical_id: (
            alarm["MetricName"],
            alarm["Dimensions"][0]["Value"].get("Ref") or alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0],
            alarm["Threshold"],
        )
        for (template, logical_id), resource in templates.resources().items()
        if resource["Type"] == "AWS::CloudWatch::Alarm" and template != "monitoring"  # those: test_monitoring.py
        for alarm in [resource["Properties"]]
    }

    assert alarms == {
        "ErrorsAlarm": ("Errors", "ApiFunction", 0),
        "ThrottlesAlarm": ("Throttles", "ApiFunction", 0),
        "ServerErrorsAlarm": ("5xx", "Api", 0),
        "LatencyAlarm": ("Latency", "Api", {"Ref": "LatencyAlarmMs"}),
        "DeadLetterAlarm": ("ApproximateNumberOfMessagesVisible", "LandingDeadLetterQueue", 0),
        "OldestEventAlarm": (
            "ApproximateAgeOfOldestMessage",
            "LandingQueue",
            {"Ref": "OldestEventAlarmSeconds"},
        ),
        "NotificationDeadLetterAlarm": ("ApproximateNumberOfMessagesVisible", "NotificationDeadLetterQueue", 0),
        "OldestNotificationAlarm": (
            "ApproximateAgeOfOldestMessage",
            "NotificationQueue",
            {"Ref": "OldestNotificationAlarmSeconds"},
        ),
    }


def test_stateful_resources_say_what_becomes_of_them():
    policies = {
        logical_id: (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
        for (_, logical_id), resource in templates.resources().items()
        if resource["Type"]
        in (
            "AWS::Backup::BackupVault",
            "AWS::Cognito::UserPool",
            "AWS::DynamoDB::Table",
            "AWS::ECR::Repository",
            "AWS::KMS::Key",
            "AWS::Logs::LogGroup",
            "AWS::RDS::DBInstance",
            "AWS::RedshiftServerless::Namespace",
            "AWS::S3::Bucket",
            "AWS::SQS::Queue",
            "AWS::SecretsManager::Secret",
        )
    }

    assert policies == {
        "ApiLogGroup": ("Delete", "Delete"),
        "ApiAccessLogGroup": ("Delete", "Delete"),
        "BackupVault": ("Delete", "Retain"),
        "ImageRepository": ("Delete", "Retain"),
        **{
            f"{part}LogGroup": ("Delete", "Delete")
            for part in ("DagProcessing", "Scheduler", "Task", "WebServer", "Worker")
        },
        "CodeBucket": ("Delete", "Delete"),
        "CursorKey": ("Delete", "Delete"),
        "UserPool": ("Delete", "Retain"),
        "DataKey": ("Delete", "Retain"),
        "LogsKey": ("Delete", "Retain"),
        "FlowLogGroup": ("Delete", "Delete"),
        "LandingQueue": ("Delete", "Delete"),
        "LandingDeadLetterQueue": ("Delete", "Delete"),
        "LandingBucket": ("Delete", "Retain"),
        "ExportBucket": ("Delete", "Delete"),
        "ReportBucket": ("Delete", "Delete"),
        "NotificationQueue": ("Delete", "Delete"),
        "NotificationDeadLetterQueue": ("Delete", "Delete"),
        "NotificationTable": ("Delete", "Retain"),
        "StoreOwnerConnection": ("Delete", "Delete"),
        "StoreWriterConnection": ("Delete", "Delete"),
        "StoreReaderConnection": ("Delete", "Delete"),
        "WarehouseConnection": ("Delete", "Delete"),
        "StoreLogGroup": ("Delete", "Delete"),
        "StoreUpgradeLogGroup": ("Delete", "Delete"),
        "Store": ("Delete", "Snapshot"),
        "WarehouseConnectionLogGroup": ("Delete", "Delete"),
        "WarehouseUserLogGroup": ("Delete", "Delete"),
        "WarehouseActivityLogGroup": ("Delete", "Delete"),
        "WarehouseNamespace": ("Delete", "Delete"),
    }
