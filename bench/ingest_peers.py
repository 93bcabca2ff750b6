"""What `bench.ingest` measures of others, by the environment of requirements-ingest.txt. Imports do not count.

Both get the final rows and not what we are given: no duplicate, no bad row, every reference resolved. Both write into
store.transaction_line as migrated, with its keys, checks and indexes, through a table of their own.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
from pyarrow import csv

from bench.case import Done, run_program

KEY = ("transaction_id", "line_no")


def dlt_arrow(url: str, path: str, table: str, rows: int) -> Done:
    """Upsert a CSV file by its key, read by pyarrow, as dlt's documentation has it for speed."""
    schema, _, name = table.partition(".")

    @dlt.resource(name=name, primary_key=KEY, write_disposition={"disposition": "merge", "strategy": "upsert"})  # type: ignore[untyped-decorator]
    def lines() -> Iterator[Any]:
        with csv.open_csv(path) as batches:
            yield from batches

    with tempfile.TemporaryDirectory(prefix="marketplace-dlt-") as directory:
        os.environ |= {"DLT_DATA_DIR": directory, "RUNTIME__DLTHUB_TELEMETRY": "false"}
        destination = dlt.destinations.postgres(url)
        pipeline = dlt.pipeline("bench", pipelines_dir=directory, destination=destination, dataset_name=schema)
        pipeline.run(lines(), loader_file_format="csv").raise_on_failed_jobs()
    return Done(rows)


def sling(url: str, path: str, table: str, rows: int) -> Done:
    """Upsert a CSV file by its key."""
    (program,) = Path(sys.prefix).glob("lib/python*/site-packages/sling_*/bin/sling-*")
    command = [
        str(program), "run", "--src-stream", f"file://{path}", "--tgt-conn", "TARGET", "--tgt-object", table,
        "--mode", "incremental", "--primary-key", ",".join(KEY),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="marketplace-sling-") as home:
        environment = {
            "TARGET": f"{url}?sslmode=disable",
            "SLING_HOME_DIR": home,
            "SLING_DISABLE_TELEMETRY": "true",
        }
        return Done(rows, peak_rss_mb=run_program(command, environment))
