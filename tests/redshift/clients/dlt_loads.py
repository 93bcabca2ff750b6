"""Load rows by dlt, in the clients' environment: dlt_loads.py '{"rows": [...], …}'."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import dlt
from dlt.destinations import filesystem, redshift


def typed(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with what JSON cannot hold."""
    return row | {
        "price": Decimal(row["price"]),
        "sold_at": datetime.fromisoformat(row["sold_at"]).astimezone(UTC),
    }


def main() -> None:
    """Load once, as the argument says."""
    order = json.loads(sys.argv[1])
    staging = None
    if order["staging"]:
        staging = filesystem(bucket_url=order["staging"], credentials=order["aws"])
    pipeline = dlt.pipeline(
        "clients",
        destination=redshift(credentials=order["credentials"]),
        staging=staging,
        dataset_name=order["dataset"],
        pipelines_dir=order["directory"],
    )
    resource = dlt.resource(
        [typed(row) for row in order["rows"]],
        name=order["table"],
        primary_key="sale_id",
        write_disposition=order["disposition"],
        columns={"price": {"data_type": "decimal", "precision": 10, "scale": 2}, "details": {"data_type": "json"}},
    )
    pipeline.run(resource, loader_file_format=order["format"]).raise_on_failed_jobs()


if __name__ == "__main__":
    main()
