"""What the ingestion makes of a file's bytes, beside what the mock data says that it must."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from marketplace.contracts import (
    HeaderError,
    check_header,
    compile_validator,
    load_contracts,
    publisher_key,
    title_key,
)
from marketplace.ingest.records import FileError, decode, read_records
from marketplace.mockdata.draws import Draws
from marketplace.mockdata.envelope import Envelope
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.table import Table
from marketplace.mockdata.world import World

CONTRACTS = load_contracts()
# By what a column of references is matched.
KEYS = {"game_ref": title_key, "publisher_ref": publisher_key}


class Row(NamedTuple):
    """What became of a record; `values` by column of the contract, and the keys of names by NAME_key."""

    line: int
    column: str
    reason: str
    issues: list[str]
    values: dict[str, str | None]


class File(NamedTuple):
    """What became of a file."""

    rejected: str | None
    header_issues: list[str]
    rows: list[Row]


def read(dataset: str, data: bytes) -> File:
    """Return what the ingestion makes of a file before it looks at the store."""
    contract = CONTRACTS[dataset]
    try:
        records = read_records(decode(io.BytesIO(data)))
        head = next(records, None)
        if head is None:
            return File("empty", [], [])
        header = check_header(contract, head.fields)
        validate = compile_validator(contract, header.names)
        names = [name for name, _type in contract.stage_columns]
        rows = []
        for line, _raw, fields, unclosed in records:
            if unclosed:
                rows.append(Row(line, "", "unclosed_quote", [], {}))
                continue
            values, problems = validate(fields)
            error = next((p for p in problems if p.severity == "error"), None)
            rows.append(
                Row(
                    line,
                    (error.column or "") if error else "",
                    error.kind if error else "",
                    [] if error else sorted(f"{p.kind}@{p.column}" for p in problems),
                    dict(zip(names, values, strict=True)) if values else {},
                )
            )
    except (FileError, HeaderError) as error:
        return File(error.kind, [], [])
    return File(None, [problem.kind for problem in header.problems], rows)


def written(table: Table, profile: Profile | None = None, chunks: int = 1, name: str = "mock") -> bytes:
    """Return the bytes of a file of these rows."""
    data, _lines = written_lines(table, profile, chunks, name)
    return data


def written_lines(
    table: Table, profile: Profile | None = None, chunks: int = 1, name: str = "mock"
) -> tuple[bytes, list[int]]:
    """Return the bytes of a file of these rows, put together of some chunks, and the line of each row."""
    envelope = Envelope.of(table.dataset, name, profile or Profile("clean"), Draws(1, "test"))
    data, lines = b"", []
    for number, part in enumerate(_chunks(table, chunks)):
        body, part_lines = envelope.write(part, number == 0, number == chunks - 1)
        data += body
        lines += part_lines.tolist()
    return data, lines


def _chunks(table: Table, chunks: int) -> Iterator[Table]:
    if chunks == 1:
        yield table
        return
    import numpy as np

    yield from map(table.take, np.array_split(np.arange(len(table)), chunks))


def disagreements(table: Table, world: World) -> list[str]:
    """Write the table, read it as the ingestion does, and return each row that is not as the table says."""
    data, lines = written_lines(table)
    file = read(table.dataset, data)
    assert file.rejected is None
    assert [row.line for row in file.rows] == lines
    found = []
    for at, row in enumerate(file.rows):
        said = [
            table.column[at],
            table.reason[at],
            sorted(table.issues[at].replace("null_island@latitude", "").split()),
        ]
        read_as = [row.column, row.reason, row.issues]
        if not row.reason:
            said.append({name: _value(table, name, truth[at]) for name, truth in table.truth.items()})
            read_as.append({name: _value(table, name, row.values[name]) for name in table.truth})
            said[-1] |= _named(table, at, world)
            read_as[-1] |= {name: KEYS[name](row.values[name] or "") for name in _named(table, at, world)}
        if said != read_as:
            texts = {name: text[at][:60] for name, text in table.text.items()}
            found.append(f"line {row.line}: {texts}\n  said {said}\n  read {read_as}")
    return found


def _value(table: Table, column: str, value: str | None) -> Any:
    if not value:
        return None
    kind = CONTRACTS[table.dataset].column(column).type
    if kind in ("amount", "integer", "latitude", "longitude"):
        return Decimal(value)
    if kind == "timestamp":
        return datetime.fromisoformat(value).astimezone(UTC)
    return value


def _named(table: Table, at: int, world: World) -> dict[str, str]:
    """Return the keys of what a row's references name, by the facts."""
    named = {}
    for column, key, by_id, by_name, names in (
        ("game_ref", title_key, "game_alias", "game_title", world.titles),
        ("publisher_ref", publisher_key, "publisher_alias", "publisher_name", world.publisher_names),
    ):
        if column not in table.text:
            continue
        alias, name = int(table.facts[by_id][at]), int(table.facts[by_name][at])
        start = "GAM" if column == "game_ref" else "PUB"
        if alias >= 0:
            named[column] = key(f"{start}-{world.seed:04d}-{alias:07d}")
        elif name >= 0:
            named[column] = key(names[name])
    return named
