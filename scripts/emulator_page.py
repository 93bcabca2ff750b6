"""Write the table of docs/emulator.md, what the emulator does with each property of the templates: `make docs`.

It deploys to an emulator of its own, which notes what its handlers read, so it takes a while. What lies outside
the two marks is written by hand and stays as it is.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from infra import deploy as tool
from local import aws, emulator, ports
from local.resource_types import PROPERTIES, TYPES
from scripts import marked
from tests import emulators
from tests.infra import templates

REPO = Path(__file__).resolve().parents[1]
PAGE = REPO / "docs" / "emulator.md"
START = "<!-- From a deployment to the emulator, by scripts/emulator_page.py: `make docs`. Do not edit. -->"

# Together they have every resource of the templates and every property of each.
DEPLOYMENTS = (
    (tool.bootstrap, "dev", {"GithubRepository": "owner/name"}),
    (tool.deploy, "dev", {"AlarmEmail": "on-call@example.org", "ZeroEtl": "true"}),
    (tool.deploy, "qa", {"NatGateways": "None"}),
)

EMULATOR, OURS, RECORDED, LINTED = "by the emulator", "by our handlers", "in our record only", "linted only"
VERDICTS = (EMULATOR, OURS, RECORDED, LINTED)

# Types of local/resource_types.py behind which there is no service to ask.
WITHOUT_SERVICE = frozenset(
    {
        "AWS::MWAA::Environment",
        "AWS::RDS::Integration",
        "AWS::RedshiftServerless::Namespace",
        "AWS::RedshiftServerless::Workgroup",
    }
)

# Read by the emulator's handler, and then neither told by its API nor acted on: tests/infra/test_emulator_page.py asks.
LOST: Mapping[str, frozenset[str]] = {
    "AWS::ApiGatewayV2::Stage": frozenset({"DefaultRouteSettings"}),
    "AWS::EC2::VPCEndpoint": frozenset({"PolicyDocument", "PrivateDnsEnabled", "SecurityGroupIds"}),
}

NETWORK = "A description: no packet passes, and none is held back."
LOGIN = "Nobody has logged in by it: locally the tokens are of another issuer."
# What does not happen though the property was taken, as far as somebody looked.
REMARKS: Mapping[str, str] = {
    "AWS::ApiGatewayV2::Stage": "No request is throttled, no access log is written.",
    "AWS::Backup::BackupPlan": "No backup is made.",
    "AWS::Backup::BackupSelection": "No backup is made.",
    "AWS::Backup::BackupVault": "It is always empty.",
    "AWS::Budgets::Budget": "There are no costs, and no mail is sent.",
    "AWS::CloudWatch::Alarm": "AWS's own metrics stay without data; an alarm on what the DAGs put changes its state.",
    "AWS::CloudWatch::Dashboard": "Nothing draws it.",
    "AWS::Cognito::UserPool": LOGIN,
    "AWS::Cognito::UserPoolClient": LOGIN,
    "AWS::Cognito::UserPoolDomain": LOGIN,
    "AWS::Cognito::UserPoolResourceServer": LOGIN,
    "AWS::DynamoDB::Table": "Point-in-time recovery is told only, nothing is encrypted, and throughput has no limit.",
    "AWS::EC2::EIP": NETWORK,
    "AWS::EC2::FlowLog": "Nothing is logged.",
    "AWS::EC2::InternetGateway": NETWORK,
    "AWS::EC2::NatGateway": NETWORK,
    "AWS::EC2::Route": NETWORK,
    "AWS::EC2::RouteTable": NETWORK,
    "AWS::EC2::SecurityGroup": NETWORK,
    "AWS::EC2::SecurityGroupEgress": NETWORK,
    "AWS::EC2::SecurityGroupIngress": NETWORK,
    "AWS::EC2::Subnet": NETWORK,
    "AWS::EC2::SubnetRouteTableAssociation": NETWORK,
    "AWS::EC2::VPC": NETWORK,
    "AWS::EC2::VPCEndpoint": NETWORK,
    "AWS::EC2::VPCGatewayAttachment": NETWORK,
    "AWS::ECR::Repository": "No image has been put into it.",
    "AWS::IAM::OIDCProvider": "No token of GitHub has been shown to it.",
    "AWS::IAM::Role": "MWAA, Redshift, Backup, flow logs and GitHub are not here to act by theirs.",
    "AWS::KMS::Key": "No data at rest are encrypted with it.",
    "AWS::Lambda::Function": "It runs as a process of this machine: its memory has no bound, it lies in no network.",
    "AWS::Logs::LogGroup": "No event expires, nothing is encrypted.",
    "AWS::MWAA::Environment": "Subnets, class, counts and versions are checked; Airflow itself runs beside.",
    "AWS::RDS::DBInstance": "A description: nothing listens, is backed up or encrypted.",
    "AWS::RDS::DBParameterGroup": "No PostgreSQL reads them.",
    "AWS::RDS::Integration": "The source's settings are checked; nothing is replicated.",
    "AWS::RedshiftServerless::Namespace": "The default role is checked; there is no Redshift.",
    "AWS::RedshiftServerless::Workgroup": "Subnets, groups and capacity are checked; there is no Redshift.",
    "AWS::S3::Bucket": "No object expires, nothing is encrypted.",
    "AWS::SNS::Subscription": "No mail is sent.",
    "AWS::SQS::Queue": "`RedriveAllowPolicy` refuses nobody; messages are not encrypted.",
    "AWS::SecretsManager::Secret": "It is not encrypted.",
}

Names = Mapping[str, set[str]]


def used() -> dict[str, set[str]]:
    """Return the properties that the templates use, by type."""
    found = defaultdict(set)
    for resource in templates.resources().values():
        found[resource["Type"]] |= resource.get("Properties", {}).keys()
    return found


def measured() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Deploy, and return what the emulator's own handlers were given and what of it they read, by type."""
    given: dict[str, set[str]] = defaultdict(set)
    read: dict[str, set[str]] = defaultdict(set)
    with TemporaryDirectory() as directory:
        file = Path(directory) / "reads.jsonl"
        python, *program = emulator.command()
        noting = ["env", f"READS={file}", python, "-P", str(REPO / "scripts" / "emulator_reads.py"), program[-1]]
        with emulators.running(Path(directory), noting) as port:
            ours = aws.cleaned(os.environ) | aws.variables(f"http://{ports.HOST}:{port}")
            with mock.patch.dict(os.environ, ours, clear=True):
                for deploy, environment, parameters in DEPLOYMENTS:
                    deploy(environment, {"Creator": "docs", **parameters}, timeout=60)
                tool.destroy("dev", with_bootstrap=True, timeout=60)
        for line in map(json.loads, file.read_text().splitlines()):
            given[line["type"]] |= set(line["given"])
            read[line["type"]] |= set(line["read"])
    return given, read


