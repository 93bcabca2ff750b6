"""The network's two diagrams in docs/deploy.md, compared with the template: who reaches whom, on which port."""

from __future__ import annotations

import re
from itertools import product

from tests.infra import templates

PAGE = templates.DIRECTORY.parents[1] / "docs" / "deploy.md"
RULE = re.compile(r"^ *([\w &]+?) -->\|(\w+)\| (\w+)$", re.MULTILINE)

Arrows = set[tuple[str, str, str]]


def drawn() -> list[Arrows]:
    """The arrows with a port, of the diagram with NAT gateways and of that with endpoints."""
    section = PAGE.read_text().partition("## Network\n")[2].partition("\n## ")[0]
    return [
        {(source, port, target) for sources, port, target in RULE.findall(text) for source in sources.split(" & ")}
        for text in re.findall(r"```mermaid\n(.*?)```", section, re.DOTALL)
    ]


def group(reference: dict[str, str]) -> str:
    return reference["Ref"].removesuffix("SecurityGroup").lower()


def ruled() -> tuple[Arrows, set[str], set[str]]:
    """What the template's rules let out to other groups, who may go anywhere by 443, and whom the endpoints let in."""
    inside, anywhere = set(), set()
    for rule in templates.of_type("AWS::EC2::SecurityGroupEgress").values():
        source, port = group(rule["GroupId"]), str(rule.get("FromPort", "all"))
        if "DestinationSecurityGroupId" in rule:
            inside.add((source, port, group(rule["DestinationSecurityGroupId"])))
        else:
            assert (rule["CidrIp"], port, rule["ToPort"]) == ("0.0.0.0/0", "443", 443)
            anywhere.add(source)
    let_in = {
        (group(rule["SourceSecurityGroupId"]), str(rule.get("FromPort", "all")), group(rule["GroupId"]))
        for rule in templates.of_type("AWS::EC2::SecurityGroupIngress").values()
    }
    to_endpoints = {source for source, port, target in let_in if (port, target) == ("443", "endpoints")}
    assert let_in == inside | set(product(to_endpoints, ["443"], ["endpoints"]))
    return inside, anywhere, to_endpoints


def test_each_arrow_is_a_rule_and_each_rule_an_arrow():
    inside, anywhere, to_endpoints = ruled()
    with_nat, with_endpoints = drawn()

    to_gateways = set(product(anywhere, ["443"], ["gateways"]))
    assert with_nat == inside | to_gateways | set(product(anywhere, ["443"], ["nat"]))
    assert with_endpoints == inside | to_gateways | set(product(to_endpoints, ["443"], ["endpoints"]))


def test_the_ways_out_are_as_drawn():
    routes = {
        (route["RouteTableId"]["Ref"], "NatGatewayId" if "NatGatewayId" in route else route["GatewayId"]["Ref"])
        for route in templates.of_type("AWS::EC2::Route").values()
    }
    endpoints = templates.of_type("AWS::EC2::VPCEndpoint").values()
    private = [f"PrivateRouteTable{zone}" for zone in "ABC"]

    assert routes == {("PublicRouteTable", "InternetGateway"), *((table, "NatGatewayId") for table in private)}
    conditions = {
        resource.get("Condition")
        for resource in templates.resources().values()
        if resource["Type"] == "AWS::EC2::Route" and "NatGatewayId" in resource["Properties"]
    }
    assert conditions == {"HasNatGateway"}
    of_gateways = [end for end in endpoints if end["VpcEndpointType"] == "Gateway"]
    assert [[table["Ref"] for table in end["RouteTableIds"]] for end in of_gateways] == [private, private]
    of_interfaces = [end for end in endpoints if end["VpcEndpointType"] == "Interface"]
    assert [[subnet["Ref"] for subnet in end["SubnetIds"]] for end in of_interfaces] == [
        ["PrivateSubnetA", "PrivateSubnetB"]
    ] * 10
