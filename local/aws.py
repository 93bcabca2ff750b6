"""Keep local work off AWS: the check of endpoints, and the environment that local processes get."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from infra.loopback import is_loopback
from local.errors import LocalError

REGION = "us-east-1"
# The administrator's: it opens nothing but the emulator on this machine. Parts have keys by their names, which carry
# the rights of their roles: see local/identities.py.
ACCESS_KEY = "local"
SECRET_KEY = "local"  # noqa: S105 - opens nothing

# What a person's shell may carry that would lead a local process elsewhere.
FOREIGN_PREFIXES = ("AWS_", "BOTO", "AIRFLOW_", "MARKETPLACE_", "PG", "PYTHON", "SUPERVISOR_")


def require_loopback(url: str) -> str:
    """Return `url` when it names the loopback interface, else raise LocalError."""
    if not is_loopback(url):
        raise LocalError(f"{url or 'An empty endpoint'} is not on this machine: local targets touch nothing else.")
    return url


def refuse_remote(environ: Mapping[str, str]) -> None:
    """Raise LocalError when the shell points AWS clients at another machine, rather than ignore it."""
    for name, value in environ.items():
        if name.startswith("AWS_ENDPOINT_URL") and value:
            try:
                require_loopback(value)
            except LocalError as error:
                raise LocalError(f"{name} is set in this shell. {error} Unset it: unset {name}") from None


def variables(endpoint: str, key: str = ACCESS_KEY) -> dict[str, str]:
    """Return what makes any AWS client speak to the emulator at `endpoint`, and to nothing else, by that key."""
    return {
        "AWS_ENDPOINT_URL": require_loopback(endpoint),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def cleaned(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` without what would lead a local process to another cloud, database or Airflow."""
    kept = {name: value for name, value in environ.items() if not name.upper().startswith(FOREIGN_PREFIXES)}
    # A proxy must not see what goes to this machine.
    return kept | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Run a block with `values` in this process's environment, then put back what was there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
