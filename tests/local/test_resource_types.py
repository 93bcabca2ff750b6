"""What local/resource_types.py adds to the emulator's CloudFormation: on a real emulator, read back by its APIs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from local import emulator
from local.layout import tool
from local.ports import HOST
from local.resource_types import RECORD
from tests import emulators

TYPES = [
    "AWS::EC2::EIP",
    "AWS::EC2::FlowLog",
    "AWS::EC2::NatGateway",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
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
    """A VPC with all five types."""
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


def test_all_types_are_there_and_named_in_the_record(stack):
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


def test_stacks_outlive_the_emulator(tmp_path):
    template = network()
    with emulators.running(tmp_path, persistent=True) as port:
        Stack(port, tmp_path).deploy(template)

    with emulators.running(tmp_path, persistent=True) as port:
        stack = Stack(port, tmp_path)
        before = {name: stack.physical_id(name) for name in template}
        assert stack.nat_gateways()[0]["NatGatewayId"] == before["Nat"]
        assert before["In"] in stack.rules()
        template["Address"]["Properties"]["Tags"] = []
        template["Nat"]["Properties"]["Tags"][0]["Value"] = "others"
        template["FlowLog"]["Properties"]["TrafficType"] = "ALL"
        template["In"]["Properties"]["Description"] = "new"
        stack.deploy(template, "update")
        assert tags(stack.ec2.describe_addresses()["Addresses"][0]) == {"project": "marketplace"}
        assert tags(stack.nat_gateways()[0]) == {"creator": "others", "project": "marketplace"}
        assert stack.rules()[before["In"]]["Description"] == "new"

    with emulators.running(tmp_path, persistent=True) as port:
        stack = Stack(port, tmp_path)
        stack.delete()
        assert stack.ec2.describe_addresses()["Addresses"] == []
        assert stack.nat_gateways() == []
        assert stack.ec2.describe_flow_logs()["FlowLogs"] == []
        deleted = [logical_id for action, logical_id, _ in stack.record() if action == "delete"]
        assert sorted(deleted) == ["Address", "FlowLog", "FlowLog", "In", "Nat", "Out"]


def test_the_emulator_still_lacks_these_types(tmp_path):
    """When this fails after an upgrade of the emulator, the types that are not named need no handler any more."""
    with (
        emulators.running(tmp_path, [str(tool("emulator", "ministack"))]) as port,
        pytest.raises(ClientError) as refused,
    ):
        Stack(port, tmp_path).deploy({f"R{number}": {"Type": name} for number, name in enumerate(TYPES)})

    assert refused.value.response["Error"]["Message"] == (
        f"Template format error: Unrecognized resource types: [{', '.join(TYPES)}]"
    )
