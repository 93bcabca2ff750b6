"""How the pipeline gets in, and that it cannot give itself more than it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.infra import templates
from tests.infra.test_access import MOST_CHARACTERS, actions, render

WORKFLOWS = Path(__file__).resolve().parents[2] / ".github" / "workflows"
LOGIN = "aws-actions/configure-aws-credentials@"
SECONDS = 3600  # of a session for which no workflow says how long, and of a role whose template does not


def roles_of_workflows() -> dict[str, dict[str, Any]]:
    """The roles that workflows take, by the environment at GitHub that each admits; ENV stands for dev, qa and prod."""
    provider = "token.actions.githubusercontent.com"
    arn = "arn:${AWS::Partition}:iam::${AWS::AccountId}:oidc-provider/" + provider
    found = {}
    for name in ("DeliveryRole", "PlanRole"):
        role = templates.of_type("AWS::IAM::Role")[name]
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert trust["Principal"] == {"Federated": {"Fn::Sub": arn}}
        condition = trust["Condition"]
        subject = condition["StringEquals"].pop(f"{provider}:sub")["Fn::Sub"]
        assert condition == {"StringEquals": {f"{provider}:aud": "sts.amazonaws.com"}}
        repository, _, environment = subject.partition(":environment:")
        assert repository == "repo:${GithubRepository}"
        found[environment.replace("${Environment}", "ENV")] = role
    return found


def logins() -> list[tuple[str, str, int]]:
    """Each job of a workflow that takes a role: its name, its environment at GitHub, and how long its session is."""
    return [
        (
            f"{path.stem}.{name}",
            job["environment"].replace("${{ inputs.environment }}", "ENV"),
            int(step["with"].get("role-duration-seconds", SECONDS)),
        )
        for path in sorted(WORKFLOWS.glob("*.yml"))
        for name, job in yaml.safe_load(path.read_text())["jobs"].items()
        for step in job.get("steps", [])
        if step.get("uses", "").startswith(LOGIN)
    ]


def test_the_workflows_environments_are_those_that_roles_admit_and_without_a_key():
    assert [(name, environment) for name, environment, _ in logins()] == [
        ("destroy.destroy", "ENV"),
        ("environment.plan", "ENV-plan"),
        ("environment.deploy", "ENV"),
    ]
    assert {environment: role["RoleName"]["Fn::Sub"] for environment, role in roles_of_workflows().items()} == {
        "ENV": "${Project}-${Environment}-delivery",
        "ENV-plan": "${Project}-${Environment}-plan",
    }


def test_no_workflow_asks_for_a_longer_session_than_its_role_gives():
    roles = roles_of_workflows()

    asked = {
        name: (seconds, roles[environment].get("MaxSessionDuration", SECONDS))
        for name, environment, seconds in logins()
    }
    assert {name: seconds for name, (seconds, most) in asked.items() if seconds > most} == {}
    assert asked["environment.deploy"] == (7200, 7200)


def test_who_plans_computes_and_can_neither_execute_nor_delete():
    (policy,) = roles_of_workflows()["ENV-plan"]["Policies"]

    assert {of["Sid"]: actions(of) for of in policy["PolicyDocument"]["Statement"]} == {
        "ChangeSets": [
            "cloudformation:CreateChangeSet",
            "cloudformation:DeleteChangeSet",
            "cloudformation:DescribeChangeSet",
            "cloudformation:DescribeStacks",
            "cloudformation:ListChangeSets",
        ],
        "Listings": ["cloudformation:ListExports", "ec2:DescribeAvailabilityZones"],
        "WhatWasPublished": ["s3:GetObject", "s3:ListBucket"],
        "KeyOfTheBucket": ["kms:Decrypt"],
    }


def test_the_role_cannot_change_itself_and_makes_roles_of_this_environment_only():
    role = templates.of_type("AWS::IAM::Role")["DeliveryRole"]
    statements = {of["Sid"]: of for policy in role["Policies"] for of in policy["PolicyDocument"]["Statement"]}
    own = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${Project}-${Environment}-"

    assert role["RoleName"] == {"Fn::Sub": "${Project}-${Environment}-delivery"}
    assert statements["NotItself"] == {
        "Sid": "NotItself",
        "Effect": "Deny",
        "Action": "iam:*",
        "Resource": [{"Fn::Sub": f"{own}delivery"}, {"Fn::Sub": f"{own}plan"}],
    }
    of_iam = {sid: of["Resource"] for sid, of in statements.items() if actions(of)[0].startswith("iam:")}
    of_iam.pop("NotItself")
    assert of_iam == {
        "Roles": [{"Fn::Sub": f"{own}*"}],
        "RolesForServices": [{"Fn::Sub": f"{own}*"}],
        "ServiceLinkedRoles": [{"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/aws-service-role/*"}],
    }
    assert "iam:*" not in {action for sid, of in statements.items() if sid != "NotItself" for action in actions(of)}
    assert {sid for sid, of in statements.items() if of["Resource"] == "*"} == {
        "AccessLogAndPasswords",
        "BackupStorage",
        "Keys",
        "Listings",
        "Network",
    }


def test_the_policies_fit_into_a_role():
    role = templates.of_type("AWS::IAM::Role")["DeliveryRole"]
    rendered = [json.dumps(render(policy["PolicyDocument"]), separators=(",", ":")) for policy in role["Policies"]]

    assert sum(map(len, rendered)) < MOST_CHARACTERS


def test_an_image_is_scanned_and_a_tag_stays_what_it_was():
    (repository,) = templates.of_type("AWS::ECR::Repository").values()

    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    (rule,) = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert rule["selection"]["countNumber"] == 20
