"""Contracts are read as written, and a mistake in one is named by file, column and accepted form."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from marketplace.contracts import Contract, ContractError, load_contract, load_contracts
from marketplace.contracts.mistakes import ACCEPTED
from marketplace.contracts.model import RESERVED, Column, ColumnType, Rule, read_contract

TYPES = ", ".join(get_args(ColumnType))
BOOLEAN = "(YAML reads yes, no, on and off as true and false: put the word in quotes)"
QUOTES = "(a text that looks like a number or a date must be in quotes)"
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


VALUES = "a mapping of each value to a list of its other spellings, such as {sale: [], refund: [return]}"
NAME = "lower-case letters, digits and _, a letter first, at most 59 characters"
OPTIONS = (
    "name, type, description, required, invalid, many, keep_lines, max_length, values, values_of, unknown, pattern, "
    "fold, constants, minimum, maximum, normaliser, references"
)


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (2, {"type": "money"}, f"column 'price', type: found 'money'; accepted: {TYPES}"),
        (2, {"type": None}, f"column 'price', type: found None; accepted: {TYPES}"),
        (2, {"name": "Price"}, f"column 'Price', name: found 'Price'; accepted: {NAME}"),
        (2, {"name": False}, f"column number 3, name: found False; accepted: {NAME} {BOOLEAN}"),
        (2, {"name": "p" * 60}, f"column '{'p' * 60}', name: found '{'p' * 60}'; accepted: {NAME}"),
        (2, {"description": ""}, "column 'price', description: found ''; accepted: a sentence"),
        (
            2, {"precision": 2},
            f"column 'price', precision: there is no such option; accepted: {OPTIONS}",
        ),
        (
            2, {"requierd": True},
            f"column 'price', requierd: there is no such option; accepted: {OPTIONS}; did you mean required?",
        ),
        (2, {"required": "no"}, "column 'price', required: found 'no'; accepted: true or false"),
        (2, {"required": 0}, "column 'price', required: found 0; accepted: true or false"),
        (2, {"many": True}, "column 'price': many is not for type amount, only for enum, country"),
        (2, {"keep_lines": True}, "column 'price': keep_lines is not for type amount, only for text"),
        (
            2, {"invalid": "reject"},
            "column 'price': invalid is for a column that is not required: of a required one each is rejected",
        ),
        (3, {"invalid": "no"}, "column 'note', invalid: found 'no'; accepted: reject or accept"),
        (
            1, {"many": True},
            "rule negative_price: kind has many values; a rule is about columns that have one",
        ),
        (2, {"pattern": "x"}, "column 'price': pattern is not for type amount, only for id"),
        (2, {"references": "game"}, "column 'price': references is not for type amount, only for id, reference"),
        (0, {"minimum": 1}, "column 'probe_id': minimum is not for type id, only for amount, integer, number"),
        (2, {"minimum": "1"}, "column 'price', minimum: found '1'; accepted: a number"),
        (2, {"minimum": True}, "column 'price', minimum: found True; accepted: a number"),
        (2, {"maximum": float("inf")}, "column 'price', maximum: found inf; accepted: a number"),
        (2, {"minimum": 5, "maximum": 4.5}, "column 'price': minimum 5 is above maximum 4.5"),
        (0, {"pattern": "("}, "column 'probe_id': pattern is no regular expression: missing ), unterminated"),
        (0, {"pattern": 5}, f"column 'probe_id', pattern: found 5; accepted: {ACCEPTED['pattern']} {QUOTES}"),
        (0, {"fold": "title"}, "column 'probe_id', fold: found 'title'; accepted: upper, lower or none"),
        (
            0, {"pattern": "A[0-9]", "fold": "upper", "constants": ["platform"]},
            "column 'probe_id': constants: no value can be 'platform': values are as `pattern` and `fold` say",
        ),
        (
            0, {"constants": ["PLATFORM"]},
            "column 'probe_id': constants: no value can be 'PLATFORM': values are as `pattern` and `fold` say",
        ),
        (0, {"constants": "PLATFORM"}, f"column 'probe_id', constants: found 'PLATFORM'; accepted: {ACCEPTED['in']}"),
        (
            3, {"max_length": 0},
            "column 'note', max_length: found 0; accepted: a whole number greater than or equal to 1",
        ),
        (
            3, {"max_length": 10_001},
            "column 'note': max_length: found 10001; accepted: at most 10000 for type text",
        ),
        (3, {"type": "wkt"}, "column 'note': type wkt needs max_length"),
        (3, {"max_length": "80"}, "column 'note', max_length: found '80'; accepted: a whole number"),
        (3, {"type": "name"}, "column 'note': type name needs normaliser"),
        (3, {"type": "reference", "references": "game"}, "column 'note': type reference needs normaliser"),
        (3, {"type": "reference", "normaliser": "title"}, "column 'note': type reference needs references"),
        (
            3, {"type": "name", "normaliser": "artist"},
            "column 'note', normaliser: found 'artist'; accepted: publisher or title",
        ),
        (3, {"type": "enum"}, "column 'note': type enum needs values"),
        (
            1, {"values": {}},
            "column 'kind': values: there is none; accepted: one at least, such as {sale: [], refund: [return]}",
        ),
        (1, {"values": ["a", "b"]}, f"column 'kind', values: found ['a', 'b']; accepted: {VALUES}"),
        (1, {"values": {"a": None}}, f"column 'kind', values.a: found None; accepted: {VALUES}"),
        (1, {"values": {"a": [7]}}, f"column 'kind', values.a.0: found 7; accepted: {VALUES} {QUOTES}"),
        (
            1, {"values": {"a": ["alpha"], "b": ["ALPHA"]}},
            "column 'kind': values: 'ALPHA' is a spelling of both 'a' and 'b'",
        ),
        (1, {"values": {False: []}}, f"column 'kind', values: found False; accepted: {VALUES} {BOOLEAN}"),
        (
            1, {"values": {date(2025, 1, 5): []}},
            f"column 'kind', values: found '2025-01-05'; accepted: {VALUES} {QUOTES}",
        ),
        (1, {"unknown": "ignore"}, "column 'kind', unknown: found 'ignore'; accepted: reject or accept"),
    ],
)  # fmt: skip
def test_a_wrong_column_is_named(tmp_path: Path, number: int, change: dict[Any, Any], message: str) -> None:
    contract = valid()
    contract["columns"][number] |= change
    found = mistake(tmp_path, contract)
    if "regular expression: " in message:  # the rest is the re module's
        assert found.startswith(f"probe.yaml: {message}")
    else:
        assert found == f"probe.yaml: {message}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": ["id"]}, f"key: id is not a column; {COLUMNS}"),
        ({"key": ["note"]}, "key: note must be required"),
        ({"key": []}, "key: found []; accepted: a list of columns such as [publisher_id]"),
        ({"key": "probe_id"}, "key: found 'probe_id'; accepted: a list of columns such as [publisher_id]"),
        ({"key": ["probe_id", "probe_id"]}, "key: probe_id is there twice"),
        ({"date_order": "american"}, "date_order: found 'american'; accepted: month_first or day_first"),
        ({"tables": []}, f"tables: found []; accepted: {ACCEPTED['tables']}"),
        ({"tables": ["probe"]}, f"tables.0: found 'probe'; accepted: {ACCEPTED['tables']}"),
        ({"tables": ["store.a", "store.b; drop"]}, f"tables.1: found 'store.b; drop'; accepted: {ACCEPTED['tables']}"),
        ({"tables": ["store.probe", "store.probe"]}, "tables: store.probe is there twice"),
        *(
            ({"max_rejected_share": value}, f"max_rejected_share: found {value!r}; accepted: a number from 0 to 1")
            for value in (1.01, -0.01, "0.5", True, None)
        ),
        ({"dataset": "sample"}, "dataset is 'sample', it must be 'probe' as the file is"),
        ({"dataset": "Probe"}, f"dataset: found 'Probe'; accepted: {ACCEPTED['dataset']}"),
        ({"columns": {"probe_id": {"type": "id"}}}, "columns: found {'probe_id': {'type': 'id'}}; accepted: "
         f"{ACCEPTED['columns']}"),
        (
            {"columns": ["probe_id"], "rules": []},
            "column number 1: found 'probe_id'; accepted: a mapping of its options",
        ),
        (
            {"owner": "me"},
            "owner: there is no such option; accepted: dataset, description, key, date_order, columns, rules, tables, "
            "max_rejected_share",
        ),
        (
            {True: "me"},
            "1: there is no such option; accepted: dataset, description, key, date_order, columns, rules, tables, "
            "max_rejected_share",
        ),
    ],
)  # fmt: skip
def test_a_wrong_contract_is_named(tmp_path: Path, change: dict[Any, Any], message: str) -> None:
    assert mistake(tmp_path, valid() | change) == f"probe.yaml: {message}"


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("key", "key: it is missing; accepted: a list of columns such as [publisher_id]"),
        ("dataset", f"dataset: it is missing; accepted: {ACCEPTED['dataset']}"),
        ("columns", f"columns: it is missing; accepted: {ACCEPTED['columns']}"),
        ("tables", f"tables: it is missing; accepted: {ACCEPTED['tables']}"),
    ],
)
def test_what_a_contract_lacks_is_named(tmp_path: Path, missing: str, message: str) -> None:
    del (contract := valid())[missing]
    assert mistake(tmp_path, contract) == f"probe.yaml: {message}"


CONDITIONS = "rule 'negative_price': a rule has exactly one of at_most, at_least, in, not_in"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"column": "total"}, f"rule negative_price: total is not a column; {COLUMNS}"),
        ({"when": {"type": ["a"]}}, f"rule negative_price: type is not a column; {COLUMNS}"),
        (
            {"when": {"kind": ["alpha"]}},
            "rule negative_price: 'alpha' is not a value of kind; the values are a, b",
        ),
        ({"when": {"kind": []}}, f"rule 'negative_price', when.kind: found []; accepted: {ACCEPTED['when']}"),
        ({"when": {"kind": "a"}}, f"rule 'negative_price', when.kind: found 'a'; accepted: {ACCEPTED['when']}"),
        (
            {"column": "note"},
            "rule negative_price: at_most and at_least are for type amount, integer, number, note is of type text",
        ),
        ({"at_most": 5}, CONDITIONS),
        ({"at_least": None}, CONDITIONS),
        ({"at_least": "0"}, "rule 'negative_price', at_least: found '0'; accepted: a number"),
        (
            {"at_least": None, "in": []},
            f"rule 'negative_price', in: found []; accepted: {ACCEPTED['in']}",
        ),
        (
            {"at_least": None, "column": "probe_id", "not_in": ["a-1"]},
            "rule negative_price: probe_id can never be 'a-1'; it is NONE or A-[0-9]+",
        ),
        (
            {"severity": "warning"},
            "rule 'negative_price', severity: there is no such option; accepted: when, column, at_most, at_least, in, "
            "not_in, reason",
        ),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    contract = valid()
    contract["columns"][0] |= {"pattern": "A-[0-9]+", "constants": ["NONE"], "fold": "upper"}
    contract["rules"][0] |= change
    assert mistake(tmp_path, contract) == f"probe.yaml: {message}"


def test_every_option_has_words_for_what_is_accepted() -> None:
    options = {field.alias or name for model in (Contract, Column, Rule) for name, field in model.model_fields.items()}
    assert options - ACCEPTED.keys() == {"type"}  # the list of the types


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_column_that_staged_rows_have_themselves_is_refused(tmp_path: Path, name: str) -> None:
    contract = valid()
    contract["columns"][3]["name"] = name
    assert mistake(tmp_path, contract) == (
        f"probe.yaml: columns: {name} is a name that staged rows use themselves; choose another"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("dataset: a\nkey: [b]\ndataset: c\n", "line 1: dataset is there twice in one mapping; accepted: once"),
        (
            "dataset: a\ncolumns:\n  - name: b\n    type: id\n    type: text\n",
            "line 4: column 'b': type is there twice in one mapping; accepted: once",
        ),
        (
            "columns:\n  - name: kind\n    values:\n      b: []\n      b: [c]\n",
            "line 4: b is there twice in one mapping; accepted: once",
        ),
    ],
    ids=["contract", "column", "values"],
)
def test_a_key_that_is_there_twice_is_named_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        read_contract(path)
    assert str(caught.value) == f"probe.yaml: {message}"


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
    assert mistake(tmp_path, contract) == ("probe.yaml: columns: note is there twice (a name gives NAME and NAME_key)")


def test_a_column_that_clashes_with_a_key_is_named(tmp_path: Path) -> None:
    contract = valid()
    contract["columns"] += [
        {"name": "title", "type": "name", "normaliser": "title", "description": "A title."},
        {"name": "title_key", "type": "text", "description": "Taken."},
    ]
    assert mistake(tmp_path, contract) == (
        "probe.yaml: columns: title_key is there twice (a name gives NAME and NAME_key)"
    )


def test_all_mistakes_of_the_columns_are_named_at_once(tmp_path: Path) -> None:
    contract = valid()
    contract["columns"][0]["type"] = "key"
    del contract["columns"][3]["name"]
    assert mistake(tmp_path, contract) == (
        f"probe.yaml: column 'probe_id', type: found 'key'; accepted: {TYPES}; "
        f"column number 4, name: it is missing; accepted: {NAME}"
    )


def test_a_file_that_is_no_yaml_or_no_mapping_is_named(tmp_path: Path) -> None:
    path = tmp_path / "probe.yaml"
    for content, message in (
        (b"dataset: [", r"^probe\.yaml: line 1: expected the node content, but found '<stream end>'$"),
        (b"dataset: probe\n\tkey: x", r"^probe\.yaml: line 2: found character '\\t' that cannot start any token$"),
        (b"dataset: caf\xe9", r"^probe\.yaml: it is not UTF-8: .* 0xe9 in position 12.*; accepted: YAML in UTF-8$"),
        (b"dataset: !!python/name:os.system", r"^probe\.yaml: line 1: could not determine a constructor for the tag "),
    ):
        path.write_bytes(content)
        with pytest.raises(ContractError, match=message):
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
    assert str(caught.value) == (
        "probe.yaml: column 'note', references: 'artist' has no contract; the datasets are probe"
    )


def test_a_contract_that_would_go_unread_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "contracts").mkdir()
    write(tmp_path / "contracts", valid()).rename(tmp_path / "contracts" / "probe.yml")
    monkeypatch.setattr("marketplace.settings.include_dir", lambda: tmp_path)
    with pytest.raises(ContractError) as caught:
        load_contracts()
    assert str(caught.value) == "probe.yml: a contract's file ends in .yaml, and would go unread: rename it"


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
            "transaction_id text,line_no integer,game_ref text,publisher_ref text,"
            "region text,platform text,gross_amount numeric(18;4),"
            "platform_fee numeric(18;4),net_amount numeric(18;4)",
        ),
        (
            "customer",
            "customer_ref,name,email,country,locale,time_zone,marketing_opt_in,created_at",
            ("customer_ref",),
            (),
            "customer_ref text,name text,email text,country text,locale text,time_zone text,marketing_opt_in boolean,"
            "created_at timestamptz",
        ),
        (
            "wishlist",
            "customer_ref,game_ref,added_at",
            ("customer_ref", "game_ref"),
            ("game",),
            "customer_ref text,game_ref text,added_at timestamptz",
        ),
        (
            "play_session",
            "session_id,customer_ref,game_ref,platform,started_at,duration_s,latitude,longitude",
            ("session_id",),
            ("game",),
            "session_id text,customer_ref text,game_ref text,platform text,started_at timestamptz,"
            "duration_s integer,latitude double precision,longitude double precision",
        ),
        (
            "notification_rule",
            "rule_id,topic,subject,body,locale,due_kind,due_value,countries,platforms,owned_game,wishlisted_game,enabled",
            ("rule_id",),
            ("game",),
            "rule_id text,topic text,subject text,body text,locale text,due_kind text,due_value text,countries text[],"
            "platforms text[],owned_game text,wishlisted_game text,"
            "enabled boolean",
        ),
        (
            "notification_text",
            "rule_id,locale,subject,body",
            ("rule_id", "locale"),
            ("notification_rule",),
            "rule_id text,locale text,subject text,body text",
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
    assert {
        "customer", "game", "play_session", "publisher", "transaction", "transaction_detail", "wishlist",
    } <= set(contracts)  # fmt: skip
    assert all(isinstance(contract, Contract) for contract in contracts.values())
    assert all(dataset == contract.dataset for dataset, contract in contracts.items())
