"""How the pipeline gets in, and that it cannot give itself more than it has."""

from __future__ import annotations

import json

from tests.infra import templates
from tests.infra.test_access import MOST_CHARACTERS, actions, render


def test_only_workflows_of_the_environment_take_the_role_and_without_a_key():
    (trust,) = templates.of_type("AWS::IAM::Role")["DeliveryRole"]["AssumeRolePolicyDocument"]["Statement"]
    provider = "token.actions.githubusercontent.com"

    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    arn = "arn:${AWS::Partition}:iam::${AWS::AccountId}:oidc-provider/" + provider
    assert trust["Principal"] == {"Federated": {"Fn::Sub": arn}}
    assert trust["Condition"] == {
        "StringEquals": {
            f"{provider}:aud": "sts.amazonaws.com",
            f"{provider}:sub": {"Fn::Sub": "repo:${GithubRepository}:environment:${Environment}"},
        }
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
        "Resource": {"Fn::Sub": f"{own}delivery"},
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
