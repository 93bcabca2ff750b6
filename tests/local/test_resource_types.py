"""What local/resource_types.py adds to the emulator's CloudFormation: on a real emulator, read back by its APIs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from local import emulator
from local.layout import REPO, tool
from local.ports import HOST
from local.resource_types import RECORD, _mend_memory_of_versions
from tests import emulators

TYPES = [
    "AWS::Backup::BackupSelection",
    "AWS::Budgets::Budget",
    "AWS::EC2::EIP",
    "AWS::EC2::FlowLog",
    "AWS::EC2::NatGateway",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::IAM::OIDCProvider",
    "AWS::MWAA::Environment",
    "AWS::RDS::Integration",
    "AWS::RedshiftServerless::Namespace",
    "AWS::RedshiftServerless::Workgroup",
]
STACK = "network"
STACK_TAGS = [{"Key": "project", "Value": "marketplace"}]
ROLE = "arn:aws:iam::000000000000:role/flow-logs"


class Stack:
    """One stack of an emulator, and the record of what resource_types.py did."""

    def __init__(self, port: int, directory: Path, name: str = STACK) -> None:
        self._url = f"http://{HOST}:{port}"
        self._record = directory / "state" / RECORD
        self.name = name
        self.cloudformation = self.client("cloudformation")
        self.ec2 = self.client("ec2")

    def client(self, service: str) -> Any:
        return emulator.client(service, self._url)

    def deploy(self, resources: dict[str, Any], action: str = "create", tags: Any = None) -> None:
        """Create or update the stack; WaiterError when it is rolled back."""
        call = getattr(self.cloudformation, f"{action}_stack")
        template = json.dumps({"Resources": resources})
        call(StackName=self.name, TemplateBody=template, Tags=STACK_TAGS if tags is None else tags)
        waiter = self.cloudformation.get_waiter(f"stack_{action}_complete")
        waiter.wait(StackName=self.name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})

    def delete(self) -> None:
        self.cloudformation.delete_stack(StackName=self.name)
        waiter = self.cloudformation.get_waiter("stack_delete_complete")
        waiter.wait(StackName=self.name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})

    def status(self) -> str:
        return self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]

    def reason(self, logical_id: str) -> str:
        """Why the last operation on a resource failed."""
        events = self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return next(
            event["ResourceStatusReason"]
            for event in events
            if event["LogicalResourceId"] == logical_id and event["ResourceStatus"].endswith("_FAILED")
        )

    def physical_id(self, logical_id: str) -> str:
        described = self.cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return described["StackResourceDetail"]["PhysicalResourceId"]

    def record(self) -> list[tuple[str, ...]]:
        """What was done in the stack: action, logical id, physical id."""
        lines = [json.loads(line) for line in self._record.read_text().splitlines()]
        return [
            (line["action"], line["logical_id"], line["physical_id"]) for line in lines if line["stack"] == self.name
        ]

    def nat_gateways(self) -> list[dict[str, Any]]:
        living = [{"Name": "state", "Values": ["available"]}]
        return self.ec2.describe_nat_gateways(Filters=living)["NatGateways"]

    def rules(self, logical_id: str = "Group") -> dict[str, dict[str, Any]]:
        """The rules of a security group by id."""
        of_group = [{"Name": "group-id", "Values": [self.physical_id(logical_id)]}]
        found = self.ec2.describe_security_group_rules(Filters=of_group)["SecurityGroupRules"]
        return {rule["SecurityGroupRuleId"]: rule for rule in found}


def tags(resource: dict[str, Any]) -> dict[str, str]:
    """A resource's tags but for those that CloudFormation adds itself."""
    return {tag["Key"]: tag["Value"] for tag in resource["Tags"] if not tag["Key"].startswith("aws:")}


def network() -> dict[str, Any]:
    """A VPC with all types of EC2."""
    return {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Subnet": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/24"},
        },
        "OtherSubnet": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.1.0/24"},
        },
        "Internet": {"Type": "AWS::EC2::InternetGateway"},
        "Attachment": {
            "Type": "AWS::EC2::VPCGatewayAttachment",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "InternetGatewayId": {"Ref": "Internet"}},
        },
        "Address": {
            "Type": "AWS::EC2::EIP",
            "Properties": {"Domain": "vpc", "Tags": [{"Key": "creator", "Value": "a & b"}]},
        },
        "Nat": {
            "Type": "AWS::EC2::NatGateway",
            "DependsOn": "Attachment",
            "Properties": {
                "SubnetId": {"Ref": "Subnet"},
                "AllocationId": {"Fn::GetAtt": ["Address", "AllocationId"]},
                "Tags": [{"Key": "creator", "Value": "tests"}],
            },
        },
        "FlowLog": {
            "Type": "AWS::EC2::FlowLog",
            "Properties": {
                "ResourceType": "VPC",
                "ResourceId": {"Ref": "Vpc"},
                "TrafficType": "REJECT",
                "LogGroupName": "/flow",
                "DeliverLogsPermissionArn": ROLE,
                "MaxAggregationInterval": 60,
                "Tags": [{"Key": "creator", "Value": "tests"}],
            },
        },
        "Group": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"GroupDescription": "a group", "VpcId": {"Ref": "Vpc"}},
        },
        "In": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {
                "GroupId": {"Ref": "Group"},
                "IpProtocol": "tcp",
                "FromPort": 5432,
                "ToPort": 5433,
                "SourceSecurityGroupId": {"Ref": "Group"},
                "Description": "from itself",
            },
        },
        "Out": {
            "Type": "AWS::EC2::SecurityGroupEgress",
            "Properties": {
                "GroupId": {"Ref": "Group"},
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "CidrIp": "10.0.0.0/16",
            },
        },
    }


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("an emulator")


@pytest.fixture(scope="module")
def port(directory: Path) -> Iterator[int]:
    with emulators.running(directory) as port:
        yield port


@pytest.fixture
def stack(port: int, directory: Path) -> Stack:
    """An empty account with an empty record, without a stack so far."""
    assert emulators.status(port, "POST", "/_ministack/reset") == 200
    (directory / "state" / RECORD).unlink(missing_ok=True)
    return Stack(port, directory)


