"""The landing bucket: which object versions wait in it, and where each goes afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from marketplace.ingest.ledger import Load

LANDING = "landing/"


class LandedObject(NamedTuple):
    """A version of an object under landing/; `dataset` is its folder, None when it lies in no folder."""

    dataset: str | None
    object_key: str
    version_id: str
    put_at: datetime
    size_bytes: int


def list_landed(s3: S3Client, bucket: str) -> list[LandedObject]:
    """Return the object versions that wait under landing/, oldest first.

    A key that was put twice waits twice: both files count, in their order. What a person deleted (a delete marker on
    top) waits no more. Folder markers are no files.
    """
    landed: list[LandedObject] = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=LANDING):
        deleted = {m["Key"]: m["LastModified"] for m in page.get("DeleteMarkers", [])}
        landed += [
            LandedObject(_dataset(v["Key"]), v["Key"], v["VersionId"], v["LastModified"], v["Size"])
            for v in page.get("Versions", [])
            if not v["Key"].endswith("/") and not (v["Key"] in deleted and v["LastModified"] <= deleted[v["Key"]])
        ]
    # The listing gives the newest version of a key first, and S3's clock has whole seconds: reversed before a stable
    # sort, two versions of one second keep the order in which they were put.
    landed.reverse()
    landed.sort(key=lambda o: (o.put_at, o.object_key))
    return landed


def _dataset(key: str) -> str | None:
    folders = key.removeprefix(LANDING).split("/")[:-1]
    return folders[0] if folders else None


def destination(load: Load, *, rejected: bool) -> str:
    """Return the key that a load's object moves to: archive/ or rejected/, by dataset and day, unique by its load."""
    folder = "rejected" if rejected else "archive"
    name = load.object_key.rsplit("/", 1)[-1]
    return f"{folder}/{load.dataset or 'unknown'}/{load.put_at:%Y/%m/%d}/{load.load_id}-{name}"


def open_version(s3: S3Client, bucket: str, key: str, version_id: str | None) -> BinaryIO:
    """Return the body of an object (of one version, if named) as a stream that is read as it is consumed."""
    version: Any = {"VersionId": version_id} if version_id else {}
    body: Any = s3.get_object(Bucket=bucket, Key=key, **version)["Body"]
    return body
