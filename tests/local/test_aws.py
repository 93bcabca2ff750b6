from __future__ import annotations

import os

import pytest

from local import aws, cli, emulator
from local.errors import LocalError

ENDPOINT = "http://127.0.0.1:14566"


@pytest.mark.parametrize("url", [ENDPOINT, "http://localhost:4566", "http://[::1]:4566", "http://127.9.9.9"])
def test_loopback_endpoints_pass(url: str):
    assert aws.require_loopback(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.us-east-1.amazonaws.com",
        "http://10.0.0.5:4566",
        "http://0.0.0.0:4566",
        "http://localhost.example.com",
        "http://127.0.0.1@example.com",
        "127.0.0.1:4566",
        "",
    ],
)
def test_every_other_endpoint_is_refused(url: str):
    with pytest.raises(LocalError, match="is not on this machine"):
        aws.require_loopback(url)


def test_no_client_is_made_for_another_machine():
    with pytest.raises(LocalError, match=r"https://s3\.amazonaws\.com is not on this machine"):
        emulator.client("s3", "https://s3.amazonaws.com")


@pytest.mark.parametrize("command", ["up", "down", "status", "reset", "demo", "upload", "logs"])
def test_every_command_refuses_a_shell_that_points_elsewhere(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.eu-west-1.amazonaws.com")
    monkeypatch.setattr(cli, "Platform", lambda *_, **__: pytest.fail("the command went on"))
    assert cli.main([command]) == 1
    assert "AWS_ENDPOINT_URL_S3 is set in this shell" in capsys.readouterr().out


def test_a_local_process_gets_nothing_of_the_shells_cloud():
    shell = {
        "PATH": "/bin",
        "HOME": "/home/someone",
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "token",
        "AIRFLOW_HOME": "/elsewhere",
        "MARKETPLACE_LANDING_BUCKET": "real",
        "PGPASSWORD": "secret",
    }
    environment = aws.cleaned(shell) | aws.variables(ENDPOINT)
    assert environment == {
        "PATH": "/bin",
        "HOME": "/home/someone",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "AWS_ENDPOINT_URL": ENDPOINT,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_the_environment_is_put_back_after_a_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("LANDING_BUCKET", raising=False)

    def fail_inside() -> None:
        with aws.environment({"AWS_DEFAULT_REGION": "us-east-1", "LANDING_BUCKET": "b"}):
            assert os.environ["AWS_DEFAULT_REGION"] == "us-east-1"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert os.environ["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert "LANDING_BUCKET" not in os.environ
