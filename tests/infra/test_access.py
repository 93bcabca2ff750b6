"""What Airflow's role may do: by purpose, nothing that is not listed here, and within IAM's bounds."""

from __future__ import annotations

import json
from typing import Any

from tests.infra import templates

# Rendered names are at most so long: the longest project, environment and region.
LONGEST = {
    "Project": "p" * 16,
    "Environment": "local",
    "AWS::Partition": "aws",
    "AWS::Region": "ap-southeast-2",
    "AWS::AccountId": "0" * 12,
    "AWS::URLSuffix": "amazonaws.com",
}
# IAM's quota for all inline policies of a role together, white space not counted.
MOST_CHARACTERS = 10_240


def role() -> dict[str, Any]:
    return templates.of_type("AWS::IAM::Role")["AirflowRole"]


def policies() -> dict[str, dict[str, dict[str, Any]]]:
    """The statements by policy and purpose; those that only MWAA has included."""
    documents = [policy.get("Fn::If", [None, policy])[1] for policy in role()["Policies"]]
    return {
        document["PolicyName"]: {of["Sid"]: of for of in document["PolicyDocument"]["Statement"]}
        for document in documents
    }


def actions(statement: dict[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else found


def test_only_amazon_mwaa_takes_the_role():
    (trust,) = role()["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Principal"] == {"Service": ["airflow.amazonaws.com", "airflow-env.amazonaws.com"]}
    assert trust["Action"] == "sts:AssumeRole"


def test_the_rights_are_these_by_purpose():
    rights = {name: {sid: actions(of) for sid, of in statements.items()} for name, statements in policies().items()}

    assert rights == {
        "dags": {
            "ListingOfFiles": ["s3:ListBucket", "s3:ListBucketVersions"],
            "LandedFilesAreRead": ["s3:GetObjectVersion"],
            "LoadedFilesLeaveLanding": ["s3:DeleteObjectVersion"],
            "LoadedFilesAreKept": ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
            "MockFilesAndTheirTruth": ["s3:PutObject"],
            "FilesOfTheSync": ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            "ListingOfTheSync": ["s3:ListBucket"],
            "DashboardAndStatus": ["s3:GetObject", "s3:PutObject"],
            "ShownLinesAreDeleted": ["s3:DeleteObject"],
            "ListingOfReports": ["s3:ListBucket"],
            "KeyOfTheBuckets": ["kms:Decrypt", "kms:GenerateDataKey"],
            "EventsOfLandedFiles": ["sqs:DeleteMessage", "sqs:ReceiveMessage"],
            "DepthOfTheLandingQueue": ["sqs:GetQueueAttributes"],
            "NotificationsToWrite": [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            "Inboxes": ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"],
            "ReadsByTheirIndex": ["dynamodb:Query"],
            "KeyOfTheInboxes": [
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey*",
                "kms:ReEncrypt*",
            ],
            "Connections": ["secretsmanager:GetSecretValue"],
            "KeyOfTheConnections": ["kms:Decrypt"],
            "MetricsOfTheDags": ["cloudwatch:PutMetricData"],
        },
        "databases": {
            "StoreByIam": ["rds-db:connect"],
            "WarehouseByIam": ["redshift-serverless:GetCredentials"],
        },
        "mwaa": {
            "MetricsOfAirflow": ["airflow:PublishMetrics"],
            "MetricsOfAirflowsContainers": ["cloudwatch:PutMetricData"],
            "SettingsOfTheBucketOfCode": [
                "s3:GetBucket*",
                "s3:GetEncryptionConfiguration",
                "s3:ListBucket",
                "s3:ListBucketVersions",
            ],
            "CodeOfAirflow": ["s3:GetObject", "s3:GetObjectVersion"],
            "AccountsBucketsArePrivate": ["s3:GetAccountPublicAccessBlock"],
            "LogsOfAirflow": [
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:GetLogEvents",
                "logs:GetLogGroupFields",
                "logs:GetLogRecord",
                "logs:GetQueryResults",
                "logs:PutLogEvents",
            ],
            "ListingOfLogGroups": ["logs:DescribeLogGroups"],
            "QueueOfTheWorkers": [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            "KeyOfThatQueue": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"],
        },
    }


def test_everything_is_on_resources_of_this_environment_but_what_aws_gives_no_narrower_one():
    wide = {
        sid: of.get("Condition")
        for statements in policies().values()
        for sid, of in statements.items()
        if "*" in (of["Resource"] if isinstance(of["Resource"], list) else [of["Resource"]])
    }

    namespace = "cloudwatch:namespace"
    assert wide == {
        "MetricsOfTheDags": {"StringEquals": {namespace: {"Fn::Sub": "${Project}-${Environment}"}}},
        "MetricsOfAirflowsContainers": {"StringEquals": {namespace: "AmazonMWAA"}},
        "AccountsBucketsArePrivate": None,
    }
    for statements in policies().values():
        for sid, of in statements.items():
            if sid in wide or sid in ("QueueOfTheWorkers", "ListingOfLogGroups"):
                continue
            assert "${Project}-${Environment}" in json.dumps(of["Resource"]), sid


def test_the_key_is_used_by_way_of_the_services_that_hold_the_data():
    ways = {
        sid: of["Condition"]["StringEquals"]["kms:ViaService"]["Fn::Sub"].partition(".")[0]
        for statements in policies().values()
        for sid, of in statements.items()
        if actions(of)[0].startswith("kms:")
    }

    assert ways == {
        "KeyOfTheBuckets": "s3",
        "KeyOfTheInboxes": "dynamodb",
        "KeyOfTheConnections": "secretsmanager",
        "KeyOfThatQueue": "sqs",
    }


def render(part: Any) -> Any:
    """A part of the template with the longest texts that it can have."""
    if isinstance(part, list):
        return [render(each) for each in part]
    if not isinstance(part, dict):
        return part
    if "Fn::ImportValue" in part:
        return "arn:aws:service:ap-southeast-2:000000000000:" + "r" * 60
    if "Fn::Sub" in part:
        text, values = part["Fn::Sub"] if isinstance(part["Fn::Sub"], list) else (part["Fn::Sub"], {})
        for name, value in {**LONGEST, **{name: render(value) for name, value in values.items()}}.items():
            text = text.replace(f"${{{name}}}", value)
        return text
    return {name: render(value) for name, value in part.items()}


def test_the_policies_fit_into_a_role():
    documents = [policy.get("Fn::If", [None, policy])[1]["PolicyDocument"] for policy in role()["Policies"]]
    rendered = [json.dumps(render(document), separators=(",", ":")) for document in documents]

    assert "${" not in "".join(rendered)
    assert sum(map(len, rendered)) < MOST_CHARACTERS
