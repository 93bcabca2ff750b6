"""What can go wrong in a deployment. Each message names the thing and says what to do."""

from __future__ import annotations


class DeployError(RuntimeError):
    """A deployment cannot go on."""


class ConfigError(DeployError):
    """The environment's configuration or the caller's parameters do not fit the templates."""


class EndpointRefused(DeployError):
    """The endpoint does not belong to the environment."""


class NotConnected(DeployError):
    """There is no way to AWS: no region, no credentials, or nobody at the endpoint."""


class NotConfirmed(DeployError):
    """A person was asked and did not confirm."""


class NotDeletable(DeployError):
    """CloudFormation would not delete one of the environment's stacks."""


class StackFailed(DeployError):
    """CloudFormation refused a stack, or rolled it back."""


class StackTimeout(DeployError):
    """A stack did not settle in time."""


class PackageError(DeployError):
    """The code of a function could not be packed."""


class AirflowFailed(DeployError):
    """Airflow refused a request, could not read a DAG, or a run of it failed; `code` is AWS's for the refusal."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code
