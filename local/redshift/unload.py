"""UNLOAD: a query's rows into files of S3. They are written to the disk first, and put when the query has ended well.

Source: Amazon Redshift Database Developer Guide, "UNLOAD".
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from local.redshift import objects
from local.redshift.backend import Backend, Column
from local.redshift.objects import INTERNAL_ERROR, Place
from local.redshift.rewrite import rewrite
from local.redshift.statements import RefusedError, Unload, split
from local.redshift.wire import ClosedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Around a text that has the delimiter in it, until it is taken away: no text has it.
_NO_QUOTE = "\x02"
# A row group in memory.
BATCH_BYTES = 8 * 1024 * 1024
# The types of a result, by PostgreSQL's numbers (pg_type.dat), as Parquet has them; the others are texts.
_ARROW_TYPES: dict[int, pa.DataType] = {
    16: pa.bool_(), 20: pa.int64(), 21: pa.int16(), 23: pa.int32(), 700: pa.float32(), 701: pa.float64(),
    1082: pa.date32(), 1114: pa.timestamp("us"), 1184: pa.timestamp("us", "UTC"),
}  # fmt: skip
_NUMERIC = 1700


@dataclass
class _Part:
    """One file: where it goes, what it has, and how many rows."""

    place: Place
    file: IO[bytes]
    rows: int = 0


def execute(backend: Backend, s3: S3Client, unload: Unload, gone: Callable[[], bool]) -> int:
    """Run an UNLOAD, and return how many rows it has written; nothing when the client is `gone` before they are put.

    Raises RefusedError and BackendError.
    """
    statements = split(unload.query)
    if len(statements) != 1:
        raise RefusedError("UNLOAD takes one query", "42601")
    _refuse_limit(unload.query)
    query = rewrite(unload.query)
    before = list(objects.existing(s3, unload.bucket, unload.prefix))
    if before and not (unload.overwrite or unload.clean):
        raise RefusedError(
            "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix, manually"
            " removing the target files in S3, or using the ALLOWOVERWRITE option.",
            INTERNAL_ERROR,
        )
    columns = backend.describe(query)
    with ExitStack() as stack:
        parts = _parquet(backend, query, unload, columns, stack) if unload.format == "parquet" else None
        if parts is None:
            parts = _texts(backend, query, unload, columns, stack)
        if gone():
            raise ClosedError("the client has left")
        if unload.clean:
            for place in before:
                objects.delete(s3, place)
        entries = []
        for part in parts:
            size = part.file.tell()
            part.file.seek(0)
            objects.put(s3, part.place, part.file)
            entries.append({"url": part.place.url, "meta": {"content_length": size, "record_count": part.rows}})
        if unload.manifest:
            _put_manifest(s3, unload, entries, columns)
    return sum(part.rows for part in parts)


def _refuse_limit(query: str) -> None:
    (statement,) = split(query)
    depth = 0
    for at in range(len(statement.tokens)):
        word = statement.word(at)
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 0 and (word == "LIMIT" or (word == "TOP" and statement.word(at - 1) == "SELECT")):
            raise RefusedError(
                "Limit clause is not supported in UNLOAD: put it into a subquery, SELECT … FROM (SELECT … LIMIT n)"
            )


def _texts(backend: Backend, query: str, unload: Unload, columns: list[Column], stack: ExitStack) -> list[_Part]:
    quote = '"' if unload.format == "csv" or unload.quoted else _NO_QUOTE
    options = [
        "format csv",
        f"delimiter {_literal(unload.delimiter)}",
        f"null {_literal(unload.null)}",
        f"quote {_literal(quote)}",
    ]
    if unload.quoted:
        options.append("force_quote *")
    parts: list[_Part] = []
    sink: Any = None
    for rows in stack.enter_context(closing(_rows(backend, query, options))):
        block = b"".join(rows)
        if quote == _NO_QUOTE:
            block = block.replace(_NO_QUOTE.encode(), b"")
        if sink is None or parts[-1].file.tell() + len(block) > unload.max_file_bytes:
            if sink is not None:
                sink.close()
            parts.append(_part(unload, len(parts), stack))
            sink = _compressed(parts[-1].file, unload.compression)
            if unload.header:
                sink.write(_header(columns, unload))
        sink.write(block)
        parts[-1].rows += len(rows)
    if sink is not None:
        sink.close()
    return parts


def _rows(backend: Backend, query: str, options: list[str]) -> Generator[list[bytes]]:
    """Return a query's rows; a message of PostgreSQL's COPY TO has one in it, whole."""
    return backend.copy_out(f"copy ({query}) to stdout ({', '.join(options)})")


def _header(columns: list[Column], unload: Unload) -> bytes:
    names = [column.name for column in columns]
    if unload.format == "csv":
        names = [f'"{name}"' if unload.delimiter in name or '"' in name else name for name in names]
    return (unload.delimiter.join(names) + "\n").encode()


def _compressed(file: IO[bytes], compression: str) -> Any:
    """Return what writes into a file, compressed or not; its `close` leaves the file open."""
    if compression == "gzip":
        return gzip.GzipFile(fileobj=file, mode="wb", compresslevel=3, mtime=0)
    if compression == "zstd":
        return pa.CompressedOutputStream(_Kept(file), "zstd")
    return _Kept(file)


class _Kept:
    """A file that stays open when it is closed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.closed = False
        self.write = file.write
        self.flush = file.flush
        self.tell = file.tell

    def close(self) -> None:
        self.closed = True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def _parquet(backend: Backend, query: str, unload: Unload, columns: list[Column], stack: ExitStack) -> list[_Part]:
    if len({column.name for column in columns}) < len(columns):
        raise RefusedError("UNLOAD to PARQUET needs columns of different names", "42701")
    types = {column.name: _arrow_type(column) for column in columns}
    part = _part(unload, 0, stack)
    schema = pa.schema(list(types.items()))
    rows = stack.enter_context(closing(_rows(backend, query, ["format csv"])))
    parse = pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    convert = pa.csv.ConvertOptions(
        column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
        true_values=["t"], false_values=["f"],
    )  # fmt: skip
    with pq.ParquetWriter(part.file, schema, compression="snappy") as writer:
        for block in _blocks(rows):
            # Not Arrow's own reading of a stream: that holds as many as 32 blocks.
            read = pa.csv.ReadOptions(column_names=list(types), block_size=len(block), use_threads=False)
            try:
                table = pa.csv.read_csv(pa.BufferReader(block), read, parse, convert)
            except pa.ArrowInvalid as error:
                raise RefusedError(f"The rows cannot be written as Parquet: {error}", INTERNAL_ERROR) from error
            writer.write_table(table)
            part.rows += len(table)
    return [part] if part.rows else []


