"""Copy tables by dlt, once for each line that comes in, in its own environment: dlt_copies.py '{"source": …}'."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dlt
import psycopg2
import psycopg2.extras

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def table(source: str, name: str, key: list[str]) -> Any:
    """Return the resource of a table: rows whose updated_at is not below the newest that was seen."""

    def rows(updated_at: Any = dlt.sources.incremental("updated_at", initial_value=EPOCH)) -> Iterator[Any]:  # noqa: B008
        with psycopg2.connect(source) as connection:
            with connection.cursor() as asked:
                asked.execute(
                    "select column_name, data_type from information_schema.columns where table_schema = 'store'"
                    " and table_name = %s and column_name <> 'row_xid'",
                    (name,),
                )
                columns = [
                    f"{column}::text as {column}" if type_ in {"USER-DEFINED", "jsonb"} else column
                    for column, type_ in asked.fetchall()
                ]
            with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(
                    f"select {', '.join(columns)} from store.{name} where updated_at >= %s order by updated_at",
                    (updated_at.last_value,),
                )
                yield [dict(row) for row in cursor.fetchall()]

    return dlt.resource(rows, name=name, primary_key=key, write_disposition="merge")


def main() -> None:
    """Copy all tables each time that a line comes in, and say so."""
    order = json.loads(sys.argv[1])
    pipeline = dlt.pipeline(
        "copies",
        pipelines_dir=order["directory"],
        destination=dlt.destinations.postgres(order["target"]),
        dataset_name="store",
    )
    for _ in sys.stdin:
        resources = [table(order["source"], name, key) for name, key in order["tables"].items()]
        pipeline.run(resources).raise_on_failed_jobs()
        print("synced", flush=True)


if __name__ == "__main__":
    main()
