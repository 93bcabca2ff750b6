"""The one place that reads the environment: which deployment this is, and where its parts are.

A setting NAME comes from the variable MARKETPLACE_NAME (MWAA's startup script, or `.local/env` on one machine), else
from AIRFLOW__MARKETPLACE__NAME, which is how MWAA passes the option `marketplace.name` of AirflowConfigurationOptions.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


class SettingsError(RuntimeError):
    """A setting is missing, or a directory that must be deployed is not there."""


def setting(name: str) -> str:
    """Return the setting `name` (upper case, such as LANDING_BUCKET).

    Raises SettingsError when neither variable that may carry it is set.
    """
    value = optional_setting(name)
    if value:
        return value
    raise SettingsError(
        f"The setting {name} is missing: set MARKETPLACE_{name} (MWAA: startup.sh) or the Airflow option "
        f"marketplace.{name.lower()} (MWAA: AirflowConfigurationOptions)."
    )


def optional_setting(name: str) -> str:
    """Return the setting `name`, or "" where it may be left out."""
    for variable in (f"MARKETPLACE_{name}", f"AIRFLOW__MARKETPLACE__{name}"):
        value = os.environ.get(variable)
        if value:
            return value
    return ""


def environment() -> str:
    """Return which deployment this is: local, dev, qa or prod."""
    return setting("ENVIRONMENT")


def landing_bucket() -> str:
    """Return the bucket whose prefix `landing/` receives the files."""
    return setting("LANDING_BUCKET")


def export_bucket() -> str:
    """Return the bucket through which the warehouse sync hands files from the store to the warehouse."""
    return setting("EXPORT_BUCKET")


def report_bucket() -> str:
    """Return the bucket from which people read the dashboard and the state of each part."""
    return setting("REPORT_BUCKET")


def landing_queue_url() -> str:
    """Return the queue that S3 tells of each new object under `landing/`."""
    return setting("LANDING_QUEUE_URL")


def notification_queue_url() -> str:
    """Return the queue that brings the workers the chunks of customers to notify."""
    return setting("NOTIFICATION_QUEUE_URL")


def notification_dead_letter_queue_url() -> str:
    """Return the queue of messages that no worker could work on."""
    return setting("NOTIFICATION_DEAD_LETTER_QUEUE_URL")


def notification_table() -> str:
    """Return the DynamoDB table of the customers' inboxes."""
    return setting("NOTIFICATION_TABLE")


def metrics_namespace() -> str:
    """Return the CloudWatch namespace of what the alarms watch, or "" where nobody watches."""
    return optional_setting("METRICS_NAMESPACE")


@cache
def include_dir() -> Path:
    """Return the directory of SQL, contracts and sample data.

    It is `include/` at the repository's root, and `dags/include/` on MWAA, which syncs nothing but the dags prefix.
    Raises SettingsError when neither exists.
    """
    dags = Path(__file__).resolve().parents[1]
    for candidate in (dags / "include", dags.parent / "include"):
        if (candidate / "sql").is_dir():
            return candidate
    raise SettingsError(f"No include/sql under {dags} nor beside it: deploy include/ to dags/include/.")
