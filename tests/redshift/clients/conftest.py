"""What the tests of clients share: the endpoint of a platform, and a look at the tables and objects behind it."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from psycopg import sql

from bench.run import environment
from local.platform import Platform

BUCKET = "redshift-clients"
LOCK = Path(__file__).with_name("requirements-clients.txt")


@dataclass(frozen=True)
class Warehouse:
    """A schema of its own in the warehouse, reached through the endpoint by `login`."""

    platform: Platform
    schema: str
    port: int
    s3: Any
    bucket: str = BUCKET

    @property
    def login(self) -> dict[str, Any]:
        """Return what a client of the endpoint needs."""
        said = self.platform.public_environment()
        return {
            "host": said["REDSHIFT_HOST"],
            "port": self.port,
            "user": said["REDSHIFT_USER"],
            "password": said["REDSHIFT_PASSWORD"],
            "database": said["REDSHIFT_DATABASE"],
        }

    @property
    def url(self) -> str:
        """Return the endpoint's address for libpq, with the schema as the search path."""
        login = self.login
        return (
            f"postgresql://{login['user']}:{login['password']}@{login['host']}:{login['port']}/{login['database']}"
            f"?options=-csearch_path%3D{self.schema}"
        )

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the PostgreSQL behind the endpoint, past the endpoint."""
        with psycopg.connect(self.platform.store_url("postgres", "warehouse")) as connection:
            connection.execute(sql.SQL("set search_path = {}").format(sql.Identifier(self.schema)))
            return connection.execute(statement, parameters).fetchall()

    def put(self, key: str, content: str | bytes) -> str:
        """Put an object under the schema's name, and return its address."""
        body = content.encode() if isinstance(content, str) else content
        self.s3.put_object(Bucket=self.bucket, Key=f"{self.schema}/{key}", Body=body)
        return f"s3://{self.bucket}/{self.schema}/{key}"

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Return the objects under the schema's name, by their keys without it."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{self.schema}/{prefix}")
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {
            key.removeprefix(f"{self.schema}/"): self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            for key in sorted(keys)
        }


@contextmanager
def new_schema(platform: Platform, port: int) -> Iterator[Warehouse]:
    """Yield a schema of the warehouse's owner, which goes afterwards with all that is in it."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    name = f"c_{uuid.uuid4().hex[:10]}"
    url = platform.store_url("postgres", "warehouse")
    with psycopg.connect(url, autocommit=True) as connection:
        owner = sql.Identifier(platform.public_environment()["REDSHIFT_USER"])
        connection.execute(sql.SQL("create schema {} authorization {}").format(sql.Identifier(name), owner))
    yield Warehouse(platform, name, port, s3)
    with psycopg.connect(url, autocommit=True) as connection:
        # dlt makes another beside it.
        for schema in (name, f"{name}_staging"):
            connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))


@pytest.fixture
def warehouse(platform: Platform) -> Iterator[Warehouse]:
    """A schema of the platform's warehouse, through the platform's endpoint."""
    with new_schema(platform, platform.state.ports["redshift"]) as schema:
        yield schema


@pytest.fixture(scope="session")
def clients() -> Path:
    """The Python of an environment that has dlt and dbt, made when first needed."""
    return Path(environment(LOCK))


def run(python: Path, *arguments: str, cwd: Path, variables: dict[str, str]) -> str:
    """Run a program of the clients' environment, and return what it says; it must end well."""
    done = subprocess.run(
        [str(python), *arguments],
        cwd=cwd,
        env={**os.environ, **variables, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout
