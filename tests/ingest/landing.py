"""A landing bucket in memory over a real store: for tests of many small files, where S3 is not what is tested."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import psycopg
from botocore.exceptions import ClientError

from local import postgres
from marketplace.ingest import held, ledger, objects
from marketplace.ingest.load import load_file
from tests import accounting

_FIRST_PUT = datetime(2026, 1, 1, tzinfo=UTC)
MAX_FILES = 500
MOVED = "0"  # the one version of what was moved


class Memory:
    """S3, as far as the ingestion asks for it: listing, reading, moving."""

    def __init__(self) -> None:
        self.versions: dict[tuple[str, str], bytes] = {}

    def listed(self) -> list[tuple[str, str, int]]:
        """Return key, version and size of all there is."""
        return [(key, version, len(body)) for (key, version), body in self.versions.items()]

    def put(self, key: str, version: str, body: bytes) -> None:
        """Keep a version of an object."""
        self.versions[key, version] = body

    def read(self, key: str, version: str) -> bytes:
        """Return the bytes of a version; raises LookupError."""
        return self.versions[key, version]

    def delete(self, key: str, version: str) -> None:
        """Delete a version."""
        del self.versions[key, version]

    def get_paginator(self, name: str) -> Memory:
        assert name == "list_object_versions"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:
        """Yield one page, as S3 does: by key, the newest version of a key first."""
        found = [(key, version, size) for key, version, size in self.listed() if key.startswith(Prefix)]
        found.sort(key=lambda entry: (entry[0], -int(entry[1])))
        yield {
            "Versions": [
                {
                    "Key": key,
                    "VersionId": version,
                    "LastModified": _FIRST_PUT + timedelta(seconds=int(version)),
                    "Size": size,
                }
                for key, version, size in found
            ]
        }

    def get_object(self, *, Bucket: str, Key: str, VersionId: str = MOVED) -> dict[str, Any]:
        """Return the body of a version."""
        try:
            return {"Body": io.BytesIO(self.read(Key, VersionId))}
        except LookupError:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject") from None

    def move(self, result: dict[str, Any]) -> None:
        """Move what was loaded as the DAG's tasks do: copy it, then delete its version; twice is no error."""
        source, version, destination = result["source_key"], result["version_id"], result["destination_key"]
        if destination is not None and any(entry[:2] == (source, version) for entry in self.listed()):
            self.put(destination, MOVED, self.read(source, version))
            self.delete(source, version)


class Folder(Memory):
    """The same on disk: what a process that is killed has done stays done."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def listed(self) -> list[tuple[str, str, int]]:
        found = []
        for path in self.folder.iterdir():
            key, _, version = path.name.rpartition("@")
            if not version.endswith(".part"):
                found.append((unquote(key), version, path.stat().st_size))
        return found

    def put(self, key: str, version: str, body: bytes) -> None:
        part = self._path(key, f"{version}.part")
        part.write_bytes(body)
        part.rename(self._path(key, version))  # an object is there whole, or not at all

    def read(self, key: str, version: str) -> bytes:
        try:
            return self._path(key, version).read_bytes()
        except FileNotFoundError:
            raise LookupError(key) from None

    def delete(self, key: str, version: str) -> None:
        self._path(key, version).unlink(missing_ok=True)

    def _path(self, key: str, version: str) -> Path:
        return self.folder / f"{quote(key, safe='')}@{version}"


def run(connect: Callable[[], psycopg.Connection[Any]], s3: Any, name: str) -> dict[str, dict[str, Any]]:
    """Do what a run of the DAG does, under the name `name`; returns the result of each file by its version."""
    with connect() as connection:
        claims = ledger.claim_files(connection, objects.list_landed(s3, "landing"), name, MAX_FILES)
    results = load(connect, s3, name, claims)
    with connect() as connection:
        held.retry_held_rows(connection, name)
    return results


def load(
    connect: Callable[[], psycopg.Connection[Any]], s3: Any, name: str, claims: list[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Load and move the files that a run has claimed."""
    results = {}
    for claim in claims:
        result = load_file(connect, s3, "landing", claim["load_id"], name)
        s3.move(result)
        results[result["version_id"]] = result
    return results


class Landing:
    """Puts files and loads them into a store, as runs of the DAG do."""

    def __init__(self, store: Any, s3: Memory | None = None) -> None:
        self.url, self.owner_url = store.url("store_writer"), store.url("store_owner")
        self.s3 = s3 or Memory()
        self.files: dict[tuple[str, str], bytes] = {}
        self._runs, self._versions = itertools.count(1), itertools.count(1)

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection as the DAG's role."""
        return psycopg.connect(self.url)

    def put(self, key: str, body: bytes) -> str:
        """Put a file; returns its version, which names it."""
        version = str(next(self._versions))
        self.s3.put(key, version, body)
        self.files[key, version] = body
        return version

    def run(self) -> dict[str, dict[str, Any]]:
        """Claim what waits, load it, move it, try held rows again; returns the result of each file by its version."""
        return run(self.connect, self.s3, f"run-{next(self._runs)}")

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query, as the owner sees them."""
        with psycopg.connect(self.owner_url) as connection:
            return connection.execute(statement, parameters).fetchall()

    def check_accounts(self) -> None:
        """Fail when an account is not what the csv module counts, or something is left open."""
        accounting.check(self.owner_url, self.files)


def wipe(store: Any) -> None:
    """Delete every row of a store: quicker than another store for each of many small tests."""
    with postgres.connect(store.platform.state, store.name) as superuser:
        superuser.execute("set session_replication_role = replica")  # foreign keys need no order then
        tables = superuser.execute(
            "select format('delete from %I.%I', schemaname, tablename) from pg_tables"
            " where schemaname in ('ops', 'store', 'geo')"
        ).fetchall()
        superuser.execute("; ".join(statement for (statement,) in tables))