def test_all_types_of_ec2_are_there_and_named_in_the_record(stack):
    stack.deploy(network())

    (address,) = stack.ec2.describe_addresses()["Addresses"]
    assert stack.physical_id("Address") == address["PublicIp"]
    assert address["Domain"] == "vpc"
    assert tags(address) == {"creator": "a & b", "project": "marketplace"}
    (nat,) = stack.nat_gateways()
    assert nat["NatGatewayId"] == stack.physical_id("Nat")
    assert nat["SubnetId"] == stack.physical_id("Subnet")
    assert nat["VpcId"] == stack.physical_id("Vpc")
    assert nat["ConnectivityType"] == "public"
    assert tags(nat) == {"creator": "tests", "project": "marketplace"}
    (flow_log,) = stack.ec2.describe_flow_logs()["FlowLogs"]
    assert flow_log["FlowLogId"] == stack.physical_id("FlowLog")
    assert flow_log["ResourceId"] == stack.physical_id("Vpc")
    assert flow_log["TrafficType"] == "REJECT"
    assert flow_log["LogDestination"] == "/flow"
    assert tags(flow_log) == {"creator": "tests", "project": "marketplace"}
    rule = stack.rules()[stack.physical_id("In")]
    assert (rule["IsEgress"], rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == (False, "tcp", 5432, 5433)
    assert rule["ReferencedGroupInfo"]["GroupId"] == stack.physical_id("Group")
    assert rule["Description"] == "from itself"
    rule = stack.rules()[stack.physical_id("Out")]
    assert (rule["IsEgress"], rule["CidrIpv4"], rule["FromPort"]) == (True, "10.0.0.0/16", 443)
    ours = ("Address", "Nat", "FlowLog", "In", "Out")
    assert sorted(stack.record()) == sorted(("create", name, stack.physical_id(name)) for name in ours)


def test_nothing_is_left_when_the_stack_is_deleted(stack):
    stack.deploy(network())
    physical_ids = {name: stack.physical_id(name) for name in ("Address", "Nat", "FlowLog", "In", "Out")}

    stack.delete()

    assert stack.ec2.describe_addresses()["Addresses"] == []
    assert stack.nat_gateways() == []
    assert stack.ec2.describe_flow_logs()["FlowLogs"] == []
    assert stack.ec2.describe_tags()["Tags"] == []
    deleted = [line for line in stack.record() if line[0] == "delete"]
    assert sorted(deleted) == sorted(("delete", name, physical_id) for name, physical_id in physical_ids.items())


def test_a_resource_that_is_gone_already_is_deleted_again(stack):
    stack.deploy(network())
    group, rule = stack.physical_id("Group"), stack.physical_id("In")
    stack.ec2.delete_nat_gateway(NatGatewayId=stack.physical_id("Nat"))
    stack.ec2.release_address(AllocationId=stack.ec2.describe_addresses()["Addresses"][0]["AllocationId"])
    stack.ec2.delete_flow_logs(FlowLogIds=[stack.physical_id("FlowLog")])
    stack.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule])

    stack.delete()


def test_tags_and_descriptions_change_in_place(stack):
    template = network()
    stack.deploy(template)
    before = {name: stack.physical_id(name) for name in template}
    (allocation,) = [address["AllocationId"] for address in stack.ec2.describe_addresses()["Addresses"]]
    stack.ec2.create_tags(Resources=[allocation], Tags=[{"Key": "by-hand", "Value": "stays"}])

    template["Address"]["Properties"]["Tags"] = [{"Key": "owner", "Value": "x"}]
    template["Nat"]["Properties"]["Tags"][0]["Value"] = "others"
    del template["FlowLog"]["Properties"]["Tags"]
    template["In"]["Properties"]["Description"] = "still from itself"
    template["Out"]["Properties"]["Description"] = "new"
    stack.deploy(template, "update", tags=[{"Key": "project", "Value": "other"}])

    assert {name: stack.physical_id(name) for name in template} == before
    assert tags(stack.ec2.describe_addresses()["Addresses"][0]) == {
        "owner": "x",
        "project": "other",
        "by-hand": "stays",
    }
    assert tags(stack.nat_gateways()[0]) == {"creator": "others", "project": "other"}
    assert tags(stack.ec2.describe_flow_logs()["FlowLogs"][0]) == {"project": "other"}
    assert stack.rules()[before["In"]]["Description"] == "still from itself"
    assert stack.rules()[before["Out"]]["Description"] == "new"
    updated = [line for line in stack.record() if line[0] == "update"]
    assert sorted(updated) == sorted(
        ("update", name, before[name]) for name in ("Address", "Nat", "FlowLog", "In", "Out")
    )

    del template["In"]["Properties"]["Description"]
    stack.deploy(template, "update", tags=[])

    assert "Description" not in stack.rules()[before["In"]]
    assert tags(stack.nat_gateways()[0]) == {"creator": "others"}


def test_what_aws_replaces_is_replaced_and_its_predecessor_goes(stack):
    template = network()
    stack.deploy(template)
    before = {name: stack.physical_id(name) for name in template}

    template["Address2"] = template.pop("Address")
    template["Nat"]["Properties"] |= {
        "SubnetId": {"Ref": "OtherSubnet"},
        "AllocationId": {"Fn::GetAtt": ["Address2", "AllocationId"]},
    }
    template["FlowLog"]["Properties"]["TrafficType"] = "ALL"
    template["FlowLog"]["Properties"]["MaxAggregationInterval"] = 600
    template["In"]["Properties"]["ToPort"] = 5434
    template["Out"]["Properties"]["CidrIp"] = "10.1.0.0/16"
    stack.deploy(template, "update")

    (address,) = stack.ec2.describe_addresses()["Addresses"]
    assert address["PublicIp"] == stack.physical_id("Address2") != before["Address"]
    (nat,) = stack.nat_gateways()
    assert nat["NatGatewayId"] == stack.physical_id("Nat") != before["Nat"]
    assert nat["SubnetId"] == before["OtherSubnet"]
    (flow_log,) = stack.ec2.describe_flow_logs()["FlowLogs"]
    assert flow_log["FlowLogId"] == stack.physical_id("FlowLog") != before["FlowLog"]
    assert flow_log["TrafficType"] == "ALL"
    rules = stack.rules()
    assert rules[stack.physical_id("In")]["ToPort"] == 5434
    assert rules[stack.physical_id("Out")]["CidrIpv4"] == "10.1.0.0/16"
    assert before["In"] not in rules
    assert before["Out"] not in rules


def test_a_change_set_says_what_is_replaced(stack):
    template = network()
    stack.deploy(template)
    template["Nat"]["Properties"]["SubnetId"] = {"Ref": "OtherSubnet"}
    template["FlowLog"]["Properties"]["MaxAggregationInterval"] = 600
    template["Out"]["Properties"]["Description"] = "new"

    stack.cloudformation.create_change_set(
        StackName=STACK, ChangeSetName="change", TemplateBody=json.dumps({"Resources": template}), Tags=STACK_TAGS
    )

    changes = stack.cloudformation.describe_change_set(StackName=STACK, ChangeSetName="change")["Changes"]
    assert {
        change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"]["Replacement"] for change in changes
    } == {
        "Nat": "True",
        "FlowLog": "True",
        "Out": "False",
    }


