r"""The local Redshift endpoint, beside psycopg's COPY straight to the PostgreSQL behind it.

Both load into and read from the same table, on a PostgreSQL of its own with fsync on. The endpoint's files lie in the
emulator's S3, psycopg's on the disk. The endpoint is started anew for each case: what is told of memory and of the
server's processor is its own.

copy_direct                              a CSV file by psycopg: the limit
ours_copy_csv, _gzip, _zstd, _parquet    the same rows by COPY from S3
unload_direct                            the table into a CSV file by psycopg: the limit
ours_unload_csv, _gzip, _parquet         the same rows by UNLOAD to S3
query_direct, ours_query                 a small query, many times in one session
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import boto3
import psutil
import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from bench.case import Case, CaseError, Measure, Run, measure, peak_mb
from bench.ingest import MILLION, label
from bench.ingest_store import temporary_platform
from bench.redshift_cases import TABLE, copy_direct
from local import aws, warehouse
from local.platform import Platform
from local.supervisor import wait_until

BUCKET = "bench"
QUERIES = 5000
START_SECONDS = 30.0
COPY_OPTIONS = {"csv": "csv", "gzip": "csv gzip", "zstd": "csv zstd", "parquet": "parquet"}
UNLOAD_OPTIONS = {"csv": "csv", "gzip": "csv gzip", "parquet": "parquet"}
_TRUTH = f"select count(*), sum(line_id), sum(hashtextextended(line::text, 0)::numeric) from {TABLE} as line"  # noqa: S608
_TABLES = """
create schema bench authorization warehouse_owner;
set role warehouse_owner;
create table bench.line (
    line_id integer not null, sold_at timestamp, game varchar(40), region varchar(8), amount numeric(10, 2),
    note varchar(60)
);
create table bench.few as select n as few_id, 'note ' || n as note from generate_series(1, 100) as n;
"""


def cases(sizes: Sequence[int]) -> list[Case]:
    """Return the cases for tables of so many rows. Up to a million, they are measured three times."""
    found = []
    for rows in sizes:
        names = ["copy_direct", *(f"ours_copy_{kind}" for kind in COPY_OPTIONS)]
        names += ["unload_direct", *(f"ours_unload_{kind}" for kind in UNLOAD_OPTIONS)]
        runs = 3 if rows <= MILLION else 1
        found += [Case(f"{name}_{label(rows)}", name, {"rows": rows}, runs) for name in names]
    return [*found, *(Case(name, name, {"rows": QUERIES}, 3) for name in ("query_direct", "ours_query"))]


CASES = cases((MILLION, 5 * MILLION))


def ratios(cases: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return the shares of what psycopg does, what a query takes more, and whether memory grows."""
    found = {}
    for name in cases:
        way = name.removeprefix("ours_").partition("_")[0]
        direct = f"{way}_direct_{name.rpartition('_')[2]}"
        if name.startswith("ours_") and direct in cases:
            pairs = zip(cases[direct]["runs"], cases[name]["runs"], strict=False)
            found[f"rows/s: {name} / {direct}"] = round(median(one / other for one, other in pairs), 2)
    if {"query_direct", "ours_query"} <= cases.keys():
        pairs = zip(cases["ours_query"]["runs"], cases["query_direct"]["runs"], strict=False)
        more = median(one - other for one, other in pairs) / cases["ours_query"]["rows"]
        found["ms more a query: ours_query"] = round(more * 1000, 3)
    for name in cases:
        small = f"{name.rpartition('_')[0]}_{label(MILLION)}"
        if name.startswith("ours_") and small in cases and small != name:
            found[f"peak memory: {name} / {small}"] = round(cases[name]["peak_rss_mb"] / cases[small]["peak_rss_mb"], 2)
    return found


@contextmanager
def measuring(_cases: Sequence[Case]) -> Iterator[Measure]:
    """Start a PostgreSQL, an emulator and an endpoint, and yield what measures a case on them; all goes afterwards."""
    with temporary_platform() as (platform, directory), aws.environment(platform.public_environment()):
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield Bench(platform, directory).measure


