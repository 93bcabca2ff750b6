"""docs/emulator.md says what the emulator does with each property of the templates, and it does that."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import pytest

from local import resource_types
from scripts import emulator_page

Measured = tuple[dict[str, set[str]], dict[str, set[str]]]

POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]}
# A property of each verdict but "in our record only", of types where handlers drop some.
RESOURCES: dict[str, dict[str, Any]] = {
    "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
    "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.1.0/24"}},
    "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"VpcId": {"Ref": "Vpc"}, "GroupDescription": "one"}},
    "Endpoint": {
        "Type": "AWS::EC2::VPCEndpoint",
        "Properties": {
            "VpcId": {"Ref": "Vpc"},
            "ServiceName": "com.amazonaws.us-east-1.sqs",
            "VpcEndpointType": "Interface",
            "SubnetIds": [{"Ref": "Subnet"}],
            "SecurityGroupIds": [{"Ref": "Group"}],
            "PrivateDnsEnabled": True,
            "PolicyDocument": POLICY,
        },
    },
    "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "one", "ProtocolType": "HTTP"}},
    "Stage": {
        "Type": "AWS::ApiGatewayV2::Stage",
        "Properties": {
            "ApiId": {"Ref": "Api"},
            "StageName": "one",
            "AutoDeploy": True,
            "DefaultRouteSettings": {"ThrottlingBurstLimit": 50, "ThrottlingRateLimit": 100},
        },
    },
    "Database": {
        "Type": "AWS::RDS::DBInstance",
        "Properties": {
            "DBInstanceIdentifier": "one",
            "DBInstanceClass": "db.t4g.small",
            "Engine": "postgres",
            "MasterUsername": "master",
            "ManageMasterUserPassword": True,
            "EnableIAMDatabaseAuthentication": True,
            "EnableCloudwatchLogsExports": ["postgresql"],
        },
    },
    "Bucket": {
        "Type": "AWS::S3::Bucket",
        "Properties": {
            "BucketName": "one-bucket",
            "VersioningConfiguration": {"Status": "Enabled"},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        },
    },
}


@pytest.fixture(scope="module")
def measured() -> Measured:
    """What the emulator's handlers were given and what they read, of whole environments."""
    return emulator_page.measured()


def test_the_page_is_what_a_deployment_shows(measured: Measured):
    current = emulator_page.PAGE.read_text(encoding="utf-8")

    assert emulator_page.page(current, *measured) == current, "docs/emulator.md is stale: make docs"


def test_a_property_that_no_deployment_has_is_not_judged(measured: Measured):
    properties = emulator_page.used() | {"AWS::SQS::Queue": {"QueueName", "MadeUp"}}

    with pytest.raises(
        LookupError, match=r"^AWS::SQS::Queue: MadeUp: no deployment of scripts/emulator_page.py has it$"
    ):
        emulator_page.content(properties, *measured)


def test_a_property_that_our_handlers_refuse_is_not_judged(measured: Measured):
    with pytest.raises(LookupError, match=r"^AWS::EC2::EIP: MadeUp: local/resource_types.py refuses it$"):
        emulator_page.verdict("AWS::EC2::EIP", "MadeUp", *measured)


def test_a_handler_that_goes_shows_in_the_table(measured: Measured, monkeypatch):
    assert emulator_page.verdict("AWS::S3::Bucket", "BucketEncryption", *measured) == "by our handlers"

    monkeypatch.delitem(resource_types.PROPERTIES, "AWS::S3::Bucket")

    assert emulator_page.verdict("AWS::S3::Bucket", "BucketEncryption", *measured) == "linted only"
    assert emulator_page.verdict("AWS::S3::Bucket", "VersioningConfiguration", *measured) == "by the emulator"


def test_what_is_said_by_hand_is_of_properties_that_the_templates_use():
    used = emulator_page.used()

    assert emulator_page.REMARKS.keys() | emulator_page.WITHOUT_SERVICE <= used.keys()
    assert {kind for kind, names in emulator_page.LOST.items() if not names <= used[kind]} == set()


def test_the_types_without_a_service_are_those_that_are_recorded_only():
    made = {
        kind: of.create.__qualname__
        for kind, of in resource_types.TYPES.items()
        if not isinstance(of.create, functools.partial)
    }

    recorded = {kind for kind, name in made.items() if name.startswith(resource_types._recorded_type.__name__)}
    assert recorded == emulator_page.WITHOUT_SERVICE


def test_the_emulator_tells_what_it_takes_and_not_what_it_drops(emulator: Callable[[str], Any]):
    emulator("cloudformation").create_stack(StackName="one", TemplateBody=json.dumps({"Resources": RESOURCES}))
    emulator("cloudformation").get_waiter("stack_create_complete").wait(StackName="one", WaiterConfig={"Delay": 1})

    (endpoint,) = emulator("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    assert (endpoint["ServiceName"], len(endpoint["SubnetIds"])) == ("com.amazonaws.us-east-1.sqs", 1)
    assert endpoint.keys() & {"Groups", "PrivateDnsEnabled", "PolicyDocument"} == set()
    (api,) = emulator("apigatewayv2").get_apis()["Items"]
    (stage,) = emulator("apigatewayv2").get_stages(ApiId=api["ApiId"])["Items"]
    assert (stage["AutoDeploy"], stage["DefaultRouteSettings"]) == (True, {})
    (database,) = emulator("rds").describe_db_instances()["DBInstances"]
    assert database["IAMDatabaseAuthenticationEnabled"] is True
    assert database["EnabledCloudwatchLogsExports"] == []
    assert "MasterUserSecret" not in database
    s3 = emulator("s3")
    assert s3.get_bucket_versioning(Bucket="one-bucket")["Status"] == "Enabled"
    rules = s3.get_bucket_ownership_controls(Bucket="one-bucket")["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
