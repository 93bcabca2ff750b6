"""The platform's endpoint, as Amazon's own driver connects to it."""

from __future__ import annotations

from dataclasses import dataclass

import boto3
import pytest
import redshift_connector

from local.platform import Platform

BUCKET = "redshift-corpus"


@dataclass(frozen=True)
class Endpoint:
    """Where the endpoint of a platform listens, and to whom."""

    said: dict[str, str]

    def connect(self) -> redshift_connector.Connection:
        """Return a connection as a program has it: in transactions, until it is told otherwise."""
        return redshift_connector.connect(
            host=self.said["REDSHIFT_HOST"],
            port=int(self.said["REDSHIFT_PORT"]),
            user=self.said["REDSHIFT_USER"],
            password=self.said["REDSHIFT_PASSWORD"],
            database=self.said["REDSHIFT_DATABASE"],
            ssl=False,
        )


@pytest.fixture(scope="session")
def endpoint(platform: Platform) -> Endpoint:
    """The platform's endpoint, with a bucket for what COPY reads and UNLOAD writes."""
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return Endpoint(platform.public_environment())
