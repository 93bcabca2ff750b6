"""The AWS emulator, with what its CloudFormation lacks: types that it does not know, properties that it drops.

Runs in the emulator's own Python environment, in place of its program `ministack`. What a stack asks for goes through
the emulator's own APIs (EC2, S3, DynamoDB, RDS), so it is there for every client, and gone when the stack is. What AWS
refuses and the emulator does not notice is refused here, and so is every property that would have to be dropped.

Each create, update and delete is a line of resource-types.jsonl in the emulator's state directory: what is in there
was done here and not by the emulator. Properties are written as they are: none that is handled here is a secret.

Of a type for which the emulator has no service (Redshift Serverless, zero-ETL), or one that would need Docker (MWAA),
that record is all there is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree

RECORD = "resource-types.jsonl"

# What of the emulator's private interface is used: module, names.
NEEDED = {
    "ministack.app": ("main",),
    "ministack.core.responses": ("get_account_id", "get_region"),
    "ministack.services.cloudformation.provisioners": (
        "_RESOURCE_HANDLERS",
        "_REPLACING_PROPERTIES",
        "_STACK_TAG_PROPERTY",
    ),
    "ministack.services.backup": ("_create_selection", "_delete_selection"),
    "ministack.services.budgets": ("_create_budget", "_delete_budget", "_tag_resource", "_update_budget"),
    "ministack.services.dynamodb": (
        "_delete_table",
        "_describe_ttl",
        "_update_continuous_backups",
        "_update_table",
        "_update_ttl",
    ),
    "ministack.services.ec2": ("_ACTION_MAP", "_nat_gateways"),
    "ministack.services.iam": ("_IAM_HANDLERS", "_oidc_providers"),
    "ministack.services.rds": ("_ACTION_MAP", "_instances", "_param_groups"),
    "ministack.services.s3": ("_dispatch", "_object_versions", "_persist_object"),
}
S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

Properties = Mapping[str, Any]
Attributes = dict[str, str]


class RefusedError(Exception):
    """What an API refuses, or what AWS would refuse: it fails the resource, and so rolls back the stack."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True)
class ResourceType:
    """What CloudFormation does with one type. A property that is in none of the tuples is refused.

    `create` returns the physical id, which `Ref` gives, and the attributes, which `Fn::GetAtt` gives.
    """

    create: Callable[[Properties], tuple[str, Attributes]]
    update: Callable[[str, Properties, Properties], Attributes]
    delete: Callable[[str, Properties], None]
    # A change of one of these makes a new resource: they are createOnlyProperties of the type's schema.
    replacing: tuple[str, ...]
    updatable: tuple[str, ...]
    required: tuple[str, ...] = ()
    # More of `replacing`, for which the emulator has no place: they are in our record only.
    recorded: tuple[str, ...] = ()


@dataclass(frozen=True)
class DroppedProperties:
    """Properties that the emulator's own handler of a type leaves out, and how the resource is deleted.

    Each function is given the physical id and the property's value, None when the template has the property no more.
    """

    apply: Mapping[str, Callable[[str, Any], None]]
    # The emulator's handler leaves settings behind, which the next resource of that name would have.
    delete: Callable[[str], None]


def _module(name: str) -> Any:
    """Return a module of the emulator. It is imported late: this file is checked where there is no emulator."""
    return import_module(f"ministack.{name}")


def _require(condition: bool, code: str, message: str) -> None:
    if not condition:
        raise RefusedError(code, message)


def _known(properties: Properties, required: Sequence[str] = (), optional: Sequence[str] = ()) -> None:
    """Refuse properties that lack a required one, or have one that nothing here would apply."""
    for name in required:
        _require(name in properties, "MissingParameter", f"{name} is required.")
    unknown = ", ".join(sorted(set(properties) - {*required, *optional}))
    _require(not unknown, "Unsupported", f"{unknown}: local/resource_types.py cannot apply it.")


# EC2, through its query API


def _query(service: str, action: str, parameters: Mapping[str, Any] | None = None) -> ElementTree.Element:
    """Call one of the emulator's query APIs, as EC2's, and return its answer."""
    form = {name: [str(value)] for name, value in (parameters or {}).items()}
    status, _headers, body = _module(f"services.{service}")._ACTION_MAP[action](form)
    answer = ElementTree.fromstring(body)  # noqa: S314 - the emulator's own answer
    if status >= 400:
        raise RefusedError(_text(answer, "Code"), _text(answer, "Message"))
    return answer


_ec2 = partial(_query, "ec2")


def _text(answer: ElementTree.Element, name: str) -> str:
    """Return the text of the first element of that name, empty when there is none."""
    return answer.findtext(f".//{{*}}{name}", default="")


def _texts(answer: ElementTree.Element, name: str) -> list[str]:
    return [element.text or "" for element in answer.iterfind(f".//{{*}}{name}")]


def _new_tags(kind: str, properties: Properties) -> dict[str, str]:
    """Return the parameters that tag what a call creates."""
    return {"TagSpecification.1.ResourceType": kind} | {
        f"TagSpecification.1.Tag.{number}.{part}": tag[part]
        for number, tag in enumerate(properties.get("Tags", []), 1)
        for part in ("Key", "Value")
    }


def _tag_anew(resource_id: str, old: Properties, new: Properties) -> None:
    """Set the tags of the template and the stack; tags that came from elsewhere stay."""
    before, after = ({tag["Key"]: tag["Value"] for tag in of.get("Tags", [])} for of in (old, new))
    for action, keys in (("DeleteTags", before.keys() - after.keys()), ("CreateTags", after.keys())):
        form = {"ResourceId.1": resource_id}
        for number, key in enumerate(keys, 1):
            form |= {f"Tag.{number}.Key": key, f"Tag.{number}.Value": after.get(key, "")}
        _ec2(action, form)


