"""The one place that maps the store's types to the warehouse's: what a column becomes, and how both write it as text.

A value is compared by a text that PostgreSQL and Redshift write alike, since nothing else of them is: no hash function
is common to both but md5 of a text, and numbers, moments and Booleans are shown differently unless they are told how.

Sources: Amazon Redshift Database Developer Guide, "Data types", "Character types", "Datetime format strings", "MD5
function", "STRTOL function"; PostgreSQL's "Data Type Formatting Functions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import NamedTuple

# A text of more bytes than that is compared by its md5.
_WIDE_BYTES = 1024
_NULL = "~"
_JOINED = " || '|' || "
_MOST_ARGUMENTS = 99  # of a function of PostgreSQL, but for one
_VARCHAR = re.compile(r"character varying\((\d+)\)")


class TypeMapError(ValueError):
    """A column of the store has a type for which the warehouse has no place."""


@dataclass(frozen=True)
class Column:
    """A column of a table of the store; `type` as PostgreSQL's format_type writes it, such as numeric(18,4)."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True)
class Target:
    """A column of the warehouse: its type there, and the expression by which the store exports it.

    `type` is as information_schema of the warehouse tells it, with its length or precision; a width of None takes any.
    """

    name: str
    type: str
    export: str
    nullable: bool

    def accepts(self, found: str) -> bool:
        """Tell whether the column may have the type `found` in the warehouse: texts may be of any width there."""
        return bool(_VARCHAR.fullmatch(found)) if self.type == "character varying" else found == self.type


@dataclass(frozen=True)
class _Mapped:
    suffix: str
    type: str
    export: str  # of {column}


# What a type of the store becomes. jsonb is kept as the text that PostgreSQL gives it, which is canonical: SUPER could
# not be compared. geography cannot be grouped, sorted or unloaded there, so a point is two numbers, to about 10 cm. An
# outline stays in the store, as a field of a CSV file may be too short for it: geo.area_cell says what lies in an area.
_TYPES: dict[str, tuple[_Mapped, ...]] = {
    "text": (_Mapped("", "character varying", "{column}"),),
    "integer": (_Mapped("", "integer", "{column}"),),
    "bigint": (_Mapped("", "bigint", "{column}"),),
    "boolean": (_Mapped("", "boolean", "{column}"),),
    "date": (_Mapped("", "date", "{column}"),),
    "timestamp with time zone": (_Mapped("", "timestamp with time zone", "{column}"),),
    "geometry(MultiPolygon,4326)": (),
    "jsonb": (_Mapped("", "character varying", "{column}::text"),),
    "geography(Point,4326)": (
        _Mapped("_longitude", "numeric(9,6)", "public.st_x({column}::public.geometry)::numeric(9, 6)"),
        _Mapped("_latitude", "numeric(9,6)", "public.st_y({column}::public.geometry)::numeric(9, 6)"),
    ),
}
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_MOST_DIGITS = 38


def targets(column: Column) -> tuple[Target, ...]:
    """Return the columns of the warehouse that a column of the store becomes.

    Raises TypeMapError, which names the column and its type.
    """
    numeric = _NUMERIC.fullmatch(column.type)
    if numeric and int(numeric[1]) <= _MOST_DIGITS:
        return (Target(column.name, column.type, quoted(column.name), column.nullable),)
    if column.type not in _TYPES:
        known = ", ".join(sorted([*_TYPES, "numeric(p,s)"]))
        raise TypeMapError(
            f"Column {column.name} has the type {column.type}, for which the warehouse has no place. Known are {known}:"
            " add it to dags/marketplace/sync/types.py."
        )
    return tuple(
        Target(
            column.name + mapped.suffix,
            mapped.type,
            mapped.export.format(column=quoted(column.name)),
            column.nullable,
        )
        for mapped in _TYPES[column.type]
    )


def quoted(name: str) -> str:
    """Return an identifier in quotes, which both engines take; names are lower case."""
    return '"' + name.replace('"', '""') + '"'


# ------------------------------------------------------------------------------------------- texts to compare by


class Value(NamedTuple):
    """The SQL of a value, its type in the warehouse, and whether it may be NULL."""

    sql: str
    type: str
    nullable: bool = True


@dataclass(frozen=True)
class Engine:
    """How an engine writes the text of a row, and makes a number of an md5's first 60 bits.

    Of such numbers it can sum as many as a table may have rows.
    """

    name: str
    text: Callable[[Sequence[Value]], str]
    number: str

    def row_hash(self, values: Sequence[Value]) -> str:
        """Return the SQL of the md5 of a row, or of its key: two rows have the same one only when all values agree."""
        return f"md5({self.text(values)})"

    def row_sum(self, values: Sequence[Value]) -> str:
        """Return the SQL of a number by which a row counts in the checksum of many."""
        return self.number.format(md5=self.row_hash(values))

    def key_group(self, key: Sequence[Value]) -> str:
        """Return the SQL of the group that a row belongs to by its key: one of 4,096, as three hexadecimal digits."""
        return f"substring({self.row_hash(key)}, 1, 3)"


def _parts(value: Value) -> list[str]:
    """Return the SQL of what a value's text is made of, with | between: all of it is NULL when the value is.

    The text is the same in both engines, and of no two different values. One that a person wrote has its length
    before it, so that nothing in it can be taken for what follows it.
    """
    expression, type_, _ = value
    if type_.startswith("character varying"):
        length = f"octet_length({expression})"
        # That of a whole row must fit into a text of Redshift, which may have 65,535 bytes.
        return [length, f"case when {length} > {_WIDE_BYTES} then md5({expression}) else {expression} end"]
    if type_ == "boolean":
        return [f"case when {expression} then '1' when not {expression} then '0' end"]
    if type_ == "date":
        return [f"to_char({expression}, 'YYYY-MM-DD')"]
    if type_ == "timestamp with time zone":
        return [f"to_char({expression} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"]
    if type_.startswith("numeric") or type_ in ("integer", "bigint"):
        return [expression]
    raise TypeMapError(f"No text to compare values of the type {type_} by: add it to {__name__}.")


def _redshift_text(values: Sequence[Value]) -> str:
    """Return the SQL of a row's text by operators: Redshift's concat takes two texts, and no numbers."""

    def of(value: Value) -> str:
        first, *rest = _parts(value)
        return f"coalesce({_JOINED.join([f'cast({first} as varchar(64))', *rest])}, '{_NULL}')"

    return _JOINED.join(map(of, values))


def _postgres_text(values: Sequence[Value]) -> str:
    """Return the SQL of the same text by a function, which takes two thirds of the time that operators do.

    It leaves out what is NULL.
    """

    def of(value: Value) -> list[str]:
        first, *rest = _parts(value)
        return [f"coalesce(({first})::text, '{_NULL}')" if value.nullable else first, *rest]

    parts = [part for value in values for part in of(value)]
    return _JOINED.join(f"concat_ws('|', {', '.join(some)})" for some in batched(parts, _MOST_ARGUMENTS))


# STRTOL's numbers have 64 bits and a sign: 15 digits fit. Sums of them need more: PostgreSQL's of bigint are numeric,
# Redshift's are not.
POSTGRES = Engine("PostgreSQL", _postgres_text, "('x' || substr({md5}, 1, 15))::bit(60)::bigint")
REDSHIFT = Engine("Redshift", _redshift_text, "cast(strtol(substring({md5}, 1, 15), 16) as decimal(38, 0))")
