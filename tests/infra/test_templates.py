"""What holds for every template: valid, tagged, described, and what each resource's safety rests on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

from tests.infra import templates

COMMON_PARAMETERS = ("Project", "Environment", "Creator")


def test_templates_are_these():
    assert [path.stem for path in templates.PATHS] == ["connections", "ingest", "storage"]


@pytest.mark.parametrize("path", templates.PATHS, ids=lambda path: path.stem)
def test_cfn_lint_finds_nothing(path: Path):
    matches = lint_file(path, config=ManualArgs(regions=[templates.REGION], include_checks=["I"]))

    assert [f"{match.linenumber}: {match.rule.id} {match.message}" for match in matches] == []


def test_every_resource_that_takes_tags_has_creator_project_and_environment():
    taggable = {
        key: (resource["Properties"], name)
        for key, resource in templates.resources().items()
        if (name := templates.tag_property(resource["Type"]))
    }

    # 2 queues, 2 alarms, 1 bucket, 3 secrets: a resource more or less changes the count knowingly.
    assert len(taggable) == 8
    expected = {
        "creator": {"Ref": "Creator"},
        "project": {"Ref": "Project"},
        "environment": {"Ref": "Environment"},
    }
    assert {key: templates.tags(*where) for key, where in taggable.items()} == dict.fromkeys(taggable, expected)


def test_resources_without_tags_are_types_that_take_none():
    untagged = {
        resource["Type"]
        for resource in templates.resources().values()
        if templates.tag_property(resource["Type"]) is None
    }

    assert untagged == {"AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"}


@pytest.mark.parametrize("path", templates.PATHS, ids=lambda path: path.stem)
def test_every_parameter_is_described_and_bounded(path: Path):
    for name, parameter in templates.load(path)["Parameters"].items():
        assert len(parameter["Description"]) > 10, name
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


def test_named_resources_carry_project_and_environment():
    named = [
        json.dumps(value)
        for resource in templates.resources().values()
        for name, value in resource["Properties"].items()
        if name in ("QueueName", "AlarmName", "Name")
    ]

    assert len(named) == 7  # 2 queues, 2 alarms, 3 secrets; the bucket's name comes from the ingest stack
    assert [name for name in named if not name.startswith('{"Fn::Sub": "${Project}-${Environment}')] == []


def test_passwords_are_never_echoed():
    parameters = templates.load(templates.DIRECTORY / "connections.yaml")["Parameters"]
    passwords = {name: parameter for name, parameter in parameters.items() if "Password" in name}

    assert sorted(passwords) == ["StoreOwnerPassword", "StoreReaderPassword", "StoreWriterPassword"]
    assert [parameter["NoEcho"] for parameter in passwords.values()] == [True] * 3
    assert [parameter["Default"] for parameter in passwords.values()] == [""] * 3


def test_buckets_are_private_encrypted_and_versioned():
    buckets = templates.of_type("AWS::S3::Bucket")

    assert list(buckets) == ["LandingBucket"]
    for bucket in buckets.values():
        assert bucket["PublicAccessBlockConfiguration"] == {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        }
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        encryption = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption == [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


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

    assert sorted(queues) == ["LandingDeadLetterQueue", "LandingQueue"]
    for queue in queues.values():
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_landing_queue_has_a_dead_letter_queue_that_takes_from_no_other():
    queues = templates.of_type("AWS::SQS::Queue")

    assert queues["LandingQueue"]["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": ["LandingDeadLetterQueue", "Arn"]},
        "maxReceiveCount": {"Ref": "MaxReceiveCount"},
    }
    allowed = queues["LandingDeadLetterQueue"]["RedriveAllowPolicy"]
    assert allowed["redrivePermission"] == "byQueue"
    # The ARN is spelled out, so it must be the landing queue's name that it ends with.
    (source,) = allowed["sourceQueueArns"]
    assert source["Fn::Sub"] == (
        "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" + queues["LandingQueue"]["QueueName"]["Fn::Sub"]
    )


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
        "LandingBucket": [[{"Fn::GetAtt": ["LandingBucket", "Arn"]}, {"Fn::Sub": "${LandingBucket.Arn}/*"}]],
        "LandingQueue": [{"Fn::GetAtt": ["LandingQueue", "Arn"]}],
        "LandingDeadLetterQueue": [{"Fn::GetAtt": ["LandingDeadLetterQueue", "Arn"]}],
    }
    everything = {**templates.of_type("AWS::S3::Bucket"), **templates.of_type("AWS::SQS::Queue")}
    assert sorted(covered) == sorted(everything)


def test_nothing_is_allowed_to_everyone():
    allowed = [
        statement
        for resource in templates.resources().values()
        if "PolicyDocument" in resource["Properties"]
        for statement in templates.statements(resource["Properties"])
        if statement["Effect"] == "Allow"
    ]

    assert len(allowed) == 1
    for statement in allowed:
        assert "*" not in json.dumps(statement["Principal"])
        assert "*" not in json.dumps(statement["Action"])
        assert statement["Condition"]


def test_alarms_watch_the_dead_letter_queue_and_the_age_of_events():
    alarms = {
        logical_id: (
            alarm["MetricName"],
            alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0],
            alarm["Threshold"],
        )
        for logical_id, alarm in templates.of_type("AWS::CloudWatch::Alarm").items()
    }

    assert alarms == {
        "DeadLetterAlarm": ("ApproximateNumberOfMessagesVisible", "LandingDeadLetterQueue", 0),
        "OldestEventAlarm": (
            "ApproximateAgeOfOldestMessage",
            "LandingQueue",
            {"Ref": "OldestEventAlarmSeconds"},
        ),
    }


def test_stateful_resources_say_what_becomes_of_them():
    policies = {
        logical_id: (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
        for (_, logical_id), resource in templates.resources().items()
        if resource["Type"] in ("AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SecretsManager::Secret")
    }

    assert policies == {
        "LandingQueue": ("Delete", "Delete"),
        "LandingDeadLetterQueue": ("Delete", "Delete"),
        "LandingBucket": ("Delete", "Retain"),
        "StoreOwnerConnection": ("Delete", "Delete"),
        "StoreWriterConnection": ("Delete", "Delete"),
        "StoreReaderConnection": ("Delete", "Delete"),
    }
