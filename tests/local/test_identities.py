"""The emulator decides by the templates' policies: what a part's role has is allowed, and nothing else."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local import aws, emulator, identities, issuer
from local.platform import Platform


def client(platform: Platform, service: str, key: str = "airflow", secret: str = "local") -> Any:  # noqa: S107
    return boto3.client(
        service, endpoint_url=platform.endpoint, region_name=aws.REGION, aws_access_key_id=key,
        aws_secret_access_key=secret,
    )  # fmt: skip


def refusal(call: Any, **arguments: Any) -> str:
    """Make a call that must be refused, and return the error's code."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"]


@pytest.fixture
def landed(platform: Platform):
    """A version of an object in the landing bucket that is gone after the test."""
    s3 = emulator.client("s3", platform.endpoint)
    bucket = platform.state.outputs["LandingBucket"]
    version = s3.put_object(Bucket=bucket, Key="landing/game/x.csv", Body=b"x")["VersionId"]
    yield {"Bucket": bucket, "Key": "landing/game/x.csv", "VersionId": version}
    s3.delete_object(Bucket=bucket, Key="landing/game/x.csv", VersionId=version)


def test_airflow_does_with_landed_files_what_its_role_may(platform: Platform, landed: dict[str, str]):
    s3 = client(platform, "s3")
    bucket = landed["Bucket"]
    named = {"Key": landed["Key"], "VersionId": landed["VersionId"]}

    assert s3.get_object(**landed)["Body"].read() == b"x"
    assert s3.delete_objects(Bucket=bucket, Delete={"Objects": [named]})["Deleted"][0]["Key"] == landed["Key"]
    assert refusal(s3.delete_objects, Bucket=bucket, Delete={"Objects": [{"Key": landed["Key"]}]}) == "AccessDenied"
    kept = [{"Key": "archive/game/x.csv", "VersionId": "1"}]
    assert refusal(s3.delete_objects, Bucket=bucket, Delete={"Objects": kept}) == "AccessDenied"
    assert refusal(s3.put_object, Bucket=bucket, Key="elsewhere/x.csv", Body=b"x") == "AccessDenied"
    assert refusal(s3.delete_bucket, Bucket=bucket) == "AccessDenied"


def test_queues_secrets_and_metrics_are_those_of_the_role(platform: Platform):
    outputs = platform.state.outputs
    sqs, secrets, cloudwatch = (client(platform, name) for name in ("sqs", "secretsmanager", "cloudwatch"))

    assert sqs.receive_message(QueueUrl=outputs["NotificationQueueUrl"])["ResponseMetadata"]["HTTPStatusCode"] == 200
    sent = sqs.send_message_batch(
        QueueUrl=outputs["NotificationDeadLetterQueueUrl"], Entries=[{"Id": "1", "MessageBody": "x"}]
    )
    assert len(sent["Successful"]) == 1
    emulator.client("sqs", platform.endpoint).purge_queue(QueueUrl=outputs["NotificationDeadLetterQueueUrl"])
    assert refusal(sqs.purge_queue, QueueUrl=outputs["NotificationQueueUrl"]) == "AccessDenied"
    assert refusal(sqs.send_message, QueueUrl=outputs["LandingQueueUrl"], MessageBody="x") == "AccessDenied"

    connection = f"{outputs['ConnectionsPrefix']}/store_reader"
    assert "SecretString" in secrets.get_secret_value(SecretId=connection)
    assert refusal(secrets.put_secret_value, SecretId=connection, SecretString="x") == "AccessDeniedException"

    data = [{"MetricName": "Tried", "Value": 1}]
    assert refusal(cloudwatch.put_metric_data, Namespace="Other", MetricData=data) == "AccessDeniedException"
    cloudwatch.put_metric_data(Namespace=outputs["MetricsNamespace"], MetricData=data)


def test_a_key_that_nobody_has_and_a_wrong_secret_open_nothing(platform: Platform):
    bucket = platform.state.outputs["LandingBucket"]

    assert refusal(client(platform, "s3", key="somebody").list_object_versions, Bucket=bucket) == "InvalidAccessKeyId"
    wrong = client(platform, "s3", secret="wrong")
    assert refusal(wrong.list_object_versions, Bucket=bucket) == "SignatureDoesNotMatch"


def test_everybody_reads_the_issuers_documents_and_nothing_else(platform: Platform):
    def read(path: str) -> Any:
        with urllib.request.urlopen(f"{platform.endpoint}/{path}", timeout=30) as answer:  # noqa: S310 - http, see above
            return json.load(answer)

    assert read(f"{issuer.BUCKET}/.well-known/jwks.json")["keys"]
    for path in (issuer.BUCKET, platform.state.outputs["ReportBucket"]):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            read(path)


def test_each_kind_of_call_is_noted_once_with_its_verdict(platform: Platform):
    s3 = client(platform, "s3")
    bucket = platform.state.outputs["ReportBucket"]
    for name in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=f"status/lines/{name}", Body=b"x")
        s3.delete_object(Bucket=bucket, Key=f"status/lines/{name}")
        assert refusal(s3.put_object_tagging, Bucket=bucket, Key=f"status/lines/{name}", Tagging={"TagSet": []})

    lines = (platform.layout.emulator / "services" / identities.CALLS).read_text().splitlines()
    noted = [line for line in map(json.loads, lines) if "status/lines/" in line["resource"]]
    resource = f"arn:aws:s3:::{bucket}/status/lines/*"
    assert sorted(noted, key=lambda line: line["action"]) == [
        {"role": "AirflowRole", "action": "s3:DeleteObject", "resource": resource, "allowed": True},
        {"role": "AirflowRole", "action": "s3:PutObject", "resource": resource, "allowed": True},
        {"role": "AirflowRole", "action": "s3:PutObjectTagging", "resource": resource, "allowed": False},
    ]


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        ("arn:aws:s3:::b/status/lines/rejected/1.json", "arn:aws:s3:::b/status/lines/*"),
        ("arn:aws:s3:::b/status/latest.json", "arn:aws:s3:::b/status/*"),
        ("arn:aws:s3:::b/other/x", "arn:aws:s3:::b/other/x"),
        ("arn:aws:s3:::b", "arn:aws:s3:::b"),
        ("arn:aws:sqs:us-east-1:0:q", "arn:aws:sqs:us-east-1:0:q"),
        (
            "arn:aws:secretsmanager:us-east-1:0:secret:p/store-a1b2c3",
            "arn:aws:secretsmanager:us-east-1:0:secret:p/store-*",
        ),
    ],
)
def test_a_resource_is_named_as_policies_name_it(resource: str, kind: str):
    assert identities.kind_of(resource) == kind