ANOTHER_NAT = {"SubnetId": {"Ref": "Subnet"}, "AllocationId": {"Fn::GetAtt": ["Address", "AllocationId"]}}
FLOW_LOG = {"ResourceType": "VPC", "ResourceId": {"Ref": "Vpc"}, "LogGroupName": "/a", "DeliverLogsPermissionArn": ROLE}
RULE = {"GroupId": {"Ref": "Group"}, "IpProtocol": "-1", "CidrIp": "10.0.0.0/8"}
REFUSED = [
    ("EIP", {"Domain": "standard"}, "InvalidParameterValue: Domain must be vpc."),
    ("EIP", {"InstanceId": "i-1"}, "Unsupported: InstanceId: local/resource_types.py cannot apply it."),
    ("NatGateway", {"AllocationId": "eipalloc-1"}, "MissingParameter: SubnetId is required."),
    ("NatGateway", {"SubnetId": "subnet-0"}, "InvalidSubnetID.NotFound: The subnet ID 'subnet-0' does not exist"),
    (
        "NatGateway",
        {"SubnetId": {"Ref": "Subnet"}},
        "MissingParameter: AllocationId is required for a public NAT gateway.",
    ),
    (
        "NatGateway",
        {"SubnetId": {"Ref": "Subnet"}, "AllocationId": "eipalloc-1"},
        "InvalidAllocationID.NotFound: The allocation ID 'eipalloc-1' does not exist.",
    ),
    ("NatGateway", ANOTHER_NAT, "Resource.AlreadyAssociated: eipalloc-"),
    (
        "NatGateway",
        ANOTHER_NAT | {"ConnectivityType": "private"},
        "InvalidParameter: A private NAT gateway takes no AllocationId.",
    ),
    ("FlowLog", FLOW_LOG | {"ResourceId": "vpc-0"}, "InvalidVpcID.NotFound: The vpc ID 'vpc-0' does not exist"),
    (
        "FlowLog",
        FLOW_LOG | {"ResourceType": "NetworkInterface", "ResourceId": "eni-0"},
        "InvalidParameter: NetworkInterface eni-0 does not exist.",
    ),
    (
        "FlowLog",
        FLOW_LOG | {"ResourceType": "TransitGateway"},
        "InvalidParameter: ResourceType must be one of VPC, Subnet, NetworkInterface.",
    ),
    (
        "FlowLog",
        {"ResourceType": "VPC", "ResourceId": {"Ref": "Vpc"}, "LogGroupName": "/a"},
        "MissingParameter: DeliverLogsPermissionArn is required.",
    ),
    (
        "FlowLog",
        {"ResourceType": "VPC", "ResourceId": {"Ref": "Vpc"}, "LogDestinationType": "s3"},
        "InvalidParameter: Exactly one of LogGroupName and LogDestination is required.",
    ),
    ("SecurityGroupIngress", RULE | {"GroupId": "sg-0"}, "InvalidGroup.NotFound: Security group sg-0 not found"),
    (
        "SecurityGroupIngress",
        {"GroupId": {"Ref": "Group"}, "IpProtocol": "-1", "SourceSecurityGroupId": "sg-00000000000000000"},
        "InvalidGroup.NotFound: The security group 'sg-00000000000000000' does not exist",
    ),
    (
        "SecurityGroupEgress",
        RULE | {"DestinationSecurityGroupId": {"Ref": "Group"}},
        "InvalidParameterValue: Exactly one of CidrIp, CidrIpv6, DestinationSecurityGroupId is required.",
    ),
    (
        "SecurityGroupEgress",
        {"GroupId": {"Ref": "Group"}, "IpProtocol": "-1"},
        "InvalidParameterValue: Exactly one of CidrIp, CidrIpv6, DestinationSecurityGroupId is required.",
    ),
    (
        "SecurityGroupEgress",
        RULE | {"DestinationPrefixListId": "pl-1"},
        "Unsupported: DestinationPrefixListId: local/resource_types.py cannot apply it.",
    ),
    # What a group without egress rules of its own has from the beginning.
    ("SecurityGroupEgress", RULE | {"CidrIp": "0.0.0.0/0"}, "InvalidPermission.Duplicate: The group sg-"),
]


@pytest.mark.parametrize(("kind", "properties", "reason"), REFUSED, ids=[reason for _, _, reason in REFUSED])
def test_what_aws_refuses_is_refused_and_rolls_the_stack_back(stack, kind, properties, reason):
    template = network() | {"Wrong": {"Type": f"AWS::EC2::{kind}", "DependsOn": "Nat", "Properties": properties}}

    with pytest.raises(WaiterError):
        stack.deploy(template)

    assert stack.reason("Wrong").startswith(reason)
    assert stack.status() == "ROLLBACK_COMPLETE"
    assert stack.ec2.describe_addresses()["Addresses"] == []
    assert stack.nat_gateways() == []
    assert stack.ec2.describe_flow_logs()["FlowLogs"] == []
    assert stack.ec2.describe_tags()["Tags"] == []
    assert "Wrong" not in [logical_id for _, logical_id, _ in stack.record()]


def test_a_nat_gateway_before_its_internet_gateway_is_refused(stack):
    template = network()
    del template["Attachment"]

    with pytest.raises(WaiterError):
        stack.deploy(
            {name: template[name] for name in template if name != "Nat"} | {"Nat": template["Nat"] | {"DependsOn": []}}
        )

    assert stack.reason("Nat").startswith("Gateway.NotAttached: Network vpc-")


def test_an_update_that_fails_is_taken_back(stack):
    template = network()
    stack.deploy(template)
    before = {name: stack.physical_id(name) for name in template}
    bad = json.loads(json.dumps(template))
    bad["Address"]["Properties"]["Tags"][0]["Value"] = "changed"
    bad["FlowLog"]["Properties"]["TrafficType"] = "ALL"
    bad["Out"]["Properties"]["Description"] = "changed"
    bad["Wrong"] = {
        "Type": "AWS::EC2::NatGateway",
        "DependsOn": ["Address", "FlowLog", "Out"],
        "Properties": {"SubnetId": "subnet-0"},
    }

    with pytest.raises(WaiterError):
        stack.deploy(bad, "update")

    assert stack.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert {name: stack.physical_id(name) for name in template} == before
    (address,) = stack.ec2.describe_addresses()["Addresses"]
    assert tags(address) == {"creator": "a & b", "project": "marketplace"}
    (flow_log,) = stack.ec2.describe_flow_logs()["FlowLogs"]
    assert (flow_log["FlowLogId"], flow_log["TrafficType"]) == (before["FlowLog"], "REJECT")
    assert "Description" not in stack.rules()[before["Out"]]


