"""Rows that the store's COPY gives, as compressed files in S3: of a bounded size, and in bounded memory.

Redshift reads the files of one COPY beside one another, but a compressed file as a whole: so a large table becomes
several. Each is put while it grows, in parts; what fails leaves no file.

Sources: Amazon Redshift Database Developer Guide, "Loading data files"; Amazon S3 User Guide, "Multipart upload
limits".
"""

from __future__ import annotations

import select
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg import errors, pq, sql

from marketplace.sync.plan import Files, file_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART_BYTES = 8 * 1024 * 1024  # S3 takes no part below 5 MiB but the last
FILE_BYTES = 64 * 1024 * 1024  # compressed; Redshift's guide: 1 MB to 1 GB
BLOCK_BYTES = 256 * 1024  # of rows, compressed at once
_GZIP = 16 + zlib.MAX_WBITS


def copy_out(connection: psycopg.Connection[Any], query: sql.Composed) -> Iterator[tuple[bytearray, int]]:
    """Yield what `COPY (…) TO STDOUT` gives, in blocks of about BLOCK_BYTES: whole rows, and how many they are.

    libpq hands over row by row. They are asked for here as long as some have come, and copied at once: psycopg's own
    copy() takes four times the time of the processor, and rows that are kept one by one seven times, since the garbage
    collector looks through them. Raises psycopg.Error.
    """
    with connection.cursor() as cursor, cursor.copy(query):
        pgconn = connection.pgconn
        take = pgconn.get_copy_data
        block, rows = bytearray(), 0
        while True:
            size, row = take(1)  # without waiting: 0 when none has come, -1 at the end
            if size > 0:
                block += row
                rows += 1
                if len(block) >= BLOCK_BYTES:
                    yield block, rows
                    block, rows = bytearray(), 0
            elif size == 0:
                select.select([pgconn.socket], [], [])
                pgconn.consume_input()
            else:
                break
        if rows:
            yield block, rows
        failed = None
        while (result := pgconn.get_result()) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                failed = result
        if failed is not None:
            raise errors.error_from_result(failed)


class FileSet:
    """Writes rows to numbered files under a prefix. As a context: leaving it by an error leaves no half of a file."""

    def __init__(self, s3: S3Client, bucket: str, prefix: str, name: str, uploads: ThreadPoolExecutor) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix
        self._name = name
        self._uploads = uploads
        self._file: _File | None = None
        self._files = self._rows = self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            if kind is None:
                self._close()
            else:
                self._file.abort()

    def write(self, block: bytearray, rows: int) -> None:
        """Add so many whole rows."""
        if self._file is None:
            key = file_key(self._prefix, self._name, self._files)
            self._file = _File(self._s3, self._bucket, key, self._uploads)
        self._file.write(block)
        self._rows += rows
        if self._file.bytes >= FILE_BYTES:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._bytes += self._file.close()
            self._files += 1
            self._file = None

    def written(self) -> Files:
        """Return what was written, once the context has been left."""
        return Files(self._name, self._files, self._rows, self._bytes)


class _File:
    """An object that is compressed and uploaded as it is written: one part is on its way while the next is filled."""

    def __init__(self, s3: S3Client, bucket: str, key: str, uploads: ThreadPoolExecutor) -> None:
        self._s3 = s3
        self._place: Any = {"Bucket": bucket, "Key": key}
        self._uploads = uploads
        self._compressor = zlib.compressobj(1, wbits=_GZIP)
        self._part = bytearray()
        self._upload_id: str | None = None
        self._sending: Future[str] | None = None
        self._etags: list[str] = []
        self.bytes = 0

    def write(self, data: bytearray) -> None:
        self._add(self._compressor.compress(data))
        if len(self._part) >= PART_BYTES:
            self._send()

    def close(self) -> int:
        """Finish the object, and return its bytes."""
        self._add(self._compressor.flush())
        if self._upload_id is None:
            self._s3.put_object(**self._place, Body=bytes(self._part))
            return self.bytes
        self._send()
        self._wait()
        parts: Any = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(self._etags, 1)]
        self._s3.complete_multipart_upload(**self._place, UploadId=self._upload_id, MultipartUpload={"Parts": parts})
        return self.bytes

    def abort(self) -> None:
        """Give up what was uploaded."""
        if self._sending is not None:
            self._sending.exception()  # waits; the error that led here is the one to be told
        if self._upload_id is not None:
            self._s3.abort_multipart_upload(**self._place, UploadId=self._upload_id)

    def _add(self, data: bytes) -> None:
        self._part += data
        self.bytes += len(data)

    def _send(self) -> None:
        if self._upload_id is None:
            self._upload_id = self._s3.create_multipart_upload(**self._place)["UploadId"]
        self._wait()
        part, self._part = bytes(self._part), bytearray()
        self._sending = self._uploads.submit(self._upload, part, len(self._etags) + 1)

    def _wait(self) -> None:
        if self._sending is not None:
            self._etags.append(self._sending.result())
            self._sending = None

    def _upload(self, part: bytes, number: int) -> str:
        answer = self._s3.upload_part(**self._place, UploadId=str(self._upload_id), PartNumber=number, Body=part)
        return answer["ETag"]