@dataclass
class Bench:
    """The files of the sizes that were measured so far, and what a table of them must have in it."""

    platform: Platform
    directory: Path
    files: dict[int, Path] = field(default_factory=dict)
    truths: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._owner = self.platform.store_url("warehouse_owner", "warehouse")
        self._superuser = self.platform.store_url("postgres", "warehouse")
        self._s3 = boto3.client("s3")
        with psycopg.connect(self._superuser) as connection:
            connection.execute(_TABLES.encode())

    def measure(self, case: Case, python: str) -> Run:
        """Run a case once, and see that it did what it should. Raises CaseError."""
        rows = case.arguments["rows"]
        name = case.function
        url = self._owner if name.endswith("direct") else self._endpoint()
        if "query" in name:
            arguments = {"url": url, "count": rows}
            return self._measured(case, python, "queries", arguments)
        if rows not in self.files:
            self.files[rows] = self._make(rows)
        if "copy" in name:
            self._reset("truncate")
        elif self._truth() != self.truths[rows]:
            self._reset("truncate", fill=self.files[rows])
        arguments = {"url": url, "rows": rows}
        kind = name.rpartition("_")[2]
        if name.endswith("direct"):
            out = self.directory / "unloaded"
            arguments["path"] = str(self.files[rows] if name == "copy_direct" else out)
            run = self._measured(case, python, name, arguments)
        else:
            arguments["text"] = self._statement(name, kind, rows)
            run = self._measured(case, python, "statement", arguments)
        if "copy" in name and self._truth() != self.truths[rows]:
            raise CaseError(f"{case.name}: the table has {self._truth()}, not {self.truths[rows]}")
        if name.startswith("ours_unload"):
            self._check_unloaded(case.name, kind, rows)
        return run

    def _statement(self, name: str, kind: str, rows: int) -> str:
        if "copy" in name:
            return f"copy {TABLE} from 's3://{BUCKET}/{label(rows)}/{kind}' iam_role default {COPY_OPTIONS[kind]}"
        for place in self._unloaded():
            self._s3.delete_object(Bucket=BUCKET, Key=place)
        return f"unload ('select * from {TABLE}') to 's3://{BUCKET}/out/' iam_role default {UNLOAD_OPTIONS[kind]}"  # noqa: S608

    def _measured(self, case: Case, python: str, function: str, arguments: dict[str, Any]) -> Run:
        process = psutil.Process(self.platform.supervisor.statuses()["redshift"].pid)
        before = process.cpu_times()
        run = measure(replace(case, function=f"bench.redshift_cases:{function}", arguments=arguments), python)
        after = process.cpu_times()
        if case.function.endswith("direct"):
            return run
        cpu = after.user + after.system - before.user - before.system
        return replace(run, server_cpu_seconds=cpu, peak_rss_mb=peak_mb(str(process.pid)))

    def _endpoint(self) -> str:
        """Start the endpoint anew, and return its address."""
        state = self.platform.state
        self.platform.supervisor.stop("redshift")
        self.platform.supervisor.start("redshift")
        wait_until(lambda: warehouse.answers(state), START_SECONDS, lambda: "the endpoint does not answer")
        url = self._owner.replace(f":{state.ports['postgres']}/", f":{state.ports['redshift']}/")
        with psycopg.connect(url) as connection:  # a platform's endpoint is not at its first statement
            connection.execute(f"unload ('select 1') to 's3://{BUCKET}/first/' iam_role default csv allowoverwrite")
        return url

    def _make(self, rows: int) -> Path:
        """Make the files of a size, put them into S3, and note what the table must have in it."""
        numbers = range(rows)
        table = pa.table(
            {
                "line_id": pa.array(numbers, pa.int32()),
                "sold_at": pa.array([1_735_689_600_000_000 + 7_000_000 * n for n in numbers], pa.timestamp("us")),
                "game": pa.array([f"game {n % 5000}, a title" for n in numbers]),
                "region": pa.array([("EU", "US", "LATAM", "ASIA")[n % 4] for n in numbers]),
                "amount": pa.array([n % 9000 + 0.25 for n in numbers]).cast(pa.decimal128(10, 2)),
                "note": pa.array([f"note number {n} of many" for n in numbers]),
            }
        )
        path = self.directory / f"{label(rows)}.csv"
        with path.open("wb") as file:
            pa.csv.write_csv(table, file, pa.csv.WriteOptions(include_header=False))
        prefix = label(rows)
        self._s3.upload_file(str(path), BUCKET, f"{prefix}/csv")
        content = path.read_bytes()
        self._s3.put_object(Bucket=BUCKET, Key=f"{prefix}/gzip", Body=gzip.compress(content, 6))
        self._s3.put_object(Bucket=BUCKET, Key=f"{prefix}/zstd", Body=pa.compress(content, "zstd", asbytes=True))
        sink = io.BytesIO()
        pq.write_table(table, sink)
        self._s3.put_object(Bucket=BUCKET, Key=f"{prefix}/parquet", Body=sink.getvalue())
        self._reset("truncate", fill=path)
        self.truths[rows] = self._truth()
        return path

    def _reset(self, command: str, fill: Path | None = None) -> None:
        with psycopg.connect(self._superuser, autocommit=True) as connection:
            connection.execute(f"{command} {TABLE}".encode())
            if fill:
                copy_direct(self._superuser, str(fill), 0)
                connection.execute(f"vacuum (analyze) {TABLE}".encode())
            connection.execute("checkpoint")

    def _truth(self) -> Any:
        with psycopg.connect(self._superuser) as connection:
            return connection.execute(_TRUTH.encode()).fetchone()

    def _unloaded(self) -> list[str]:
        found = self._s3.list_objects_v2(Bucket=BUCKET, Prefix="out/").get("Contents", [])
        return [entry["Key"] for entry in found]

    def _check_unloaded(self, name: str, kind: str, rows: int) -> None:
        """Count what an UNLOAD has written. Raises CaseError."""
        count = 0
        for key in self._unloaded():
            body = self._s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            if kind == "parquet":
                count += pq.ParquetFile(io.BytesIO(body)).metadata.num_rows
            else:
                count += (gzip.decompress(body) if kind == "gzip" else body).count(b"\n")
        if count != rows:
            raise CaseError(f"{name} has written {count:,} rows, not {rows:,}")
