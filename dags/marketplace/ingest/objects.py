"""The landing bucket: which object versions wait in it, and where each goes afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from botocore.exceptions import ClientError

from marketplace.ingest.records import FileError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from marketplace.ingest.ledger import Load

LANDING = "landing/"
# A key has at most 1,024 bytes (S3 user guide), and a character at most 4.
KEPT_NAME_LENGTH = 200
# S3's codes for an object, or a version of it, that is not there.
GONE = frozenset({"404", "NoSuchKey", "NoSuchVersion"})


class LandedObject(NamedTuple):
    """A version of an object under landing/; `dataset` is its folder, None when it lies in no folder."""

    dataset: str | None
    object_key: str
    version_id: str
    put_at: datetime
    size_bytes: int


def list_landed(s3: S3Client, bucket: str) -> list[LandedObject]:
    """Return the object versions that wait under landing/, oldest first.

    A key that was put twice waits twice: both files count, in their order. What a person deleted (a delete marker
    came after it) waits no more. Folder markers are no files.
    """
    landed: list[LandedObject] = []
    deleted: set[str] = set()
    marked: dict[str, datetime] = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=LANDING):
        for marker in page.get("DeleteMarkers", []):
            if marker["IsLatest"]:
                deleted.add(marker["Key"])
            marked[marker["Key"]] = max(marker["LastModified"], marked.get(marker["Key"], marker["LastModified"]))
        landed += [
            LandedObject(_dataset(v["Key"]), v["Key"], v["VersionId"], v["LastModified"], v["Size"])
            for v in page.get("Versions", [])
            if not v["Key"].endswith("/")
        ]
    # The listing gives the newest version of a key first, and S3's clock has whole seconds: reversed before a stable
    # sort, two versions of one second keep the order in which they were put.
    # Of a version and a marker of one second nobody knows which came first: it waits, so that nothing is lost.
    waiting = [
        o for o in reversed(landed) if o.object_key not in deleted and o.put_at >= marked.get(o.object_key, o.put_at)
    ]
    return sorted(waiting, key=lambda o: (o.put_at, o.object_key))


def _dataset(key: str) -> str | None:
    folders = key.removeprefix(LANDING).split("/")[:-1]
    return folders[0] if folders else None


def destination(load: Load, *, rejected: bool) -> str:
    """Return the key that a load's object moves to: archive/ or rejected/, by dataset and day, unique by its load."""
    folder = "rejected" if rejected else "archive"
    name = load.object_key.rsplit("/", 1)[-1][-KEPT_NAME_LENGTH:]
    return f"{folder}/{load.dataset or 'unknown'}/{load.put_at:%Y/%m/%d}/{load.load_id}-{name}"


def open_version(s3: S3Client, bucket: str, key: str, version_id: str | None) -> BinaryIO:
    """Return the body of an object (of one version, if named) as a stream that is read as it is consumed.

    Raises FileError (kind `gone`) when there is no such object or version any more.
    """
    version: Any = {"VersionId": version_id} if version_id else {}
    try:
        body: Any = s3.get_object(Bucket=bucket, Key=key, **version)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise
        raise FileError("gone", f"{key} was deleted before it was loaded.") from error
    return body
