"""Plan, deploy, publish to or destroy an environment: all its stacks, in order, by CloudFormation change sets.

    make bootstrap-aws ENV=dev CREATOR=you@example.org
    make plan ENV=dev CREATOR=you@example.org
    make deploy ENV=dev CREATOR=you@example.org
    make publish ENV=dev
    make destroy ENV=dev

Credentials, region and endpoint come from the environment, as boto3 takes them: AWS_PROFILE,
AWS_DEFAULT_REGION, AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TextIO

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

from infra import airflow_package, environments, mwaa, packages
from infra import plan as planning
from infra import publish as publishing
from infra.airflow_package import Package
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
    "bootstrap": "make bootstrap-aws ENV=dev CREATOR=you@example.org",
    "publish": "make publish ENV=dev",
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
    built = _packages(config)
    resolved = environments.resolve_parameters(config, {**parameters, **_package_parameters(built)})
    account = _connect(environment, progress)
    stacks = Stacks(account.cloudformation, timeout=timeout, progress=progress)
    tags = _tags(config, parameters)
    exports = stacks.exports()
    for stack in config.stacks:
        values = resolved[stack.name]
        if built.airflow and stack.package == "airflow":
            values |= publishing.expected_versions(account.s3, _code_bucket(config, account), built.airflow)
        for line in planning.lines(stacks, stack, values, tags, exports):
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
    built = _packages(config)
    resolved = environments.resolve_parameters(config, {**parameters, **_package_parameters(built)})
    account = _connect(environment, progress)
    stacks = Stacks(account.cloudformation, timeout=timeout, progress=progress)
    tags = _tags(config, parameters)
    outputs: dict[str, str] = {}
    for stack in config.stacks:
        values = resolved[stack.name]
        if built.api and stack.package == "api":
            _put_code(account.s3, outputs["CodeBucket"], built.api, progress)
        elif built.airflow and stack.package == "airflow":
            values |= publishing.publish(account.s3, outputs["CodeBucket"], built.airflow, progress)
        outputs |= stacks.deploy(stack.stack_name, stack.template, values, tags)
    return outputs


def bootstrap(
    environment: str,
    parameters: Mapping[str, str],
    *,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    progress: Progress = lambda _line: None,
) -> dict[str, str]:
    """Create or update what the pipeline needs before it can deploy `environment`; otherwise as `deploy`."""
    config = environments.load(environment)
    config = replace(config, stacks=config.bootstrap)
    resolved = environments.resolve_parameters(config, parameters)
    stacks = Stacks(_connect(environment, progress).cloudformation, timeout=timeout, progress=progress)
    outputs: dict[str, str] = {}
    for stack in config.stacks:
        outputs |= stacks.deploy(stack.stack_name, stack.template, resolved[stack.name], _tags(config, parameters))
    return outputs


def publish(
    environment: str, *, timeout: float = DEFAULT_TIMEOUT_SECONDS, progress: Progress = lambda _line: None
) -> None:
    """Bring the DAGs of this clone to the environment's Airflow, migrate the databases, and unpause the DAGs.

    The environment itself is updated, which takes MWAA a quarter of an hour, only when plugins or requirements have
    changed. Where a migration fails the other DAGs stay as they are. Raises AirflowFailed; otherwise as `deploy`.
    """
    config = environments.load(environment)
    stack = next((stack for stack in config.stacks if stack.package == "airflow"), None)
    if stack is None:
        raise ConfigError(f"{environment} has no Airflow on AWS.")
    package = airflow_package.build(_is_private(config))
    account = _connect(environment, progress)
    stacks = Stacks(account.cloudformation, timeout=timeout, progress=progress)
    stacks.require([stack.stack_name])
    versions = publishing.publish(account.s3, _code_bucket(config, account), package, progress)
    outputs = stacks.set_parameters(stack.stack_name, versions)
    airflow = mwaa.Airflow(account.mwaa, outputs["AirflowEnvironment"], timeout=timeout, progress=progress)
    own = {name.removesuffix(".py") for name in package.dags if "/" not in name and name.endswith(".py")}
    try:
        paused = airflow.wait_for_dags(own)
    except EndpointConnectionError as error:
        raise NotConnected(
            f"All is uploaded, but nobody answers for Airflow. {error} The emulator of this clone has no MWAA."
        ) from error
    if paused["migrate"]:
        airflow.unpause("migrate")
    # MWAA takes up to a minute to fetch what was uploaded: until then it migrates to what it has.
    airflow.run_until("migrate", "migrate_store", store_head())
    for dag_id in sorted(own - config.paused - {"migrate"}):
        if paused[dag_id]:
            airflow.unpause(dag_id)


def store_head() -> str:
    """Return the store's newest migration in this clone."""
    versions = packages.REPO / "include" / "sql" / "store" / "migrations" / "versions"
    return max(path.name[:4] for path in versions.glob("[0-9]*.py"))


