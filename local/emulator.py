"""The AWS emulator: how it runs, and whether the resources in it are really there."""

from __future__ import annotations

import hashlib
import shutil
import urllib.request
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local import aws, ports
from local.layout import REPO, Layout, tool
from local.state import State

# Each of Airflow's connections: whose session in which database it opens, and the part whose port it names.
CONNECTIONS = {
    "store_owner": ("store_owner", "store", "postgres"),
    "store_writer": ("store_writer", "store", "postgres"),
    "store_reader": ("store_reader", "store", "postgres"),
    "redshift_warehouse": ("warehouse_owner", "warehouse", "redshift"),
}


def endpoint(state: State) -> str:
    """Return the emulator's URL."""
    return f"http://{ports.HOST}:{state.ports['emulator']}"


def environment(layout: Layout, state: State) -> dict[str, str]:
    """Return the variables that the emulator's process needs: loopback only, its state on disk."""
    return {
        "BIND_HOST": ports.HOST,
        "MINISTACK_HOST": ports.HOST,
        "GATEWAY_PORT": str(state.ports["emulator"]),
        "MINISTACK_REGION": aws.REGION,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(_service_state(layout)),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(_objects(layout)),
        # Calls are allowed by the policies of who calls: see local/identities.py. This key is the administrator's.
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": aws.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": aws.SECRET_KEY,
        "LOG_LEVEL": "ERROR",  # as warnings, each start has one about KMS, and the log's last lines would be only these
        # Nothing but the emulator itself: it must look for no container runtime.
        "DOCKER_HOST": f"unix://{layout.emulator / 'no-docker.sock'}",
    }


def command() -> list[str]:
    """Return the emulator's command line: its own program, with what this platform adds."""
    return [str(tool("emulator", "python")), "-P", str(REPO / "local" / "emulator_process.py")]


def _service_state(layout: Layout) -> Path:
    return layout.emulator / "services"


def _objects(layout: Layout) -> Path:
    return layout.emulator / "objects"


def _objects_aside(layout: Layout) -> Path:
    return layout.emulator / "objects-aside"


def answers(state: State) -> bool:
    """Tell whether the emulator takes requests."""
    try:
        with urllib.request.urlopen(f"{endpoint(state)}/_localstack/health", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (HTTPException, OSError):
        # The former also when nothing listens: a port that the kernel gives to connections may connect to itself.
        return False


def client(service: str, endpoint_url: str, read_timeout: int = 30) -> Any:
    """Return a boto3 client of `service` for the emulator, and for nothing else."""
    return boto3.client(
        service,
        endpoint_url=aws.require_loopback(endpoint_url),
        region_name=aws.REGION,
        aws_access_key_id=aws.ACCESS_KEY,
        aws_secret_access_key=aws.SECRET_KEY,
        config=Config(retries={"total_max_attempts": 2}, connect_timeout=3, read_timeout=read_timeout),
    )


def missing(state: State) -> list[str]:
    """Return what ought to be deployed and is not there, as short names; empty when all is well.

    The emulator's CloudFormation says CREATE_COMPLETE even of what was lost by a kill, so each is asked.
    """
    outputs = state.outputs
    if not outputs:
        return ["the stacks"]
    url = endpoint(state)
    s3, sqs, secrets = client("s3", url), client("sqs", url), client("secretsmanager", url)
    dynamodb = client("dynamodb", url)
    bucket = outputs["LandingBucket"]
    checks: dict[str, Callable[[], object]] = {
        f"bucket {bucket}": lambda: s3.head_bucket(Bucket=bucket),
        "the export bucket": lambda: s3.head_bucket(Bucket=outputs["ExportBucket"]),
        "the report bucket": lambda: s3.head_bucket(Bucket=outputs["ReportBucket"]),
        "the landing queue": lambda: sqs.get_queue_attributes(
            QueueUrl=outputs["LandingQueueUrl"], AttributeNames=["RedrivePolicy"]
        )["Attributes"]["RedrivePolicy"],
        "the dead-letter queue": lambda: sqs.get_queue_attributes(
            QueueUrl=outputs["LandingDeadLetterQueueUrl"], AttributeNames=["QueueArn"]
        ),
        "the notification queue": lambda: sqs.get_queue_attributes(
            QueueUrl=outputs["NotificationQueueUrl"], AttributeNames=["RedrivePolicy"]
        )["Attributes"]["RedrivePolicy"],
        "the notifications' dead-letter queue": lambda: sqs.get_queue_attributes(
            QueueUrl=outputs["NotificationDeadLetterQueueUrl"], AttributeNames=["QueueArn"]
        ),
        "the table of notifications": lambda: dynamodb.describe_table(TableName=outputs["NotificationTable"]),
        "the bucket's notification": lambda: {
            queue["QueueArn"]: queue
            for queue in s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
        }[outputs["LandingQueueArn"]],
        "the bucket's lifecycle": lambda: s3.get_bucket_lifecycle_configuration(Bucket=bucket),
        "the bucket's versioning": lambda: {"Enabled": True}[s3.get_bucket_versioning(Bucket=bucket)["Status"]],
    }
    for name in CONNECTIONS:
        secret = f"{outputs['ConnectionsPrefix']}/{name}"
        checks[f"connection {name}"] = partial(secrets.describe_secret, SecretId=secret)
    # A queue's URL carries the port that the emulator had when it was made.
    absent = [] if outputs["LandingQueueUrl"].startswith(url + "/") else ["the landing queue at its present address"]
    for what, check in checks.items():
        try:
            check()
        except (ClientError, BotoCoreError, LookupError):
            absent.append(what)
    return absent


def set_objects_aside(layout: Layout) -> None:
    """Empty the stopped emulator, so that the stacks can be deployed anew; `put_objects_back` follows.

    A bucket that holds objects cannot be created. Objects that an interrupted repair set aside stay there.
    """
    shutil.rmtree(_service_state(layout), ignore_errors=True)
    aside = _objects_aside(layout)
    if _objects(layout).exists() and not aside.exists():
        _objects(layout).rename(aside)
    shutil.rmtree(_objects(layout), ignore_errors=True)


def put_objects_back(layout: Layout) -> None:
    """Give the stopped emulator, whose stacks are deployed, the objects that were set aside, if any were."""
    if _objects_aside(layout).exists():
        shutil.rmtree(_objects(layout), ignore_errors=True)
        _objects_aside(layout).rename(_objects(layout))


def must_be_emptied(layout: Layout) -> bool:
    """Tell whether anything is there of an earlier deployment, or of a repair that was interrupted."""
    return any(path.exists() for path in (_service_state(layout), _objects(layout), _objects_aside(layout)))


def templates_digest(state: State) -> str:
    """Return a digest of the templates, their configuration and what deploys them."""
    digest = hashlib.sha256(str(state.ports).encode())
    for folder in ("templates", "config/local"):
        for path in sorted((REPO / "infra" / folder).rglob("*")):
            if path.is_file():
                digest.update(path.relative_to(REPO).as_posix().encode() + b"\0" + path.read_bytes())
    own = [REPO / "local" / name for name in ("emulator_process.py", "identities.py", "resource_types.py")]
    for path in (*sorted((REPO / "infra").glob("*.py")), *own):
        digest.update(path.read_bytes())
    return digest.hexdigest()
