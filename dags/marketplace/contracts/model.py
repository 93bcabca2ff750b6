"""A contract: what a dataset's files look like, read from include/contracts/DATASET.yaml.

A contract is checked when it is read, so that a mistake in it is found before any file is touched:
ContractError names the file, the column and the accepted form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError, model_validator

from marketplace import settings
from marketplace.contracts.codes import squash
from marketplace.contracts.dates import DateOrder
from marketplace.contracts.mistakes import ContractError, described, read_yaml

ColumnType = Literal[
    "id", "text", "name", "reference", "enum", "date", "timestamp", "amount", "integer", "number", "boolean",
    "currency", "country", "email", "locale", "time_zone", "latitude", "longitude", "wkt",
]  # fmt: skip
Normaliser = Literal["publisher", "title"]

# Each type: the type of its staged value in Postgres, and the options that only it and a few others take.
_TEXTUAL = {"max_length"}
_NUMERIC = {"minimum", "maximum"}
POSTGRES_TYPES: dict[str, str] = {
    "id": "text", "text": "text", "name": "text", "reference": "text", "enum": "text",
    "date": "date", "timestamp": "timestamptz",
    "amount": "numeric(18,4)", "integer": "integer", "number": "double precision", "boolean": "boolean",
    "currency": "text", "country": "text", "email": "text", "locale": "text", "time_zone": "text",
    "latitude": "double precision", "longitude": "double precision", "wkt": "text",
}  # fmt: skip
_OPTIONS: dict[str, set[str]] = {
    "id": _TEXTUAL | {"pattern", "fold", "constants", "references"},
    "text": _TEXTUAL | {"keep_lines"},
    "name": _TEXTUAL | {"normaliser"},
    "reference": _TEXTUAL | {"normaliser", "references"},
    "enum": _TEXTUAL | {"values", "values_of", "unknown", "many"},
    "country": _TEXTUAL | {"many"},
    "email": _TEXTUAL,
    "wkt": _TEXTUAL,
    "amount": _NUMERIC,
    "integer": _NUMERIC,
    "number": _NUMERIC,
}
_NEEDED: dict[str, set[str]] = {
    "name": {"normaliser"},
    "reference": {"normaliser", "references"},
    "enum": {"values"},
    "wkt": {"max_length"},
}
# The longest value of a column: of shapes what a field of a file may have, of all else what people may read.
LONGEST, LONGEST_SHAPE = 10_000, 8 * 1024 * 1024
# What a column's `fold` does to its values.
FOLDS: dict[str, Callable[[str], str]] = {"none": str, "upper": str.upper, "lower": str.lower}

# What the rows of a load have beside a contract's columns: see docs/adding-a-dataset.md.
RESERVED = frozenset({
    "load_line", "raw", "refusal", "effect", "outcome", "standing_load_id", "standing_load_line",
})  # fmt: skip

# The number of a YAML file as it is: neither true, nor '3', nor .inf.
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Values = Annotated[tuple[StrictStr, ...], Field(min_length=1)]

# The share of a file's rows that may be rejected before its run fails; also of a file that no contract knows.
MAX_REJECTED_SHARE = 0.5


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Model):
    """One column of a dataset's files."""

    name: StrictStr = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=59)  # with _key, what Postgres takes: 63
    type: ColumnType
    description: StrictStr = Field(min_length=1)
    required: StrictBool = True
    invalid: Literal["reject", "accept"] | None = None  # of an optional column; accepted as NULL, with an issue
    many: StrictBool = False
    keep_lines: StrictBool = False
    max_length: int = Field(default=200, strict=True, ge=1, le=LONGEST_SHAPE)
    values: dict[StrictStr, tuple[StrictStr, ...]] = {}
    values_of: StrictStr | None = None  # the column (DATASET.COLUMN) whose values they are
    unknown: Literal["reject", "accept"] = "reject"
    pattern: StrictStr | None = None
    fold: Literal["upper", "lower", "none"] = "none"
    constants: tuple[StrictStr, ...] = ()
    minimum: Number | None = None
    maximum: Number | None = None
    normaliser: Normaliser | None = None
    references: StrictStr | None = None

    @model_validator(mode="after")
    def _check_options(self) -> Column:
        common = {"name", "type", "description", "required", "invalid"}
        for option in sorted(self.model_fields_set - common - _OPTIONS.get(self.type, set())):
            takers = ", ".join(kind for kind, options in _OPTIONS.items() if option in options)
            raise ValueError(f"{option} is not for type {self.type}, only for {takers}")
        for option in sorted(_NEEDED.get(self.type, set()) - self.model_fields_set):
            raise ValueError(f"type {self.type} needs {option}")
        if self.required and self.invalid is not None:
            raise ValueError("invalid is for a column that is not required: of a required one each is rejected")
        if self.type != "wkt" and self.max_length > LONGEST:
            raise ValueError(f"max_length: found {self.max_length}; accepted: at most {LONGEST} for type {self.type}")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern is no regular expression: {error}") from error
        for constant in self.constants:
            if self.pattern is None or constant != FOLDS[self.fold](constant):
                raise ValueError(f"constants: no value can be {constant!r}: values are as `pattern` and `fold` say")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is above maximum {self.maximum:g}")
        if self.type == "enum" and not self.values:
            raise ValueError("values: there is none; accepted: one at least, such as {sale: [], refund: [return]}")
        self.spellings  # noqa: B018  raises when two values share a spelling
        return self

    @property
    def spellings(self) -> dict[str, str]:
        """Map each squashed spelling of an enum to its canonical value."""
        spellings: dict[str, str] = {}
        for value, others in self.values.items():
            for spelling in (value, *others):
                owner = spellings.setdefault(squash(spelling), value)
                if owner != value:
                    raise ValueError(f"values: {spelling!r} is a spelling of both {owner!r} and {value!r}")
        return spellings

    @property
    def stage_columns(self) -> tuple[tuple[str, str], ...]:
        """Return (name, Postgres type) of the staged values: the column and, of a name, the key it is matched by."""
        own = (self.name, POSTGRES_TYPES[self.type] + ("[]" if self.many else ""))
        return (own, (f"{self.name}_key", "text")) if self.type == "name" else (own,)


