"""Who calls the emulator, and what it may: a process that stands for a role calls by that role's policies.

Runs in the emulator's own Python environment; see local/emulator_process.py. The emulator decides by the policies in
the templates, as IAM does, and answers 403 AccessDenied. Each kind of call is a line of calls.jsonl in the emulator's
state directory, once: by whom, which action, on what, and whether it was allowed. `make permissions` reads it.

A key here is a name: it opens nothing but this machine's emulator. `local` is the administrator, as who deploys, puts
files or asks for a token is one. The function of the APIs has a session of its own role from the emulator itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from local.resource_types import require_of_emulator

CALLS = "calls.jsonl"
ADMINISTRATOR = "local"
# The key of each process → the role that it has on AWS, as its stack and its name in the template.
ROLES: Mapping[str, tuple[str, str]] = {
    "airflow": ("access", "AirflowRole"),
    # Its stack is not deployed locally, for there is no Redshift in it. What it calls is noted, and compared by a test.
    "redshift": ("warehouse", "WarehouseRole"),
}
# What policies tell apart of an object's key. The longest come first.
PREFIXES = ("status/lines/", "archive/", "dashboard/", "landing/", "mock-truth/", "rejected/", "status/", "sync/")

# What of the emulator's private interface is used: module, names.
NEEDED = {
    "ministack.app": ("AUTH", "pin_request_origin"),
    "ministack.core.iam_actions": ("extract_iam_action", "request_tag_context"),
    "ministack.core.iam_evaluator": ("ResolvedCredential", "enforce", "pin_request_origin", "resolve_credential"),
    "ministack.core.responses": ("get_account_id",),
    "ministack.services.iam": ("_roles",),
    "ministack.services.sts": ("_sessions",),
}


def kind_of(resource: str) -> str:
    """Return the resource as policies name it: an object by its bucket and prefix, a secret without its suffix."""
    if ":secretsmanager:" in resource:
        return re.sub("-[A-Za-z0-9]{6}$", "-*", resource)
    bucket, _, key = resource.partition("/")
    if not resource.startswith("arn:aws:s3:::") or not key:
        return resource
    prefix = next((prefix for prefix in PREFIXES if key.startswith(prefix)), key)
    return f"{bucket}/{prefix}*" if prefix in PREFIXES else resource


class Calls:
    """The kinds of calls that there were, in a file that only grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = set(path.read_text().splitlines()) if path.exists() else set()

    def note(self, role: str, action: str, resource: str, *, allowed: bool) -> None:
        """Enter a kind of call, if it is new."""
        line = json.dumps({"role": role, "action": action, "resource": kind_of(resource), "allowed": allowed})
        if line not in self._known:
            self._known.add(line)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(line + "\n")


def install(state_directory: Path) -> None:
    """Let the processes of ROLES be known by their keys, and note what each role calls."""
    require_of_emulator(NEEDED, "local/identities.py")
    evaluator: Any = import_module("ministack.core.iam_evaluator")
    app: Any = import_module("ministack.app")
    resolve, enforce = evaluator.resolve_credential, evaluator.enforce
    calls = Calls(state_directory / CALLS)

    def resolve_by_name(access_key_id: str, account_id: str | None = None, *token: Any, **named: Any) -> Any:
        if access_key_id not in ROLES:
            return resolve(access_key_id, account_id, *token, **named)
        account = account_id or import_module("ministack.core.responses").get_account_id()
        role = _role(*ROLES[access_key_id])
        return evaluator.ResolvedCredential(
            access_key_id=access_key_id,
            secret_access_key=ADMINISTRATOR,
            account_id=account,
            principal_arn=f"arn:aws:sts::{account}:assumed-role/{role}/{access_key_id}" if role else "",
            principal_id=f"{role}:{access_key_id}",
            principal_type="AssumedRole" if role else "Root",
        )

    def enforce_and_note(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
        if role := _role_of_key(access_key_id):
            calls.note(role, iam_action, resource_arn, allowed=denied is None)
        return denied

    _complete_requests(import_module("ministack.core.iam_actions"))
    evaluator.resolve_credential = resolve_by_name
    evaluator.enforce = enforce_and_note
    # The emulator has no TLS, and the bucket policies refuse what comes without. It listens on this machine only.
    app.pin_request_origin = lambda address, _secure: evaluator.pin_request_origin(address, True)


def _complete_requests(actions: Any) -> None:
    """Tell apart what IAM tells apart and the emulator does not.

    A batch of messages is the action of one message (Amazon SQS API permissions), a batch of deletions is judged by
    each object, of which one with a version needs DeleteObjectVersion (Amazon S3 API reference, DeleteObjects), and
    the namespace of metrics is a condition key (Service Authorization Reference, CloudWatch).
    """
    extract, context_of = actions.extract_iam_action, actions.request_tag_context

    def extract_iam_action(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, parameters: dict[str, Any]
    ) -> str | None:
        action: str | None = extract(service, method, path, headers, body, parameters)
        if service == "sqs" and action:
            return action.removesuffix("Batch")
        if action == "s3:DeleteObject" and method == "POST" and b"<VersionId>" in body.partition(b"</Object>")[0]:
            return "s3:DeleteObjectVersion"
        return action

    def request_context(service: str, action: str, body: bytes, parameters: dict[str, Any]) -> dict[str, Any]:
        context: dict[str, Any] = context_of(service, action, body, parameters)
        if action == "cloudwatch:PutMetricData":
            context["cloudwatch:namespace"] = json.loads(body)["Namespace"]
        return context

    actions.extract_iam_action, actions.request_tag_context = extract_iam_action, request_context


def _role(stack: str, logical_id: str) -> str:
    """Return the name of the role that a stack of this platform made, empty while there is none."""
    named = re.compile(rf".+-local-{stack}-{logical_id}-[^-]+")
    roles = import_module("ministack.services.iam")._roles
    return next((name for name in roles if named.fullmatch(name)), "")


def _role_of_key(access_key_id: str) -> str:
    """Return the role, by its name in the template, of a process or of a session of a function; else nothing."""
    if access_key_id in ROLES:
        return ROLES[access_key_id][1]
    session = import_module("ministack.services.sts")._sessions.get(access_key_id) or {}
    role = re.search(r":assumed-role/.+-local-\w+-(\w+)-[^-]+/", str(session.get("Arn", "")))
    return role[1] if role else ""
