"""Plan, deploy or destroy an environment: all its stacks, in order, by CloudFormation change sets.

    make plan ENV=dev CREATOR=you@example.org
    make deploy ENV=dev CREATOR=you@example.org
    make destroy ENV=dev

Credentials, region and endpoint come from the environment, as boto3 takes them: AWS_PROFILE,
AWS_DEFAULT_REGION, AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)

from infra import environments
from infra import plan as planning
from infra.environments import Environment
from infra.errors import (
    ConfigError,
    DeployError,
    EndpointRefused,
    NotConfirmed,
    NotConnected,
    NotDeletable,
    StackFailed,
)
from infra.loopback import is_loopback
from infra.stacks import Client, Progress, Stacks

DEFAULT_TIMEOUT_SECONDS = 3600.0
CONFIRMED = {"prod"}  # a person confirms that they are destroyed
EXAMPLES = {
    "plan": "make plan ENV=dev CREATOR=you@example.org",
    "deploy": "make deploy ENV=dev CREATOR=you@example.org",
    "destroy": "make destroy ENV=dev",
}
DELETE_BATCH = 1000  # the most versions that S3 lists and deletes in one request


def plan(
    environment: str,
    parameters: Mapping[str, str],
    *,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    progress: Progress = lambda _line: None,
) -> None:
    """Tell `progress`, line by line, what `deploy` would do with the same arguments; change nothing.

    Raises what `deploy` does.
    """
    config = environments.load(environment)
    resolved = environments.resolve_parameters(config, parameters)
    cloudformation, _, _, _ = _connect(environment, progress)
    stacks = Stacks(cloudformation, timeout=timeout, progress=progress)
    tags = _tags(config, parameters)
    exports = stacks.exports()
    for stack in config.stacks:
        for line in planning.lines(stacks, stack, resolved[stack.name], tags, exports):
            progress(line)


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
    step. Without changes nothing is executed. Raises ConfigError, EndpointRefused or NotConnected before
    anything is touched, StackFailed or StackTimeout for the stack that failed (all of them DeployError); the
    stacks before it stay deployed.
    """
    config = environments.load(environment)
    resolved = environments.resolve_parameters(config, parameters)
    cloudformation, _, _, _ = _connect(environment, progress)
    stacks = Stacks(cloudformation, timeout=timeout, progress=progress)
    tags = _tags(config, parameters)
    outputs: dict[str, str] = {}
    for stack in config.stacks:
        outputs |= stacks.deploy(stack.stack_name, stack.template, resolved[stack.name], tags)
    return outputs


def destroy(
    environment: str, *, timeout: float = DEFAULT_TIMEOUT_SECONDS, progress: Progress = lambda _line: None
) -> None:
    """Delete all stacks of `environment`, the last one first, with all that is in their buckets.

    For prod, environment and account must come on standard input first; else this raises NotConfirmed and has
    touched nothing. Nor has it when it raises NotDeletable, for what CloudFormation would not delete and for a
    database that is protected. Otherwise as `deploy`.
    """
    config = environments.load(environment)
    cloudformation, s3, rds, account = _connect(environment, progress)
    if environment in CONFIRMED:
        _confirm(environment, account)
    stacks = Stacks(cloudformation, timeout=timeout, progress=progress)
    names = [stack.stack_name for stack in config.stacks]
    if obstacles := [*stacks.obstacles(names), *_protected_databases(stacks, names, rds)]:
        raise NotDeletable("Nothing was touched, because\n  " + "\n  ".join(obstacles))
    for stack in reversed(config.stacks):
        for bucket in stacks.resources(stack.stack_name, "AWS::S3::Bucket"):
            progress(f"{stack.stack_name}: emptying {bucket}")
            _empty_bucket(s3, bucket)
        stacks.delete(stack.stack_name)


def _protected_databases(stacks: Stacks, names: Sequence[str], rds: Client) -> list[str]:
    """The databases that RDS refuses to delete, a line each.

    Found out first: CloudFormation would come to them after it has deleted the warehouse.
    """
    found = []
    for name in names:
        for database in stacks.resources(name, "AWS::RDS::DBInstance"):
            try:
                (described,) = rds.describe_db_instances(DBInstanceIdentifier=database)["DBInstances"]
            except rds.exceptions.DBInstanceNotFoundFault:
                continue  # deleted by hand; CloudFormation does not mind
            if described["DeletionProtection"]:
                found.append(f"{name}: the database {database} has deletion protection: switch it off if you mean it")
    return found


