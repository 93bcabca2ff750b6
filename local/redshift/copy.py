"""COPY: files of S3 into a table, in the client's own transaction, a batch of rows at a time.

Arrow reads the files, so that CSV and Parquet go one way; what it reads is checked and put as Redshift does, column by
column, and given to PostgreSQL's COPY in its text format, in which NULL and the empty text differ.

Source: Amazon Redshift Database Developer Guide, "COPY", "Data format parameters", "Data conversion parameters",
"Load error reference".
"""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from local.redshift.backend import Backend, BackendError
from local.redshift.objects import INTERNAL_ERROR, Body, Place, open_object, places
from local.redshift.statements import Copy, RefusedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# How PostgreSQL's COPY is given the rows: as text, which it reads faster than CSV, between signs that hardly occur.
# Arrow writes no quotes without quoting, so they are escaped as well.
_DELIMITER = "\x1f"
_FORMAT = r"format text, delimiter E'\x1f'"
_NULL = r"\N"
_ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r", _DELIMITER: r"\x1f", '"': r"\x22"}

# What is read, checked and sent at once. Arrow reads up to 32 blocks ahead when PostgreSQL is slower than S3, so they
# are small unless a row may be large: it must fit into one.
BLOCK_BYTES = 1024 * 1024
LONG_ROW_BYTES = 4 * 1024 * 1024
BATCH_ROWS = 10_000

_COLUMNS = """
select a.attname, t.typname, a.atttypmod, a.attidentity
from pg_catalog.pg_attribute as a
inner join pg_catalog.pg_type as t on a.atttypid = t.oid
where a.attrelid = {table}::regclass and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""
# Types whose texts have no length of their own.
_UNBOUNDED = frozenset({"jsonb", "bytea"})
_NOT_UTF8 = "String contains invalid or unsupported UTF8 codepoints"
_TEXTS = frozenset({"varchar", "bpchar", "text"})
_FORMATS = {
    "auto", "epochsecs", "epochmillisecs", "YYYY-MM-DD HH:MI:SS", "YYYY-MM-DD HH24:MI:SS", "YYYY-MM-DDTHH:MI:SS",
    "YYYY-MM-DD HH:MI:SSOF", "YYYY-MM-DD",
}  # fmt: skip
# What PostgreSQL says of the row that it could not take: "COPY t, line 3, column b: "x"".
_CONTEXT = re.compile(r'^COPY .+?, line (\d+)(?:, column ([^:]+?))?(?:: "(.*)")?$', re.DOTALL)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Target:
    """A column that is loaded: its name, its type as PostgreSQL names it, and the type's length or precision."""

    name: str
    type: str
    modifier: int

    @property
    def is_text(self) -> bool:
        """Tell whether the empty text is a value of it."""
        return self.type in _TEXTS

    @property
    def bytes(self) -> int | None:
        """Return how many bytes a text of it may have, if there is a bound."""
        return self.modifier - 4 if self.is_text and self.modifier >= 4 else None

    @property
    def scale(self) -> int | None:
        """Return how many digits a number of it has after the point, if it has a fixed number of them."""
        return (self.modifier - 4) & 0x7FF if self.type == "numeric" and self.modifier >= 4 else None


@dataclass
class LoadError(Exception):
    """A row that cannot be loaded, as sys_load_error_detail has it."""

    file: str
    line: int
    column: Target | None
    code: int
    reason: str
    value: str = ""
    position: int = 0
    started: datetime = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))

    def note(self, table: str) -> str:
        """Return the statement that puts it into sys_load_error_detail."""
        column = self.column
        values = (
            f"to_regclass({_literal(table)})::oid, {_literal(str(self.started))}::timestamp, {_literal(self.file)},"
            f" {self.line}, {_literal(column.name if column else '')}, {_literal(column.type if column else '')},"
            f" {_literal(str(column.bytes or '') if column else '')}, {self.position}, {self.code},"
            f" {_literal(self.reason)}"
        )
        return f"select pg_catalog.note_load_error(pg_catalog.pg_last_copy_id(), {values})"


