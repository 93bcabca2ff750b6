"""Checking a file's header: a file whose header is wrong is wrong as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from marketplace.contracts.model import Contract, load_contracts
from marketplace.contracts.problem import Problem, shown
from marketplace.contracts.values import trimmed

# What a message may quote of a first line, which is a person's row where a file has no header: nothing, or a name.
_LOOKS_LIKE_A_NAME = re.compile(r"(?:[a-z][a-z0-9_ ]{0,31})?")


class HeaderError(ValueError):
    """A file's header does not fit: `kind` is wrong_delimiter or wrong_header, the message says why.

    The message is kept and shown, so it quotes no field that may be somebody's data.
    """

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class Header(NamedTuple):
    """A header that fits: the contract's names in the file's order, and what had to be overlooked."""

    names: tuple[str, ...]
    problems: tuple[Problem, ...]


def check_header(contract: Contract, header_fields: Sequence[str]) -> Header:
    """Return the names of a file's columns in the file's order; case and padding only give a warning.

    Raises HeaderError when a column is missing, unknown or doubled, or the file is not separated by commas.
    """
    names = _normalised(header_fields)
    _check_delimiter(header_fields)
    if not any(name in contract.header for name in names):
        reasons = [f"its first line (fields: {len(names)}) has none of the columns, so it seems to be no header"]
    else:
        reasons = [
            f"{_quoted(columns)} {fault}"
            for fault, columns in {
                "missing": [name for name in contract.header if name not in names],
                "not in the contract": [name for name in dict.fromkeys(names) if name not in contract.header],
                "there twice": [name for name in dict.fromkeys(names) if names.count(name) > 1],
            }.items()
            if columns
        ]
    if reasons:
        raise HeaderError(
            "wrong_header",
            f"The header does not fit {contract.dataset}: {'; '.join(reasons)}. "
            f"The columns are, in any order: {','.join(contract.header)}",
        )
    overlooked = [field for field, name in zip(header_fields, names, strict=True) if field != name]
    if not overlooked:
        return Header(names, ())
    detail = f"case or padding of {', '.join(map(shown, overlooked))}; accepted: {','.join(names)}"
    return Header(names, (Problem(None, "reformatted_header", detail, "warning"),))


def dataset_for_header(header_fields: Sequence[str]) -> str:
    """Return the dataset whose columns a file has, in any order; raises HeaderError when no contract fits."""
    names = _normalised(header_fields)
    contracts = load_contracts()
    for dataset, contract in contracts.items():
        if sorted(names) == sorted(contract.header):
            return dataset
    _check_delimiter(header_fields)
    raise HeaderError(
        "wrong_header",
        f"No dataset has the header {shown(','.join(header_fields))}; there are {', '.join(contracts)}",
    )


def _quoted(names: Iterable[str]) -> str:
    """Return the names as a message quotes them; those that look like none are only counted."""
    parts = {name: shown(name) if _LOOKS_LIKE_A_NAME.fullmatch(name) else None for name in names}
    others = list(parts.values()).count(None)
    return ", ".join([*filter(None, parts.values()), *([f"{others} (unlike names, so not quoted)"] if others else [])])


def _normalised(header_fields: Sequence[str]) -> tuple[str, ...]:
    return tuple(trimmed(field).lower() for field in header_fields)


def _check_delimiter(header_fields: Sequence[str]) -> None:
    """Raise HeaderError when the whole header is in one field, between semicolons, tabs or pipes."""
    if len(header_fields) == 1:
        for delimiter, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "pipes")):
            if delimiter in header_fields[0]:
                raise HeaderError("wrong_delimiter", f"The file is separated by {name}, it must be by commas.")
