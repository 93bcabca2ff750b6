"""dlt's destination for Redshift, as published, in an environment of its own."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.redshift.clients.conftest import Warehouse, run

pytestmark = pytest.mark.full

SCRIPT = Path(__file__).with_name("dlt_loads.py")
READ = "select sale_id, title, price, sold_at, details from sale order by sale_id, title"


def sale(number: int, title: str, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "sale_id": number,
        "title": title,
        "price": f"{number}.50",
        "sold_at": f"2025-03-0{number}T10:00:00+00:00",
        "details": {"n": number, "quote": 'it\'s "so" \\ so'},
        "tags": list(tags),
    }


def expected(row: dict[str, Any]) -> tuple[Any, ...]:
    sold_at = datetime.fromisoformat(row["sold_at"]).astimezone(UTC)
    return (row["sale_id"], row["title"], Decimal(row["price"]), sold_at, row["details"])


FIRST = [sale(1, 'it\'s "one"'), sale(2, "back\\slash\nand line", ("a", "b")), sale(3, "żółw 🐢")]
SECOND = [sale(2, "two again", ("c",)), sale(4, "four")]


class Loader:
    """Loads by dlt into a schema, in one way."""

    def __init__(self, python: Path, warehouse: Warehouse, directory: Path, way: str) -> None:
        self._python, self._warehouse, self._directory = python, warehouse, directory
        self._format = way
        self.is_staged = way != "insert_values"

    def __call__(self, rows: list[dict[str, Any]], disposition: str, table: str = "sale") -> None:
        login = self._warehouse.login
        order = {
            "rows": rows,
            "disposition": disposition,
            "table": table,
            "format": self._format,
            "dataset": self._warehouse.schema,
            "directory": str(self._directory / "pipelines"),
            "credentials": {
                "host": login["host"], "port": login["port"], "username": login["user"],
                "password": login["password"], "database": login["database"],
            },
            "staging": f"s3://{self._warehouse.bucket}/{self._warehouse.schema}/staging" if self.is_staged else "",
            "aws": {
                "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
                "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
                "region_name": os.environ["AWS_DEFAULT_REGION"],
                "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
            },
        }  # fmt: skip
        run(
            self._python,
            str(SCRIPT),
            json.dumps(order),
            cwd=self._directory,
            variables={"RUNTIME__DLTHUB_TELEMETRY": "false", "HOME": str(self._directory)},
        )


@pytest.fixture(params=["insert_values", "jsonl", "parquet"])
def load(request: pytest.FixtureRequest, clients: Path, warehouse: Warehouse, tmp_path: Path) -> Loader:
    return Loader(clients, warehouse, tmp_path, request.param)


def test_rows_are_appended_merged_and_put_in_place_of_others(load: Loader, warehouse: Warehouse) -> None:
    load(FIRST, "append")
    assert warehouse.rows(READ) == [expected(row) for row in FIRST]
    assert warehouse.rows("select value from sale__tags order by 1") == [("a",), ("b",)]
    load(FIRST[:1], "append")
    assert warehouse.rows("select sale_id from sale order by 1") == [(1,), (1,), (2,), (3,)]
    load(SECOND, "replace")
    assert warehouse.rows(READ) == [expected(row) for row in SECOND]
    # A table of its own: of one that was appended to, dlt would want another column that may not be NULL.
    load(FIRST, "merge", "merged")
    load(SECOND, "merge", "merged")
    merged = [FIRST[0], SECOND[0], FIRST[2], SECOND[1]]
    assert warehouse.rows(READ.replace("from sale", "from merged")) == [expected(row) for row in merged]
    assert warehouse.rows("select value from merged__tags order by 1") == [("c",)]
    assert bool(warehouse.objects("staging/")) == load.is_staged
