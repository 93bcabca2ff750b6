"""docs/data-sources.md says what the contracts say."""

from __future__ import annotations

import re
from pathlib import Path

from marketplace.contracts import load_contracts
from scripts import data_sources

PACKAGE = Path(__file__).resolve().parents[2] / "dags" / "marketplace" / "contracts"
CURRENT = data_sources.PAGE.read_text(encoding="utf-8")


def test_the_datasets_are_described_as_their_contracts_have_them() -> None:
    assert data_sources.page(CURRENT) == CURRENT, "docs/data-sources.md is stale: make docs"


def test_a_change_of_a_contract_would_change_the_page() -> None:
    contract = load_contracts()["game"]
    columns = tuple(column.model_copy(update={"required": True}) for column in contract.columns)
    changed = data_sources.section(contract.model_copy(update={"columns": columns}))
    assert data_sources.section(contract) in CURRENT
    assert changed not in CURRENT


def test_every_code_of_the_validator_is_explained() -> None:
    prefixes = "missing|invalid|implausible|unknown|too|reformatted|rounded|truncated|out|nul|wrong"
    code = re.compile(rf'"((?:{prefixes})_[a-z_]+|missing)"')
    modules = [path for path in PACKAGE.glob("*.py") if path.name != "mistakes.py"]  # which has pydantic's codes
    codes = {found for path in modules for found in code.findall(path.read_text(encoding="utf-8"))}
    assert {"missing", "nul_byte", "out_of_range", "rounded_amount", "invalid_date", "wrong_header"} <= codes
    assert sorted(found for found in codes if f"`{found}`" not in CURRENT) == []