KMS = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "arn:aws:kms:us-east-1:000000000000:key/1"}
TABLE = {
    "TableName": "claims",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}


def storage() -> dict[str, Any]:
    """A bucket and a table with every property that the emulator drops. Some values are words, as parameters are."""
    return {
        "Logs": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "logs"}},
        "Files": {
            "Type": "AWS::S3::Bucket",
            "DependsOn": "Logs",
            "Properties": {
                "BucketName": "files",
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {"ServerSideEncryptionByDefault": KMS, "BucketKeyEnabled": "true"}
                    ]
                },
                "LifecycleConfiguration": {
                    "Rules": [
                        {"Id": "archive", "Status": "Enabled", "Prefix": "a & b/", "ExpirationInDays": "90"},
                        {
                            "Status": "Disabled",
                            "ExpiredObjectDeleteMarker": True,
                            "NoncurrentVersionExpiration": {"NoncurrentDays": "14", "NewerNoncurrentVersions": 2},
                            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                            "Transitions": [{"TransitionInDays": 30, "StorageClass": "GLACIER"}],
                        },
                    ]
                },
                "LoggingConfiguration": {"DestinationBucketName": "logs", "LogFilePrefix": "files/"},
                "OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
                "Tags": [{"Key": "creator", "Value": "a & b"}],
            },
        },
        "Claims": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": TABLE
            | {
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": "true"},
                "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KMS["KMSMasterKeyID"]},
                "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
            },
        },
    }


def bare(template: dict[str, Any]) -> dict[str, Any]:
    """The same resources without those properties."""
    files = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "files"}}
    return template | {"Files": files, "Claims": {"Type": "AWS::DynamoDB::Table", "Properties": TABLE}}


def absent(call: Any, code: str) -> str:
    with pytest.raises(ClientError) as refused:
        call(Bucket="files")
    assert refused.value.response["Error"]["Code"] == code
    return "absent"


def read_back(stack: Stack) -> dict[str, Any]:
    """What the APIs say of the properties that the emulator drops."""
    s3, dynamodb = stack.client("s3"), stack.client("dynamodb")
    (encryption,) = s3.get_bucket_encryption(Bucket="files")["ServerSideEncryptionConfiguration"]["Rules"]
    backups = dynamodb.describe_continuous_backups(TableName="claims")["ContinuousBackupsDescription"]
    time_to_live = dynamodb.describe_time_to_live(TableName="claims")["TimeToLiveDescription"]
    encrypted = dynamodb.describe_table(TableName="claims")["Table"].get("SSEDescription", {"Status": "DISABLED"})
    return {
        "encryption": encryption["ApplyServerSideEncryptionByDefault"],
        "bucket key": encryption["BucketKeyEnabled"],
        "logging": s3.get_bucket_logging(Bucket="files").get("LoggingEnabled"),
        "point in time": backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
        "time to live": (time_to_live["TimeToLiveStatus"], time_to_live.get("AttributeName")),
        "encryption at rest": (encrypted["Status"], encrypted.get("KMSMasterKeyArn")),
    }


APPLIED = {
    "encryption": KMS,
    "bucket key": True,
    "logging": {"TargetBucket": "logs", "TargetPrefix": "files/"},
    "point in time": "ENABLED",
    "time to live": ("ENABLED", "expires"),
    "encryption at rest": ("ENABLED", KMS["KMSMasterKeyID"]),
}
DEFAULTS = {
    "encryption": {"SSEAlgorithm": "AES256"},
    "bucket key": False,
    "logging": None,
    "point in time": "DISABLED",
    "time to live": ("DISABLED", None),
    "encryption at rest": ("DISABLED", None),
}
LIFECYCLE = [
    {"ID": "archive", "Filter": {"Prefix": "a & b/"}, "Status": "Enabled", "Expiration": {"Days": 90}},
    {
        "Filter": {"Prefix": ""},
        "Status": "Disabled",
        "Expiration": {"ExpiredObjectDeleteMarker": True},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 14, "NewerNoncurrentVersions": 2},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
    },
]


def lifecycle(stack: Stack) -> list[dict[str, Any]]:
    return stack.client("s3").get_bucket_lifecycle_configuration(Bucket="files")["Rules"]


def ownership(stack: Stack) -> str:
    (rule,) = stack.client("s3").get_bucket_ownership_controls(Bucket="files")["OwnershipControls"]["Rules"]
    return rule["ObjectOwnership"]


def bucket_tags(stack: Stack) -> dict[str, str]:
    return tags({"Tags": stack.client("s3").get_bucket_tagging(Bucket="files")["TagSet"]})


def test_no_property_is_dropped(stack):
    stack.deploy(storage())

    assert read_back(stack) == APPLIED
    assert lifecycle(stack) == LIFECYCLE
    assert ownership(stack) == "ObjectWriter"
    assert bucket_tags(stack) == {"creator": "a & b", "project": "marketplace"}
    stack.client("s3").put_object(Bucket="files", Key="a", Body=b"")
    assert stack.client("s3").head_object(Bucket="files", Key="a")["ServerSideEncryption"] == "aws:kms"
    assert sorted(stack.record()) == [
        ("create", "Claims", "claims"),
        ("create", "Files", "files"),
        ("create", "Logs", "logs"),
    ]