@dataclass
class _Progress:
    """How many lines of data were given for which file, to find the file of a line that PostgreSQL refuses."""

    files: list[tuple[Place, int]] = field(default_factory=list)
    lines: int = 0

    def place_of(self, line: int) -> tuple[Place, int]:
        """Return the file that a line of all data came from, and the line in it, counted from 1."""
        place, before = next((file for file in reversed(self.files) if file[1] < line), self.files[0])
        return place, line - before


def execute(backend: Backend, s3: S3Client, copy: Copy, gone: Callable[[], bool]) -> int:
    """Run a COPY, and return how many rows it has loaded.

    Raises RefusedError and BackendError for what cannot be done at all, and LoadError for a row that cannot be loaded.
    """
    targets = _targets(backend, copy)
    found = places(s3, copy.bucket, copy.prefix, manifest=copy.manifest)
    progress = _Progress()
    names = ", ".join(f'"{target.name}"' for target in targets)
    try:
        with closing(_data(s3, copy, targets, found, progress)) as data, closing(_ahead(data)) as chunks:
            tag = backend.copy_in(f"copy {copy.table} ({names}) from stdin ({_FORMAT})", chunks, gone)
    except BackendError as error:
        raise _load_error(error, targets, progress, copy) from error
    except pa.ArrowException as error:
        raise RefusedError(f"s3://{copy.bucket}/{copy.prefix} cannot be read: {error}", INTERNAL_ERROR) from error
    return int(tag.rpartition(" ")[2])


def _ahead(chunks: Iterator[pa.Buffer]) -> Generator[pa.Buffer]:
    """Yield chunks, of which a thread makes the next while PostgreSQL takes the last."""
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(next, chunks, None)
        while (chunk := made.result()) is not None:
            made = pool.submit(next, chunks, None)
            yield chunk


def _targets(backend: Backend, copy: Copy) -> list[Target]:
    """Return the columns that the files' fields go into, in their order."""
    try:
        rows = backend.ask(_COLUMNS.format(table=_literal(copy.table)))
    except BackendError as error:
        if error.fields.get("C") == "42P01":
            raise RefusedError(f"Cannot COPY into nonexistent table {copy.table}", "42P01") from error
        raise
    known = {str(name): Target(str(name), str(kind), int(modifier or -1)) for name, kind, modifier, _ in rows}
    if not copy.columns:
        return [known[str(name)] for name, _, _, identity in rows if identity != "a"]
    if unknown := [name for name in copy.columns if name not in known]:
        raise RefusedError(f'column "{unknown[0]}" of relation "{copy.table}" does not exist', "42703")
    made = {str(name) for name, _, _, identity in rows if identity == "a"}
    if given := made.intersection(copy.columns):
        raise RefusedError(f"COPY into the IDENTITY column {min(given)} needs EXPLICIT_IDS, which the endpoint has not")
    return [known[name] for name in copy.columns]


def _data(
    s3: S3Client, copy: Copy, targets: list[Target], found: list[Place], progress: _Progress
) -> Generator[pa.Buffer]:
    """Yield the files' rows as PostgreSQL's COPY takes them."""
    for what, given in (("DATEFORMAT", copy.date_format), ("TIMEFORMAT", copy.time_format)):
        if given not in _FORMATS:
            raise RefusedError(f"{what} {given!r} is not supported by the local Redshift endpoint: 'auto' is")
    for place in found:
        progress.files.append((place, progress.lines))
        with closing(open_object(s3, place)) as body:
            batches = _READERS[copy.format](body, copy, targets, place)
            row = copy.skipped_lines + 1
            for batch in batches:
                if copy.format != "parquet":
                    batch = _converted(batch, copy, targets, place, row)
                row += len(batch)
                progress.lines += len(batch)
                yield _written(batch)


def _written(batch: pa.RecordBatch) -> pa.Buffer:
    """Return rows as PostgreSQL's COPY takes them."""
    rows = pa.RecordBatch.from_arrays([_escaped(column) for column in batch.columns], names=batch.schema.names)
    sink = pa.BufferOutputStream()
    options = pa.csv.WriteOptions(include_header=False, delimiter=_DELIMITER, quoting_style="none")
    pa.csv.write_csv(rows, sink, options)
    return sink.getvalue()