def _allocation(public_ip: str) -> str | None:
    """Return the allocation id of an Elastic IP, None when there is no such address."""
    for address in _ec2("DescribeAddresses").iterfind("{*}addressesSet/{*}item"):
        if _text(address, "publicIp") == public_ip:
            return _text(address, "allocationId")
    return None


def _create_eip(properties: Properties) -> tuple[str, Attributes]:
    _require(properties.get("Domain", "vpc") == "vpc", "InvalidParameterValue", "Domain must be vpc.")
    answer = _ec2("AllocateAddress", {"Domain": "vpc"} | _new_tags("elastic-ip", properties))
    public_ip = _text(answer, "publicIp")
    return public_ip, {"PublicIp": public_ip, "AllocationId": _text(answer, "allocationId")}


def _update_eip(public_ip: str, old: Properties, new: Properties) -> Attributes:
    allocation = _allocation(public_ip)
    if allocation is None:
        raise RefusedError("InvalidAddress.NotFound", f"The address '{public_ip}' does not exist.")
    _tag_anew(allocation, old, new)
    return {"PublicIp": public_ip, "AllocationId": allocation}


def _delete_eip(public_ip: str, _properties: Properties) -> None:
    allocation = _allocation(public_ip)
    if allocation is not None:
        _ec2("ReleaseAddress", {"AllocationId": allocation})


def _nat_gateway_lives(nat_gateway: str) -> bool:
    """Tell whether a NAT gateway is there; a deleted one is described for a while, as on AWS."""
    answer = _ec2("DescribeNatGateways", {"NatGatewayId.1": nat_gateway, **_filter("state", "available")})
    return nat_gateway in _texts(answer, "natGatewayId")


def _filter(name: str, value: str) -> dict[str, str]:
    return {"Filter.1.Name": name, "Filter.1.Value.1": value}


def _create_nat_gateway(properties: Properties) -> tuple[str, Attributes]:
    """Create a NAT gateway. The emulator's API would take any subnet and any address, and one address twice."""
    form = {name: properties[name] for name in ("SubnetId", "ConnectivityType", "AllocationId") if name in properties}
    vpc = _text(_ec2("DescribeSubnets", {"SubnetId.1": form["SubnetId"]}), "vpcId")
    if form.get("ConnectivityType", "public") == "public":
        _require("AllocationId" in form, "MissingParameter", "AllocationId is required for a public NAT gateway.")
        allocation = form["AllocationId"]
        _require(
            allocation in _texts(_ec2("DescribeAddresses"), "allocationId"),
            "InvalidAllocationID.NotFound",
            f"The allocation ID '{allocation}' does not exist.",
        )
        users = [
            nat["NatGatewayId"]
            for nat in _module("services.ec2")._nat_gateways.values()
            if nat["AllocationId"] == allocation and nat["State"] != "deleted"
        ]
        _require(not users, "Resource.AlreadyAssociated", f"{allocation} is already associated with {users}.")
        attached = _ec2("DescribeInternetGateways", _filter("attachment.vpc-id", vpc))
        _require(
            bool(_texts(attached, "internetGatewayId")),
            "Gateway.NotAttached",
            f"Network {vpc} has no Internet gateway attached (yet: DependsOn the attachment).",
        )
    else:
        _require("AllocationId" not in form, "InvalidParameter", "A private NAT gateway takes no AllocationId.")
    answer = _ec2("CreateNatGateway", form | _new_tags("natgateway", properties))
    nat_gateway = _text(answer, "natGatewayId")
    return nat_gateway, {"NatGatewayId": nat_gateway}


def _update_nat_gateway(nat_gateway: str, old: Properties, new: Properties) -> Attributes:
    _require(_nat_gateway_lives(nat_gateway), "NatGatewayNotFound", f"NatGateway {nat_gateway} does not exist.")
    _tag_anew(nat_gateway, old, new)
    return {"NatGatewayId": nat_gateway}


def _delete_nat_gateway(nat_gateway: str, _properties: Properties) -> None:
    if _nat_gateway_lives(nat_gateway):
        _ec2("DeleteNatGateway", {"NatGatewayId": nat_gateway})
        # The emulator keeps the tags, by which it would still be found.
        answer = _ec2("DescribeTags", _filter("resource-id", nat_gateway))
        _tag_anew(nat_gateway, {"Tags": [{"Key": key, "Value": ""} for key in _texts(answer, "key")]}, {})


# How to ask for what a flow log watches.
WATCHED = {
    "VPC": ("DescribeVpcs", "VpcId", "vpcId"),
    "Subnet": ("DescribeSubnets", "SubnetId", "subnetId"),
    "NetworkInterface": ("DescribeNetworkInterfaces", "NetworkInterfaceId", "networkInterfaceId"),
}


def _create_flow_log(properties: Properties) -> tuple[str, Attributes]:
    """Create a flow log. The emulator's API would take any resource and any destination."""
    kind, watched = properties["ResourceType"], properties["ResourceId"]
    _require(kind in WATCHED, "InvalidParameter", f"ResourceType must be one of {', '.join(WATCHED)}.")
    action, parameter, element = WATCHED[kind]
    found = _texts(_ec2(action, {f"{parameter}.1": watched}), element)
    _require(watched in found, "InvalidParameter", f"{kind} {watched} does not exist.")
    if properties.get("LogDestinationType", "cloud-watch-logs") == "cloud-watch-logs":
        _require("DeliverLogsPermissionArn" in properties, "MissingParameter", "DeliverLogsPermissionArn is required.")
    _require(
        bool(properties.get("LogGroupName")) != bool(properties.get("LogDestination")),
        "InvalidParameter",
        "Exactly one of LogGroupName and LogDestination is required.",
    )
    form = {
        name: properties[name]
        for name in ("ResourceType", "TrafficType", "LogDestinationType", "LogDestination", "LogGroupName")
        if name in properties
    }
    answer = _ec2("CreateFlowLogs", form | {"ResourceId.1": watched} | _new_tags("flow-log", properties))
    flow_log = _text(answer, "item")
    return flow_log, {"Id": flow_log}