def test_properties_are_set_changed_and_removed_in_place(stack):
    template = storage()
    stack.deploy(bare(template))
    assert read_back(stack) == DEFAULTS
    stack.client("s3").put_object(Bucket="files", Key="stays", Body=b"")
    stack.client("dynamodb").put_item(TableName="claims", Item={"id": {"S": "stays"}})

    stack.deploy(template, "update")
    assert read_back(stack) == APPLIED
    assert lifecycle(stack) == LIFECYCLE

    changed = storage()
    files, claims = changed["Files"]["Properties"], changed["Claims"]["Properties"]
    files["BucketEncryption"]["ServerSideEncryptionConfiguration"][0] = {
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}
    }
    files["LifecycleConfiguration"]["Rules"] = [{"Id": "x", "Status": "Enabled", "ExpirationInDays": 1}]
    files["LoggingConfiguration"] = {}
    files["OwnershipControls"]["Rules"][0]["ObjectOwnership"] = "BucketOwnerPreferred"
    files["Tags"][0]["Value"] = "tests"
    claims["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] = False
    claims["SSESpecification"] = {"SSEEnabled": True}
    claims["TimeToLiveSpecification"]["Enabled"] = "false"
    stack.deploy(changed, "update")
    assert read_back(stack) == {
        "encryption": {"SSEAlgorithm": "AES256"},
        "bucket key": False,
        "logging": {"TargetBucket": "files", "TargetPrefix": ""},
        "point in time": "DISABLED",
        "time to live": ("DISABLED", "expires"),
        "encryption at rest": ("ENABLED", "arn:aws:kms:us-east-1:000000000000:alias/aws/dynamodb"),
    }
    assert lifecycle(stack) == [{"ID": "x", "Filter": {"Prefix": ""}, "Status": "Enabled", "Expiration": {"Days": 1}}]
    assert ownership(stack) == "BucketOwnerPreferred"
    assert bucket_tags(stack) == {"creator": "tests", "project": "marketplace"}

    stack.deploy(template, "update")
    assert read_back(stack) == APPLIED

    stack.deploy(bare(template), "update", tags=[])
    s3 = stack.client("s3")
    assert read_back(stack) == DEFAULTS | {
        # As the emulator's API tells of what was disabled.
        "time to live": ("DISABLED", "expires"),
        "encryption at rest": ("DISABLED", "arn:aws:kms:us-east-1:000000000000:alias/aws/dynamodb"),
    }
    assert absent(s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration")
    assert absent(s3.get_bucket_ownership_controls, "OwnershipControlsNotFoundError")
    assert bucket_tags(stack) == {}
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="files")["Contents"]] == ["stays"]
    assert stack.client("dynamodb").scan(TableName="claims")["Count"] == 1


def test_a_renamed_bucket_and_table_have_the_properties_too(stack):
    template = storage()
    stack.deploy(json.loads(json.dumps(template).replace('"files"', '"old-files"').replace('"claims"', '"old-claims"')))

    stack.deploy(template, "update")

    assert read_back(stack) == APPLIED
    assert lifecycle(stack) == LIFECYCLE
    assert bucket_tags(stack) == {"creator": "a & b", "project": "marketplace"}
    assert sorted(bucket["Name"] for bucket in stack.client("s3").list_buckets()["Buckets"]) == ["files", "logs"]
    assert stack.client("dynamodb").list_tables()["TableNames"] == ["claims"]


def test_what_takes_a_deleted_ones_name_begins_with_the_defaults(stack):
    template = storage()
    stack.deploy(template)
    stack.delete()
    assert stack.client("s3").list_buckets()["Buckets"] == []
    assert stack.client("dynamodb").list_tables()["TableNames"] == []

    stack.deploy(bare(template), tags=[])

    s3 = stack.client("s3")
    assert read_back(stack) == DEFAULTS
    assert absent(s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration")
    assert bucket_tags(stack) == {}


def test_a_bucket_and_a_table_that_are_gone_already_are_deleted_again(stack):
    stack.deploy(storage())
    stack.client("s3").delete_bucket(Bucket="files")
    stack.client("dynamodb").delete_table(TableName="claims")

    stack.delete()


def test_a_bucket_that_holds_anything_is_not_deleted(stack):
    stack.deploy(storage())
    stack.client("s3").put_object(Bucket="files", Key="a", Body=b"")

    with pytest.raises(WaiterError):
        stack.delete()

    assert stack.status() == "DELETE_FAILED"
    assert stack.reason("Files") == "BucketNotEmpty: The bucket you tried to delete is not empty"


RULES = "LifecycleConfiguration"
WRONG = [
    ("Files", {RULES: {"Rules": [{"Status": "On"}]}}, "MalformedXML: "),
    (
        "Files",
        {RULES: {"Rules": [{"Status": "Enabled", "ExpirationInDays": 0}]}},
        "InvalidArgument: 'Days' for Expiration action must be a positive integer",
    ),
    ("Files", {RULES: {"Rules": [{"ExpirationInDays": 1}]}}, "MissingParameter: Status is required."),
    (
        "Files",
        {RULES: {"Rules": [{"Status": "Enabled", "ExpirationDate": "2030-01-01"}]}},
        "Unsupported: ExpirationDate: local/resource_types.py cannot apply it.",
    ),
    (
        "Files",
        {RULES: {"Rules": [{"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": "soon"}}]}},
        "invalid literal for int() with base 10: 'soon'",
    ),
    (
        "Files",
        {
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "rot13"}}]
            }
        },
        "MalformedXML: ",
    ),
    (
        "Files",
        {"LoggingConfiguration": {"DestinationBucketName": "nowhere"}},
        "NoSuchBucket: The specified bucket does not exist",
    ),
    (
        "Claims",
        {"SSESpecification": {"SSEType": "KMS"}},
        "MissingParameter: SSEEnabled is required.",
    ),
    (
        "Claims",
        {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7}},
        "Unsupported: RecoveryPeriodInDays: local/resource_types.py cannot apply it.",
    ),
]


@pytest.mark.parametrize(("logical_id", "properties", "reason"), WRONG, ids=[reason for _, _, reason in WRONG])
def test_a_property_that_is_refused_rolls_the_stack_back(stack, logical_id, properties, reason):
    template = storage()
    template[logical_id]["Properties"] |= properties

    with pytest.raises(WaiterError):
        stack.deploy(template)

    assert stack.reason(logical_id).startswith(reason)
    assert stack.status() == "ROLLBACK_COMPLETE"
    assert stack.client("s3").list_buckets()["Buckets"] == []
    assert stack.client("dynamodb").list_tables()["TableNames"] == []

    stack.delete()
    stack.deploy(storage())
    # What is set before that, and is in order.
    early = {"Files": "BucketEncryption", "Claims": "PointInTimeRecoverySpecification"}[logical_id]
    if early not in properties:
        del template[logical_id]["Properties"][early]
    with pytest.raises(WaiterError):
        stack.deploy(template, "update")

    assert stack.reason(logical_id).startswith(reason)
    assert stack.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert read_back(stack) == APPLIED
    assert lifecycle(stack) == LIFECYCLE


def test_time_to_live_moves_to_another_attribute_in_two_steps(stack):
    template = storage()
    stack.deploy(template)
    template["Claims"]["Properties"]["TimeToLiveSpecification"]["AttributeName"] = "other"

    with pytest.raises(WaiterError):
        stack.deploy(template, "update")

    assert stack.reason("Claims") == (
        "ValidationException: TimeToLive is active on a different AttributeName: current AttributeName is expires"
    )
    assert read_back(stack) == APPLIED

    off = bare(storage()) | {"Files": template["Files"]}
    stack.deploy(off, "update")
    stack.deploy(template, "update")
    assert read_back(stack) == APPLIED | {"time to live": ("ENABLED", "other")}


