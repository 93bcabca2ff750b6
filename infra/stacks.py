"""A stack's life in CloudFormation, by change sets: look ahead, create or update, heal, delete."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import StackFailed, StackTimeout

Client = Any  # boto3 makes the methods of its clients at run time
Progress = Callable[[str], None]

# Made by the first change set, and empty until one is executed: others can be added to it.
IN_REVIEW = "REVIEW_IN_PROGRESS"
# Its creation was rolled back: nothing but its deletion is possible.
STILLBORN = "ROLLBACK_COMPLETE"
ALIVE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")

FIRST_DELAY_SECONDS = 0.05
LONGEST_DELAY_SECONDS = 5.0


class Stacks:
    """The stacks of one account and region."""

    def __init__(self, cloudformation: Client, *, timeout: float, progress: Progress) -> None:
        """Work through the client `cloudformation`.

        `timeout` is in seconds and bounds each wait for a stack or a change set. `progress` is called with a
        line for each new status.
        """
        self._cloudformation = cloudformation
        self._timeout = timeout
        self._progress = progress

    def deploy(
        self, name: str, template: str, parameters: Mapping[str, str], tags: Mapping[str, str]
    ) -> dict[str, str]:
        """Create or update the stack `name`, unless nothing changed, and return its outputs by key.

        `template` is the template's text. Raises StackFailed when CloudFormation refuses the change or rolls
        it back (the message has the logical ids and reasons), StackTimeout when it takes longer than the
        timeout.
        """
        stack = self._updatable(name)
        change_set_name = _new_name()
        executed = False
        try:
            change_set = self._computed(name, change_set_name, template, parameters, tags, exists=stack is not None)
            if change_set["Status"] == "FAILED":
                if stack is None or not _is_without_changes(change_set):
                    raise _refused(name, change_set)
                self._progress(f"{name}: unchanged")
                return _outputs(stack)
            with _refusals_named(name):
                self._cloudformation.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
            executed = True
        finally:
            if not executed:
                self._discard(name, change_set_name)
        done = self._wait_for_stack(name, change_set["StackId"])
        if done["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise StackFailed(f"{name} ended in {done['StackStatus']}.{self._failures(done['StackId'])}")
        return _outputs(done)

    def set_parameters(self, name: str, values: Mapping[str, str]) -> dict[str, str]:
        """Update the stack `name` with other values of some parameters and nothing else; return its outputs by key.

        Raises StackFailed when there is no such stack, and otherwise as `deploy` does.
        """
        self.require([name])
        stack = self._find(name) or {}
        template = self._cloudformation.get_template(StackName=name)["TemplateBody"]
        parameters = {given["ParameterKey"]: given["ParameterValue"] for given in stack.get("Parameters", [])}
        tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}
        return self.deploy(name, template, {**parameters, **values}, tags)

    def changes(
        self, name: str, template: str, parameters: Mapping[str, str], tags: Mapping[str, str], *, exists: bool
    ) -> list[dict[str, Any]]:
        """Return what `deploy` would change: CloudFormation's description of each change to a resource.

        `exists` says whether there is a stack to update. A change set is made, read and deleted again, with the
        empty stack that CloudFormation makes to hold the first one. Raises StackFailed when CloudFormation
        refuses the change set.
        """
        change_set_name = _new_name()
        try:
            change_set = self._computed(name, change_set_name, template, parameters, tags, exists=exists)
            if change_set["Status"] == "FAILED":
                if exists and _is_without_changes(change_set):
                    return []
                raise _refused(name, change_set)
            pages = self._cloudformation.get_paginator("describe_change_set").paginate(
                ChangeSetName=change_set["ChangeSetId"]
            )
            return [change["ResourceChange"] for page in pages for change in page["Changes"]]
        finally:
            self._discard(name, change_set_name)

    def status(self, name: str) -> str | None:
        """Return the status of the stack `name`, None when there is none."""
        stack = self._find(name)
        return stack["StackStatus"] if stack and stack["StackStatus"] != "DELETE_COMPLETE" else None

    def require(self, names: Collection[str]) -> None:
        """Raise StackFailed when there is none of one of these names."""
        if absent := [name for name in names if self.status(name) is None]:
            raise StackFailed(f"There is no stack {', '.join(absent)}: deploy the environment first.")

    def exports(self) -> set[str]:
        """Return the names of all exports of the account and region."""
        return set(self._exports())

    def obstacles(self, names: Collection[str]) -> list[str]:
        """Return what would keep the stacks `names` from being deleted together, a line each; none when nothing."""
        found = []
        stacks = [stack for name in names if (stack := self._find(name))]
        for stack in stacks:
            name, status = stack["StackName"], stack["StackStatus"]
            if not _is_settled(stack) and status not in (IN_REVIEW, "DELETE_IN_PROGRESS"):
                found.append(f"{name} is in {status}: wait for its end")
            if stack.get("EnableTerminationProtection"):
                found.append(f"{name} has termination protection: switch it off if you mean it")
        exporters = {stack["StackId"]: stack["StackName"] for stack in stacks}
        for export, stack_id in self._exports().items():
            for importer in self._importers(export) if stack_id in exporters else ():
                if importer not in names:
                    found.append(f"{exporters[stack_id]} exports {export}, which {importer} imports: delete that first")
        return found

    def delete(self, name: str) -> None:
        """Delete the stack `name` and wait until it is gone; do nothing when there is none.

        Raises StackFailed with the logical ids and reasons when something cannot be deleted, StackTimeout
        when it takes longer than the timeout.
        """
        stack = self._find(name)
        if stack is None:
            return
        with _refusals_named(name):
            self._cloudformation.delete_stack(StackName=stack["StackId"])
        done = self._wait_for_stack(name, stack["StackId"])
        if done["StackStatus"] != "DELETE_COMPLETE":
            raise StackFailed(f"{name} ended in {done['StackStatus']}.{self._failures(done['StackId'])}")

    def resources(self, name: str, kind: str) -> list[str]:
        """Return the physical ids of the resources of a type, such as AWS::S3::Bucket, in the stack `name`.

        None when there is no such stack.
        """
        stack = self._find(name)
        if stack is None:
            return []
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack["StackId"])
        return [
            resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            # Without a physical id it was not created, and deleted ones stay listed while the stack lives.
            if resource["ResourceType"] == kind
            and resource.get("PhysicalResourceId")
            and resource["ResourceStatus"] not in ("CREATE_FAILED", "DELETE_COMPLETE")
        ]

    def _exports(self) -> dict[str, str]:
        """The id of the stack behind each export of the account and region, by the export's name."""
        pages = self._cloudformation.get_paginator("list_exports").paginate()
        return {export["Name"]: export["ExportingStackId"] for page in pages for export in page["Exports"]}

    def _importers(self, export: str) -> list[str]:
        """The names of the stacks that import an export."""
        pages = self._cloudformation.get_paginator("list_imports").paginate(ExportName=export)
        try:
            return [importer for page in pages for importer in page["Imports"]]
        except ClientError as error:
            # CloudFormation's way to say none; it has no code of its own.
            if "is not imported by any stack" in str(error):
                return []
            raise

    def _find(self, name: str) -> dict[str, Any] | None:
        """CloudFormation's description of the stack, None when there is none."""
        try:
            return self._cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            # There is no code of its own for this; other validation errors have another text.
            if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
                return None
            raise

    def _updatable(self, name: str) -> dict[str, Any] | None:
        """The stack as it can be updated, None when it is to be created.

        Waits for an operation that is under way: an interrupted deployment goes on without us.
        """
        stack = self._find(name)
        if stack and not _is_settled(stack) and stack["StackStatus"] != IN_REVIEW:
            stack = self._wait_for_stack(name, stack["StackId"])
        if stack is None or stack["StackStatus"] in (IN_REVIEW, "DELETE_COMPLETE"):
            return None
        if stack["StackStatus"] == STILLBORN:
            self._progress(f"{name}: {stack['StackStatus']}, so it is deleted and created anew")
            self.delete(name)
            return None
        if stack["StackStatus"] not in ALIVE:
            raise StackFailed(
                f"{name} is in {stack['StackStatus']}, in which CloudFormation updates nothing: continue its "
                f"rollback or delete it, then deploy again.{self._failures(stack['StackId'])}"
            )
        return stack

    def _computed(
        self,
        name: str,
        change_set: str,
        template: str,
        parameters: Mapping[str, str],
        tags: Mapping[str, str],
        *,
        exists: bool,
    ) -> dict[str, Any]:
        """The description of a new change set of that name, once CloudFormation has computed it."""
        with _refusals_named(name):
            created = self._cloudformation.create_change_set(
                StackName=name,
                ChangeSetName=change_set,
                ChangeSetType="UPDATE" if exists else "CREATE",
                TemplateBody=template,
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
                Capabilities=["CAPABILITY_NAMED_IAM"],  # templates make roles
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )
        return self._wait_for_change_set(name, created["Id"])

    def _discard(self, name: str, change_set: str) -> None:
        """Delete what is there of a change set that is not to be executed, and the stack if it only held that.

        By name: a call that was interrupted may have made it all the same.
        """
        stack = self._find(name)
        if stack is None:
            return
        pages = self._cloudformation.get_paginator("list_change_sets").paginate(StackName=name)
        listed = {summary["ChangeSetName"]: summary for page in pages for summary in page["Summaries"]}
        own = listed.pop(change_set, None)
        # The call that was interrupted may also have been the one that executes it.
        if own and not own["ExecutionStatus"].startswith("EXECUTE"):
            # While CloudFormation computes it, it cannot be deleted.
            self._wait_for_change_set(name, own["ChangeSetId"])
            self._cloudformation.delete_change_set(ChangeSetName=own["ChangeSetId"])
        # In review still: nobody has executed a change set of their own meanwhile.
        if not listed and self.status(name) == IN_REVIEW:
            try:
                self._cloudformation.delete_stack(StackName=stack["StackId"])
            except ClientError as error:
                # The pipeline's plan may not delete: an empty stack stays, and a deployment takes it.
                if error.response["Error"]["Code"] != "AccessDenied":
                    raise
                return
            self._wait_for_stack(name, stack["StackId"], progress=lambda _line: None)

    def _wait_for_change_set(self, name: str, change_set_id: str) -> dict[str, Any]:
        """The change set's description once CloudFormation has computed it."""
        return self._wait(
            lambda: self._cloudformation.describe_change_set(ChangeSetName=change_set_id),
            lambda change_set: change_set["Status"] in ("CREATE_COMPLETE", "FAILED"),
            lambda change_set: f"{name}: change set {change_set['Status']}",
            # Without changes it ends as FAILED: not a line to show.
            progress=lambda _line: None,
        )

    def _wait_for_stack(self, name: str, stack_id: str, progress: Progress | None = None) -> dict[str, Any]:
        """The stack once its operation has ended; each new status goes to `progress`."""
        return self._wait(
            # By id: a deleted stack is still described by its id, and no longer by its name.
            lambda: self._cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0],
            _is_settled,
            lambda stack: f"{name}: {stack['StackStatus']}",
            progress=progress or self._progress,
        )

    def _wait(
        self,
        read: Callable[[], dict[str, Any]],
        is_done: Callable[[dict[str, Any]], bool],
        line_of: Callable[[dict[str, Any]], str],
        *,
        progress: Progress,
    ) -> dict[str, Any]:
        """What was read last, once it is done; each new line goes to `progress`."""
        started = time.monotonic()
        delay = FIRST_DELAY_SECONDS
        reported = ""
        while True:
            found = read()
            line = line_of(found)
            if line != reported:
                progress(line)
                reported = line
            if is_done(found):
                return found
            if time.monotonic() - started > self._timeout:
                raise StackTimeout(
                    f"{line}, after {self._timeout:.0f} s. CloudFormation goes on with it: deploy again "
                    f"(or destroy the environment) when it has ended."
                )
            time.sleep(delay)
            delay = min(delay * 1.5, LONGEST_DELAY_SECONDS)

    def _failures(self, stack_id: str) -> str:
        """A line for each resource that failed in the stack's last operation, the first failure first."""
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        newest_first = (event for page in pages for event in page["StackEvents"])
        last_operation = takewhile(lambda event: not _is_start(event, stack_id), newest_first)
        failed = [
            _failure_line(event, event.get("ResourceStatusReason", "no reason given"))
            for event in last_operation
            if event["ResourceStatus"].endswith("_FAILED")
            # What CloudFormation itself stopped because of the first failure explains nothing.
            and "cancelled" not in event.get("ResourceStatusReason", "")
        ]
        failed.reverse()
        if any("DescribeEvents" in line for line in failed):
            failed += self._validation_errors(stack_id)
        return "".join(failed)

    def _validation_errors(self, stack_id: str) -> list[str]:
        """The same for what CloudFormation refuses before it touches a resource: it tells by another call."""
        events = self._cloudformation.describe_events(StackName=stack_id, Filters={"FailedEvents": True})
        found = [event for event in events["OperationEvents"] if event["EventType"] == "VALIDATION_ERROR"]
        last = max(found, key=lambda event: event["Timestamp"])["OperationId"] if found else None
        return [
            _failure_line(event, event["ValidationStatusReason"]) for event in found if event["OperationId"] == last
        ]


