"""Every right of every role is one that somebody was seen to use, or stands in a list with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra import permissions
from infra.permissions import Call, Statement
from scripts import permissions as script

STATEMENTS = permissions.statements()
EXCEPTIONS = permissions.exceptions()
CALLS = permissions.calls()
RIGHTS = [(statement, action) for statement in STATEMENTS for action in statement.actions]


def is_excepted(statement: Statement, action: str) -> bool:
    role, name = statement.role, f"{statement.role}/{statement.name}"
    return any(listed in EXCEPTIONS for listed in (role, name, f"{name}/{action}"))


def needed() -> list[Statement]:
    """The statements without what is allowed for another reason than a call."""
    return [
        replace(one, actions=tuple(action for action in one.actions if not is_excepted(one, action)))
        for one in STATEMENTS
    ]


def test_the_roles_and_their_statements_are_read_from_the_templates():
    assert {one.role for one in STATEMENTS} == {
        "AirflowRole", "ApiRole", "BackupRole", "DeliveryRole", "FlowLogRole", "PlanRole", "WarehouseRole",
    }  # fmt: skip
    assert Statement(
        "AirflowRole", "EventsOfLandedFiles", ("sqs:DeleteMessage", "sqs:ReceiveMessage"), ("{LandingQueueArn}",)
    ) in STATEMENTS  # fmt: skip
    assert Statement("AirflowRole", "MockFilesAndTheirTruth", ("s3:PutObject",),
                     ("{LandingBucketArn}/landing/*", "{LandingBucketArn}/mock-truth/*")) in STATEMENTS  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.role} {call.action} {call.resource}")
def test_each_call_that_was_made_is_allowed(call: Call):
    assert any(statement.allows(call) for statement in needed())


@pytest.mark.parametrize(
    ("statement", "action"),
    [right for right in RIGHTS if not is_excepted(*right)],
    ids=lambda part: part if isinstance(part, str) else f"{part.role} {part.name}",
)
def test_without_this_right_a_call_that_was_made_is_refused(statement: Statement, action: str):
    refused = [
        call
        for call in CALLS
        if not any(one.allows(call, without=action if one == statement else None) for one in needed_with(statement))
    ]

    assert refused, f"Nobody was seen to call {action} as {statement.role}/{statement.name} allows it"


def needed_with(statement: Statement) -> list[Statement]:
    """As `needed`, with one statement as it stands in the template."""
    return [statement if one.name == statement.name and one.role == statement.role else one for one in needed()]


def test_at_most_ten_reasons_and_each_names_something_that_is_there():
    assert len(set(EXCEPTIONS.values())) <= 10
    there = {one.role for one in STATEMENTS} | {f"{one.role}/{one.name}" for one in STATEMENTS}
    there |= {f"{statement.role}/{statement.name}/{action}" for statement, action in RIGHTS}
    assert set(EXCEPTIONS) - there == set()


def test_what_is_excepted_is_not_called():
    """Else its reason is no longer true. Statements that differ from another only by a condition cannot be told."""
    by_condition = {"AirflowRole/MetricsOfAirflowsContainers"}
    excepted = [
        replace(statement, actions=(action,))
        for statement, action in RIGHTS
        if is_excepted(statement, action) and f"{statement.role}/{statement.name}" not in by_condition
    ]

    assert [call for call in CALLS if any(one.allows(call) for one in excepted)] == []


def test_the_page_has_what_the_templates_and_the_calls_say():
    assert script.page(script.PAGE.read_text()) == script.PAGE.read_text()


def test_a_call_is_written_by_the_export_that_its_resource_belongs_to():
    outputs = {
        "Queue": "arn:aws:sqs:us-east-1:0:notifications",
        "DeadLetters": "arn:aws:sqs:us-east-1:0:notifications-dead-letter",
        "Bucket": "arn:aws:s3:::files",
        "Url": "http://127.0.0.1/0/notifications",
    }

    assert permissions.with_exports("arn:aws:sqs:us-east-1:0:notifications-dead-letter", outputs) == "{DeadLetters}"
    assert permissions.with_exports("arn:aws:sqs:us-east-1:0:notifications", outputs) == "{Queue}"
    assert permissions.with_exports("arn:aws:s3:::files/sync/*", outputs) == "{Bucket}/sync/*"
    assert permissions.with_exports("*", outputs) == "*"