def test_stacks_outlive_the_emulator(tmp_path):
    template = network() | storage()
    with emulators.running(tmp_path, persistent=True) as port:
        Stack(port, tmp_path).deploy(template)

    with emulators.running(tmp_path, persistent=True) as port:
        stack = Stack(port, tmp_path)
        before = {name: stack.physical_id(name) for name in template}
        assert stack.nat_gateways()[0]["NatGatewayId"] == before["Nat"]
        assert before["In"] in stack.rules()
        assert read_back(stack) == APPLIED
        assert lifecycle(stack) == LIFECYCLE
        assert bucket_tags(stack) == {"creator": "a & b", "project": "marketplace"}
        template["Claims"]["Properties"]["TimeToLiveSpecification"]["Enabled"] = False
        template["Files"]["Properties"]["LifecycleConfiguration"]["Rules"] = [{"Status": "Disabled"}]
        template["Address"]["Properties"]["Tags"] = []
        template["Nat"]["Properties"]["Tags"][0]["Value"] = "others"
        template["FlowLog"]["Properties"]["TrafficType"] = "ALL"
        template["In"]["Properties"]["Description"] = "new"
        stack.deploy(template, "update")
        assert tags(stack.ec2.describe_addresses()["Addresses"][0]) == {"project": "marketplace"}
        assert tags(stack.nat_gateways()[0]) == {"creator": "others", "project": "marketplace"}
        assert stack.rules()[before["In"]]["Description"] == "new"
        assert read_back(stack)["time to live"] == ("DISABLED", "expires")
        assert lifecycle(stack) == [{"Filter": {"Prefix": ""}, "Status": "Disabled"}]

    with emulators.running(tmp_path, persistent=True) as port:
        stack = Stack(port, tmp_path)
        stack.delete()
        assert stack.ec2.describe_addresses()["Addresses"] == []
        assert stack.nat_gateways() == []
        assert stack.ec2.describe_flow_logs()["FlowLogs"] == []
        assert stack.client("s3").list_buckets()["Buckets"] == []
        assert stack.client("dynamodb").list_tables()["TableNames"] == []
        deleted = [logical_id for action, logical_id, _ in stack.record() if action == "delete"]
        # The flow log twice: it was replaced.
        assert sorted(deleted) == ["Address", "Claims", "Files", "FlowLog", "FlowLog", "In", "Logs", "Nat", "Out"]

    with emulators.running(tmp_path, persistent=True) as port:
        assert Stack(port, tmp_path).client("s3").list_buckets()["Buckets"] == []


KEY = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {}, "PendingWindowInDays": "7"}}


def test_a_key_whose_waiting_period_is_a_word_is_deleted(stack):
    stack.deploy({"Key": KEY})
    key = stack.physical_id("Key")

    stack.delete()

    assert stack.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"


PLAIN = [str(tool("emulator", "ministack"))]


def test_the_emulator_by_itself_lacks_all_this(tmp_path):
    """When this fails after an upgrade of the emulator, it names a handler that is needed no more."""
    with emulators.running(tmp_path, PLAIN) as port:
        stack = Stack(port, tmp_path)
        with pytest.raises(ClientError) as refused:
            stack.deploy({f"R{number}": {"Type": name} for number, name in enumerate(TYPES)})
        message = refused.value.response["Error"]["Message"]
        assert message == f"Template format error: Unrecognized resource types: [{', '.join(TYPES)}]"

        stack.deploy(storage() | {"Key": KEY})
        s3 = stack.client("s3")
        assert read_back(stack) == DEFAULTS
        assert absent(s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration")
        assert absent(s3.get_bucket_tagging, "NoSuchTagSet")
        assert ownership(stack) == "BucketOwnerEnforced"

        with pytest.raises(WaiterError):
            stack.delete()
        assert stack.status() == "DELETE_FAILED"
        assert stack.reason("Key") == "unsupported operand type(s) for +: 'float' and 'str'"


def databases() -> dict[str, Any]:
    """A store, a warehouse over three zones, and an integration between them."""
    subnets = {
        f"Subnet{zone}": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {
                "VpcId": {"Ref": "Vpc"},
                "CidrBlock": f"10.0.{number}.0/24",
                "AvailabilityZone": f"us-east-1{zone}",
            },
        }
        for number, zone in enumerate("abc")
    }
    return subnets | {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Group": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"GroupDescription": "a group", "VpcId": {"Ref": "Vpc"}},
        },
        "Parameters": {
            "Type": "AWS::RDS::DBParameterGroup",
            "Properties": {
                "Family": "postgres15",
                "Description": "a source",
                "Parameters": {"rds.logical_replication": "1", "rds.replica_identity_full": "1"},
            },
        },
        "Store": {
            "Type": "AWS::RDS::DBInstance",
            "DeletionPolicy": "Delete",
            "Properties": {
                "DBInstanceIdentifier": "store",
                "Engine": "postgres",
                "DBParameterGroupName": {"Ref": "Parameters"},
                "DeletionProtection": "false",
            },
        },
        "Namespace": {
            "Type": "AWS::RedshiftServerless::Namespace",
            "Properties": {"NamespaceName": "warehouse", "DbName": "warehouse", "IamRoles": [ROLE]},
        },
        "Workgroup": {
            "Type": "AWS::RedshiftServerless::Workgroup",
            "Properties": {
                "WorkgroupName": "workgroup",
                "NamespaceName": {"Ref": "Namespace"},
                "EnhancedVpcRouting": True,
                "BaseCapacity": "8",
                "MaxCapacity": "16",
                "SubnetIds": [{"Ref": f"Subnet{zone}"} for zone in "abc"],
                "SecurityGroupIds": [{"Ref": "Group"}],
                "Tags": [{"Key": "creator", "Value": "tests"}],
            },
        },
        "Integration": {
            "Type": "AWS::RDS::Integration",
            "DependsOn": "Workgroup",
            "Properties": {
                "SourceArn": {"Fn::GetAtt": ["Store", "DBInstanceArn"]},
                "TargetArn": {"Fn::GetAtt": ["Namespace", "Namespace.NamespaceArn"]},
                "DataFilter": "include: store.store.*",
            },
        },
    }


RECORDED = ("Namespace", "Workgroup", "Integration")


