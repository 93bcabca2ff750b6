"""What `bench.sync` measures of others, by the environment of requirements-sync.txt. Imports do not count.

Each goes by a number that grows with every change, and merges by the key. What was deleted none of them sees.
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
from dlt.sources.sql_database import sql_table

from bench.case import Done, run_program

KEY = ("transaction_id", "line_no")
CURSOR = "changed"


def dlt_arrow(source: str, view: str, target: dict[str, Any], table: str, staging: str, since: int, rows: int) -> Done:
    """Merge what has changed since a number, read by pyarrow and staged in S3 as Parquet, as its pages advise."""
    schema, _, name = view.partition(".")
    dataset, _, target_name = table.partition(".")
    changed = dlt.sources.incremental(CURSOR, initial_value=since, range_start="open")
    lines = sql_table(
        source.replace("postgresql:", "postgresql+psycopg2:", 1), name, schema=schema, backend="pyarrow",
        chunk_size=50_000, incremental=changed, reflection_level="full_with_precision", primary_key=list(KEY),
        write_disposition="merge",
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="marketplace-dlt-") as directory:
        os.environ |= {"DLT_DATA_DIR": directory, "RUNTIME__DLTHUB_TELEMETRY": "false"}
        aws = {
            "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
            "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
            "region_name": os.environ["AWS_DEFAULT_REGION"],
        }
        pipeline = dlt.pipeline(
            "bench",
            pipelines_dir=directory,
            destination=dlt.destinations.redshift(credentials=target),
            staging=dlt.destinations.filesystem(bucket_url=staging, credentials=aws),
            dataset_name=dataset,
        )
        pipeline.run(lines, table_name=target_name, loader_file_format="parquet").raise_on_failed_jobs()
    return Done(rows)


def sling(source: str, view: str, target: str, table: str, rows: int) -> Done:
    """Merge what has changed since the largest number in the target."""
    (program,) = Path(sys.prefix).glob("lib/python*/site-packages/sling_*/bin/sling-*")
    command = [
        str(program), "run", "--src-conn", "SOURCE", "--src-stream", view, "--tgt-conn", "TARGET", "--tgt-object",
        table, "--mode", "incremental", "--primary-key", ",".join(KEY), "--update-key", CURSOR,
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="marketplace-sling-") as home:
        environment = {
            "SOURCE": f"{source}?sslmode=disable",
            "TARGET": f"{target}?sslmode=disable",
            "SLING_HOME_DIR": home,
            "SLING_DISABLE_TELEMETRY": "true",
        }
        return Done(rows, peak_rss_mb=run_program(command, environment))


def ingestr(source: str, view: str, target: str, table: str, since: int, rows: int) -> Done:
    """Merge what has changed since a number, which is written as a time: it goes by nothing else."""
    command = [
        str(Path(sys.prefix, "bin", "ingestr")), "ingest", "--yes", "--progress", "log",
        "--source-uri", f"{source}?sslmode=disable", "--source-table", view,
        "--dest-uri", f"{target}?sslmode=disable", "--dest-table", table,
        "--incremental-strategy", "merge", "--incremental-key", CURSOR,
        "--interval-start", datetime.fromtimestamp(since, UTC).isoformat(),
    ]  # fmt: skip
    command += [part for name in KEY for part in ("--primary-key", name)]
    with tempfile.TemporaryDirectory(prefix="marketplace-ingestr-") as home:
        variables = {"HOME": home, "INGESTR_DISABLE_TELEMETRY": "true", "DISABLE_TELEMETRY": "true"}
        return Done(rows, peak_rss_mb=run_program(command, variables))
