"""Deploy or destroy an environment: all its stacks, in order, by CloudFormation change sets.

    python -m infra.deploy deploy --environment local --parameters FILE
    python -m infra.deploy destroy --environment local

boto3 takes credentials, region and endpoint from the environment (AWS_PROFILE, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL).
"""

from __future__ import annotations

import argparse
import ipaddress
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import yaml
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from infra import changesets, environments
from infra.changesets import Progress
from infra.errors import ConfigError, DeployError, EndpointRefused, StackFailed

DEFAULT_TIMEOUT_SECONDS = 3600.0
DELETE_BATCH = 1000  # the most that S3 takes in one request


@dataclass(frozen=True)
class Target:
    """Where an environment is deployed: the clients of one account and region."""

    cloudformation: BaseClient
    s3: BaseClient


def deploy(
    environment: str,
    parameters: Mapping[str, str],
    *,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    progress: Progress = lambda _line: None,
) -> dict[str, str]:
    """Create or update all stacks of `environment` and return their outputs, merged, by output key.

    `parameters` brings what only the caller knows: Creator always, hosts and passwords where the templates ask for
    them. `timeout` (seconds) bounds each wait for a stack; `progress` is called with a line for each step. Without
    changes nothing is executed. Raises DeployError: ConfigError and EndpointRefused before anything is touched,
    StackFailed and StackTimeout for the stack that failed; the stacks before it stay deployed.
    """
    config = environments.load(environment)
    resolved = environments.resolve_parameters(config, parameters)
    target = _connect(environment, progress)
    tags = {"creator": parameters["Creator"], "project": config.project, "environment": environment}
    outputs: dict[str, str] = {}
    for stack in config.stacks:
        outputs |= changesets.deploy_stack(
            target.cloudformation,
            stack.stack_name,
            stack.template,
            resolved[stack.name],
            tags,
            timeout=timeout,
            progress=progress,
        )
    return outputs


def destroy(
    environment: str, *, timeout: float = DEFAULT_TIMEOUT_SECONDS, progress: Progress = lambda _line: None
) -> None:
    """Delete all stacks of `environment`, the last one first, with all data in their buckets.

    Raises ConfigError for prod, whose data no command deletes; otherwise as `deploy`.
    """
    if environment == "prod":
        raise ConfigError(
            "prod is not destroyed by this command: empty its buckets and delete its stacks by hand."
        )
    config = environments.load(environment)
    target = _connect(environment, progress)
    for stack in reversed(config.stacks):
        for bucket in _buckets(target, stack.stack_name):
            progress(f"{stack.stack_name}: emptying {bucket}")
            _empty_bucket(target.s3, bucket)
        changesets.delete_stack(target.cloudformation, stack.stack_name, timeout=timeout, progress=progress)


def _connect(environment: str, progress: Progress) -> Target:
    """Make the clients, refuse a real account for `local`, and report where this goes before anything is done."""
    # A session of its own: boto3's default one keeps the environment variables of its first use.
    session = boto3.session.Session()
    target = Target(cloudformation=session.client("cloudformation"), s3=session.client("s3"))
    sts = session.client("sts")
    if environment == "local":
        for client in (target.cloudformation, target.s3, sts):
            _require_loopback(client.meta.endpoint_url)
    account = sts.get_caller_identity()["Account"]
    progress(f"{environment}: account {account}, {target.cloudformation.meta.endpoint_url}")
    return target


def _require_loopback(endpoint: str) -> None:
    host = urlsplit(endpoint).hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise EndpointRefused(
            f"The environment local is deployed to this machine only, and the endpoint is {endpoint}: set "
            f"AWS_ENDPOINT_URL to the emulator's address, such as http://127.0.0.1:4566."
        )


def _buckets(target: Target, stack_name: str) -> list[str]:
    """The buckets that the stack holds."""
    if changesets.find_stack(target.cloudformation, stack_name) is None:
        return []
    pages = target.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_name)
    return [
        resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::S3::Bucket" and resource["ResourceStatus"] != "DELETE_COMPLETE"
    ]


def _empty_bucket(s3: BaseClient, bucket: str) -> None:
    """Delete all versions and delete markers: CloudFormation deletes an empty bucket only."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, MaxKeys=DELETE_BATCH)
    for page in pages:
        entries: Iterable[Mapping[str, str]] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        batch = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
        if not batch:
            continue
        errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True}).get("Errors", [])
        if errors:
            raise StackFailed(f"{bucket}: {len(errors)} objects could not be deleted, the first: {errors[0]}")


def _read_parameters(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(read, dict):
        raise ConfigError(f"{path} must map names of parameters to values.")
    return {str(key): str(value) for key, value in read.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("deploy", "destroy"):
        commands.add_parser(command).add_argument("--environment", required=True)
    commands.choices["deploy"].add_argument(
        "--parameters",
        type=Path,
        metavar="FILE",
        help="YAML or JSON: what only the caller knows (Creator, hosts, passwords); a file, since others can read a "
        "process's arguments",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, or 1 after a message on standard error."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "destroy":
            destroy(options.environment, progress=print)
            return 0
        for key, value in deploy(
            options.environment, _read_parameters(options.parameters), progress=print
        ).items():
            print(f"{key}={value}")
    except (DeployError, BotoCoreError, ClientError, OSError) as error:
        print(f"{options.command} {options.environment}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