def _tags(config: Environment, parameters: Mapping[str, str]) -> dict[str, str]:
    return {"creator": parameters["Creator"], "project": config.project, "environment": config.name}


def _confirm(environment: str, account: str) -> None:
    """Have a person type what is about to be deleted, and where."""
    expected = f"{environment} {account}"
    print(
        f"This deletes all of {environment} in account {account}, with its data. To go on, type: {expected}", flush=True
    )
    if sys.stdin.readline().strip() != expected:
        raise NotConfirmed("Not confirmed: nothing was touched.")


def _connect(environment: str, progress: Progress) -> tuple[Client, Client, Client, str]:
    """The clients of CloudFormation, S3 and RDS, and the account, after saying where they go.

    `local` goes to no other machine.
    """
    try:
        # A session of its own: boto3's default session keeps the environment variables of its first use.
        session = boto3.session.Session()
        cloudformation, s3, rds = (session.client(service) for service in ("cloudformation", "s3", "rds"))
        # Nobody there is to be said soon; later calls are repeated longer.
        sts = session.client("sts", config=Config(connect_timeout=5, retries={"total_max_attempts": 2}))
        if environment == "local":
            for client in (cloudformation, s3, rds, sts):
                _require_loopback(client.meta.endpoint_url)
        account = sts.get_caller_identity()["Account"]
    except NoRegionError as error:
        raise NotConnected("No region: set AWS_DEFAULT_REGION, or AWS_PROFILE to a profile that has one.") from error
    except NoCredentialsError as error:
        raise NotConnected(
            "No credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. For the emulator of "
            "this clone: `. .local/env`."
        ) from error
    except ValueError as error:  # botocore's for an address, or a region, that cannot be one
        raise NotConnected(
            f"{str(error).rstrip('.')}: look at AWS_ENDPOINT_URL and the other AWS_ variables of the shell."
        ) from error
    except (EndpointConnectionError, ConnectTimeoutError) as error:
        raise NotConnected(f"Nobody answers: {error} For the emulator of this clone: `make up`.") from error
    progress(f"{environment}: account {account}, {cloudformation.meta.endpoint_url}")
    return cloudformation, s3, rds, account


def _require_loopback(endpoint: str) -> None:
    if not is_loopback(endpoint):
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


def _parameters(options: argparse.Namespace) -> dict[str, str]:
    """What the command line and its file say."""
    parameters = {}
    if options.parameters:
        read = environments.read_yaml(Path(options.parameters))
        parameters = environments.parameter_values({} if read in (None, "") else read, options.parameters)
    if options.creator:
        parameters["Creator"] = options.creator
    if not parameters.get("Creator"):
        raise ConfigError(f"Say who deploys, for the tag on every resource: {EXAMPLES[options.command]}")
    return parameters


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.deploy", description="Plan, deploy or destroy an environment."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, description in (
        ("plan", "say what deploy would change, and change nothing"),
        ("deploy", "create or update all stacks, and print their outputs"),
        ("destroy", "delete all stacks and all that is in their buckets"),
    ):
        command = commands.add_parser(name, help=description)
        command.add_argument("--environment", required=True, help="a directory of infra/config, but not local")
        if name != "destroy":
            command.add_argument("--creator", help="who deploys; the tag on every resource")
            command.add_argument(
                "--parameters",
                metavar="FILE",
                help="YAML or JSON: what only the caller knows (hosts, passwords, or Creator); in a file, because "
                "other users can read the arguments of a process",
            )
    return parser


def _run(options: argparse.Namespace) -> None:
    if not options.environment:
        raise ConfigError(f"Say which environment: {EXAMPLES[options.command]}")
    if options.environment == "local":
        raise ConfigError("local is this machine: make up deploys it, make reset deletes it.")
    if options.command == "destroy":
        destroy(options.environment, progress=_say)
    elif options.command == "plan":
        plan(options.environment, _parameters(options), progress=_say)
    else:
        for key, value in deploy(options.environment, _parameters(options), progress=_say).items():
            _say(f"{key}={value}")


def _say(line: str, stream: TextIO | None = None) -> None:
    """Print a line. When nobody reads any more (`| head`), go on in silence: a deployment is not stopped half way."""
    stream = stream or sys.stdout
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, or 1 (130 for Ctrl-C) after a message on standard error."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except (DeployError, BotoCoreError, ClientError, OSError) as error:
        _say(f"{options.command} {options.environment}".strip() + f": {error}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("Interrupted. CloudFormation ends what it has begun; to go on, type the same again.", sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
