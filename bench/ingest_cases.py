"""What `bench.ingest` measures of ours and of the limit. What is imported here does not count; starting psql does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import psycopg
from botocore.response import StreamingBody

from bench.case import Done, run_program
from bench.ingest_files import COLUMNS
from local import pgbin
from marketplace.ingest import ledger
from marketplace.ingest.load import load_file
from marketplace.ingest.objects import LandedObject

RUN = "bench"


class Disk:
    """As much of S3 as a load asks for, with a file on the disk as every object: no emulator is measured."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def get_object(self, **_object: str) -> dict[str, Any]:
        """Return the file as S3's client returns an object."""
        return {"Body": StreamingBody(self._path.open("rb"), self._path.stat().st_size)}


def ours(url: str, files: dict[str, str]) -> Done:
    """Load files as a run of the DAG does, each claimed and loaded; `files` are paths by object key, in their order."""

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(url)

    read = 0
    for key, path in files.items():
        put = LandedObject(key.split("/")[1], key, "1", datetime.now(UTC), Path(path).stat().st_size)
        with connect() as connection:
            (claim,) = ledger.claim_files(connection, [put], RUN, 1)
        result = load_file(connect, cast(Any, Disk(path)), "landing", claim["load_id"], RUN)
        if result["status"] != "done":
            raise RuntimeError(f"{key} was not loaded: {result['summary']}")
        read += result["account"]["read"]
    return Done(read)


def copy(url: str, path: str, rows: int) -> Done:
    r"""Load the final rows with psql's \copy, which is the limit: no reading of values, no references, no account."""
    command = rf"\copy store.transaction_line ({', '.join(COLUMNS)}) from '{path}' csv header"
    psql = str(pgbin.find() / "psql")
    peak = run_program([psql, "-qX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", command], {})
    return Done(rows, peak_rss_mb=peak)