def destroy(
    environment: str,
    *,
    with_bootstrap: bool = False,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    progress: Progress = lambda _line: None,
) -> None:
    """Delete all stacks of `environment`, the last one first, with all that is in their buckets.

    With `with_bootstrap` also those that an administrator deployed, by which the pipeline deploys.

    For prod, environment and account must come on standard input first; else this raises NotConfirmed and has
    touched nothing. Nor has it when it raises NotDeletable, for what CloudFormation would not delete and for a
    database or a table that is protected. Otherwise as `deploy`.
    """
    config = environments.load(environment)
    account = _connect(environment, progress)
    if environment in CONFIRMED:
        _confirm(environment, account.number)
    stacks = Stacks(account.cloudformation, timeout=timeout, progress=progress)
    chosen = [*(config.bootstrap if with_bootstrap else ()), *config.stacks]
    names = [stack.stack_name for stack in chosen]
    obstacles = [
        *stacks.obstacles(names),
        *_protected_databases(stacks, names, account.rds),
        *_protected_tables(stacks, names, account.dynamodb),
    ]
    if obstacles:
        raise NotDeletable("Nothing was touched, because\n  " + "\n  ".join(obstacles))
    if not any(stacks.status(name) for name in names):
        progress(f"{environment}: there is nothing to delete")
    for stack in reversed(chosen):
        for bucket in stacks.resources(stack.stack_name, "AWS::S3::Bucket"):
            progress(f"{stack.stack_name}: emptying {bucket}")
            _empty_bucket(account.s3, bucket)
        for vault in stacks.resources(stack.stack_name, "AWS::Backup::BackupVault"):
            progress(f"{stack.stack_name}: emptying the vault {vault}")
            _empty_vault(account.backup, vault)
        stacks.delete(stack.stack_name)


class _Built(NamedTuple):
    """The packages that the stacks of an environment need; of one that none needs there is nothing."""

    api: Path | None
    airflow: Package | None


def _packages(config: Environment) -> _Built:
    """The packages of an environment: built, unless they are there."""
    needed = {stack.package for stack in config.stacks}
    return _Built(
        packages.build("local" if config.name == "local" else "aws") if "api" in needed else None,
        airflow_package.build(_is_private(config)) if "airflow" in needed else None,
    )


def _is_private(config: Environment) -> bool:
    """Whether the private subnets reach nothing but AWS, so that no package can be fetched from PyPI."""
    return any(stack.parameters.get("NatGateways") == "None" for stack in config.stacks)


def _package_parameters(built: _Built) -> dict[str, str]:
    """The parameters that say where the packages lie, as far as that is known before they are uploaded."""
    found = {"ApiCodeKey": packages.key(built.api)} if built.api else {}
    if built.airflow:
        found |= dict.fromkeys(publishing.VERSIONED.values(), publishing.NOT_YET)
    return found


def _code_bucket(config: Environment, account: _Account) -> str:
    """The name that the stack code gives its bucket: before there is one, too."""
    return f"{config.project}-{config.name}-code-{account.number}-{account.s3.meta.region_name}"


