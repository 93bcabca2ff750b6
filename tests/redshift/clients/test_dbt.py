"""dbt with its adapter for Redshift, as published, in an environment of its own: a small project, twice."""

from __future__ import annotations

import json
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.redshift.clients.conftest import Warehouse, run

pytestmark = pytest.mark.full

PROJECT = Path(__file__).with_name("dbt_project")


class Project:
    """A copy of the project, and dbt to run on it."""

    def __init__(self, python: Path, warehouse: Warehouse, directory: Path) -> None:
        self.directory = directory / "project"
        shutil.copytree(PROJECT, self.directory)
        self._dbt = python.with_name("dbt")
        login = warehouse.login
        self._variables = {
            "DBT_PROFILES_DIR": str(self.directory),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "HOME": str(directory),
            "REDSHIFT_SCHEMA": warehouse.schema,
            **{f"REDSHIFT_{name.upper()}": str(value) for name, value in login.items()},
        }

    def __call__(self, *arguments: str) -> str:
        return run(self._dbt, *arguments, cwd=self.directory, variables=self._variables)

    def outcomes(self) -> dict[str, str]:
        """Return what became of each node of the last command."""
        results = json.loads((self.directory / "target" / "run_results.json").read_text())["results"]
        return {result["unique_id"].split(".")[2]: result["status"] for result in results}


@pytest.fixture
def dbt(clients: Path, warehouse: Warehouse, tmp_path: Path) -> Project:
    return Project(clients, warehouse, tmp_path)


def test_a_project_is_seeded_built_tested_and_documented(dbt: Project, warehouse: Warehouse) -> None:
    assert "All checks passed!" in dbt("debug")
    dbt("seed")
    dbt("run")
    assert dbt.outcomes() == dict.fromkeys(
        ["sale_by_day", "best_day", "late_bound", "sale_merged", "sale_replaced"], "success"
    )
    assert warehouse.rows("select * from sale_by_day order by 1, 2") == [
        (date(2025, 1, 1), "EU", 2, Decimal("15.50"), "1,2"),
        (date(2025, 1, 2), "US", 1, Decimal("7.25"), "3"),
    ]
    assert warehouse.rows("select region, amount from best_day order by 1") == [
        ("EU", Decimal("15.50")),
        ("US", Decimal("7.25")),
    ]
    seed = dbt.directory / "seeds" / "sale.csv"
    seed.write_text(seed.read_text().replace("3,US,7.25", "3,US,8.00") + "4,US,1.00,2025-01-03\n")
    dbt("seed")
    dbt("run")
    assert warehouse.rows("select sale_id, amount from sale_merged order by 1") == [
        (1, Decimal("10.00")), (2, Decimal("5.50")), (3, Decimal("8.00")), (4, Decimal("1.00")),
    ]  # fmt: skip
    assert warehouse.rows("select * from sale_replaced order by 1") == [
        ("EU", Decimal("15.50")),
        ("US", Decimal("9.00")),
    ]
    dbt("test")
    assert len(dbt.outcomes()) == 6
    dbt("docs", "generate")
    nodes = json.loads((dbt.directory / "target" / "catalog.json").read_text())["nodes"]
    columns = nodes["model.clients.sale_by_day"]["columns"]
    assert [(name, columns[name]["index"]) for name in columns] == [
        ("sold_on", 1), ("region", 2), ("sales", 3), ("amount", 4), ("sale_ids", 5),
    ]  # fmt: skip


def test_a_test_that_fails_is_told(dbt: Project) -> None:
    seed = dbt.directory / "seeds" / "sale.csv"
    seed.write_text(seed.read_text() + "3,MARS,1.00,2025-01-03\n")
    dbt("seed")
    dbt("run", "--select", "sale_by_day")
    with pytest.raises(AssertionError, match="Got 1 result, configured to fail if != 0"):
        dbt("test", "--select", "sale_by_day", "unique_sale_sale_id", "not_null_sale_sale_id")
    assert sorted(dbt.outcomes().values()) == ["fail", "fail", "pass", "pass"]
