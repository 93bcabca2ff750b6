"""Whole rows: their width, their rules, and that neither column order nor what came before matters."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.contracts import (
    Checked,
    Problem,
    compile_validator,
    load_contract,
    load_contracts,
    publisher_key,
    title_key,
)
from marketplace.contracts.column import ColumnCheck
from marketplace.contracts.model import Column, Contract
from marketplace.mockdata import profile
from marketplace.mockdata.generate import Order, generate
from marketplace.mockdata.interval import Interval

DETAIL = load_contract("transaction_detail")
TRANSACTION = load_contract("transaction")
CLEAN = ["TXN-1", "1", "GAM-001", "Valve", "EU", "PC", "59.99", "18.00", "41.99"]


def test_a_clean_row_gives_its_values_in_the_order_of_the_stage() -> None:
    assert compile_validator(DETAIL, DETAIL.header)(CLEAN) == Checked(
        ("TXN-1", "1", "GAM-001", "Valve", "EU", "PC", "59.99", "18.00", "41.99"), ()
    )
    assert len(DETAIL.stage_columns) == 9


@pytest.mark.parametrize(
    ("fields", "kind", "detail"),
    [
        (CLEAN[:8], "too_few_fields", "the row has 8 fields; accepted: 9, as the header has"),
        ([], "too_few_fields", "the row has 0 fields; accepted: 9, as the header has"),
        ([*CLEAN, ""], "too_many_fields", "the row has 10 fields; accepted: 9, as the header has"),
    ],
)
def test_a_row_of_another_width_is_an_error_and_nothing_else(fields: list[str], kind: str, detail: str) -> None:
    expected = Checked(None, (Problem(None, kind, detail, "error"),))
    assert compile_validator(DETAIL, DETAIL.header)(fields) == expected


def test_every_problem_of_a_row_is_found_and_one_error_rejects_it() -> None:
    row = ["", "1", "GAM-001", "Valve", "Moon Base", "PC", "free", "18.00", "41.99"]
    values, problems = compile_validator(DETAIL, DETAIL.header)(row)
    assert values is None
    assert [(p.column, p.kind, p.severity) for p in problems] == [
        ("transaction_id", "missing", "error"),
        ("region", "unknown_value", "warning"),
        ("gross_amount", "invalid_amount", "error"),
    ]


@pytest.mark.parametrize(
    ("txn_type", "total", "customer", "broken"),
    [
        ("sale", "5.00", "CUST-1", None),
        ("sale", "0", "CUST-1", None),
        ("sale", "-0.01", "CUST-1", ("total_amount", "negative_amount")),
        ("sale", "5.00", "PLATFORM", ("customer_ref", "platform_on_sale")),
        ("refund", "-5.00", "CUST-1", None),
        ("refund", "0.00", "CUST-1", None),
        ("refund", "5.00", "CUST-1", ("total_amount", "positive_amount")),
        ("REFUND", "-5.00", "platform", ("customer_ref", "platform_on_sale")),
        ("payout", "-5.00", "PLATFORM", None),
        ("payout", "0.0001", "PLATFORM", ("total_amount", "positive_amount")),
        ("payout", "-5.00", "CUST-1", ("customer_ref", "customer_on_payout")),
    ],
)
def test_the_rules_of_transactions(txn_type: str, total: str, customer: str, broken: tuple[str, str] | None) -> None:
    row = ["TXN-1", txn_type, "2025-01-05T14:22:10Z", "EUR", total, customer]
    values, problems = compile_validator(TRANSACTION, TRANSACTION.header)(row)
    assert [(p.column, p.kind) for p in problems] == ([broken] if broken else [])
    assert (values is None) == (broken is not None)


def test_a_broken_rule_says_what_would_be_accepted_where() -> None:
    row = ["TXN-1", "refund", "2025-01-05", "EUR", "14.99", "CUST-1"]
    (problem,) = compile_validator(TRANSACTION, TRANSACTION.header)(row).problems
    assert problem == Problem(
        "total_amount", "positive_amount", "'14.99'; accepted where txn_type is refund: at most 0", "error"
    )


def test_a_rule_is_not_applied_where_a_value_is_wrong_already() -> None:
    row = ["TXN-1", "refund", "2025-01-05", "EUR", "free", "PLATFORM"]
    problems = compile_validator(TRANSACTION, TRANSACTION.header)(row).problems
    assert [p.kind for p in problems] == ["invalid_amount", "platform_on_sale"]


def test_rules_with_in_and_without_when() -> None:
    contract = Contract.model_validate(
        {
            "dataset": "probe",
            "description": "A probe.",
            "key": ["k"],
            "columns": [{"name": "k", "type": "id", "description": "The key."}],
            "rules": [{"column": "k", "in": ["a", "b"], "reason": "not_a_or_b"}],
            "tables": ["store.probe"],
        }
    )
    validate = compile_validator(contract, ["k"])
    assert validate(["a"]) == (("a",), ())
    assert validate(["c"]) == (None, (Problem("k", "not_a_or_b", "'c'; accepted: a, b", "error"),))


# Texts that mean something to one column or other, so that rows are often nearly right.
MEANINGFUL = [
    *CLEAN, "sale", "Refund", "payout", "PLATFORM", "cust-12", "CUST-0001", "USD", "eur", "03/02/2021",
    "2025-01-05T14:22:10Z", "2024-02-29T00:00:00Z", "2025-02-29T00:00:00Z", "25/12/2021", "-5.00", "1,234.50",
    "12,50", "", "NULL", "-", "nan", "ps5", " pc ", "Moon Base", "0", "2.0", "007", "-0.00", "x" * 201,
    "a\0b", "TXN-1\n",
]  # fmt: skip
cells = st.sampled_from(MEANINGFUL) | st.text(max_size=20)


@given(st.lists(cells, max_size=12))
@pytest.mark.parametrize("contract", [DETAIL, TRANSACTION], ids=lambda contract: contract.dataset)
def test_no_text_makes_the_validator_raise_and_values_are_none_exactly_for_an_error(
    contract: Contract, row: list[str]
) -> None:
    values, problems = compile_validator(contract, contract.header)(row)
    assert (values is None) == any(problem.severity == "error" for problem in problems)
    if values is not None:
        assert len(values) == len(contract.stage_columns)
        assert not any("\0" in value for value in values if value is not None)


@given(st.data())
@pytest.mark.parametrize("contract", [DETAIL, TRANSACTION], ids=lambda contract: contract.dataset)
def test_the_order_of_columns_does_not_matter(contract: Contract, data: st.DataObject) -> None:
    row = dict(zip(contract.header, data.draw(st.tuples(*[cells] * len(contract.header))), strict=True))
    order = data.draw(st.permutations(contract.header))
    expected = compile_validator(contract, contract.header)(list(row.values()))
    assert compile_validator(contract, order)([row[name] for name in order]) == expected


@given(st.lists(st.tuples(*[cells] * len(DETAIL.header)), min_size=2, max_size=5))
def test_what_was_met_before_does_not_matter(rows: list[tuple[str, ...]]) -> None:
    remembering = compile_validator(DETAIL, DETAIL.header)
    for row in (*rows, *rows):
        assert remembering(list(row)) == compile_validator(DETAIL, DETAIL.header)(list(row))


@given(st.lists(cells, max_size=8))
@pytest.mark.parametrize(
    "column", [*DETAIL.columns, *TRANSACTION.columns], ids=lambda column: f"{column.name}-{column.type}"
)
def test_many_texts_come_to_what_each_comes_to_by_itself(column: Column, texts: list[str]) -> None:
    check = ColumnCheck(column, "month_first")
    expected = [check.decide(text) for text in texts]
    for _ in ("as texts come that are new to it", "as they come again"):
        columns, found, _references = check.check(texts)
        assert list(zip(*columns, strict=True)) == [values for values, _problems in expected]
        assert found == [(at, problems) for at, (_values, problems) in enumerate(expected) if problems]


def test_what_references_say_comes_with_its_keys_when_it_is_first_met() -> None:
    validate = compile_validator(DETAIL, DETAIL.header)
    other, rejected = [*CLEAN], [*CLEAN]
    other[2:4] = "  The Long  Orbit™", "VALVE CORP"
    rejected[0], rejected[2] = "", "Nowhere Else"
    first = [
        ("game_ref", "GAM-001", "gam 001"),
        ("game_ref", "The Long Orbit™", "the long orbit"),
        ("publisher_ref", "Valve", "valve"),
        ("publisher_ref", "VALVE CORP", "valve"),
    ]
    assert validate.check_rows([CLEAN, other, CLEAN]).references == first
    assert validate.check_rows([other, CLEAN]).references == []
    # What a rejected row says is noted, too: it does no harm.
    assert validate.check_rows([rejected]).references == [("game_ref", "Nowhere Else", "nowhere else")]


rows_of_cells = st.lists(st.lists(cells, min_size=5, max_size=10) | st.just(list(CLEAN)), max_size=8)


@given(st.lists(st.lists(st.tuples(*[cells] * len(DETAIL.header)), max_size=4), max_size=4))
def test_what_an_accepted_row_refers_to_was_noted_with_its_key(batches: list[list[tuple[str, ...]]]) -> None:
    names = [name for name, _type in DETAIL.stage_columns]
    keys = {"game_ref": title_key, "publisher_ref": publisher_key}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("marketplace.contracts.column.REMEMBERED", 2)
        validate = compile_validator(DETAIL, DETAIL.header)
        noted: set[tuple[str, str, str]] = set()
        for rows in batches:
            # Whole but for the references, so that some are accepted.
            rows = [(*CLEAN[:2], *row[2:4], *CLEAN[4:]) for row in rows]
            checked = validate.check_rows(rows)
            noted.update(checked.references)
            for name, key_of in keys.items():
                said = set(checked.columns[names.index(name)])
                assert {(name, text, key_of(text)) for text in said} <= noted


def by_themselves(contract: Contract, rows: Sequence[Sequence[str]]) -> list[Checked]:
    validate = compile_validator(contract, contract.header)
    return [validate(row) for row in rows]


def at_once(contract: Contract, rows: Sequence[Sequence[str]]) -> list[Checked]:
    accepted, columns, problems, _references = compile_validator(contract, contract.header).check_rows(rows)
    values = dict(zip(accepted, zip(*columns, strict=True), strict=True))
    return [Checked(values.get(at), problems.get(at, ())) for at in range(len(rows))]


@given(rows_of_cells)
@pytest.mark.parametrize("contract", [DETAIL, TRANSACTION], ids=lambda contract: contract.dataset)
def test_many_rows_come_to_what_each_comes_to_by_itself(contract: Contract, rows: list[list[str]]) -> None:
    assert at_once(contract, rows) == by_themselves(contract, rows)


@given(
    st.lists(
        st.tuples(
            st.just("T-1"), st.sampled_from(["sale", "refund", "payout", "Sale", "gift"]), st.just("2025-01-05"),
            st.just("EUR"), st.sampled_from(["0", "-0.00", "0.0001", "-0.0001", "5", "-5", "nan", "+1"]),
            st.sampled_from(["CUST-1", "cust-2", "PLATFORM", "platform", ""]),
        )
    )
)  # fmt: skip
def test_many_rows_break_the_rules_that_each_breaks_by_itself(rows: list[tuple[str, ...]]) -> None:
    assert at_once(TRANSACTION, rows) == by_themselves(TRANSACTION, rows)


def test_the_messiest_files_come_to_the_same_at_once_and_row_by_row() -> None:
    interval = Interval(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 1, 6, tzinfo=UTC))
    bodies: dict[str, bytes] = defaultdict(bytes)
    for chunk in generate(Order(seed=1, interval=interval, rows=1_500, profile=profile.load("terrible"))):
        bodies[chunk.key.split("/")[1]] += chunk.data
    compared = 0
    for dataset, contract in load_contracts().items():
        rows = list(csv.reader(io.StringIO(bodies[dataset].decode("utf-8", "replace"), newline="")))
        assert at_once(contract, rows) == by_themselves(contract, rows)
        compared += len(rows)
    assert compared > 1_000


def test_a_column_remembers_a_bounded_number_of_texts_and_no_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketplace.contracts.column.REMEMBERED", 3)
    monkeypatch.setattr("marketplace.contracts.column.REMEMBERED_LENGTH", 6)
    check = ColumnCheck(DETAIL.column("game_ref"), "month_first")
    decided: list[str] = []
    noted: list[dict[str, str]] = []
    decide = check.decide
    monkeypatch.setattr(check, "decide", lambda raw: decided.append(raw) or decide(raw))
    texts = ["Game 20", *(f"Game {number}" for number in range(5))]
    for _ in range(2):
        (values,), _found, references = check.check(texts)
        assert values == texts
        noted.append(references)
    assert decided == [*texts, "Game 20", "Game 3", "Game 4"]
    assert noted == [{text: text.lower() for text in each} for each in (texts, ["Game 20", "Game 3", "Game 4"])]