class Rule(_Model):
    """A rule across columns: where each column of `when` has one of its values, `column` must be as stated.

    A row that breaks it is rejected for `reason`. It is not applied where one of its columns has no value.
    """

    when: dict[StrictStr, Values] = {}
    column: StrictStr
    at_most: Number | None = None
    at_least: Number | None = None
    in_: Values | None = Field(default=None, alias="in")
    not_in: Values | None = None
    reason: StrictStr = Field(pattern=r"^[a-z][a-z0-9_]*$")

    @model_validator(mode="after")
    def _check_one_condition(self) -> Rule:
        conditions = (self.at_most, self.at_least, self.in_, self.not_in)
        if sum(condition is not None for condition in conditions) != 1:
            raise ValueError("a rule has exactly one of at_most, at_least, in, not_in")
        return self


Table = Annotated[StrictStr, Field(pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$")]


class Contract(_Model):
    """What the files of one dataset look like, and the tables that loading them may change."""

    dataset: StrictStr = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: StrictStr = Field(min_length=1)
    key: tuple[StrictStr, ...] = Field(min_length=1)
    date_order: DateOrder = "month_first"
    columns: tuple[Column, ...] = Field(min_length=1)
    rules: tuple[Rule, ...] = ()
    tables: tuple[Table, ...] = Field(min_length=1)
    max_rejected_share: Number = Field(default=MAX_REJECTED_SHARE, ge=0, le=1)

    @property
    def header(self) -> tuple[str, ...]:
        """Return the columns' names in the contract's order; a file may have another order."""
        return tuple(column.name for column in self.columns)

    @property
    def stage_columns(self) -> tuple[tuple[str, str], ...]:
        """Return (name, Postgres type) of the values that a valid row gives, in their order."""
        return tuple(stage for column in self.columns for stage in column.stage_columns)

    @property
    def references(self) -> tuple[str, ...]:
        """Return the datasets that rows refer to; a row is held until what it refers to is there."""
        return tuple(dict.fromkeys(column.references for column in self.columns if column.references))

    @model_validator(mode="after")
    def _check_columns(self) -> Contract:
        names = [name for name, _type in self.stage_columns]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"columns: {name} is there twice (a name gives NAME and NAME_key)")
            if name in RESERVED:
                raise ValueError(f"columns: {name} is a name that staged rows use themselves; choose another")
        for option, listed in (("key", self.key), ("tables", self.tables)):
            if twice := [name for name in listed if listed.count(name) > 1]:
                raise ValueError(f"{option}: {twice[0]} is there twice")
        for name in self.key:
            if name not in self.header:
                raise ValueError(f"key: {name} is not a column; the columns are {', '.join(self.header)}")
            if not self.column(name).required:
                raise ValueError(f"key: {name} must be required")
        for rule in self.rules:
            self._check_rule(rule)
        return self

    def _check_rule(self, rule: Rule) -> None:
        for name in (*rule.when, rule.column):
            if name not in self.header:
                columns = ", ".join(self.header)
                raise ValueError(f"rule {rule.reason}: {name} is not a column; the columns are {columns}")
        bounded = rule.at_most is not None or rule.at_least is not None
        numeric = [kind for kind, options in _OPTIONS.items() if options is _NUMERIC]
        if bounded and self.column(rule.column).type not in numeric:
            raise ValueError(
                f"rule {rule.reason}: at_most and at_least are for type {', '.join(numeric)}, "
                f"{rule.column} is of type {self.column(rule.column).type}"
            )
        for name, values in (*rule.when.items(), (rule.column, rule.in_ or rule.not_in or ())):
            column = self.column(name)
            if column.many:
                raise ValueError(f"rule {rule.reason}: {name} has many values; a rule is about columns that have one")
            for value in values:
                if column.type == "enum" and column.unknown == "reject" and value not in column.values:
                    accepted = ", ".join(column.values)
                    raise ValueError(
                        f"rule {rule.reason}: {value!r} is not a value of {name}; the values are {accepted}"
                    )
                if column.pattern and value not in column.constants and not re.fullmatch(column.pattern, value):
                    accepted = " or ".join([*column.constants, column.pattern])
                    raise ValueError(f"rule {rule.reason}: {name} can never be {value!r}; it is {accepted}")

    def column(self, name: str) -> Column:
        """Return the column called `name`; raises KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def contracts_dir() -> Path:
    """Return the directory of the contracts."""
    return settings.include_dir() / "contracts"


def load_contract(dataset: str) -> Contract:
    """Return the contract of `dataset`; raises ContractError when there is none or it is wrong."""
    path = contracts_dir() / f"{dataset}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in contracts_dir().glob("*.yaml")))
        raise ContractError(f"There is no contract for {dataset!r}: the datasets are {known}.")
    return read_contract(path)


def load_contracts() -> dict[str, Contract]:
    """Return all contracts by dataset; raises ContractError when one is wrong or refers to none of them."""
    for path in contracts_dir().glob("*.yml"):
        raise ContractError(f"{path.name}: a contract's file ends in .yaml, and would go unread: rename it")
    contracts = {path.stem: read_contract(path) for path in sorted(contracts_dir().glob("*.yaml"))}
    for dataset, contract in contracts.items():
        for column in contract.columns:
            if column.references and column.references not in contracts:
                raise ContractError(
                    f"{dataset}.yaml: column {column.name!r}, references: {column.references!r} has no contract; "
                    f"the datasets are {', '.join(contracts)}"
                )
    return contracts


def read_contract(path: Path) -> Contract:
    """Return the contract in the file `path`; raises ContractError with every mistake in it."""
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise ContractError(f"{path.name}: a contract is a mapping: dataset, description, key, columns, tables")
    _borrow_values(raw, path)
    try:
        contract = Contract.model_validate(raw)
    except ValidationError as error:
        options = {"contract": _options(Contract), "column": _options(Column), "rule": _options(Rule)}
        mistakes = described(raw, error.errors(), options, get_args(ColumnType))
        raise ContractError(f"{path.name}: {mistakes}") from error
    if contract.dataset != path.stem:
        raise ContractError(f"{path.name}: dataset is {contract.dataset!r}, it must be {path.stem!r} as the file is")
    return contract


def _borrow_values(raw: dict[str, Any], path: Path) -> None:
    """Give each column with `values_of` the values of the column that it names; raises ContractError if it has none.

    So that a list stands once, in the contract that it belongs to.
    """
    for column in _columns_of(raw):
        if "values_of" not in column:
            continue
        mistake = f"{path.name}: column {column.get('name')!r}, values_of:"
        if "values" in column:
            raise ContractError(f"{mistake} there are values as well, it must be one of the two")
        dataset, _, name = str(column["values_of"]).partition(".")
        other = path.with_name(f"{dataset}.yaml")
        lenders = _columns_of(read_yaml(other)) if other.is_file() else []
        values = next((lender.get("values") for lender in lenders if lender.get("name") == name), None)
        if not values:
            raise ContractError(f"{mistake} {column['values_of']!r} is no DATASET.COLUMN that has values")
        column["values"] = values


def _columns_of(raw: Any) -> list[dict[str, Any]]:
    columns = raw.get("columns") if isinstance(raw, dict) else None
    return [column for column in columns if isinstance(column, dict)] if isinstance(columns, list) else []


def _options(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