def _escaped(column: pa.Array) -> pa.Array:
    """Return a column as the text format has it. Only what occurs is looked for in each value."""
    if pa.types.is_string(column.type):
        content = bytes(column.buffers()[2] or b"")
        for sign, escape in _ESCAPES.items():
            if sign.encode() in content:
                column = pc.replace_substring(column, sign, escape)
    return pc.fill_null(column.cast(pa.string()), _NULL) if column.null_count else column


def _csv(body: Body, copy: Copy, targets: list[Target], place: Place) -> Iterator[pa.RecordBatch]:
    """Yield a file's records, every field a text. Raises LoadError for a record of another width."""
    names = [target.name for target in targets]

    def refuse(row: Any) -> str:
        wide = row.actual_columns > row.expected_columns
        code, reason = (1202, "Extra column(s) found") if wide else (1214, "Delimiter not found")
        number = (row.number or 0) + copy.skipped_lines
        refused.append(LoadError(place.url, number, None, code, reason, row.text))
        return "error"

    refused: list[LoadError] = []
    stream: Any = pa.PythonFile(body, mode="r")
    if copy.compression:
        stream = pa.CompressedInputStream(stream, copy.compression)
    is_csv = copy.format == "csv"
    try:
        reader = pa.csv.open_csv(
            stream,
            read_options=pa.csv.ReadOptions(
                column_names=names,
                skip_rows=copy.skipped_lines,
                block_size=_block_bytes(copy, targets),
                use_threads=False,
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=copy.delimiter,
                quote_char=copy.quote if is_csv else False,
                escape_char="\\" if copy.escape else False,
                newlines_in_values=is_csv or copy.escape,
                ignore_empty_lines=False,
                invalid_row_handler=refuse,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.binary()), strings_can_be_null=False, null_values=[]
            ),
        )
        row = copy.skipped_lines + 1
        for batch in reader:
            yield _texts(batch, targets, place, row)
            row += len(batch)
    except pa.ArrowInvalid as error:
        if refused:
            raise refused[0] from error
        if "Empty CSV file" in str(error):
            return
        raise RefusedError(f"{place.url} cannot be read: {error}", INTERNAL_ERROR) from error
    except (OSError, EOFError) as error:
        raise RefusedError(f"{place.url} cannot be read: {error}", INTERNAL_ERROR) from error


def _block_bytes(copy: Copy, targets: list[Target]) -> int:
    """Return how large a block must be for each row that can be loaded, with every sign of its texts escaped."""
    if copy.truncate_columns or copy.trim_blanks or any(t.type in _UNBOUNDED for t in targets):
        return LONG_ROW_BYTES
    texts = [t.bytes for t in targets if t.is_text]
    is_short = None not in texts and sum(2 * (bound or 0) for bound in texts) < BLOCK_BYTES // 2
    return BLOCK_BYTES if is_short else LONG_ROW_BYTES


def _texts(batch: pa.RecordBatch, targets: list[Target], place: Place, row: int) -> pa.RecordBatch:
    """Return a batch of bytes as texts; `row` is the line of its first. Raises LoadError for what is not UTF-8."""
    columns = []
    for column, target in zip(batch.columns, targets, strict=True):
        try:
            columns.append(column.cast(pa.string()))
        except pa.ArrowInvalid as error:
            at = next(at for at, value in enumerate(column) if not _is_utf8(value.as_py()))
            raise LoadError(place.url, row + at, target, 1220, _NOT_UTF8) from error
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _json(body: Body, copy: Copy, targets: list[Target], place: Place) -> Iterator[pa.RecordBatch]:
    """Yield a file's objects, one in a line; their values go as texts into the targets of the same names."""
    stream: Any = pa.PythonFile(body, mode="r")
    if copy.compression:
        stream = pa.CompressedInputStream(stream, copy.compression)
    names = [target.name for target in targets]
    rows: list[list[str | None]] = []
    try:
        for line, written in enumerate(io.BufferedReader(stream, BLOCK_BYTES), 1):
            text = written.decode()
            if text.isspace():
                continue
            record = json.loads(text, parse_float=_Number)
            if not isinstance(record, dict):
                raise LoadError(place.url, line, None, 1216, "JSON COPY takes objects, one in a line", text[:1024])
            if copy.ignore_case:
                record = {name.lower(): value for name, value in record.items()}
            rows.append([_json_text(record.get(target.name), target) for target in targets])
            if len(rows) == BATCH_ROWS:
                yield _of_rows(rows, names)
                rows = []
    except json.JSONDecodeError as error:
        raise LoadError(place.url, line, None, 1216, f"Invalid JSON: {error}", text[:1024]) from error
    except UnicodeDecodeError as error:
        raise LoadError(place.url, line, None, 1220, _NOT_UTF8) from error
    except (OSError, EOFError) as error:
        raise RefusedError(f"{place.url} cannot be read: {error}", INTERNAL_ERROR) from error
    if rows:
        yield _of_rows(rows, names)


