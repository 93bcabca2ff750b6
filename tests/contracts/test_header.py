"""A header that fits is accepted in any order and case; one that does not says what is wrong."""

from __future__ import annotations

import pytest

from marketplace.contracts import HeaderError, Problem, check_header, dataset_for_header, load_contract, load_contracts

ORDER = ["publisher_id", "name", "country"]


def test_a_header_as_the_contract_has_it_is_accepted() -> None:
    assert check_header(load_contract("publisher"), ORDER) == (tuple(ORDER), ())


def test_a_header_may_have_another_order() -> None:
    assert check_header(load_contract("publisher"), ORDER[::-1]) == (tuple(ORDER[::-1]), ())


def test_case_and_padding_are_overlooked_with_one_warning() -> None:
    assert check_header(load_contract("publisher"), [" Country ", "publisher_id", "NAME"]) == (
        ("country", "publisher_id", "name"),
        (
            Problem(
                None,
                "reformatted_header",
                "case or padding of ' Country ', 'NAME'; accepted: country,publisher_id,name",
                "warning",
            ),
        ),
    )


@pytest.mark.parametrize(
    ("fields", "kind", "fault"),
    [
        (["publisher_id", "name"], "wrong_header", "'country' missing"),
        (["publisher_id"], "wrong_header", "'name', 'country' missing"),
        ([*ORDER, "city"], "wrong_header", "'city' not in the contract"),
        ([*ORDER, ""], "wrong_header", "'' not in the contract"),
        ([*ORDER, "Name"], "wrong_header", "'name' there twice"),
        (
            ["publisher_id", "title", "title"],
            "wrong_header",
            "'name', 'country' missing; 'title' not in the contract; 'title' there twice",
        ),
        ([*ORDER, "x" * 33], "wrong_header", "1 (unlike names, so not quoted) not in the contract"),
        (
            [*ORDER, "city", "ann@example.org", "Ann-Marie", "ann@example.org"],
            "wrong_header",
            "'city', 2 (unlike names, so not quoted) not in the contract; 1 (unlike names, so not quoted) there twice",
        ),
    ],
)
def test_a_header_that_does_not_fit_says_why(fields: list[str], kind: str, fault: str) -> None:
    with pytest.raises(HeaderError) as caught:
        check_header(load_contract("publisher"), fields)
    assert caught.value.kind == kind
    assert str(caught.value) == (
        f"The header does not fit publisher: {fault}. The columns are, in any order: publisher_id,name,country"
    )


@pytest.mark.parametrize(
    "fields", [[], ["PUB-001", "Valve", "US"], ["CUST-0001", "Ann Other", "ann.other@example.org"], ["["]]
)
def test_of_a_first_line_that_is_no_header_nothing_is_quoted(fields: list[str]) -> None:
    with pytest.raises(HeaderError) as caught:
        check_header(load_contract("publisher"), fields)
    assert caught.value.kind == "wrong_header"
    assert str(caught.value) == (
        f"The header does not fit publisher: its first line (fields: {len(fields)}) has none of the columns, "
        "so it seems to be no header. The columns are, in any order: publisher_id,name,country"
    )


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("publisher_id;name;country", "semicolons"),
        ("publisher_id\tname\tcountry", "tabs"),
        ("publisher_id|name|country", "pipes"),
    ],
)
def test_another_delimiter_is_recognised(field: str, name: str) -> None:
    for check in (lambda fields: check_header(load_contract("publisher"), fields), dataset_for_header):
        with pytest.raises(HeaderError) as caught:
            check([field])
        assert caught.value.kind == "wrong_delimiter"
        assert str(caught.value) == f"The file is separated by {name}, it must be by commas."


@pytest.mark.parametrize(
    "dataset",
    [
        "customer", "game", "notification_rule", "notification_text", "play_session", "publisher", "transaction",
        "transaction_detail", "wishlist",
    ],
)  # fmt: skip
def test_a_dataset_is_known_by_its_header(dataset: str) -> None:
    header = load_contract(dataset).header
    assert dataset_for_header(header) == dataset
    assert dataset_for_header([f" {name.upper()}" for name in reversed(header)]) == dataset


def test_a_header_of_no_dataset_says_so() -> None:
    with pytest.raises(HeaderError) as caught:
        dataset_for_header(["publisher_id", "name"])
    assert caught.value.kind == "wrong_header"
    datasets = ", ".join(load_contracts())
    assert str(caught.value) == f"No dataset has the header 'publisher_id,name'; there are {datasets}"
