"""What is verified: the stacks of one environment, wherever they are, and what CloudFormation says they hold."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3

from infra import environments
from infra.loopback import is_loopback


@dataclass(frozen=True)
class Resource:
    """One resource of a stack."""

    stack: str
    logical_id: str
    type: str
    physical_id: str

    def __str__(self) -> str:
        return f"{self.stack}.{self.logical_id} ({self.physical_id})"


@dataclass(frozen=True)
class Target:
    """A deployed environment. `only` leaves all stacks but these out, for tests that deploy just them."""

    environment: str
    client: Callable[[str], Any]
    only: tuple[str, ...] = ()

    @property
    def is_emulator(self) -> bool:
        """Whether it is on this machine."""
        return is_loopback(self.client("cloudformation").meta.endpoint_url)

    @functools.cached_property
    def project(self) -> str:
        """The project, first part of all names."""
        return environments.load(self.environment).project

    @functools.cached_property
    def stacks(self) -> list[dict[str, Any]]:
        """Each stack as CloudFormation describes it."""
        config = environments.load(self.environment)
        return [
            self.client("cloudformation").describe_stacks(StackName=stack.stack_name)["Stacks"][0]
            for stack in config.stacks
            if not self.only or stack.name in self.only
        ]

    @functools.cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs of all stacks."""
        return {one["OutputKey"]: one["OutputValue"] for stack in self.stacks for one in stack.get("Outputs", [])}

    @functools.cached_property
    def resources(self) -> list[Resource]:
        """All resources of all stacks."""
        return [
            Resource(stack["StackName"], one["LogicalResourceId"], one["ResourceType"], one["PhysicalResourceId"])
            for stack in self.stacks
            for page in self.client("cloudformation")
            .get_paginator("list_stack_resources")
            .paginate(StackName=stack["StackName"])
            for one in page["StackResourceSummaries"]
            if one["ResourceStatus"] != "DELETE_COMPLETE"
        ]

    def of_type(self, resource_type: str) -> list[Resource]:
        """Return the resources of a type, such as AWS::S3::Bucket."""
        return [resource for resource in self.resources if resource.type == resource_type]


def of_shell(environment: str) -> Target:
    """Return the environment in the account that the shell's AWS_ variables lead to."""
    return Target(environment, functools.cache(boto3.session.Session().client))


def denies_plain_http(policy: str, *arns: str) -> bool:
    """Tell whether a resource's policy refuses everybody each call without TLS, on all of these ARNs."""
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] in ("*", {"AWS": "*"})
        and statement["Action"] in ("s3:*", "sqs:*", "*")
        and set(arns) <= set(as_list(statement["Resource"]))
        and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in json.loads(policy)["Statement"]
    )


def as_list(value: Any) -> list[Any]:
    """Return what a policy may say as one or as a list, as a list."""
    return value if isinstance(value, list) else [value]


def pages(client: Any, call: str, key: str, **arguments: Any) -> Iterator[Any]:
    """Yield what a paged call lists."""
    for page in client.get_paginator(call).paginate(**arguments):
        yield from page[key]
