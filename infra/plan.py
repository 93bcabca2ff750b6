"""What a deployment would change, in words: a few lines for each stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra import environments
from infra.environments import Stack
from infra.stacks import ALIVE, IN_REVIEW, STILLBORN, Stacks

# What becomes of a resource that goes, by its template's policy for that.
FATE = {
    "Delete": "deleted with what is in it",
    "Retain": "kept, outside the stack",
    "Snapshot": "deleted after a snapshot",
}
# Of these nothing is in it. Of a type that is not listed the worst is said.
EMPTY_TYPES = (
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::CloudWatch::Alarm",
    "AWS::EC2::",
    "AWS::IAM::",
    "AWS::KMS::Alias",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
)


def lines(
    stacks: Stacks, stack: Stack, parameters: Mapping[str, str], tags: Mapping[str, str], exports: set[str]
) -> list[str]:
    """Return what deploying `stack` would do, its name first; nothing is changed.

    `exports` are those that exist: CloudFormation computes nothing for a stack that imports another one.
    """
    name = stack.stack_name
    status = stacks.status(name)
    missing = sorted(environments.imports(stack.template, parameters) - exports)
    if status == IN_REVIEW:
        status = None  # it was made to hold a change set, and is empty
    if status == STILLBORN:
        heading = f"{name}: {status}, so it is deleted and created anew; by its template, at most:"
        return [heading, *_listed(stack.template)]
    if status is not None and status not in ALIVE:
        return [
            f"{name}: {status}, in which CloudFormation computes nothing: wait for its end, or see what deploy says"
        ]
    if missing and status:
        return [f"{name}: cannot be computed before there is {', '.join(missing)}"]
    if missing:
        heading = f"{name}: new; cannot be computed before there is {', '.join(missing)}; by its template, at most:"
        return [heading, *_listed(stack.template)]
    changes = stacks.changes(name, stack.template, parameters, tags, exists=status is not None)
    # Nothing happens to a resource that does not exist, as where its condition is false before and after.
    changes = [change for change in changes if change["Action"] == "Add" or change.get("PhysicalResourceId")]
    if status is None:
        return [f"{name}: new", *map(_line, changes)]
    return [f"{name}: changes", *map(_line, changes)] if changes else [f"{name}: unchanged"]


def _listed(template: str) -> Iterator[str]:
    """A line for each resource of a template."""
    for logical_id, resource in environments.template_resources(template).items():
        condition = f", if {resource['Condition']}" if "Condition" in resource else ""
        yield f"  + {logical_id} ({resource['Type']}){condition}"


def _line(change: Mapping[str, Any]) -> str:
    """A line for one change, as CloudFormation describes it."""
    resource = f"{change['LogicalResourceId']} ({change['ResourceType']})"
    policy = change.get("PolicyAction", "Delete").removeprefix("ReplaceAnd")
    is_empty = policy == "Delete" and change["ResourceType"].startswith(EMPTY_TYPES)
    fate = "deleted" if is_empty else FATE[policy]
    if change["Action"] == "Add":
        return f"  + {resource}"
    if change["Action"] == "Remove":
        return f"  - {resource}: REMOVED; it is {fate}"
    targets = [detail["Target"] for detail in change["Details"]]
    if change["Replacement"] == "True":
        return f"  ! {resource}: REPLACED{_because(change['Details'])}; the old one is {fate}"
    # What CloudFormation cannot tell beforehand, as where a value comes from a resource that changes too.
    perhaps = "; may be replaced" if change["Replacement"] == "Conditional" else ""
    return f"  ~ {resource}: {_names(targets)}{perhaps}"


def _because(details: list[Mapping[str, Any]]) -> str:
    """The causes of a replacement, with a space before; nothing when CloudFormation names none."""
    causes = [detail for detail in details if detail["Target"].get("RequiresRecreation", "Never") != "Never"]
    # What is certain (Static) explains it alone; the rest depends on values that are not known yet.
    certain = [detail for detail in causes if detail.get("Evaluation") == "Static"]
    names = _names([detail["Target"] for detail in certain or causes])
    return f" because of {names}" if names else ""


def _names(targets: list[Mapping[str, str]]) -> str:
    """The properties that targets name, each once; an attribute such as Tags where it is no property."""
    return ", ".join(dict.fromkeys(target.get("Name", target["Attribute"]) for target in targets))