def test_a_warehouse_is_recorded_with_what_it_was_given_and_tells_where_it_would_be(stack, directory):
    template = databases()
    outputs = {
        "Address": {"Fn::GetAtt": ["Workgroup", "Workgroup.Endpoint.Address"]},
        "Port": {"Fn::Sub": "${Workgroup.Workgroup.Endpoint.Port}"},
        "Arn": {"Fn::GetAtt": ["Namespace", "Namespace.NamespaceArn"]},
    }
    body = {"Resources": template, "Outputs": {name: {"Value": value} for name, value in outputs.items()}}
    stack.cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(body), Tags=STACK_TAGS)
    stack.cloudformation.get_waiter("stack_create_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200}
    )

    (described,) = stack.cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    values = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    assert values.pop("Arn").startswith("arn:aws:redshift-serverless:us-east-1:000000000000:namespace/")
    assert values == {
        "Address": "workgroup.000000000000.us-east-1.redshift-serverless.amazonaws.com",
        "Port": "5439",
    }
    assert (stack.physical_id("Namespace"), stack.physical_id("Workgroup")) == ("warehouse", "workgroup")
    assert stack.physical_id("Integration").startswith("arn:aws:rds:us-east-1:000000000000:integration:")
    lines = [json.loads(line) for line in (directory / "state" / RECORD).read_text().splitlines()]
    recorded = {line["logical_id"]: line["properties"] for line in lines}
    assert recorded["Workgroup"]["MaxCapacity"] == "16"
    assert recorded["Workgroup"]["SubnetIds"] == [stack.physical_id(f"Subnet{zone}") for zone in "abc"]
    assert tags(recorded["Workgroup"]) == {"creator": "tests", "project": "marketplace"}
    assert recorded["Integration"]["DataFilter"] == "include: store.store.*"


def test_a_warehouse_changes_in_place_and_goes_with_its_stack(stack):
    template = databases()
    stack.deploy(template)
    before = {name: stack.physical_id(name) for name in RECORDED}

    template["Namespace"]["Properties"]["LogExports"] = ["userlog"]
    template["Workgroup"]["Properties"]["MaxCapacity"] = "32"
    template["Integration"]["Properties"]["DataFilter"] = "include: store.*.*"
    stack.deploy(template, "update")
    stack.delete()

    updated_and_deleted = [line for line in stack.record() if line[0] != "create" and line[1] in RECORDED]
    assert sorted(updated_and_deleted) == sorted(
        (action, name, before[name]) for name in RECORDED for action in ("update", "delete")
    )
    assert stack.client("rds").describe_db_instances()["DBInstances"] == []


REFUSED_DATABASES = [
    ("Namespace", {"DefaultIamRoleArn": f"{ROLE}-2"}, "ValidationException: DefaultIamRoleArn must be one of IamRoles"),
    (
        "Namespace",
        {"AdminUserPassword": "a"},
        "Unsupported: AdminUserPassword: local/resource_types.py cannot apply it.",
    ),
    ("Workgroup", {"MaxCapacity": "4"}, "ValidationException: MaxCapacity 4 is less than BaseCapacity 8."),
    (
        "Workgroup",
        {"SubnetIds": [{"Ref": "Subneta"}, {"Ref": "Subnetb"}]},
        "ValidationException: Subnets in 3 zones are needed, these lie in 2.",
    ),
    ("Workgroup", {"SubnetIds": ["subnet-0"]}, "InvalidSubnetID.NotFound: The subnet ID 'subnet-0' does not exist"),
    (
        "Workgroup",
        {"SecurityGroupIds": ["sg-00000000000000000"]},
        "InvalidGroup.NotFound: The security group 'sg-00000000000000000' does not exist",
    ),
    ("Integration", {"SourceArn": "arn:aws:rds:us-east-1:000000000000:db:none"}, "DBInstanceNotFound: arn:aws:rds:"),
    ("Integration", {"KMSKeyId": "a", "Encryption": "b"}, "Unsupported: Encryption: local/resource_types.py cannot"),
    (
        "Parameters",
        {"Parameters": {"rds.logical_replication": "1"}},
        "InvalidDBInstanceState: The source's parameter group lacks rds.replica_identity_full = 1.",
    ),
    ("Store", {"BackupRetentionPeriod": "0"}, "InvalidDBInstanceState: The source has no automated backups."),
    ("Integration", {"DataFilter": {"Ref": "AWS::NoValue"}}, "InvalidParameterValue: A PostgreSQL source needs a Data"),
]


@pytest.mark.parametrize(("name", "changes", "reason"), REFUSED_DATABASES, ids=[line for *_, line in REFUSED_DATABASES])
def test_a_warehouse_that_aws_refuses_is_refused_and_rolled_back(stack, name, changes, reason):
    template = databases()
    template[name]["Properties"] |= changes

    with pytest.raises(WaiterError):
        stack.deploy(template)

    assert stack.status() == "ROLLBACK_COMPLETE"
    refused = name if name in RECORDED else "Integration"  # of which they are the source
    assert stack.reason(refused).startswith(reason)
    assert stack.client("rds").describe_db_instances()["DBInstances"] == []


def operations() -> dict[str, Any]:
    """An Airflow over two zones with its code, a budget, an identity provider, and a selection of a plan of backups."""
    network = {name: part for name, part in databases().items() if name.startswith(("Vpc", "Subnet", "Group"))}
    tags = [{"Key": "creator", "Value": "tests"}]
    return network | {
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {"BucketName": "code", "VersioningConfiguration": {"Status": "Enabled"}},
        },
        "Airflow": {
            "Type": "AWS::MWAA::Environment",
            "Properties": {
                "Name": "airflow",
                "EnvironmentClass": "mw1.micro",
                "MaxWorkers": "1",
                "ExecutionRoleArn": ROLE,
                "SourceBucketArn": {"Fn::GetAtt": ["Bucket", "Arn"]},
                "NetworkConfiguration": {
                    "SubnetIds": [{"Ref": "Subneta"}, {"Ref": "Subnetb"}],
                    "SecurityGroupIds": [{"Ref": "Group"}],
                },
                "Tags": {"creator": "tests"},
            },
        },
        "Budget": {
            "Type": "AWS::Budgets::Budget",
            "Properties": {
                "Budget": {
                    "BudgetName": "budget",
                    "BudgetType": "COST",
                    "TimeUnit": "MONTHLY",
                    "BudgetLimit": {"Amount": 100, "Unit": "USD"},
                },
                "ResourceTags": tags,
            },
        },
        "Provider": {
            "Type": "AWS::IAM::OIDCProvider",
            "Properties": {"Url": "https://example.org", "ClientIdList": ["a"], "Tags": tags},
        },
        "Plan": {
            "Type": "AWS::Backup::BackupPlan",
            "Properties": {"BackupPlan": {"BackupPlanName": "daily", "BackupPlanRule": []}},
        },
        "Selection": {
            "Type": "AWS::Backup::BackupSelection",
            "Properties": {
                "BackupPlanId": {"Ref": "Plan"},
                "BackupSelection": {"SelectionName": "data", "IamRoleArn": ROLE, "Resources": ["arn:aws:s3:::a"]},
            },
        },
    }


