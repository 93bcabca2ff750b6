"""One stack's life through CloudFormation change sets: create or update, heal, delete."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from infra.errors import StackFailed, StackTimeout

Progress = Callable[[str], None]

# A stack that never came to life: CloudFormation allows nothing but its deletion (or, in review, nothing is there).
STILLBORN = {"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"}
ALIVE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")

FIRST_DELAY_SECONDS = 0.05
LONGEST_DELAY_SECONDS = 5.0


def deploy_stack(
    cloudformation: BaseClient,
    name: str,
    template: str,
    parameters: Mapping[str, str],
    tags: Mapping[str, str],
    *,
    timeout: float,
    progress: Progress,
) -> dict[str, str]:
    """Create or update the stack `name` and return its outputs by key; without changes nothing is executed.

    `timeout` is in seconds and holds for each wait. Raises StackFailed when CloudFormation refuses the change or rolls
    it back (the message has the logical ids and reasons), StackTimeout when it takes longer.
    """
    stack = _settled(cloudformation, name, timeout, progress)
    if stack and stack["StackStatus"] in STILLBORN:
        progress(f"{name}: {stack['StackStatus']}, so it is deleted and created anew")
        delete_stack(cloudformation, name, timeout=timeout, progress=progress)
        stack = None
    if stack and stack["StackStatus"] not in ALIVE:
        raise StackFailed(
            f"{name} is in {stack['StackStatus']}, from which CloudFormation takes no update. Look at its events in the "
            f"CloudFormation console, then continue its rollback or delete it, and deploy again."
            f"{_failures(cloudformation, stack['StackId'])}"
        )
    change_set = _create_change_set(
        cloudformation, name, template, parameters, tags, update=stack is not None
    )
    described = _wait(
        lambda: cloudformation.describe_change_set(ChangeSetName=change_set["Id"]),
        lambda found: found["Status"] in ("CREATE_COMPLETE", "FAILED"),
        f"{name}: change set",
        lambda found: found["Status"],
        timeout,
        _silent,  # a change set without changes ends as FAILED, which would look like one
    )
    if described["Status"] == "FAILED":
        reason = described.get("StatusReason", "")
        cloudformation.delete_change_set(ChangeSetName=change_set["Id"])
        if stack is None or not any(text in reason for text in NO_CHANGES):
            raise StackFailed(f"{name}: CloudFormation refused the change set: {reason}")
        progress(f"{name}: unchanged")
        return _outputs(stack)
    cloudformation.execute_change_set(ChangeSetName=change_set["Id"])
    done = _wait_for_stack(cloudformation, change_set["StackId"], name, timeout, progress)
    if done["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise StackFailed(
            f"{name} ended in {done['StackStatus']}.{_failures(cloudformation, change_set['StackId'])}"
        )
    return _outputs(done)


def delete_stack(cloudformation: BaseClient, name: str, *, timeout: float, progress: Progress) -> None:
    """Delete the stack `name` and wait until it is gone (`timeout` in seconds); do nothing when there is none.

    Raises StackFailed with the logical ids and reasons when something cannot be deleted, StackTimeout when it takes
    longer.
    """
    stack = find_stack(cloudformation, name)
    if stack is None:
        return
    cloudformation.delete_stack(StackName=stack["StackId"])
    done = _wait_for_stack(cloudformation, stack["StackId"], name, timeout, progress)
    if done["StackStatus"] != "DELETE_COMPLETE":
        raise StackFailed(
            f"{name} could not be deleted: {done['StackStatus']}.{_failures(cloudformation, stack['StackId'])}"
        )


def find_stack(cloudformation: BaseClient, name: str) -> dict[str, Any] | None:
    """Return CloudFormation's description of the stack with this name or id, None when there is none."""
    try:
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        # There is no code of its own for this; every other validation error has another text.
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
            return None
        raise


def _silent(_line: str) -> None:
    """Progress that is not reported."""


def _create_change_set(
    cloudformation: BaseClient,
    name: str,
    template: str,
    parameters: Mapping[str, str],
    tags: Mapping[str, str],
    *,
    update: bool,
) -> dict[str, str]:
    try:
        return cloudformation.create_change_set(
            StackName=name,
            ChangeSetName=f"deploy-{uuid.uuid4().hex}",
            ChangeSetType="UPDATE" if update else "CREATE",
            TemplateBody=template,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
    except ClientError as error:
        raise StackFailed(f"{name}: {error.response['Error']['Message']}") from error


def _settled(
    cloudformation: BaseClient, name: str, timeout: float, progress: Progress
) -> dict[str, Any] | None:
    """The stack once no other operation is under way on it (an interrupted deployment goes on without us)."""
    stack = find_stack(cloudformation, name)
    if stack is None or _is_settled(stack) or stack["StackStatus"] == "REVIEW_IN_PROGRESS":
        return stack
    settled = _wait_for_stack(cloudformation, stack["StackId"], name, timeout, progress)
    return None if settled["StackStatus"] == "DELETE_COMPLETE" else settled


def _is_settled(stack: Mapping[str, Any]) -> bool:
    return not stack["StackStatus"].endswith("_IN_PROGRESS")


def _wait_for_stack(
    cloudformation: BaseClient, stack_id: str, name: str, timeout: float, progress: Progress
) -> dict[str, Any]:
    # By id: a deleted stack is still described by its id, and no longer by its name.
    return _wait(
        lambda: cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0],
        _is_settled,
        name,
        lambda stack: stack["StackStatus"],
        timeout,
        progress,
    )


def _wait(
    read: Callable[[], dict[str, Any]],
    is_done: Callable[[dict[str, Any]], bool],
    what: str,
    status_of: Callable[[dict[str, Any]], str],
    timeout: float,
    progress: Progress,
) -> dict[str, Any]:
    """Read until it is done and return what was read last; report each new status."""
    started = time.monotonic()
    delay = FIRST_DELAY_SECONDS
    reported = None
    while True:
        found = read()
        status = status_of(found)
        if status != reported:
            progress(f"{what}: {status}")
            reported = status
        if is_done(found):
            return found
        if time.monotonic() - started > timeout:
            raise StackTimeout(
                f"{what} is still in {status} after {timeout:.0f} s. CloudFormation goes on with it: "
                f"wait until it has settled and deploy again."
            )
        time.sleep(delay)
        delay = min(delay * 1.5, LONGEST_DELAY_SECONDS)


def _failures(cloudformation: BaseClient, stack_id: str) -> str:
    """One line for each resource that failed in the stack's last operation, the first failure first."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    newest_first = (event for page in pages for event in page["StackEvents"])
    last_operation = takewhile(lambda event: not _is_start(event, stack_id), newest_first)
    failed = [
        f"\n  {event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', 'no reason')}"
        for event in last_operation
        if event["ResourceStatus"].endswith("_FAILED")
        # What CloudFormation itself stopped because of the first failure explains nothing.
        and "cancelled" not in event.get("ResourceStatusReason", "")
    ]
    return "".join(reversed(failed))


def _is_start(event: Mapping[str, Any], stack_id: str) -> bool:
    """Whether the event is the beginning of an operation on the stack itself (a rollback is part of one)."""
    return event["PhysicalResourceId"] == stack_id and event["ResourceStatus"] in (
        "CREATE_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "DELETE_IN_PROGRESS",
    )


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
