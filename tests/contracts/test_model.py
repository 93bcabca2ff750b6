"""Contracts are read as written, and a mistake in one is named by file, column and accepted form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from marketplace.contracts import Contract, ContractError, load_contract, load_contracts
from marketplace.contracts.model import read_contract

TYPES = (
    "'id', 'text', 'name', 'reference', 'enum', 'date', 'timestamp', 'amount', 'integer', 'number', "
    "'boolean', 'currency', 'country', 'email', 'locale', 'time_zone', 'latitude' or 'longitude'"
)
COLUMNS = "the columns are probe_id, kind, price, note"


def valid() -> dict[str, Any]:
    """Return a contract without mistakes, to make one in."""
    return {
        "dataset": "probe",
        "description": "A probe.",
        "key": ["probe_id"],
        "columns": [
            {"name": "probe_id", "type": "id", "description": "The key."},
            {"name": "kind", "type": "enum", "values": {"a": ["alpha"], "b": []}, "description": "A kind."},
            {"name": "price", "type": "amount", "description": "A price."},
            {"name": "note", "type": "text", "required": False, "description": "A note."},
        ],
        "rules": [{"when": {"kind": ["a"]}, "column": "price", "at_least": 0, "reason": "negative_price"}],
        "tables": ["store.probe"],
    }


def write(directory: Path, contract: object, name: str = "probe") -> Path:
    path = directory / f"{name}.yaml"
    path.write_text(yaml.safe_dump(contract), encoding="utf-8")
    return path


def mistake(directory: Path, contract: object) -> str:
    with pytest.raises(ContractError) as caught:
        read_contract(write(directory, contract))
    return str(caught.value)


def test_a_contract_without_mistakes_is_read(tmp_path: Path) -> None:
    contract = read_contract(write(tmp_path, valid()))
    assert contract.header == ("probe_id", "kind", "price", "note")
    assert contract.stage_columns == (
        ("probe_id", "text"),
        ("kind", "text"),
        ("price", "numeric(18,4)"),
        ("note", "text"),
    )
    assert contract.references == ()
    assert contract.date_order == "month_first"


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (2, {"type": "money"}, f"probe.yaml: column 'price', type: Input should be {TYPES}, not 'money'"),
        (
            2,
            {"name": "Price"},
            "probe.yaml: column 'Price', name: String should match pattern '^[a-z][a-z0-9_]*$'",
        ),
        (2, {"precision": 2}, "probe.yaml: column 'price', precision: Extra inputs are not permitted"),
        (
            2,
            {"required": "no"},
            "probe.yaml: column 'price', required: Input should be a valid boolean, not 'no'",
        ),
        (
            2,
            {"pattern": "x"},
            "probe.yaml: column 'price': pattern is not for type amount, only for id",
        ),
        (
            0,
            {"minimum": 1},
            "probe.yaml: column 'probe_id': minimum is not for type id, only for amount, integer, number",
        ),
        (0, {"pattern": "("}, "probe.yaml: column 'probe_id': pattern is no regular expression: "),
        (3, {"type": "name"}, "probe.yaml: column 'note': type name needs normaliser"),
        (
            3,
            {"type": "reference", "references": "game"},
            "probe.yaml: column 'note': type reference needs normaliser",
        ),
        (
            3,
            {"type": "name", "normaliser": "artist"},
            "probe.yaml: column 'note', normaliser: Input should be 'publisher' or 'title', not 'artist'",
        ),
        (3, {"type": "enum"}, "probe.yaml: column 'note': type enum needs values"),
        (
            1,
            {"values": {"a": ["alpha"], "b": ["ALPHA"]}},
            "probe.yaml: column 'kind': values: 'ALPHA' is a spelling of both 'a' and 'b'",
        ),
        (
            1,
            {"values": {False: []}},
            "probe.yaml: column 'kind', values: Input should be a valid string, not False",
        ),
        (
            1,
            {"unknown": "ignore"},
            "probe.yaml: column 'kind', unknown: Input should be 'reject' or 'accept', not 'ignore'",
        ),
    ],
)
def test_a_wrong_column_is_named(tmp_path: Path, number: int, change: dict[Any, Any], message: str) -> None:
    contract = valid()
    contract["columns"][number] |= change
    found = mistake(tmp_path, contract)
    if message.endswith(": "):  # the rest is the re module's
        assert found.startswith(message)
    else:
        assert found == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"key": ["id"]},
            f"probe.yaml: key: id is not a column; {COLUMNS}",
        ),
        ({"key": ["note"]}, "probe.yaml: key: note must be required"),
        ({"key": []}, "probe.yaml: key: Tuple should have at least 1 item after validation, not 0"),
        (
            {"date_order": "american"},
            "probe.yaml: date_order: Input should be 'month_first' or 'day_first', not 'american'",
        ),
        ({"tables": []}, "probe.yaml: tables: Tuple should have at least 1 item after validation, not 0"),
        ({"dataset": "sample"}, "probe.yaml: dataset is 'sample', it must be 'probe' as the file is"),
        ({"owner": "me"}, "probe.yaml: owner: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_contract_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert mistake(tmp_path, valid() | change) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"column": "total"},
            f"probe.yaml: rule negative_price: total is not a column; {COLUMNS}",
        ),
        (
            {"when": {"type": ["a"]}},
            f"probe.yaml: rule negative_price: type is not a column; {COLUMNS}",
        ),
        (
            {"when": {"kind": ["alpha"]}},
            "probe.yaml: rule negative_price: 'alpha' is not a value of kind; the values are a, b",
        ),
        (
            {"column": "note"},
            "probe.yaml: rule negative_price: at_most and at_least are for type amount, integer, number, "
            "note is of type text",
        ),
        (
            {"at_most": 5},
            "probe.yaml: rule 'negative_price': a rule has exactly one of at_most, at_least, in, not_in",
        ),
        (
            {"at_least": None},
            "probe.yaml: rule 'negative_price': a rule has exactly one of at_most, at_least, in, not_in",
        ),
        (
            {"severity": "warning"},
            "probe.yaml: rule 'negative_price', severity: Extra inputs are not permitted",
        ),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    contract = valid()
    contract["rules"][0] |= change
    assert mistake(tmp_path, contract) == message


def test_a_column_may_have_the_values_of_another_contracts(tmp_path: Path) -> None:
    write(tmp_path, valid())
    del (borrower := valid() | {"dataset": "other"})["columns"][1]["values"]
    borrower["columns"][1]["values_of"] = "probe.kind"
    column = read_contract(write(tmp_path, borrower, "other")).column("kind")
    assert (column.values, column.values_of) == ({"a": ("alpha",), "b": ()}, "probe.kind")


@pytest.mark.parametrize("values_of", ["probe.kinds", "probe.note", "nowhere.kind", "kind", "", 7])
def test_values_of_a_column_that_has_none_are_named(tmp_path: Path, values_of: object) -> None:
    write(tmp_path, valid())
    del (borrower := valid() | {"dataset": "other"})["columns"][1]["values"]
    borrower["columns"][1]["values_of"] = values_of
    with pytest.raises(ContractError) as caught:
        read_contract(write(tmp_path, borrower, "other"))
    assert str(caught.value) == (
        f"other.yaml: column 'kind', values_of: {values_of!r} is no DATASET.COLUMN that has values"
    )


def test_values_of_its_own_and_of_another_column_are_too_many(tmp_path: Path) -> None:
    contract = valid()
    contract["columns"][1]["values_of"] = "probe.kind"
    assert mistake(tmp_path, contract) == (
        "probe.yaml: column 'kind', values_of: there are values as well, it must be one of the two"
    )


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    contract = valid()
    contract["columns"].append(contract["columns"][3])
    assert mistake(tmp_path, contract) == (
        "probe.yaml: columns: note is there twice (one matched by name gives NAME and NAME_key)"
    )


def test_a_column_that_clashes_with_a_key_is_named(tmp_path: Path) -> None:
    contract = valid()
    contract["columns"] += [
        {"name": "title", "type": "name", "normaliser": "title", "description": "A title."},
        {"name": "title_key", "type": "text", "description": "Taken."},
    ]
    assert mistake(tmp_path, contract) == (
        "probe.yaml: columns: title_key is there twice (one matched by name gives NAME and NAME_key)"
    )


def test_all_mistakes_of_the_columns_are_named_at_once(tmp_path: Path) -> None:
    contract = valid()
    contract["columns"][0]["type"] = "key"
    del contract["columns"][3]["name"]
    assert mistake(tmp_path, contract) == (
        f"probe.yaml: column 'probe_id', type: Input should be {TYPES}, not 'key'; "
        "column number 4, name: Field required"
    )


def test_a_file_that_is_no_yaml_or_no_mapping_is_named(tmp_path: Path) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text("dataset: [", encoding="utf-8")
    with pytest.raises(ContractError, match=r"^probe\.yaml: not YAML: "):
        read_contract(path)
    assert mistake(tmp_path, ["dataset"]) == (
        "probe.yaml: a contract is a mapping: dataset, description, key, columns, tables"
    )


def test_a_dataset_without_contract_is_named() -> None:
    with pytest.raises(ContractError) as caught:
        load_contract("artist")
    assert str(caught.value) == (
        f"There is no contract for 'artist': the datasets are {', '.join(sorted(load_contracts()))}."
    )


def test_a_reference_to_a_dataset_without_contract_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "contracts").mkdir()
    contract = valid()
    contract["columns"][3] |= {"type": "id", "references": "artist"}
    write(tmp_path / "contracts", contract)
    monkeypatch.setattr("marketplace.settings.include_dir", lambda: tmp_path)
    with pytest.raises(ContractError) as caught:
        load_contracts()
    assert str(caught.value) == ("probe.yaml: references 'artist', which has no contract; the datasets are probe.")


def test_a_contract_cannot_be_changed() -> None:
    contract = load_contract("publisher")
    with pytest.raises(ValueError, match="frozen"):
        contract.dataset = "game"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("dataset", "header", "key", "references", "stage"),
    [
        (
            "publisher",
            "publisher_id,name,country",
            ("publisher_id",),
            (),
            "publisher_id text,name text,name_key text,country text",
        ),
        (
            "game",
            "game_id,title,release_date,genre",
            ("game_id",),
            (),
            "game_id text,title text,title_key text,release_date date,genre text",
        ),
        (
            "transaction",
            "transaction_id,txn_type,txn_ts,currency,total_amount,customer_ref",
            ("transaction_id",),
            (),
            "transaction_id text,txn_type text,txn_ts timestamptz,currency text,total_amount numeric(18;4),"
            "customer_ref text",
        ),
        (
            "transaction_detail",
            "transaction_id,line_no,game_ref,publisher_ref,region,platform,gross_amount,platform_fee,net_amount",
            ("transaction_id", "line_no"),
            ("transaction", "game", "publisher"),
            "transaction_id text,line_no integer,game_ref text,game_ref_key text,publisher_ref text,"
            "publisher_ref_key text,region text,platform text,gross_amount numeric(18;4),"
            "platform_fee numeric(18;4),net_amount numeric(18;4)",
        ),
    ],
)
def test_the_contracts_have_the_headers_and_staged_values_agreed_on(
    dataset: str, header: str, key: tuple[str, ...], references: tuple[str, ...], stage: str
) -> None:
    contract = load_contract(dataset)
    assert ",".join(contract.header) == header
    assert contract.key == key
    assert contract.references == references
    staged = ",".join(f"{name} {kind.replace(',', ';')}" for name, kind in contract.stage_columns)
    assert staged == stage


def test_every_file_is_a_contract_of_its_dataset() -> None:
    contracts = load_contracts()
    assert {"game", "publisher", "transaction", "transaction_detail"} <= set(contracts)
    assert all(isinstance(contract, Contract) for contract in contracts.values())
    assert all(dataset == contract.dataset for dataset, contract in contracts.items())
