"""The sample rules and texts can be rendered, all but the one that is wrong on purpose."""

from __future__ import annotations

import csv

import pytest

from marketplace import settings
from marketplace.contracts import compile_validator, load_contract
from marketplace.notifications.render import TemplateError, Text, Wording


def accepted(dataset: str, name: str) -> list[dict[str, str | None]]:
    """Return the rows of a sample file that its contract accepts."""
    contract = load_contract(dataset)
    with (settings.include_dir() / "data" / dataset / name).open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    validate = compile_validator(contract, header)
    names = [column for column, _ in contract.stage_columns]
    checked = (validate(row).values for row in rows)
    return [dict(zip(names, values, strict=True)) for values in checked if values is not None]


def test_the_samples_can_be_rendered_but_for_the_one_that_is_wrong_on_purpose() -> None:
    texts = accepted("notification_text", "texts.csv")
    broken = []
    for rule in accepted("notification_rule", "rules.csv"):
        event = rule["due_value"] if rule["due_kind"] == "event" else None
        words = [rule, *(text for text in texts if text["rule_id"] == rule["rule_id"])]
        try:
            Wording(rule["rule_id"], event, [Text(text["locale"], text["subject"], text["body"]) for text in words])
        except TemplateError as error:
            broken.append(rule["rule_id"])
            with pytest.raises(TemplateError, match=r"unknown variable customer\.nickname"):
                raise error from None
    assert broken == ["RULE-BROKEN"]
    assert len(texts) > 10