class _Number(float):
    """A number with a point, which remembers how it was written."""

    def __init__(self, text: str) -> None:
        self.text = text


def _json_text(value: Any, target: Target) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and target.type != "jsonb":
        return value
    return value.text if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)


def _of_rows(rows: list[list[str | None]], names: list[str]) -> pa.RecordBatch:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=names)


def _parquet(body: Body, copy: Copy, targets: list[Target], place: Place) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows; its columns go into the targets by their order."""
    with tempfile.TemporaryFile() as file:  # Parquet is read from its end
        while block := body.read(BLOCK_BYTES):
            file.write(block)
        try:
            parquet = pq.ParquetFile(file, buffer_size=BLOCK_BYTES)
        except pa.ArrowInvalid as error:
            raise RefusedError(f"{place.url} is no Parquet file: {error}", INTERNAL_ERROR) from error
        if len(parquet.schema_arrow) != len(targets):
            raise RefusedError(
                f"The number of columns of {place.url} ({len(parquet.schema_arrow)}) is not that of the target"
                f" ({len(targets)})",
                INTERNAL_ERROR,
            )
        nested = [field.name for field in parquet.schema_arrow if pa.types.is_nested(field.type)]
        if nested and not copy.serialize_to_json:
            raise RefusedError(f"{place.url}: nested columns such as {nested[0]} need SERIALIZETOJSON", INTERNAL_ERROR)
        # One row group after the other, or Arrow keeps what it needed for those that are read.
        batches = (
            batch
            for group in range(parquet.num_row_groups)
            for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group], use_threads=False)
        )
        row = 1
        for batch in batches:
            columns = []
            for column, target in zip(batch.columns, targets, strict=True):
                if pa.types.is_dictionary(column.type):
                    column = column.dictionary_decode()
                elif pa.types.is_nested(column.type):
                    texts = [None if v is None else json.dumps(v, default=str) for v in column.to_pylist()]
                    column = pa.array(texts, pa.string())
                elif pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
                    column = pa.array([None if v is None else f"\\x{v.hex()}" for v in column.to_pylist()], pa.string())
                if target.bytes is not None and pa.types.is_string(column.type):
                    _check_length(column, target, place, row)
                columns.append(column)
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
            row += len(batch)


# What reads a file, by its format.
_READERS: dict[str, Callable[[Body, Copy, list[Target], Place], Iterator[pa.RecordBatch]]] = {
    "text": _csv,
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
}


def _converted(batch: pa.RecordBatch, copy: Copy, targets: list[Target], place: Place, row: int) -> pa.RecordBatch:
    """Return a batch of texts as Redshift would store them; `row` is the line of its first."""
    columns = []
    for column, target in zip(batch.columns, targets, strict=True):
        if copy.trim_blanks and target.is_text:
            column = pc.utf8_rtrim(column, " ")
        null = pc.equal(column, copy.null)
        if not target.is_text or copy.empty_as_null:
            null = pc.or_(null, pc.equal(column, ""))
        if target.is_text and copy.blanks_as_null:
            null = pc.or_(null, pc.match_substring_regex(column, r"^ +$"))
        if pc.any(null).as_py():
            column = pc.if_else(null, None, column)
        if target.bytes is not None:
            column = _check_length(column, target, place, row, truncate=copy.truncate_columns)
        if target.scale is not None and not copy.round_decimals:
            column = _truncated(column, target.scale)
        if target.type in ("timestamp", "timestamptz") and copy.time_format.startswith("epoch"):
            column = _from_epoch(column, copy.time_format, target, place, row)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _check_length(column: Any, target: Target, place: Place, row: int, *, truncate: bool = False) -> Any:
    """Raise LoadError for a text of too many bytes, or cut it off, at whole characters."""
    longer = pc.fill_null(pc.greater(pc.binary_length(column), target.bytes), False)
    if not pc.any(longer).as_py():
        return column
    if not truncate:
        at = pc.index(longer, True).as_py()
        raise LoadError(
            place.url, row + at, target, 1204, "String length exceeds DDL length", str(column[at].as_py())[:1024]
        )
    bound = target.bytes
    return pa.array(
        [None if v is None else v.encode()[:bound].decode("utf-8", "ignore") for v in column.to_pylist()], pa.string()
    )


def _truncated(column: Any, scale: int) -> Any:
    """Cut off digits after the point that the column has no room for: without ROUNDEC nothing is rounded."""
    kept = rf"\.\d{{{scale}}}" if scale else ""
    pattern = rf"^([+-]?\d*{kept})\d+$" if scale else r"^([+-]?\d+)\.\d*$"
    return pc.replace_substring_regex(column, pattern, r"\1")


def _from_epoch(column: Any, unit: str, target: Target, place: Place, row: int) -> Any:
    """Return seconds or milliseconds since 1970 as timestamps in UTC; LoadError for what is no whole number."""
    wrong = pc.fill_null(pc.invert(pc.match_substring_regex(column, r"^-?\d{1,15}$")), False)
    if pc.any(wrong).as_py():
        at = pc.index(wrong, True).as_py()
        reason = "Invalid timestamp format or value"
        raise LoadError(place.url, row + at, target, 1206, reason, str(column[at].as_py())[:1024])
    factor = 1_000_000 if unit == "epochsecs" else 1_000
    micros = pc.multiply(pc.cast(column, pa.int64()), factor)
    return pc.cast(pc.cast(micros, pa.timestamp("us", "UTC")), pa.string())


# What PostgreSQL's errors are in Redshift's list: the number, and the words.
_REASONS = {
    "22P02": (1207, "Invalid digit, Value '{digit}', Pos {position}, Type: {type}"),
    "22003": (1208, "Overflow for {type}"),
    "23502": (1213, "Missing data for not-null field"),
    "22007": (1206, "Invalid {type} format or value"),
    "22008": (1206, "Invalid {type} format or value"),
    "22001": (1204, "String length exceeds DDL length"),
}
_SHOWN_TYPES = {
    "int2": "Short", "int4": "Integer", "int8": "Long", "numeric": "Decimal", "float4": "Float", "float8": "Double",
    "bool": "Boolean", "date": "date", "timestamp": "timestamp", "timestamptz": "timestamp",
}  # fmt: skip


def _load_error(error: BackendError, targets: list[Target], progress: _Progress, copy: Copy) -> Exception:
    """Return PostgreSQL's error about a row as Redshift's, else as it is."""
    lines = error.fields.get("W", "").splitlines()  # one for each function that it came through, and COPY's
    context = next((found for line in lines if (found := _CONTEXT.match(line))), None)
    code = error.fields.get("C", "")
    # Classes 22 and 23 are about values; anything else, such as a cancellation, is not about the row it came at.
    if not context or not progress.files or code[:2] not in ("22", "23"):
        return error
    line, name, value = context.groups()
    place, in_file = progress.place_of(int(line))
    name = error.fields.get("c") or name
    target = next((target for target in targets if target.name == name), None)
    said = error.fields.get("M", "")
    number, words = _REASONS.get(code, (1216, said))
    if said.startswith("Multibyte"):
        number, words = 1220, said
    shown = _SHOWN_TYPES.get(target.type, target.type) if target else ""
    value = value or ""
    position = _position(value, shown) if code == "22P02" else 0
    reason = (
        words.format(digit=value[position : position + 1], position=position, type=shown) if code in _REASONS else words
    )
    return LoadError(place.url, in_file + copy.skipped_lines, target, number, reason, value, position)


def _position(value: str, shown: str) -> int:
    """Return where a text stops being a number."""
    number = re.match(r"\s*[+-]?\d*" if shown in ("Short", "Integer", "Long") else r"\s*[+-]?\d*\.?\d*", value)
    return number.end() if number else 0