def _blocks(rows: Iterator[list[bytes]]) -> Iterator[bytes]:
    """Yield rows, whole ones, together."""
    block = bytearray()
    for some in rows:
        block += b"".join(some)
        if len(block) >= BATCH_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _arrow_type(column: Column) -> pa.DataType:
    if column.oid == _NUMERIC:
        if column.modifier < 4:
            raise RefusedError(f"UNLOAD to PARQUET needs a precision of {column.name}: cast it to DECIMAL(p,s)")
        return pa.decimal128((column.modifier - 4) >> 16, (column.modifier - 4) & 0x7FF)
    return _ARROW_TYPES.get(column.oid, pa.string())


def _part(unload: Unload, number: int, stack: ExitStack) -> _Part:
    name = f"{unload.prefix}0000_part_{number:02d}" if unload.parallel else f"{unload.prefix}{number:03d}"
    ending = {"gzip": ".gz", "zstd": ".zst"}.get(unload.compression, "")
    if unload.extension:
        ending = f".{unload.extension.lstrip('.')}"
    elif unload.format == "parquet":
        ending = ".parquet"
    file = stack.enter_context(tempfile.TemporaryFile(prefix="unload-"))  # noqa: SIM115 - the stack closes it
    return _Part(Place(unload.bucket, name + ending), file)


def _put_manifest(s3: S3Client, unload: Unload, entries: list[dict[str, Any]], columns: list[Column]) -> None:
    if not unload.verbose:
        for entry in entries:
            entry["meta"].pop("record_count")
    manifest: dict[str, Any] = {"entries": entries}
    if unload.verbose:
        manifest |= {
            "schema": {"elements": [{"name": column.name} for column in columns]},
            "meta": {key: sum(entry["meta"][key] for entry in entries) for key in ("content_length", "record_count")},
            "author": {"name": "Amazon Redshift", "version": "1.0.0"},
        }
    s3.put_object(Bucket=unload.bucket, Key=f"{unload.prefix}manifest", Body=json.dumps(manifest, indent=2).encode())


def _literal(text: str) -> str:
    return "e'" + text.replace("\\", "\\\\").replace("'", "''").replace("\t", "\\t") + "'"
