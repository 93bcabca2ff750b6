"""The warehouse's migrations as they are written: every table that is synced, and room for what a contract lets in."""

from __future__ import annotations

import re

import pytest

from marketplace import assets, warehouse
from marketplace.contracts.model import Column, load_contracts

CONTRACTS = load_contracts()
# Where the rows of a dataset go.
TABLES = {name: f"store.{name}" for name in CONTRACTS} | {
    "area": "geo.area",
    "transaction_detail": "store.transaction_line",
}
ALIASES = {"publisher": "store.publisher_alias", "game": "store.game_alias"}
# Columns of the store by another name than in the files.
NAMES = {
    ("customer", "customer_ref"): "ref",
    ("transaction", "txn_type"): "type",
    ("customer", "country"): "country_code",
    ("publisher", "country"): "country_code",
    # Lists, kept as JSON.
    ("notification_rule", "countries"): "audience",
    ("notification_rule", "platforms"): "audience",
}
BYTES = 4  # of a character, at most
FIXED = {"country": 2, "currency": 3}


def columns() -> dict[str, dict[str, int]]:
    """Return, of each table that the migrations make, its texts and their widths in bytes."""
    found: dict[str, dict[str, int]] = {}
    text = r'"?(\w+)"? (?:type )?varchar\((\d+)\)'
    for statement in [one for migration in warehouse.migrations() for one in migration.statements]:
        if made := re.match(r"create table (\w+\.\w+)", statement, re.IGNORECASE):
            found[made[1]] = {name: int(width) for name, width in re.findall(text, statement)}
        elif changed := re.match(rf"alter table (store\.\w+) (?:add|alter) column {text}", statement, re.IGNORECASE):
            found[changed[1]][changed[2]] = int(changed[3])
    return found


WIDTHS = columns()


def needed(column: Column) -> int | None:
    """Return how many bytes a value of a contract's column may have; None when it is no text."""
    if column.many:  # each value gets quotes, a comma and a blank at most: a short one may become four times as long
        return BYTES * column.max_length
    if column.type in FIXED:
        return FIXED[column.type]
    if column.type == "enum" and column.unknown == "reject":
        return max(len(value.encode()) for value in column.values)
    is_text = column.type in ("id", "text", "name", "reference", "enum", "email", "locale", "time_zone")
    return BYTES * column.max_length if is_text else None


def test_every_table_that_is_synced_is_made_by_the_migrations() -> None:
    assert [table for table in assets.IN_WAREHOUSE if table not in WIDTHS] == []
    assert [table for table in WIDTHS if table.startswith("store.") and table not in assets.IN_WAREHOUSE] == []


@pytest.mark.parametrize("dataset", TABLES)
def test_the_warehouse_has_room_for_whatever_a_contract_lets_in(dataset: str) -> None:
    checked = 0
    for table in filter(None, (TABLES[dataset], ALIASES.get(dataset))):
        for column in CONTRACTS[dataset].columns:
            name = NAMES.get((dataset, column.name), column.name)
            if table in ALIASES.values() and name == f"{dataset}_id":
                name = "alias_id"
            if column.references and column.type == "reference":
                # What is kept is the id that the reference leads to.
                id_name = f"{column.references}_id"
                name = name if name in WIDTHS[table] else id_name
                (column,) = (one for one in CONTRACTS[column.references].columns if one.name == id_name)
            bytes_ = needed(column)
            if bytes_ is None or name not in WIDTHS[table]:
                # A customer is known by a number there, and a line's publisher by its release.
                assert bytes_ is None or name in ("customer_ref", "publisher_id"), (table, name)
                continue
            checked += 1
            assert WIDTHS[table][name] >= bytes_, (table, name)
            if column.normaliser:
                assert WIDTHS[table][f"{name}_key"] >= bytes_, (table, name)
    assert checked > 0


def test_every_id_is_as_wide_wherever_it_is_named() -> None:
    for dataset, name in (("publisher", "publisher_id"), ("game", "game_id"), ("transaction", "transaction_id")):
        wide = WIDTHS[f"store.{dataset}"][name]
        assert {table: of[name] for table, of in WIDTHS.items() if of.get(name, wide) != wide} == {}