def _update_flow_log(flow_log: str, old: Properties, new: Properties) -> Attributes:
    found = _texts(_ec2("DescribeFlowLogs", {"FlowLogId.1": flow_log}), "flowLogId")
    _require(flow_log in found, "InvalidFlowLogId.NotFound", f"The flow log {flow_log} does not exist.")
    _tag_anew(flow_log, old, new)
    return {"Id": flow_log}


def _delete_flow_log(flow_log: str, _properties: Properties) -> None:
    _ec2("DeleteFlowLogs", {"FlowLogId.1": flow_log})  # is content when there is none


def _create_rule(direction: str, peer: str, properties: Properties) -> tuple[str, Attributes]:
    """Create a rule of a security group; `peer` is the property that names the group at the other end."""
    group = properties["GroupId"]
    before = _texts(_ec2("DescribeSecurityGroupRules", _filter("group-id", group)), "securityGroupRuleId")
    ends = {
        "CidrIp": ("IpRanges.1", "CidrIp"),
        "CidrIpv6": ("Ipv6Ranges.1", "CidrIpv6"),
        peer: ("Groups.1", "GroupId"),
    }
    given = [name for name in ends if name in properties]
    _require(len(given) == 1, "InvalidParameterValue", f"Exactly one of {', '.join(ends)} is required.")
    (end,) = given
    if end == peer:
        _ec2("DescribeSecurityGroups", {"GroupId.1": properties[peer]})
    where, key = ends[end]
    rule = {name: properties[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in properties}
    rule[f"{where}.{key}"] = properties[end]
    if "Description" in properties:
        rule[f"{where}.Description"] = properties["Description"]
    form = {"GroupId": group} | {f"IpPermissions.1.{name}": value for name, value in rule.items()}
    rule_id = _text(_ec2(f"AuthorizeSecurityGroup{direction}", form), "securityGroupRuleId")
    # The emulator is content with a rule that exists. Two resources would then be one rule, and go together.
    _require(rule_id not in before, "InvalidPermission.Duplicate", f"The group {group} has this rule: {rule_id}.")
    return rule_id, {"Id": rule_id}


def _update_rule(rule_id: str, _old: Properties, new: Properties) -> Attributes:
    rule = {"SecurityGroupRuleId": rule_id, "SecurityGroupRule.Description": new.get("Description", "")}
    form = {f"SecurityGroupRule.1.{name}": value for name, value in rule.items()}
    _ec2("ModifySecurityGroupRules", {"GroupId": new["GroupId"]} | form)
    return {"Id": rule_id}


def _delete_rule(direction: str, rule_id: str, properties: Properties) -> None:
    form = {"GroupId": properties["GroupId"], "SecurityGroupRuleId.1": rule_id}
    try:
        _ec2(f"RevokeSecurityGroup{direction}", form)
    except RefusedError as refused:
        if refused.code not in ("InvalidGroup.NotFound", "InvalidSecurityGroupRuleId.NotFound"):
            raise


def _rule_type(direction: str, peer: str) -> ResourceType:
    return ResourceType(
        partial(_create_rule, direction, peer),
        _update_rule,
        partial(_delete_rule, direction),
        replacing=("GroupId", "IpProtocol", "FromPort", "ToPort", "CidrIp", "CidrIpv6", peer),
        updatable=("Description",),
        required=("GroupId", "IpProtocol"),
    )


# S3, through its REST API


def _s3(method: str, bucket: str, configuration: str = "", body: bytes = b"") -> None:
    """Call the emulator's S3 API on a bucket or on one of its configurations."""
    query = {configuration: [""]} if configuration else {}
    status, _headers, answer = _module("services.s3")._dispatch(method, bucket, "", {}, body, query)
    if status >= 400:
        error = ElementTree.fromstring(answer)  # noqa: S314 - the emulator's own answer
        raise RefusedError(_text(error, "Code"), _text(error, "Message"))


def _xml(root: str, content: Any) -> bytes:
    """Write a document: a mapping is child elements, a list is the element repeated, None is no element."""
    document = ElementTree.Element(root, xmlns=S3_NAMESPACE)
    _fill(document, content)
    return bytes(ElementTree.tostring(document))


def _fill(parent: ElementTree.Element, content: Any) -> None:
    if not isinstance(content, Mapping):
        parent.text = str(content).lower() if isinstance(content, bool) else str(content)
        return
    for name, value in content.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                _fill(ElementTree.SubElement(parent, name), item)


def _set_encryption(bucket: str, value: Any) -> None:
    if value is None:
        return _s3("DELETE", bucket, "encryption")
    _known(value, ["ServerSideEncryptionConfiguration"])
    rules = []
    for rule in value["ServerSideEncryptionConfiguration"]:
        _known(rule, ["ServerSideEncryptionByDefault"], ["BucketKeyEnabled"])
        default, bucket_key = rule["ServerSideEncryptionByDefault"], _true(rule.get("BucketKeyEnabled"))
        _known(default, ["SSEAlgorithm"], ["KMSMasterKeyID"])
        rules.append({"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key})
    return _s3("PUT", bucket, "encryption", _xml("ServerSideEncryptionConfiguration", {"Rule": rules}))


def _true(value: Any) -> bool:
    """Read a boolean of a template, which may come as a word from a parameter."""
    return str(value).lower() == "true"


def _set_lifecycle(bucket: str, value: Any) -> None:
    if value is None:
        return _s3("DELETE", bucket, "lifecycle")
    _known(value, ["Rules"])
    rules = {"Rule": [_lifecycle_rule(rule) for rule in value["Rules"]]}
    return _s3("PUT", bucket, "lifecycle", _xml("LifecycleConfiguration", rules))


def _lifecycle_rule(rule: Properties) -> dict[str, Any]:
    """Return a rule as S3's API wants it."""
    _known(
        rule,
        ["Status"],
        [
            "Id",
            "Prefix",
            "ExpirationInDays",
            "ExpiredObjectDeleteMarker",
            "NoncurrentVersionExpiration",
            "AbortIncompleteMultipartUpload",
            "Transitions",
        ],
    )
    expiration: dict[str, Any] = {}
    if "ExpirationInDays" in rule:
        expiration["Days"] = int(rule["ExpirationInDays"])
    if "ExpiredObjectDeleteMarker" in rule:
        expiration["ExpiredObjectDeleteMarker"] = _true(rule["ExpiredObjectDeleteMarker"])
    transitions = []
    for transition in rule.get("Transitions", []):
        _known(transition, ["TransitionInDays", "StorageClass"])
        days = int(transition["TransitionInDays"])
        transitions.append({"Days": days, "StorageClass": transition["StorageClass"]})
    return {
        "ID": rule.get("Id"),
        "Filter": {"Prefix": rule.get("Prefix", "")},
        "Status": rule["Status"],
        "Transition": transitions,
        "Expiration": expiration or None,
        "NoncurrentVersionExpiration": _numbers(
            rule.get("NoncurrentVersionExpiration"), ["NoncurrentDays"], ["NewerNoncurrentVersions"]
        ),
        "AbortIncompleteMultipartUpload": _numbers(rule.get("AbortIncompleteMultipartUpload"), ["DaysAfterInitiation"]),
    }


def _numbers(
    settings: Properties | None, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, int] | None:
    """Return settings that are numbers as such: what is no number the emulator would store, and choke on later."""
    if settings is None:
        return None
    _known(settings, required, optional)
    return {name: int(value) for name, value in settings.items()}


def _set_logging(bucket: str, value: Any) -> None:
    content = {}
    if value is not None:
        _known(value, optional=["DestinationBucketName", "LogFilePrefix"])
        target = value.get("DestinationBucketName", bucket)
        _s3("HEAD", target)  # the emulator would log to a bucket that is not there
        content = {"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": value.get("LogFilePrefix", "")}}
    _s3("PUT", bucket, "logging", _xml("BucketLoggingStatus", content))


def _set_ownership(bucket: str, value: Any) -> None:
    if value is None:
        return _s3("DELETE", bucket, "ownershipControls")
    _known(value, ["Rules"])
    return _s3("PUT", bucket, "ownershipControls", _xml("OwnershipControls", {"Rule": value["Rules"]}))


def _set_tags(bucket: str, value: Any) -> None:
    if not value:
        return _s3("DELETE", bucket, "tagging")
    return _s3("PUT", bucket, "tagging", _xml("Tagging", {"TagSet": {"Tag": value}}))


def _delete_bucket(bucket: str) -> None:
    try:
        _s3("DELETE", bucket)
    except RefusedError as refused:
        if refused.code != "NoSuchBucket":
            raise


# DynamoDB, through its JSON API


def _dynamodb(function: str, request: Mapping[str, Any]) -> Any:
    """Call one of the emulator's DynamoDB operations and return its answer."""
    status, _headers, body = getattr(_module("services.dynamodb"), function)(request)
    answer = json.loads(body)
    if status >= 400:
        raise RefusedError(answer["__type"].rpartition("#")[2], answer["message"])
    return answer


def _set_time_to_live(table: str, value: Any) -> None:
    if value is not None:
        _known(value, ["Enabled"], ["AttributeName"])
    current = _dynamodb("_describe_ttl", {"TableName": table})["TimeToLiveDescription"]
    active = current.get("AttributeName") if current["TimeToLiveStatus"] == "ENABLED" else None
    wanted = value.get("AttributeName", "") if value is not None and _true(value["Enabled"]) else None
    if wanted == active:
        return
    # DynamoDB insists on two steps to another attribute. The emulator would take it at once.
    message = f"TimeToLive is active on a different AttributeName: current AttributeName is {active}"
    _require(wanted is None or active is None, "ValidationException", message)
    specification = {"Enabled": wanted is not None, "AttributeName": active if wanted is None else wanted}
    _dynamodb("_update_ttl", {"TableName": table, "TimeToLiveSpecification": specification})


def _set_point_in_time_recovery(table: str, value: Any) -> None:
    specification = {"PointInTimeRecoveryEnabled": False} if value is None else value
    _known(specification, ["PointInTimeRecoveryEnabled"])
    enabled = _true(specification["PointInTimeRecoveryEnabled"])
    request = {"TableName": table, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": enabled}}
    _dynamodb("_update_continuous_backups", request)


def _set_encryption_at_rest(table: str, value: Any) -> None:
    specification: dict[str, Any] = {"Enabled": False}
    if value is not None:
        _known(value, ["SSEEnabled"], ["SSEType", "KMSMasterKeyId"])
        specification = {name: setting for name, setting in value.items() if name != "SSEEnabled"}
        specification["Enabled"] = _true(value["SSEEnabled"])
    _dynamodb("_update_table", {"TableName": table, "SSESpecification": specification})


def _delete_table(table: str) -> None:
    try:
        _dynamodb("_delete_table", {"TableName": table})
    except RefusedError as refused:
        if refused.code != "ResourceNotFoundException":
            raise


# RDS, through its query API


def _delete_database(database: str) -> None:
    """Delete a database instance; unlike the emulator's CloudFormation, its API refuses one that is protected."""
    try:
        _query("rds", "DeleteDBInstance", {"DBInstanceIdentifier": database, "SkipFinalSnapshot": "true"})
    except RefusedError as refused:
        if refused.code != "DBInstanceNotFound":
            raise


# Backup, Budgets and IAM: services of the emulator that its CloudFormation does not reach


def _answer(response: tuple[int, Any, Any]) -> Any:
    """Return what an operation of a JSON API answers."""
    status, _headers, body = response
    answer = json.loads(body) if body else {}
    if status >= 400:
        code = str(answer.get("__type", answer.get("Code", "Refused"))).rpartition("#")[2]
        raise RefusedError(code, str(answer.get("message", answer.get("Message", ""))))
    return answer


def _create_selection(properties: Properties) -> tuple[str, Attributes]:
    selection = properties["BackupSelection"]
    _known(selection, ["IamRoleArn", "SelectionName"], ["Resources", "ListOfTags", "NotResources", "Conditions"])
    backup, plan = _module("services.backup"), properties["BackupPlanId"]
    created = _answer(backup._create_selection(plan, {"BackupSelection": dict(selection)}))
    identity = f"{created['SelectionId']}_{plan}"
    return identity, {"Id": identity, "SelectionId": created["SelectionId"], "BackupPlanId": plan}


def _update_selection(selection: str, _old: Properties, _new: Properties) -> Attributes:
    identity, _, plan = selection.partition("_")
    return {"Id": selection, "SelectionId": identity, "BackupPlanId": plan}


def _delete_selection(selection: str, _properties: Properties) -> None:
    identity, _, plan = selection.partition("_")
    try:
        _answer(_module("services.backup")._delete_selection(plan, identity))
    except RefusedError as refused:
        if refused.code != "ResourceNotFoundException":
            raise


def _budget(properties: Properties) -> dict[str, Any]:
    """Return a budget as its API wants it: the limit's amount is a text there."""
    budget = dict(properties["Budget"])
    _known(budget, ["BudgetName", "BudgetType", "TimeUnit"], ["BudgetLimit", "CostFilters", "CostTypes", "TimePeriod"])
    if "BudgetLimit" in budget:
        budget["BudgetLimit"] = {name: str(value) for name, value in budget["BudgetLimit"].items()}
    return budget


def _create_budget(properties: Properties) -> tuple[str, Attributes]:
    budget = _budget(properties)
    request = {"Budget": budget, "ResourceTags": list(properties.get("ResourceTags", []))}
    request["NotificationsWithSubscribers"] = list(properties.get("NotificationsWithSubscribers", []))
    _answer(_module("services.budgets")._create_budget(request))
    return budget["BudgetName"], {"Id": budget["BudgetName"]}


def _update_budget(name: str, _old: Properties, new: Properties) -> Attributes:
    budgets = _module("services.budgets")
    _answer(budgets._update_budget({"NewBudget": _budget(new)}))
    arn = f"arn:aws:budgets::{_module('core.responses').get_account_id()}:budget/{name}"
    _answer(budgets._tag_resource({"ResourceARN": arn, "ResourceTags": list(new.get("ResourceTags", []))}))
    return {"Id": name}


def _delete_budget(name: str, _properties: Properties) -> None:
    try:
        _answer(_module("services.budgets")._delete_budget({"BudgetName": name}))
    except RefusedError as refused:
        if refused.code != "NotFoundException":
            raise


def _iam(action: str, parameters: Mapping[str, str]) -> ElementTree.Element:
    """Call the emulator's IAM API and return its answer."""
    status, _headers, body = _module("services.iam")._IAM_HANDLERS[action]({k: [v] for k, v in parameters.items()})
    answer = ElementTree.fromstring(body)  # noqa: S314 - the emulator's own answer
    if status >= 400:
        raise RefusedError(_text(answer, "Code"), _text(answer, "Message"))
    return answer


def _create_oidc_provider(properties: Properties) -> tuple[str, Attributes]:
    """Create an identity provider; of one address an account takes one."""
    form = {"Url": properties["Url"]}
    form |= {f"ClientIDList.member.{n}": client for n, client in enumerate(properties.get("ClientIdList", []), 1)}
    form |= {f"ThumbprintList.member.{n}": print_ for n, print_ in enumerate(properties.get("ThumbprintList", []), 1)}
    for number, tag in enumerate(properties.get("Tags", []), 1):
        form |= {f"Tags.member.{number}.{part}": tag[part] for part in ("Key", "Value")}
    arn = _text(_iam("CreateOpenIDConnectProvider", form), "OpenIDConnectProviderArn")
    return arn, {"Arn": arn}


def _update_oidc_provider(arn: str, _old: Properties, new: Properties) -> Attributes:
    """Set what can change; the emulator's IAM has no operation for it."""
    provider = _module("services.iam")._oidc_providers.get(arn)
    _require(provider is not None, "NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}")
    provider["ClientIDList"] = list(new.get("ClientIdList", []))
    provider["ThumbprintList"] = list(new.get("ThumbprintList", []))
    provider["Tags"] = list(new.get("Tags", []))
    return {"Arn": arn}


def _delete_oidc_provider(arn: str, _properties: Properties) -> None:
    try:
        _iam("DeleteOpenIDConnectProvider", {"OpenIDConnectProviderArn": arn})
    except RefusedError as refused:
        if refused.code != "NoSuchEntity":
            raise


# MWAA: the emulator's own service would start a container of Airflow, where there is Docker


def _airflow(properties: Properties) -> Attributes:
    """Check what MWAA checks, and describe the environment; nothing runs."""
    name, size = properties["Name"], properties.get("EnvironmentClass", "mw1.small")
    network = properties["NetworkConfiguration"]
    answer = _ec2("DescribeSubnets", _numbered("SubnetId", network["SubnetIds"]))
    zones = len(set(_texts(answer, "availabilityZone")))
    _require(
        len(network["SubnetIds"]) == zones == 2, "ValidationException", "Two subnets in two zones are needed, no more."
    )
    _ec2("DescribeSecurityGroups", _numbered("GroupId", network["SecurityGroupIds"]))
    micro = size == "mw1.micro"
    for count in ("MaxWorkers", "MinWorkers", "Schedulers", "MinWebservers", "MaxWebservers"):
        number = int(properties.get(count, 1 if micro else 2))
        least = 1 if micro or count.endswith("Workers") else 2
        _require(number >= least and (not micro or number == 1), "ValidationException", f"{size}: {count} is {number}.")
    bucket = properties["SourceBucketArn"].rpartition(":")[2]
    _s3("HEAD", bucket)
    versions = _module("services.s3")._object_versions
    for what in ("Plugins", "Requirements", "StartupScript"):
        key, version_id = properties.get(f"{what}S3Path"), properties.get(f"{what}S3ObjectVersion")
        known = key is None or any(of["version_id"] == version_id for of in versions.get((bucket, key), ()))
        _require(known, "ValidationException", f"There is no version {version_id} of s3://{bucket}/{key}.")
    region = _module("core.responses").get_region()
    return {
        "Name": name,
        "Arn": f"arn:aws:airflow:{region}:{_module('core.responses').get_account_id()}:environment/{name}",
        "WebserverUrl": f"{uuid5(NAMESPACE_URL, name)}.c1.{region}.airflow.amazonaws.com",
    }


# Redshift Serverless and zero-ETL integrations: no service of the emulator, so what follows gives ids and keeps nothing


def _arn(service: str, kind: str, name: str) -> str:
    """Return the ARN of what AWS gives an id of its own: the same for the same name, so that nobody need keep it."""
    responses = _module("core.responses")
    return f"arn:aws:{service}:{responses.get_region()}:{responses.get_account_id()}:{kind}{uuid5(NAMESPACE_URL, name)}"


def _namespace(properties: Properties) -> Attributes:
    roles, default = properties.get("IamRoles", []), properties.get("DefaultIamRoleArn")
    _require(default is None or default in roles, "ValidationException", "DefaultIamRoleArn must be one of IamRoles.")
    name = properties["NamespaceName"]
    return {"Namespace.NamespaceName": name, "Namespace.NamespaceArn": _arn("redshift-serverless", "namespace/", name)}


def _workgroup(properties: Properties) -> Attributes:
    name, port = properties["WorkgroupName"], int(properties.get("Port", 5439))
    base, most = int(properties.get("BaseCapacity", 128)), int(properties.get("MaxCapacity", 1024))
    _require(base <= most, "ValidationException", f"MaxCapacity {most} is less than BaseCapacity {base}.")
    answer = _ec2("DescribeSubnets", _numbered("SubnetId", properties.get("SubnetIds", [])))
    zones = len(set(_texts(answer, "availabilityZone")))
    needed = 3 if _true(properties.get("EnhancedVpcRouting", False)) else 2
    _require(zones >= needed, "ValidationException", f"Subnets in {needed} zones are needed, these lie in {zones}.")
    _ec2("DescribeSecurityGroups", _numbered("GroupId", properties.get("SecurityGroupIds", [])))
    responses = _module("core.responses")
    place = f"{responses.get_account_id()}.{responses.get_region()}"
    return {
        "Workgroup.WorkgroupName": name,
        "Workgroup.WorkgroupArn": _arn("redshift-serverless", "workgroup/", name),
        "Workgroup.Endpoint.Address": f"{name}.{place}.redshift-serverless.amazonaws.com",
        "Workgroup.Endpoint.Port": str(port),
    }


def _numbered(name: str, values: Sequence[str]) -> dict[str, str]:
    return {f"{name}.{number}": value for number, value in enumerate(values, 1)}


def _integration(properties: Properties) -> Attributes:
    """Check that the source writes what an integration reads, as RDS does."""
    rds = _module("services.rds")
    source = rds._instances.get(properties["SourceArn"].rpartition(":")[2])
    _require(source is not None, "DBInstanceNotFound", f"{properties['SourceArn']} does not exist.")
    _require(source["BackupRetentionPeriod"] > 0, "InvalidDBInstanceState", "The source has no automated backups.")
    group = rds._param_groups.get(source["DBParameterGroups"][0]["DBParameterGroupName"], {"Parameters": {}})
    lacking = [
        name
        for name in ("rds.logical_replication", "rds.replica_identity_full")
        if group["Parameters"].get(name, {}).get("ParameterValue") != "1"
    ]
    _require(not lacking, "InvalidDBInstanceState", f"The source's parameter group lacks {' and '.join(lacking)} = 1.")
    _require("DataFilter" in properties, "InvalidParameterValue", "A PostgreSQL source needs a DataFilter.")
    arn = _arn("rds", "integration:", properties["SourceArn"] + properties["TargetArn"])
    return {"IntegrationArn": arn}


def _recorded_type(
    attributes: Callable[[Properties], Attributes],
    key: str,
    *,
    replacing: tuple[str, ...],
    updatable: tuple[str, ...],
    required: tuple[str, ...],
) -> ResourceType:
    """Return a type without a service. `attributes` checks and describes it; attribute or property `key` names it."""

    def create(properties: Properties) -> tuple[str, Attributes]:
        found = attributes(properties)
        return found.get(key) or properties[key], found

    return ResourceType(
        create,
        lambda _physical_id, _old, new: attributes(new),
        lambda _physical_id, _properties: None,
        replacing=replacing,
        updatable=updatable,
        required=required,
    )


TYPES = {
    "AWS::EC2::EIP": ResourceType(_create_eip, _update_eip, _delete_eip, replacing=(), updatable=("Domain", "Tags")),
    "AWS::EC2::NatGateway": ResourceType(
        _create_nat_gateway,
        _update_nat_gateway,
        _delete_nat_gateway,
        replacing=("SubnetId", "AllocationId", "ConnectivityType"),
        updatable=("Tags",),
        required=("SubnetId",),
    ),
    "AWS::EC2::FlowLog": ResourceType(
        _create_flow_log,
        _update_flow_log,
        _delete_flow_log,
        replacing=(
            "ResourceType",
            "ResourceId",
            "TrafficType",
            "LogDestinationType",
            "LogDestination",
            "LogGroupName",
        ),
        updatable=("Tags",),
        required=("ResourceType", "ResourceId"),
        recorded=("DeliverLogsPermissionArn", "LogFormat", "MaxAggregationInterval"),
    ),
    "AWS::EC2::SecurityGroupIngress": _rule_type("Ingress", "SourceSecurityGroupId"),
    "AWS::EC2::SecurityGroupEgress": _rule_type("Egress", "DestinationSecurityGroupId"),
    "AWS::Backup::BackupSelection": ResourceType(
        _create_selection,
        _update_selection,
        _delete_selection,
        replacing=("BackupPlanId", "BackupSelection"),
        updatable=(),
        required=("BackupPlanId", "BackupSelection"),
    ),
    "AWS::Budgets::Budget": ResourceType(
        _create_budget,
        _update_budget,
        _delete_budget,
        replacing=("NotificationsWithSubscribers",),
        updatable=("Budget", "ResourceTags"),
        required=("Budget",),
    ),
    "AWS::IAM::OIDCProvider": ResourceType(
        _create_oidc_provider,
        _update_oidc_provider,
        _delete_oidc_provider,
        replacing=("Url",),
        updatable=("ClientIdList", "Tags", "ThumbprintList"),
        required=("Url",),
    ),
    "AWS::MWAA::Environment": _recorded_type(
        _airflow,
        "Name",
        replacing=("Name", "KmsKey", "EndpointManagement"),
        updatable=(
            "AirflowConfigurationOptions",
            "AirflowVersion",
            "DagS3Path",
            "EnvironmentClass",
            "ExecutionRoleArn",
            "LoggingConfiguration",
            "MaxWebservers",
            "MaxWorkers",
            "MinWebservers",
            "MinWorkers",
            "NetworkConfiguration",
            "PluginsS3ObjectVersion",
            "PluginsS3Path",
            "RequirementsS3ObjectVersion",
            "RequirementsS3Path",
            "Schedulers",
            "SourceBucketArn",
            "StartupScriptS3ObjectVersion",
            "StartupScriptS3Path",
            "Tags",
            "WebserverAccessMode",
            "WeeklyMaintenanceWindowStart",
            "WorkerReplacementStrategy",
        ),
        required=("Name", "NetworkConfiguration", "SourceBucketArn", "ExecutionRoleArn"),
    ),
    "AWS::RDS::Integration": _recorded_type(
        _integration,
        "IntegrationArn",
        replacing=("SourceArn", "TargetArn", "KMSKeyId", "AdditionalEncryptionContext"),
        updatable=("DataFilter", "Description", "IntegrationName", "Tags"),
        required=("SourceArn", "TargetArn"),
    ),
    "AWS::RedshiftServerless::Namespace": _recorded_type(
        _namespace,
        "NamespaceName",
        replacing=("NamespaceName",),
        updatable=(
            "AdminPasswordSecretKmsKeyId",
            "AdminUsername",
            "DbName",
            "DefaultIamRoleArn",
            "IamRoles",
            "KmsKeyId",
            "LogExports",
            "ManageAdminPassword",
            "NamespaceResourcePolicy",
            "Tags",
        ),
        required=("NamespaceName",),
    ),
    "AWS::RedshiftServerless::Workgroup": _recorded_type(
        _workgroup,
        "WorkgroupName",
        replacing=("WorkgroupName", "NamespaceName"),
        updatable=(
            "BaseCapacity",
            "ConfigParameters",
            "EnhancedVpcRouting",
            "MaxCapacity",
            "Port",
            "PubliclyAccessible",
            "SecurityGroupIds",
            "SubnetIds",
            "Tags",
        ),
        required=("WorkgroupName", "SubnetIds", "SecurityGroupIds"),
    ),
}


PROPERTIES = {
    "AWS::DynamoDB::Table": DroppedProperties(
        {
            "PointInTimeRecoverySpecification": _set_point_in_time_recovery,
            "SSESpecification": _set_encryption_at_rest,
            "TimeToLiveSpecification": _set_time_to_live,
        },
        _delete_table,
    ),
    "AWS::S3::Bucket": DroppedProperties(
        {
            "BucketEncryption": _set_encryption,
            "LifecycleConfiguration": _set_lifecycle,
            "LoggingConfiguration": _set_logging,
            "OwnershipControls": _set_ownership,
            "Tags": _set_tags,
        },
        _delete_bucket,
    ),
    # It drops more, such as the logs to export: what has no place in its description of a database (docs/deploy.md).
    "AWS::RDS::DBInstance": DroppedProperties({}, _delete_database),
}


class Record:
    """The file of what was done here."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, action: str, stack: str, logical_id: str, kind: str, physical_id: str, properties: Any) -> None:
        """Append a line."""
        line = {
            "time": datetime.now(UTC).isoformat(),
            "action": action,
            "stack": stack,
            "logical_id": logical_id,
            "type": kind,
            "physical_id": physical_id,
            "properties": properties,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def stack_of(self, kind: str, physical_id: str) -> str:
        """Return the stack that a resource was last seen in: CloudFormation does not tell when it deletes."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        for line in reversed([json.loads(line) for line in lines]):
            if (line["type"], line["physical_id"]) == (kind, physical_id):
                return str(line["stack"])
        return ""


def _entry(create: Callable[..., Any], update: Callable[..., Any], delete: Callable[..., Any]) -> dict[str, Any]:
    """Return functions as the emulator's table of handlers has them, told the logical id."""
    return {
        "create": create,
        "update": update,
        "update_with_logical_id": True,
        "delete": delete,
        "delete_with_logical_id": True,
    }


def _handlers(name: str, kind: ResourceType, record: Record) -> dict[str, Any]:
    """Return what the emulator's CloudFormation calls for a type."""

    def checked(properties: Properties) -> None:
        _known(properties, kind.required, (*kind.replacing, *kind.updatable, *kind.recorded))

    def create(logical_id: str, properties: Properties, stack: str) -> tuple[str, Attributes]:
        checked(properties)
        physical_id, attributes = kind.create(properties)
        record.add("create", stack, logical_id, name, physical_id, properties)
        return physical_id, attributes

    def update(
        physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
    ) -> tuple[str, Attributes]:
        checked(new)
        attributes = kind.update(physical_id, old, new)
        record.add("update", stack, logical_id, name, physical_id, new)
        return physical_id, attributes

    def delete(physical_id: str, properties: Properties, logical_id: str) -> None:
        kind.delete(physical_id, properties)
        record.add("delete", record.stack_of(name, physical_id), logical_id, name, physical_id, properties)

    return _entry(create, update, delete)


def _completed(name: str, dropped: DroppedProperties, own: Mapping[str, Any], record: Record) -> dict[str, Any]:
    """Return the emulator's own handlers of a type, followed by the properties that they drop."""

    def ours(properties: Properties) -> dict[str, Any]:
        return {key: value for key, value in properties.items() if key in dropped.apply}

    def apply(physical_id: str, old: Properties, new: Properties) -> None:
        for key, set_property in dropped.apply.items():
            if key in new or key in old:
                set_property(physical_id, new.get(key))

    def create(logical_id: str, properties: Properties, stack: str) -> tuple[str, Attributes]:
        physical_id, attributes = own["create"](logical_id, properties, stack)
        try:
            apply(physical_id, {}, properties)
        except Exception:
            dropped.delete(physical_id)  # CloudFormation does not know of it yet
            raise
        record.add("create", stack, logical_id, name, physical_id, ours(properties))
        return physical_id, attributes

    def update(
        physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
    ) -> tuple[str, Attributes]:
        last = (logical_id,) if own.get("update_with_logical_id") else ()
        updated_id, attributes = own["update"](physical_id, old, new, stack, *last)
        try:
            apply(updated_id, old, new)
        except Exception:
            # CloudFormation takes it that a handler which fails has changed nothing.
            if updated_id == physical_id:
                own["update"](physical_id, new, old, stack, *last)
                apply(physical_id, new, old)
            else:
                dropped.delete(updated_id)
            raise
        record.add("update", stack, logical_id, name, updated_id, ours(new))
        return updated_id, attributes

    def delete(physical_id: str, properties: Properties, logical_id: str) -> None:
        dropped.delete(physical_id)
        record.add("delete", record.stack_of(name, physical_id), logical_id, name, physical_id, ours(properties))

    return {**own, **_entry(create, update, delete)}


def install(state_directory: Path) -> None:
    """Add types and properties to the emulator in this process; end with one line when it is not one they fit."""
    require_of_emulator(NEEDED, "local/resource_types.py")
    provisioners = _module("services.cloudformation.provisioners")
    known = ", ".join(sorted(TYPES.keys() & provisioners._RESOURCE_HANDLERS.keys()))
    if known:
        sys.exit(
            f"ministack {version('ministack')} knows {known} by itself: its handler in local/resource_types.py can go."
        )
    record = Record(state_directory / RECORD)
    for name, kind in TYPES.items():
        provisioners._RESOURCE_HANDLERS[name] = _handlers(name, kind, record)
        provisioners._REPLACING_PROPERTIES[name] = (*kind.replacing, *kind.recorded)
        for tags, form in (("Tags", "map" if name == "AWS::MWAA::Environment" else "list"), ("ResourceTags", "list")):
            if tags in kind.updatable:
                provisioners._STACK_TAG_PROPERTY[name] = (tags, form)
    for name, dropped in PROPERTIES.items():
        own = provisioners._RESOURCE_HANDLERS[name]
        provisioners._RESOURCE_HANDLERS[name] = _completed(name, dropped, own, record)
    provisioners._STACK_TAG_PROPERTY["AWS::S3::Bucket"] = ("Tags", "list")
    _mend_deletion_of_keys(provisioners._RESOURCE_HANDLERS["AWS::KMS::Key"])
    _mend_memory_of_versions(_module("services.s3"))


def require_of_emulator(needed: Mapping[str, Sequence[str]], user: str) -> None:
    """End this process with one line when the emulator lacks one of the names, by module, that a file uses."""
    lacking = ", ".join(
        f"{module}.{name}" for module, names in needed.items() for name in names if not _has(module, name)
    )
    if lacking:
        sys.exit(f"ministack {version('ministack')} lacks {lacking}, which {user} needs. Is it the pinned version?")


def _mend_deletion_of_keys(handlers: dict[str, Any]) -> None:
    """Let keys be deleted whose waiting period is a parameter: the emulator hands it on as text, and fails."""
    delete = handlers["delete"]

    def delete_with_number(physical_id: str, properties: Properties) -> None:
        days = int(properties.get("PendingWindowInDays", 30))
        delete(physical_id, {**properties, "PendingWindowInDays": days})

    handlers["delete"] = delete_with_number


def _mend_memory_of_versions(s3: Any) -> None:
    """Let versions of objects be read from the disk, where they are: the emulator keeps them all in memory, too."""
    persist = s3._persist_object

    def persist_and_forget(bucket: str, key: str, stored: Any) -> None:
        persist(bucket, key, stored)
        if isinstance(stored, dict) and stored.get("body") is None:  # it is set so when it is written
            for version_of_it in s3._object_versions.get((bucket, key), ()):
                if version_of_it["version_id"] == stored.get("version_id") and version_of_it.get("data") is not None:
                    version_of_it["data"] = None

    s3._persist_object = persist_and_forget


def _has(module: str, name: str) -> bool:
    try:
        return hasattr(import_module(module), name)
    except ModuleNotFoundError:
        return False