def _put_code(s3: Client, bucket: str, path: Path, progress: Progress) -> None:
    """Put a package into the bucket of code, unless it is there: of one name it is the same."""
    key = packages.key(path)
    if s3.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount"):
        return
    progress(f"s3://{bucket}/{key}: {path.stat().st_size / 1e6:.1f} MB of code")
    s3.upload_file(str(path), bucket, key)


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
                found.append(
                    f"{name}: the database {database} has deletion protection. If you mean it: aws rds "
                    f"modify-db-instance --db-instance-identifier {database} --no-deletion-protection "
                    "--apply-immediately"
                )
    return found


def _protected_tables(stacks: Stacks, names: Sequence[str], dynamodb: Client) -> list[str]:
    """The tables that DynamoDB refuses to delete, a line each; as with the databases."""
    found = []
    for name in names:
        for table in stacks.resources(name, "AWS::DynamoDB::Table"):
            try:
                described = dynamodb.describe_table(TableName=table)["Table"]
            except dynamodb.exceptions.ResourceNotFoundException:
                continue  # deleted by hand; CloudFormation does not mind
            if described.get("DeletionProtectionEnabled"):
                found.append(
                    f"{name}: the table {table} has deletion protection. If you mean it: aws dynamodb update-table "
                    f"--table-name {table} --no-deletion-protection-enabled"
                )
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


class _Account(NamedTuple):
    """An account, and the clients by which this module reaches it."""

    number: str
    cloudformation: Client
    s3: Client
    rds: Client
    dynamodb: Client
    mwaa: Client
    backup: Client


def _connect(environment: str, progress: Progress) -> _Account:
    """Return the account, after saying which it is, and where. `local` goes to no other machine."""
    try:
        # A session of its own: boto3's default session keeps the environment variables of its first use.
        session = boto3.session.Session()
        clients = [session.client(service) for service in ("cloudformation", "s3", "rds", "dynamodb", "mwaa", "backup")]
        # Nobody there is to be said soon; later calls are repeated longer.
        sts = session.client("sts", config=Config(connect_timeout=5, retries={"total_max_attempts": 2}))
        if environment == "local":
            for client in (*clients, sts):
                _require_loopback(client.meta.endpoint_url)
        number = sts.get_caller_identity()["Account"]
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
    progress(f"{environment}: account {number}, {clients[0].meta.endpoint_url}")
    return _Account(number, *clients)


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


def _empty_vault(backup: Client, vault: str) -> None:
    """Delete all backups in a vault: AWS deletes an empty one only."""
    pages = backup.get_paginator("list_recovery_points_by_backup_vault").paginate(BackupVaultName=vault)
    for arn in [point["RecoveryPointArn"] for page in pages for point in page["RecoveryPoints"]]:
        backup.delete_recovery_point(BackupVaultName=vault, RecoveryPointArn=arn)


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
        ("bootstrap", "create or update what the pipeline needs before it can deploy"),
        ("plan", "say what deploy would change, and change nothing"),
        ("deploy", "create or update all stacks, and print their outputs"),
        ("publish", "bring the DAGs to Airflow, migrate, and unpause them"),
        ("destroy", "delete all stacks and all that is in their buckets"),
    ):
        command = commands.add_parser(name, help=description)
        command.add_argument("--environment", required=True, help="a directory of infra/config, but not local")
        if name == "destroy":
            command.add_argument("--with-bootstrap", action="store_true", help="also what the pipeline deploys by")
        elif name != "publish":
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
        destroy(options.environment, with_bootstrap=options.with_bootstrap, progress=_say)
    elif options.command == "publish":
        publish(options.environment, progress=_say)
    elif options.command == "plan":
        plan(options.environment, _parameters(options), progress=_say)
    else:
        command = bootstrap if options.command == "bootstrap" else deploy
        for key, value in command(options.environment, _parameters(options), progress=_say).items():
            _say(f"{key}={value}")
        if command is deploy:
            _say(
                f"Next, the first time: the databases' roles (docs/deploy.md). "
                f"Then: make publish ENV={options.environment}"
            )


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