def _new_name() -> str:
    """A name that no change set has: it is chosen before the change set is made, to find it whatever happens."""
    return f"deploy-{uuid.uuid4().hex}"


@contextmanager
def _refusals_named(name: str) -> Iterator[None]:
    """Turn CloudFormation's refusal of a request, which does not say of which stack, into StackFailed."""
    try:
        yield
    except ClientError as error:
        raise StackFailed(f"{name}: {error.response['Error']['Message']}") from error


def _is_without_changes(change_set: Mapping[str, Any]) -> bool:
    """Whether a failed change set failed because there is nothing to do."""
    return any(text in change_set.get("StatusReason", "") for text in NO_CHANGES)


def _refused(name: str, change_set: Mapping[str, Any]) -> StackFailed:
    reason = change_set.get("StatusReason", "no reason given")
    return StackFailed(f"{name}: CloudFormation refused the change set: {reason}")


def _is_settled(stack: Mapping[str, Any]) -> bool:
    return not stack["StackStatus"].endswith("_IN_PROGRESS")


def _is_start(event: Mapping[str, Any], stack_id: str) -> bool:
    """Whether an operation on the stack itself begins with this event; a rollback is part of one."""
    return event["PhysicalResourceId"] == stack_id and event["ResourceStatus"] in (
        "CREATE_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "DELETE_IN_PROGRESS",
    )


def _failure_line(event: Mapping[str, Any], reason: str) -> str:
    return f"\n  {event['LogicalResourceId']} ({event['ResourceType']}): {reason}"


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
