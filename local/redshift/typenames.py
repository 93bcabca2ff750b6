"""Types, as Redshift names them: those that PostgreSQL names otherwise, and those that Redshift has not.

Source: Amazon Redshift Database Developer Guide, "Data types", "Unsupported PostgreSQL data types".
"""

from __future__ import annotations

from local.redshift.edits import Edits
from local.redshift.statements import RefusedError, Statement

# The types of a column, by their first words.
TYPES = frozenset(
    {
        "SMALLINT", "INT2", "INTEGER", "INT", "INT4", "BIGINT", "INT8", "DECIMAL", "NUMERIC", "REAL", "FLOAT4",
        "DOUBLE", "FLOAT8", "FLOAT", "BOOLEAN", "BOOL", "CHAR", "CHARACTER", "NCHAR", "BPCHAR", "VARCHAR",
        "NVARCHAR", "TEXT", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "TIME", "TIMETZ", "GEOMETRY", "GEOGRAPHY", "SUPER",
        "VARBYTE", "VARBINARY", "BINARY", "INTERVAL",
    }
)  # fmt: skip

# Types that Redshift has not, or has by another name.
_NO_TYPES = {
    "JSON": "SUPER", "JSONB": "SUPER", "UUID": "VARCHAR(36)", "BYTEA": "VARBYTE", "SERIAL": "IDENTITY",
    "BIGSERIAL": "IDENTITY", "SMALLSERIAL": "IDENTITY", "MONEY": "DECIMAL(p,s)", "XML": "VARCHAR", "INET": "VARCHAR",
    "HSTORE": "SUPER", "TSVECTOR": "VARCHAR", "BIT": "VARCHAR", "CIDR": "VARCHAR", "MACADDR": "VARCHAR",
    "TSQUERY": "VARCHAR", "CITEXT": "VARCHAR",
}  # fmt: skip


def refuse_type(statement: Statement, at: int) -> None:
    """Refuse a type that Redshift has not."""
    word = statement.word(at)
    if word in _NO_TYPES:
        raise RefusedError(
            f'type "{word.lower()}" does not exist in Amazon Redshift', "42704", f"Use {_NO_TYPES[word]}."
        )
    end = statement.closing(at + 1) if statement.word(at + 1) == "(" else at
    if word and (statement.word(end + 1), statement.word(end + 2)) == ("[", "]"):
        raise RefusedError("Amazon Redshift has no arrays: use SUPER", "42704")


def type_of_cast(statement: Statement, opening: int) -> int:
    """Return the place of the type in CAST(x AS type)."""
    depth = 0
    for at in range(opening, statement.closing(opening)):
        word = statement.word(at)
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 1 and word == "AS":
            return at + 1
    raise RefusedError("syntax error in CAST: CAST(expression AS type)", "42601")


def put_type(statement: Statement, at: int, *, in_cast: bool) -> Edits:
    """Return the edits of the type at a place, if there is one that is another in PostgreSQL."""
    word = statement.word(at)
    if not word:
        return []
    token = statement.tokens[at]
    bare = statement.word(at + 1) != "("
    if not bare and word in ("VARCHAR", "NVARCHAR") and statement.word(at + 2) == "MAX":
        return [(token.start, statement.tokens[at + 3].end + 1, "varchar(65535)")]
    if word == "CHARACTER" and statement.word(at + 1) == "VARYING" and statement.word(at + 2) != "(" and not in_cast:
        return [(token.start, statement.tokens[at + 1].end + 1, "varchar(256)")]
    if bare and not in_cast:
        lengths = {"VARCHAR": "varchar(256)", "TEXT": "varchar(256)", "NVARCHAR": "varchar(256)", "BPCHAR": "char(256)"}
        decimals = dict.fromkeys(("NUMERIC", "DECIMAL"), "numeric(18,0)")
        if word in lengths or word in decimals:
            return [(token.start, token.end + 1, (lengths | decimals)[word])]
    others = {"SUPER": "jsonb", "NVARCHAR": "varchar", "NCHAR": "char", "VARBYTE": "bytea", "VARBINARY": "bytea"}
    if word in others:
        end = (
            token.end
            if bare or word not in ("VARBYTE", "VARBINARY")
            else statement.tokens[statement.closing(at + 1)].end
        )
        return [(token.start, end + 1, others[word])]
    return []
