"""Write the datasets' tables in docs/data-sources.md from the contracts: `make docs`.

What lies outside the two marks is written by hand and stays as it is.
"""

from __future__ import annotations

from pathlib import Path

from marketplace.contracts import Column, Contract, Rule, load_contracts
from scripts import marked

PAGE = Path(__file__).resolve().parents[1] / "docs" / "data-sources.md"
START = "<!-- From the contracts, by scripts/data_sources.py: `make docs`. Do not edit. -->"


def page(current: str) -> str:
    """Return the page `current` with the part between the marks written anew."""
    return marked.replaced(current, START, "\n".join(map(section, load_contracts().values())))


def section(contract: Contract) -> str:
    """Return the section of one dataset."""
    lines = [
        f"### {contract.dataset}",
        "",
        contract.description,
        "",
        f"    {','.join(contract.header)}",
        "",
        f"Key: {', '.join(contract.key)}. A load may change {', '.join(contract.tables)}.",
    ]
    if any(column.type in ("date", "timestamp") for column in contract.columns):
        lines[-1] += f" Ambiguous dates are read {contract.date_order.replace('_', ' ')}."
    lines[-1] += f" Its run fails when more than {contract.max_rejected_share:.0%} of a file's rows are rejected."
    lines += ["", "| column | type | required | what it is | what is particular |", "|---|---|---|---|---|"]
    for column in contract.columns:
        cells = (
            column.name,
            column.type,
            "yes" if column.required else "no",
            column.description,
            particular(column),
        )
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    for column in contract.columns:
        if column.values and not column.values_of:
            lines += ["", spellings(column)]
    if contract.rules:
        lines += ["", "Rules across columns; a row that breaks one is rejected:", ""]
        lines += map(rule_line, contract.rules)
    return "\n".join([*lines, ""])


def particular(column: Column) -> str:
    """Return what a column accepts beyond its type."""
    notes = []
    if column.pattern:
        folding = "" if column.fold == "none" else f", put in {column.fold} case first"
        constants = "".join(f", or `{constant}`" for constant in column.constants)
        notes.append(f"`{column.pattern}`{constants}{folding}")
    if column.type == "reference":
        notes.append(f"a {column.references} by id or by name; held until it is known")
    elif column.references:
        notes.append(f"a {column.references} by id; held until it is known")
    if column.type == "name":
        notes.append(f"matched as a {column.normaliser}")
    if column.values:
        unknown = "kept, with an issue" if column.unknown == "accept" else "rejected"
        listed = f"of `{column.values_of}`" if column.values_of else "below"
        notes.append(f"one of the values {listed}; any other is {unknown}")
    if column.many:
        notes.append("several with ; between them")
    if column.keep_lines:
        notes.append("its lines stay")
    if column.invalid == "reject":
        notes.append("what is invalid is rejected")
    if column.minimum is not None:
        notes.append(f"at least {column.minimum:g}")
    if column.maximum is not None:
        notes.append(f"at most {column.maximum:g}")
    if column.type in ("id", "text", "name", "reference", "email", "wkt") or column.unknown == "accept":
        notes.append(f"at most {column.max_length} characters")
    return "; ".join(notes)


def spellings(column: Column) -> str:
    """Return an enum's values, each with its other spellings."""
    values = ["; ".join((f"**{value}**", *others)) for value, others in column.values.items()]
    return "\n".join(
        [
            f"Values of `{column.name}`, each with its other spellings:",
            "",
            *(f"- {value}" for value in values),
        ]
    )


def rule_line(rule: Rule) -> str:
    """Return a rule as a line of a list."""
    where = " and ".join(f"`{name}` is {' or '.join(values)}" for name, values in rule.when.items())
    if rule.at_most is not None:
        wanted = f"at most {rule.at_most:g}"
    elif rule.at_least is not None:
        wanted = f"at least {rule.at_least:g}"
    elif rule.in_ is not None:
        wanted = " or ".join(rule.in_)
    else:
        wanted = f"anything but {' or '.join(rule.not_in or ())}"
    return f"- `{rule.reason}`: {f'where {where}, ' if where else ''}`{rule.column}` must be {wanted}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
