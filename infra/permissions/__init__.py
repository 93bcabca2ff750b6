"""What each role calls, of calls that were made, and whether the templates' policies allow that and no more.

`calls.txt` holds the calls: a line each, the role, the action, and on what, with the ARNs that stacks export by the
exports' names. `make permissions` adds those of the running platform, which has noted every call by a role's key (see
local/identities.py), and its Airflow. `exceptions.yaml` holds what is allowed though nobody here calls it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from cfnlint.decode import decode

DIRECTORY = Path(__file__).resolve().parent
TEMPLATES = DIRECTORY.parent / "templates"
CALLS, EXCEPTIONS = DIRECTORY / "calls.txt", DIRECTORY / "exceptions.yaml"
# What the templates refer to, as it is in the local environment.
LOCAL = {
    "Project": "marketplace",
    "Environment": "local",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "000000000000",
    "AWS::URLSuffix": "amazonaws.com",
}


@dataclass(frozen=True, order=True)
class Call:
    """A kind of call that was made: `resource` is an ARN, or an export's name in braces with what follows it."""

    role: str
    action: str
    resource: str


@dataclass(frozen=True)
class Statement:
    """A statement of a role's policy. `name` is its Sid, or its policy's name if it has none."""

    role: str
    name: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def allows(self, call: Call, without: str | None = None) -> bool:
        """Tell whether it allows the call, when the action `without` is taken out of it."""
        return (
            call.role == self.role
            and any(fnmatchcase(call.action, action) for action in self.actions if action != without)
            and any(fnmatchcase(call.resource, resource) for resource in self.resources)
        )


def calls() -> list[Call]:
    """Return the calls of the file."""
    return [Call(*line.split()) for line in CALLS.read_text().splitlines()]


def exceptions() -> dict[str, str]:
    """Return what is allowed though nobody calls it (ROLE, ROLE/SID or ROLE/SID/ACTION), each with its reason."""
    return {
        allowed: entry["reason"].strip()
        for entry in yaml.safe_load(EXCEPTIONS.read_text())
        for allowed in entry["allowed"]
    }


def statements() -> list[Statement]:
    """Return the statements of all roles of the templates, those with a condition as if it were met."""
    found = []
    for path in sorted(TEMPLATES.glob("*.yaml")):
        template, problems = decode(str(path))
        if problems:
            raise ValueError(f"{path}: {problems}")
        for role, resource in template["Resources"].items():
            if resource["Type"] == "AWS::IAM::Role":
                found += _of_role(role, resource["Properties"])
    return found


def with_exports(resource: str, outputs: dict[str, str]) -> str:
    """Return an ARN as calls.txt has it: what begins with an exported ARN by the export's name."""
    for name, value in sorted(outputs.items(), key=lambda output: len(output[1]), reverse=True):
        if value.startswith("arn:") and (resource == value or resource.startswith(f"{value}/")):
            return f"{{{name}}}{resource.removeprefix(value)}"
    return resource


def _of_role(role: str, properties: dict[str, Any]) -> list[Statement]:
    found = [Statement(role, arn, (), ()) for arn in map(_text, properties.get("ManagedPolicyArns", []))]
    for policy in properties.get("Policies", []):
        policy = policy.get("Fn::If", [None, policy])[1]
        for of in policy["PolicyDocument"]["Statement"]:
            actions, resources = of["Action"], of["Resource"]
            found.append(
                Statement(
                    role,
                    of.get("Sid", policy["PolicyName"]),
                    tuple(actions if isinstance(actions, list) else [actions]),
                    tuple(map(_text, resources if isinstance(resources, list) else [resources])),
                )
            )
    return found


def _text(value: Any) -> str:
    """Return a template's value as text: an import as its export's name in braces, an attribute likewise."""
    if isinstance(value, str):
        return value
    ((function, of),) = value.items()
    if function == "Fn::ImportValue":
        return f"{{{_text(of).removeprefix('marketplace-local-')}}}"
    if function == "Fn::If":
        return _text(of[1])
    if function == "Fn::Sub":
        text, values = of if isinstance(of, list) else (of, {})
        for name, inner in {**LOCAL, **{name: _text(inner) for name, inner in values.items()}}.items():
            text = text.replace(f"${{{name}}}", inner)
        return str(text)
    return f"{{{'.'.join(of) if isinstance(of, list) else of}}}"
