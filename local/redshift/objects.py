"""Objects of S3 that COPY reads and UNLOAD writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from local.redshift.statements import RefusedError

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

# Redshift's SQLSTATE for what goes wrong outside of SQL.
INTERNAL_ERROR = "XX000"
# One part in memory at a time, not ten.
_BY_PARTS = TransferConfig(use_threads=False)


@dataclass(frozen=True)
class Place:
    """An object of S3."""

    bucket: str
    key: str

    @property
    def url(self) -> str:
        """Return its address."""
        return f"s3://{self.bucket}/{self.key}"


def places(s3: S3Client, bucket: str, prefix: str, *, manifest: bool) -> list[Place]:
    """Return what a COPY is to read: what the manifest names, or every object whose key begins with the prefix.

    Raises RefusedError when there is nothing, or when an object is missing that the manifest calls mandatory.
    """
    if manifest:
        return _of_manifest(s3, bucket, prefix)
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = [Place(bucket, entry["Key"]) for page in pages for entry in page.get("Contents", [])]
    except (BotoCoreError, ClientError) as error:
        raise _refused(error, Place(bucket, prefix)) from error
    if not found:
        raise RefusedError(f"The specified S3 prefix '{prefix}' does not exist", INTERNAL_ERROR)
    return found


def _of_manifest(s3: S3Client, bucket: str, key: str) -> list[Place]:
    place = Place(bucket, key)
    with closing(open_object(s3, place)) as body:
        text = body.read()
    try:
        entries = json.loads(text)["entries"]
        named = [
            (Place(*entry["url"].removeprefix("s3://").split("/", 1)), entry.get("mandatory")) for entry in entries
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"The manifest file {place.url} is malformed: {error!r}", INTERNAL_ERROR) from error
    found = []
    for entry, mandatory in named:
        try:
            s3.head_object(Bucket=entry.bucket, Key=entry.key)
            found.append(entry)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise _refused(error, entry) from error
            if mandatory:
                raise RefusedError(
                    f"The file {entry.url} that the manifest {place.url} calls mandatory does not exist", INTERNAL_ERROR
                ) from error
    if not found:
        raise RefusedError(f"None of the files that the manifest {place.url} names exists", INTERNAL_ERROR)
    return found


class Body:
    """An object's content, read as a file is; raises RefusedError when it breaks off."""

    closed = False

    def __init__(self, place: Place, stream: StreamingBody) -> None:
        self._place = place
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, fewer at the end."""
        try:
            return self._stream.read(size if size >= 0 else None)
        except (BotoCoreError, HTTPError, OSError) as error:
            raise RefusedError(f"S3ServiceException:{error}: {self._place.url}", INTERNAL_ERROR) from error

    def readable(self) -> bool:
        """Tell Arrow that it is there to be read."""
        return True

    def close(self) -> None:
        """Let go of the connection."""
        self._stream.close()
        self.closed = True


def open_object(s3: S3Client, place: Place) -> Body:
    """Return an object's body, to be closed by the caller. Raises RefusedError when it is not there."""
    try:
        return Body(place, s3.get_object(Bucket=place.bucket, Key=place.key)["Body"])
    except (BotoCoreError, ClientError) as error:
        raise _refused(error, place) from error


def existing(s3: S3Client, bucket: str, prefix: str) -> Iterator[Place]:
    """Yield what lies under a prefix. Raises RefusedError when the bucket is not there."""
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                yield Place(bucket, entry["Key"])
    except (BotoCoreError, ClientError) as error:
        raise _refused(error, Place(bucket, prefix)) from error


def put(s3: S3Client, place: Place, file: Any) -> None:
    """Write a file as an object, in parts when it is large."""
    try:
        s3.upload_fileobj(file, place.bucket, place.key, Config=_BY_PARTS)
    except (BotoCoreError, ClientError) as error:
        raise _refused(error, place) from error


def delete(s3: S3Client, place: Place) -> None:
    """Delete an object."""
    s3.delete_object(Bucket=place.bucket, Key=place.key)


def _refused(error: BotoCoreError | ClientError, place: Place) -> RefusedError:
    if not isinstance(error, ClientError):
        return RefusedError(f"S3ServiceException:{error}: {place.url}", INTERNAL_ERROR)
    told = error.response["Error"]
    return RefusedError(
        f"S3ServiceException:{told.get('Message', '')},Status"
        f" {error.response['ResponseMetadata']['HTTPStatusCode']},Error {told.get('Code', '')}: {place.url}",
        INTERNAL_ERROR,
    )
