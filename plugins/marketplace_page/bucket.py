"""Objects of S3, kept for some seconds, and afterwards for as long as S3 says that they have not changed."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import OrderedDict
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

FRESH_S = 5.0
MOST_KEPT = 100
LARGEST_KEPT = 4 * 1024 * 1024
# A page that waits for S3 is of no use to anybody: better it says so soon.
CLIENT = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"})
GONE = {"404", "NoSuchKey", "NoSuchVersion", "InvalidObjectState"}


class MissingSettingError(RuntimeError):
    """The name of a bucket is set nowhere; the text says how to set it."""


class UnreachableError(RuntimeError):
    """S3 did not answer, or refused; the text says what it said."""


class _Kept(NamedTuple):
    body: bytes
    etag: str
    until: float


def setting(name: str) -> str:
    """Return a setting of the deployment, as `marketplace.settings` of the DAGs does. Raises MissingSettingError."""
    for variable in (f"MARKETPLACE_{name}", f"AIRFLOW__MARKETPLACE__{name}"):
        if value := os.environ.get(variable):
            return value
    raise MissingSettingError(
        f"The setting {name} is missing on the API server: set MARKETPLACE_{name} (MWAA: startup.sh) or the Airflow "
        f"option marketplace.{name.lower()} (MWAA: AirflowConfigurationOptions)."
    )


class Bucket:
    """Reads the objects of one bucket. Safe for threads."""

    def __init__(self, setting_name: str) -> None:
        self._setting = setting_name
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._client: Any = None

    def json(self, key: str) -> Any:
        """Return what an object of JSON says, None when there is no such object. Raises UnreachableError."""
        body = self.read(key)
        return None if body is None else json.loads(body)

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, None when there is none. Raises UnreachableError and MissingSettingError."""
        with self._lock:
            kept = self._kept.get(key)
        if kept and time.monotonic() < kept.until:
            return kept.body
        condition = {"IfNoneMatch": kept.etag} if kept else {}
        try:
            answer = self._s3().get_object(Bucket=setting(self._setting), Key=key, **condition)
            body, etag = answer["Body"].read(), answer["ETag"]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in GONE:
                self._forget(key)
                return None
            if kept is None or code not in {"304", "NotModified"}:
                raise UnreachableError(f"S3 refused {key}: {error}") from error
            body, etag = kept.body, kept.etag
        except (BotoCoreError, OSError) as error:
            raise UnreachableError(f"S3 does not answer: {error}") from error
        self._keep(key, _Kept(body, etag, time.monotonic() + FRESH_S))
        return body

    def head_of(self, key: str, most: int) -> tuple[bytes, bool] | None:
        """Return the first bytes of an object, and whether these are all; None when there is none.

        Raises UnreachableError and MissingSettingError.
        """
        try:
            answer = self._s3().get_object(Bucket=setting(self._setting), Key=key, Range=f"bytes=0-{most - 1}")
            body = answer["Body"].read()
            return body, int(answer["ContentRange"].rsplit("/", 1)[1]) <= len(body)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in GONE:
                return None
            if code in {"416", "InvalidRange"}:  # an empty object has no first byte
                return b"", True
            raise UnreachableError(f"S3 refused {key}: {error}") from error
        except (BotoCoreError, OSError) as error:
            raise UnreachableError(f"S3 does not answer: {error}") from error

    def _s3(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = boto3.client("s3", config=CLIENT)
            return self._client

    def _keep(self, key: str, kept: _Kept) -> None:
        with self._lock:
            if len(kept.body) <= LARGEST_KEPT:
                self._kept[key] = kept
                self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def _forget(self, key: str) -> None:
        with self._lock:
            self._kept.pop(key, None)
