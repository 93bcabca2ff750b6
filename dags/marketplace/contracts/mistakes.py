"""What a mistake in a contract is called: the file, the column, what was found there, and what is accepted."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml

_TEXTS = "a list of texts such as [PLATFORM]"
_NUMBER = "a number"
# What each option of a contract, of a column and of a rule must look like.
ACCEPTED: dict[str, str] = {
    "dataset": "the file's name without .yaml, in lower-case letters, digits and _",
    "description": "a sentence",
    "key": "a list of columns such as [publisher_id]",
    "date_order": "month_first or day_first",
    "max_rejected_share": "a number from 0 to 1",
    "columns": "a list of columns, each such as {name: title, type: text, description: The title.}",
    "rules": "a list of rules, each such as {column: total_amount, at_least: 0, reason: negative_amount}",
    "tables": "a list of the store's tables, each as SCHEMA.TABLE, such as [store.publisher]",
    "name": "lower-case letters, digits and _, a letter first, at most 59 characters",
    "required": "true or false",
    "invalid": "reject or accept",
    "many": "true or false",
    "keep_lines": "true or false",
    "max_length": "a whole number",
    "values": "a mapping of each value to a list of its other spellings, such as {sale: [], refund: [return]}",
    "values_of": "DATASET.COLUMN, such as transaction_detail.platform",
    "unknown": "reject or accept",
    "pattern": "a regular expression such as CUST-[0-9]+",
    "fold": "upper, lower or none",
    "constants": _TEXTS,
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "normaliser": "publisher or title",
    "references": "a dataset such as game",
    "when": "a mapping of columns to lists of values, such as {txn_type: [refund, payout]}",
    "column": "one of the columns",
    "at_most": _NUMBER,
    "at_least": _NUMBER,
    "in": _TEXTS,
    "not_in": _TEXTS,
    "reason": "lower-case letters, digits and _, a letter first, such as negative_amount",
}


class ContractError(ValueError):
    """A contract is missing or wrong; the message names the file, the column and the accepted form."""


class _Loader(yaml.SafeLoader):
    """Reads YAML as safe_load does, but refuses a key that is there twice: of two, the last would count unnoticed."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        scalars = [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
        keys = [key.value for key, _ in scalars]
        column = next((f"column {value.value!r}: " for key, value in scalars if key.value == "name"), "")
        for key, _ in scalars:
            if keys.count(key.value) > 1:
                problem = f"{column}{key.value} is there twice in one mapping; accepted: once"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> Any:
    """Return what the YAML file `path` says. Raises ContractError, naming file and line."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except UnicodeDecodeError as error:
        raise ContractError(f"{path.name}: it is not UTF-8: {error}; accepted: YAML in UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ContractError(f"{path.name}: {where}{problem}") from error


def described(
    raw: Mapping[str, Any], errors: Sequence[Any], options: Mapping[str, Sequence[str]], types: Sequence[str]
) -> str:
    """Return pydantic's errors in words, such as `column 'country', type: found 'land'; accepted: id, text, …`.

    `options` are those of a contract, a column and a rule.
    """
    # A list with a wrong item counts as too short as well: only of an empty one is it news.
    told = [error for error in errors if error["type"] != "too_short" or not error["input"]]
    return "; ".join(dict.fromkeys(_described(raw, error, options, types) for error in told))


def _described(raw: Mapping[str, Any], item: Any, options: Mapping[str, Sequence[str]], types: Sequence[str]) -> str:
    location = list(item["loc"])
    parts, what = [], "contract"
    if len(location) > 1 and location[0] in ("columns", "rules") and isinstance(location[1], int):
        collection, number = location[:2]
        what = collection[:-1]
        entry = raw[collection][number]
        label = "name" if collection == "columns" else "reason"
        named = entry.get(label) if isinstance(entry, dict) else None
        parts.append(f"{what} {named!r}" if named else f"{what} number {number + 1}")
        location = location[2:]
    if location[-1:] == ["[key]"]:  # a mapping's key, which YAML may have read as something else: NO is false
        location = location[:-2]
    if location:
        parts.append(".".join(str(step) for step in location))
    message = _message(item, location, options[what], types)
    return ": ".join([", ".join(parts), message]) if parts else message


def _message(item: Any, location: list[Any], options: Sequence[str], types: Sequence[str]) -> str:
    if item["type"] == "value_error":
        return str(item["msg"]).removeprefix("Value error, ")
    option = str(location[0]) if location else ""
    accepted = ", ".join(types) if option == "type" else ACCEPTED.get(option, "a mapping of its options")
    match item["type"]:
        case "extra_forbidden" | "invalid_key":
            meant = difflib.get_close_matches(option, options, n=1)
            question = f"; did you mean {meant[0]}?" if meant else ""
            return f"there is no such option; accepted: {', '.join(options)}{question}"
        case "missing":
            return f"it is missing; accepted: {accepted}"
        case "greater_than_equal" | "less_than_equal":
            bound = str(item["msg"]).removeprefix("Input should be ")
            return f"found {item['input']!r}; accepted: {accepted if ' to ' in accepted else f'{accepted} {bound}'}"
    found = item["input"]
    hint = ""
    if item["type"] == "string_type" and isinstance(found, bool):
        hint = " (YAML reads yes, no, on and off as true and false: put the word in quotes)"
    elif item["type"] == "string_type" and isinstance(found, int | float | date):
        hint = " (a text that looks like a number or a date must be in quotes)"
    return f"found {str(found) if isinstance(found, date) else found!r}; accepted: {accepted}{hint}"