def operations_there(stack) -> dict[str, Any]:
    """What the APIs tell of the budget, the provider and the selections."""
    budgets, iam, backup = (stack.client(service) for service in ("budgets", "iam", "backup"))
    (plan,) = backup.list_backup_plans()["BackupPlansList"] or [None]
    chosen = backup.list_backup_selections(BackupPlanId=plan["BackupPlanId"]) if plan else {"BackupSelectionsList": []}
    providers = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return {
        "budgets": [
            (found["BudgetName"], found["BudgetLimit"]["Amount"])
            for found in budgets.describe_budgets(AccountId=12 * "0").get("Budgets", [])
        ],
        "clients": [
            iam.get_open_id_connect_provider(OpenIDConnectProviderArn=found["Arn"])["ClientIDList"]
            for found in providers
        ],
        "selections": [found["SelectionName"] for found in chosen["BackupSelectionsList"]],
    }


def test_budgets_providers_and_selections_are_made_changed_and_deleted(stack):
    template = operations()
    stack.deploy(template)
    assert operations_there(stack) == {"budgets": [("budget", "100")], "clients": [["a"]], "selections": ["data"]}
    arn = "arn:aws:airflow:us-east-1:000000000000:environment/airflow"
    assert ("create", "Airflow", "airflow") in stack.record()

    template["Budget"]["Properties"]["Budget"]["BudgetLimit"]["Amount"] = 200
    template["Provider"]["Properties"]["ClientIdList"] = ["b"]
    template["Selection"]["Properties"]["BackupSelection"]["SelectionName"] = "more"
    template["Airflow"]["Properties"]["Tags"] = {"creator": "others"}
    stack.deploy(template | {"Arn": {"Type": "AWS::SSM::Parameter", "Properties": {
        "Name": "arn", "Type": "String", "Value": {"Fn::GetAtt": ["Airflow", "Arn"]},
    }}}, "update")  # fmt: skip
    assert operations_there(stack) == {"budgets": [("budget", "200")], "clients": [["b"]], "selections": ["more"]}
    assert stack.client("ssm").get_parameter(Name="arn")["Parameter"]["Value"] == arn

    stack.delete()
    assert operations_there(stack) == {"budgets": [], "clients": [], "selections": []}


REFUSED_AIRFLOWS = [
    (
        {"NetworkConfiguration": {"SubnetIds": [{"Ref": "Subneta"}], "SecurityGroupIds": [{"Ref": "Group"}]}},
        "ValidationException: Two subnets in two zones are needed, no more.",
    ),
    ({"MaxWorkers": "2"}, "ValidationException: mw1.micro: MaxWorkers is 2."),
    ({"EnvironmentClass": "mw1.small", "Schedulers": "1"}, "ValidationException: mw1.small: Schedulers is 1."),
    (
        {"PluginsS3Path": "plugins.zip", "PluginsS3ObjectVersion": "a"},
        "ValidationException: There is no version a of s3://code/plugins.zip.",
    ),
    ({"SourceBucketArn": "arn:aws:s3:::none"}, "NoSuchBucket"),
    ({"Teams": "a"}, "Unsupported: Teams: local/resource_types.py cannot apply it."),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSED_AIRFLOWS, ids=[line for *_, line in REFUSED_AIRFLOWS])
def test_an_airflow_that_aws_refuses_is_refused(stack, changes, reason):
    template = operations()
    template["Airflow"]["Properties"] |= changes

    with pytest.raises(WaiterError):
        stack.deploy(template)

    assert stack.reason("Airflow").startswith(reason)


def test_a_protected_database_is_not_deleted(stack):
    template = databases()
    template["Store"]["Properties"]["DeletionProtection"] = "true"
    stack.deploy(template)

    with pytest.raises(WaiterError):
        stack.delete()

    assert stack.status() == "DELETE_FAILED"
    protected = "InvalidParameterCombination: Cannot delete a DB instance when DeletionProtection is enabled."
    assert stack.reason("Store") == protected
    rds = stack.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier="store", DeletionProtection=False, ApplyImmediately=True)
    stack.delete()
    assert rds.describe_db_instances()["DBInstances"] == []


PINS = REPO / "local" / "requirements-emulator.in"
NEEDS = "which local/resource_types.py needs. Is it the pinned version?"


@pytest.mark.parametrize(
    ("upgraded", "line"),
    [
        ("del ec2._ACTION_MAP", f"lacks ministack.services.ec2._ACTION_MAP, {NEEDS}"),
        (
            "sys.modules['ministack.services.s3'] = None",
            "lacks ministack.services.s3._dispatch, ministack.services.s3._object_versions, "
            f"ministack.services.s3._persist_object, {NEEDS}",
        ),
        (
            "provisioners._RESOURCE_HANDLERS['AWS::EC2::EIP'] = {}",
            "knows AWS::EC2::EIP by itself: its handler in local/resource_types.py can go.",
        ),
    ],
)
def test_an_emulator_that_it_does_not_fit_does_not_start(tmp_path, upgraded, line):
    python, *_, module = emulator.command()
    code = f"""
import runpy, sys, ministack.app
from ministack.services import ec2
from ministack.services.cloudformation import provisioners
{upgraded}
runpy.run_path({module!r}, run_name="__main__")
"""
    started = subprocess.run(
        [python, "-c", code],
        env=os.environ | {"STATE_DIR": str(tmp_path), "GATEWAY_PORT": "1", "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    pinned = re.search(r"^ministack==(.+)$", PINS.read_text(), re.MULTILINE)
    assert pinned
    assert started.returncode == 1
    assert started.stdout == ""
    assert started.stderr == f"ministack {pinned[1]} {line}\n"


@pytest.mark.parametrize("written", [True, False], ids=["on the disk", "not on the disk"])
def test_a_version_that_is_on_the_disk_is_not_kept_in_memory(written: bool) -> None:
    versions = [{"version_id": "1", "data": b"old"}, {"version_id": "2", "data": b"new"}]

    def persist(_bucket: str, _key: str, stored: Any) -> None:
        if written:
            stored["body"] = None

    s3 = SimpleNamespace(_object_versions={("bucket", "key"): versions}, _persist_object=persist)
    _mend_memory_of_versions(s3)
    s3._persist_object("bucket", "key", {"version_id": "2", "body": b"new"})
    assert [version["data"] for version in versions] == [b"old", None if written else b"new"]
