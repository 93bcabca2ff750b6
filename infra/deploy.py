"""Deploy or destroy an environment: all its stacks, in order, by CloudFormation change sets.

    python -m infra.deploy deploy --environment local --parameters FILE
    python -m infra.deploy destroy --environment local

Credentials, region and endpoint come from the environment, as boto3 takes them: AWS_PROFILE,
AWS_DEFAULT_REGION, AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import argparse
import ipaddress
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from infra import environments
from infra.errors import ConfigError, DeployError, EndpointRefused, StackFailed
from infra.stacks import Client, Progress, Stacks

DEFAULT_TIMEOUT_SECONDS = 3600.0
DELETE_BATCH = 1000  # the most versions that S3 lists and deletes in one request


def deploy(
    environment: str,
    parameters: Mapping[str, str],
    *,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    progress: Progress = lambda _line: None,
) -> dict[str, str]:
    """Create or update all stacks of `environment` and return their outputs, merged, by output key.

    `parameters` brings what only the caller knows: Creator always, hosts and passwords where the templates
    ask for them. `timeout` (seconds) bounds each wait for a stack; `progress` is called with a line for each
    step. Without changes nothing is executed. Raises ConfigError or EndpointRefused before anything is
    touched, StackFailed or StackTimeout for the stack that failed (all of them DeployError); the stacks
    before it stay deployed.
    """
    config = environments.load(environment)
    resolved = environments.resolve_parameters(config, parameters)
    cloudformation, _ = _connect(environment, progress)
    stacks = Stacks(cloudformation, timeout=timeout, progress=progress)
    tags = {"creator": parameters["Creator"], "project": config.project, "environment": environment}
    outputs: dict[str, str] = {}
    for stack in config.stacks:
        outputs |= stacks.deploy(stack.stack_name, stack.template, resolved[stack.name], tags)
    return outputs


def destroy(
    environment: str, *, timeout: float = DEFAULT_TIMEOUT_SECONDS, progress: Progress = lambda _line: None
) -> None:
    """Delete all stacks of `environment`, the last one first, with all that is in their buckets.

    Raises ConfigError for prod, whose data no command deletes; otherwise as `deploy`.
    """
    if environment == "prod":
        raise ConfigError("This command does not destroy prod: empty its buckets and delete its stacks by hand.")
    config = environments.load(environment)
    cloudformation, s3 = _connect(environment, progress)
    stacks = Stacks(cloudformation, timeout=timeout, progress=progress)
    for stack in reversed(config.stacks):
        for bucket in stacks.buckets(stack.stack_name):
            progress(f"{stack.stack_name}: emptying {bucket}")
            _empty_bucket(s3, bucket)
        stacks.delete(stack.stack_name)


def _connect(environment: str, progress: Progress) -> tuple[Client, Client]:
    """The clients of CloudFormation and S3, after saying where they go; `local` goes to no other machine."""
    # A session of its own: boto3's default session keeps the environment variables of its first use.
    session = boto3.session.Session()
    cloudformation, s3, sts = session.client("cloudformation"), session.client("s3"), session.client("sts")
    if environment == "local":
        for client in (cloudformation, s3, sts):
            _require_loopback(client.meta.endpoint_url)
    account = sts.get_caller_identity()["Account"]
    progress(f"{environment}: account {account}, {cloudformation.meta.endpoint_url}")
    return cloudformation, s3


def _require_loopback(endpoint: str) -> None:
    host = urlsplit(endpoint).hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        loopback = host == "localhost"
    if not loopback:
        raise EndpointRefused(
            f"The environment local is deployed to this machine only, and the endpoint is {endpoint}: set "
            f"AWS_ENDPOINT_URL to the emulator's address, such as http://127.0.0.1:4566."
        )


def _empty_bucket(s3: Client, bucket: str) -> None:
    """Delete all versions and delete markers: S3 deletes an empty bucket only."""
    # The first page again and again: a marker for the next one would name a version that is gone.
    while True:
        try:
            page = s3.list_object_versions(Bucket=bucket, MaxKeys=DELETE_BATCH)
        except s3.exceptions.NoSuchBucket:
            return  # deleted by hand; CloudFormation does not mind
        versions = [
            {"Key": version["Key"], "VersionId": version["VersionId"]}
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
        if not versions:
            return
        errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True}).get("Errors")
        if errors:
            raise StackFailed(f"{bucket}: S3 did not delete {len(errors)} objects, the first: {errors[0]}")


def _read_parameters(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(read, dict):
        raise ConfigError(f"{path} must map names of parameters to values.")
    return {str(name): str(value) for name, value in read.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description="Deploy or destroy an environment.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, description in (
        ("deploy", "create or update all stacks, and print their outputs"),
        ("destroy", "delete all stacks and all that is in their buckets"),
    ):
        command = commands.add_parser(name, help=description)
        command.add_argument("--environment", required=True, help="a directory of infra/config")
    commands.choices["deploy"].add_argument(
        "--parameters",
        type=Path,
        metavar="FILE",
        help="YAML or JSON: what only the caller knows (Creator, hosts, passwords); in a file, because other "
        "users can read the arguments of a process",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, or 1 after a message on standard error."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "destroy":
            destroy(options.environment, progress=print)
        else:
            outputs = deploy(options.environment, _read_parameters(options.parameters), progress=print)
            for key, value in outputs.items():
                print(f"{key}={value}")
    except (DeployError, BotoCoreError, ClientError, OSError) as error:
        print(f"{options.command} {options.environment}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
