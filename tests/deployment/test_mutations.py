"""Each check of a deployment is turned red by what it is there for, and no other is: templates spoiled one by one."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from infra import environments
from infra.stacks import Stacks
from local import aws, ports
from tests import emulators
from tests.deployment import checks
from tests.deployment.target import Target
from tests.infra import templates

# Those that the checks look at, without what takes long to build.
STACKS = ("keys", "alerts", "network", "ingest", "storage", "notifications", "store")
TAGS = {"creator": "tests", "project": "marketplace", "environment": "dev"}
NOTHING = object()

# check → (stack, resource, where in its properties, another value there; NOTHING takes it out)
MUTATIONS: dict[str, list[tuple[str, str, tuple[Any, ...], Any]]] = {
    "buckets_are_private": [
        ("storage", "LandingBucket", ("PublicAccessBlockConfiguration", "BlockPublicPolicy"), False),
        ("storage", "ExportBucket", ("PublicAccessBlockConfiguration", "RestrictPublicBuckets"), False),
    ],
    "buckets_are_encrypted_with_our_key": [
        ("storage", "LandingBucket", ("BucketEncryption",), NOTHING),
        (
            "storage",
            "ExportBucket",
            ("BucketEncryption", "ServerSideEncryptionConfiguration", 0, "ServerSideEncryptionByDefault"),
            {"SSEAlgorithm": "AES256"},
        ),
    ],
    "buckets_refuse_plain_http": [
        ("storage", "LandingBucketPolicy", ("PolicyDocument", "Statement", 0, "Condition"), NOTHING),
        ("storage", "ExportBucketPolicy", ("PolicyDocument", "Statement", 0, "Effect"), "Allow"),
    ],
    "landed_files_are_told_to_the_queue": [
        (
            "storage",
            "LandingBucket",
            ("NotificationConfiguration", "QueueConfigurations", 0, "Filter", "S3Key", "Rules", 0, "Value"),
            "elsewhere/",
        ),
    ],
    "queues_have_a_dead_letter_queue": [
        ("ingest", "LandingQueue", ("RedrivePolicy",), NOTHING),
        ("notifications", "NotificationDeadLetterQueue", ("RedriveAllowPolicy",), NOTHING),
    ],
    "queues_are_encrypted_and_refuse_plain_http": [
        ("ingest", "LandingQueue", ("SqsManagedSseEnabled",), False),
        ("ingest", "LandingQueuePolicy", ("PolicyDocument", "Statement", 1, "Condition"), NOTHING),
        ("notifications", "NotificationDeadLetterQueuePolicy", ("PolicyDocument", "Statement", 0, "Effect"), "Allow"),
    ],
    "tables_are_encrypted_and_can_be_recovered": [
        ("notifications", "NotificationTable", ("SSESpecification",), NOTHING),
        ("notifications", "NotificationTable", ("PointInTimeRecoverySpecification",), NOTHING),
        ("notifications", "NotificationTable", ("TimeToLiveSpecification",), NOTHING),
    ],
    "keys_are_rotated": [("keys", "LogsKey", ("EnableKeyRotation",), False)],
    "nothing_comes_in_from_the_internet": [
        (
            "network",
            "StoreSecurityGroup",
            ("SecurityGroupIngress",),
            [{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "CidrIp": "0.0.0.0/0"}],
        ),
    ],
    "store_is_private_encrypted_and_speaks_tls_only": [
        ("store", "Store", ("PubliclyAccessible",), True),
        ("store", "Store", ("EnableIAMDatabaseAuthentication",), False),
        ("store", "StoreParameterGroup", ("Parameters", "rds.force_ssl"), "0"),
    ],
    "alarms_exist_and_somebody_is_told": [
        ("ingest", "DeadLetterAlarm", ("AlarmActions",), NOTHING),
        ("notifications", "OldestNotificationAlarm", ("AlarmActions",), ["arn:aws:sns:us-east-1:000000000000:nobody"]),
    ],
    "everything_says_whose_it_is": [
        # A tag that is left out would come from the stack.
        ("storage", "ExportBucket", ("Tags", 1, "Value"), "another"),
        ("notifications", "NotificationQueue", ("Tags", 2, "Value"), "prod"),
    ],
}
# What the emulator cannot be asked: its template is looked at by tests/infra.
NOT_HERE = {"warehouse_is_private_and_encrypted"}


class Deployment:
    """Stacks of dev on an emulator of their own, each as it is or spoiled."""

    def __init__(self, endpoint: str) -> None:
        session = boto3.session.Session(
            aws_access_key_id=aws.ACCESS_KEY, aws_secret_access_key=aws.SECRET_KEY, region_name=aws.REGION
        )
        self.client = functools.cache(functools.partial(session.client, endpoint_url=endpoint))
        self.topic = self.client("sns").create_topic(Name="alarms")["TopicArn"]
        config = environments.load("dev")
        declared = {name for stack in config.stacks for name in environments.template_parameters(stack.template)}
        given = {"Creator": "tests"} | ({"AlarmTopicArn": self.topic} if "AlarmTopicArn" in declared else {})
        self._parameters = environments.resolve_parameters(config, given | stand_ins(config, given))
        self._stacks = {stack.name: stack for stack in config.stacks if stack.name in STACKS}
        self._tool = Stacks(self.client("cloudformation"), timeout=60, progress=lambda _line: None)

    def deploy(self, name: str, template: dict[str, Any] | None = None) -> None:
        """Deploy a stack: its template, or another one."""
        stack = self._stacks[name]
        text = json.dumps(template or templates.load(templates.DIRECTORY / f"{name}.yaml"))
        self._tool.deploy(stack.stack_name, text, self._parameters[name], TAGS)

    def red(self) -> list[str]:
        """Return the names of the checks that find something wrong."""
        target = Target("dev", self.client, STACKS)
        found = []
        for name, check in checks.CHECKS.items():
            try:
                problems = list(check(target))
            except checks.SkippedError:
                continue
            if problems:
                found.append(name)
        return found


def stand_ins(config: environments.Environment, given: dict[str, str]) -> dict[str, str]:
    """Return values for parameters of stacks that are not deployed here, which need some."""
    needed = {
        name
        for stack in config.stacks
        for name, spec in environments.template_parameters(stack.template).items()
        if "Default" not in spec and name not in stack.parameters
    }
    return dict.fromkeys(needed - given.keys() - {"Project", "Environment"}, "not-deployed-here")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with emulators.running(tmp_path_factory.mktemp("deployment")) as port:
        deployed = Deployment(f"http://{ports.HOST}:{port}")
        for name in STACKS:
            deployed.deploy(name)
        yield deployed


def spoiled(stack: str, logical_id: str, where: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return a template with one thing in it changed."""
    template = copy.deepcopy(templates.load(templates.DIRECTORY / f"{stack}.yaml"))
    *to, last = where
    place: Any = template["Resources"][logical_id]["Properties"]
    for step in to:
        place = place[step]
    if value is NOTHING:
        del place[last]
    else:
        place[last] = value
    return template


def test_every_check_has_mutations_or_says_why_not() -> None:
    assert set(checks.CHECKS) == set(MUTATIONS) | NOT_HERE


def test_what_the_templates_say_passes_all_checks(deployment: Deployment) -> None:
    assert deployment.red() == []


@pytest.mark.parametrize(
    ("check", "stack", "logical_id", "where", "value"),
    [
        pytest.param(check, *mutation, id=f"{mutation[1]}.{'.'.join(map(str, mutation[2]))}")
        for check, mutations in MUTATIONS.items()
        for mutation in mutations
    ],
)
def test_a_spoiled_template_turns_its_check_red_and_no_other(
    deployment: Deployment, check: str, stack: str, logical_id: str, where: tuple[Any, ...], value: Any
) -> None:
    deployment.deploy(stack, spoiled(stack, logical_id, where, value))
    try:
        assert deployment.red() == [check]
    finally:
        deployment.deploy(stack)
