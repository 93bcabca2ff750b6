"""Verify a deployed environment: run tests/deployment against the account that the shell leads to.

    make verify ENV=dev [TOKEN=…]

The first line is the account and the endpoint, as with every other command here. Nothing is changed but by the DAG
check_platform, which it starts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from infra import environments
from infra.deploy import _connect
from infra.errors import ConfigError, DeployError
from infra.stacks import Stacks

REPOSITORY = Path(__file__).resolve().parents[1]
SUITE = "tests/deployment/test_deployment.py"


def command() -> list[str]:
    """Return the pytest that verifies: this suite with its own conftest.py only, skips told with their reasons."""
    options = ["-q", "-rs", "--tb=short", "-p", "no:cacheprovider", "-p", "no:xdist", "--confcutdir=tests/deployment"]
    return [sys.executable, "-m", "pytest", *options, SUITE]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return pytest's exit code, or 1 after a message on standard error."""
    parser = argparse.ArgumentParser(prog="python -m infra.verify", description="Verify a deployed environment.")
    parser.add_argument("--environment", required=True, help="a directory of infra/config")
    environment = parser.parse_args(arguments).environment
    try:
        if not environment:
            raise ConfigError("Say which environment: make verify ENV=dev")
        config = environments.load(environment)
        account = _connect(environment, lambda line: print(line, flush=True))
        stacks = Stacks(account.cloudformation, timeout=0, progress=print)
        stacks.require([stack.stack_name for stack in config.stacks])
    except (DeployError, BotoCoreError, ClientError, OSError) as error:
        print(f"verify {environment}".strip() + f": {error}", file=sys.stderr)
        return 1
    return subprocess.run(command(), cwd=REPOSITORY, env=os.environ | {"ENV": environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