def verdict(kind: str, name: str, given: Names, read: Names) -> str:
    """Return what becomes of a property. Raises LookupError for one that no deployment had: nobody knows."""
    if kind in TYPES:
        ours = TYPES[kind]
        if name not in (*ours.replacing, *ours.updatable, *ours.recorded):
            raise LookupError(f"{kind}: {name}: local/resource_types.py refuses it")
        return RECORDED if kind in WITHOUT_SERVICE or name in ours.recorded else OURS
    if kind in PROPERTIES and name in PROPERTIES[kind].apply:
        return OURS
    if name not in given.get(kind, set()):
        raise LookupError(f"{kind}: {name}: no deployment of scripts/emulator_page.py has it")
    taken = name in read.get(kind, set()) and name not in LOST.get(kind, frozenset())
    return EMULATOR if taken else LINTED


def content(properties: Names, given: Names, read: Names) -> str:
    """Return the counts and the table."""
    found: dict[str, dict[str, list[str]]] = {}
    for kind, names in sorted(properties.items()):
        found[kind] = {each: [] for each in VERDICTS}
        for name in sorted(names):
            found[kind][verdict(kind, name, given, read)].append(name)
    counts = {each: sum(len(of[each]) for of in found.values()) for each in VERDICTS}
    lines = [
        f"{sum(counts.values())} properties of {len(found)} types: "
        + ", ".join(f"{count} {each}" for each, count in counts.items())
        + ".",
        "",
        "| type | by the emulator | by our handlers | in our record only | linted only | what does not happen |",
        "|---|---|---|---|---|---|",
    ]
    for kind, of in found.items():
        cells = [f"`{kind.removeprefix('AWS::')}`", *(", ".join(of[each]) for each in VERDICTS), REMARKS.get(kind, "")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(current: str, given: Names, read: Names) -> str:
    """Return the page `current` with the part between the marks written anew."""
    return marked.replaced(current, START, content(used(), given, read))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), *measured()), encoding="utf-8")
