"""What PostgreSQL would do and Redshift does not know, and what Redshift does and the endpoint does not: refused.

Source: Amazon Redshift Database Developer Guide, "Unsupported PostgreSQL features", "Leader node-only functions",
"Window function syntax summary".
"""

from __future__ import annotations

from sqlglot.tokenizer_core import TokenType

from local.redshift.edits import is_within_call_with_from, opening_of
from local.redshift.statements import RefusedError, Statement
from local.redshift.typenames import refuse_type, type_of_cast

# The first words of what PostgreSQL has and Redshift has not, and the other way round.
_NOT_OF_REDSHIFT = {
    ("CREATE", "INDEX"): "there are no indexes: declare SORTKEY and DISTKEY",
    ("CREATE", "UNIQUE", "INDEX"): "there are no indexes: declare SORTKEY and DISTKEY",
    ("DROP", "INDEX"): "there are no indexes",
    ("CREATE", "EXTENSION"): "there are no extensions",
    ("CREATE", "TRIGGER"): "there are no triggers",
    ("CREATE", "TYPE"): "there are no types of one's own",
    ("CREATE", "DOMAIN"): "there are no domains",
    ("CREATE", "SEQUENCE"): "there are no sequences: use an IDENTITY column",
    ("CREATE", "RULE"): "there are no rules",
    ("CREATE", "AGGREGATE"): "there are no aggregates of one's own",
    ("CREATE", "TABLESPACE"): "there are no tablespaces",
    ("LISTEN",): "there are no notifications",
    ("NOTIFY",): "there are no notifications",
    ("SAVEPOINT",): "there are no savepoints",
    ("ROLLBACK", "TO"): "there are no savepoints",
    ("RELEASE",): "there are no savepoints",
    ("PREPARE", "TRANSACTION"): "there are no prepared transactions",
    ("CREATE", "UNLOGGED"): "all tables are logged",
}

_NOT_HERE = {
    ("CREATE", "EXTERNAL"), ("ALTER", "EXTERNAL"), ("DROP", "EXTERNAL"), ("CREATE", "DATASHARE"),
    ("ALTER", "DATASHARE"), ("CREATE", "MODEL"), ("CREATE", "LIBRARY"), ("CREATE", "IDENTITY"), ("CREATE", "RLS"),
    ("CREATE", "MASKING"), ("ATTACH", "MASKING"), ("ATTACH", "RLS"), ("ANALYZE", "COMPRESSION"), ("CREATE", "USER"),
    ("CANCEL",), ("CREATE", "FUNCTION"), ("CREATE", "PROCEDURE"), ("CALL",), ("DO",),
}  # fmt: skip

_NO_CLAUSES = {
    ("ON", "CONFLICT"): "ON CONFLICT: use MERGE, or DELETE and INSERT",
    ("DISTINCT", "ON"): "DISTINCT ON: use ROW_NUMBER and QUALIFY",
    ("FILTER", "("): "FILTER: use CASE within the aggregate",
    ("FOR", "UPDATE"): "FOR UPDATE: use LOCK",
    ("FOR", "SHARE"): "FOR SHARE: use LOCK",
}

_NO_CLAUSES_HERE = {
    ("PIVOT", "("): "PIVOT", ("UNPIVOT", "("): "UNPIVOT", ("CONNECT", "BY"): "CONNECT BY", ("*", "EXCLUDE"): "EXCLUDE",
}  # fmt: skip

_NO_FUNCTIONS = {
    "STRING_AGG": "LISTAGG", "ARRAY_AGG": "LISTAGG", "JSONB_BUILD_OBJECT": "OBJECT", "JSON_BUILD_OBJECT": "OBJECT",
    "GEN_RANDOM_UUID": "a value of the client's", "JSONB_AGG": "LISTAGG", "JSON_AGG": "LISTAGG",
    "TO_JSONB": "JSON_PARSE", "TO_JSON": "JSON_PARSE", "REGEXP_MATCHES": "REGEXP_SUBSTR", "FORMAT": "||",
    "UNNEST": "navigation of SUPER",
    "ROW_TO_JSON": "OBJECT", "JSON_OBJECT_AGG": "LISTAGG",
}  # fmt: skip

# They run on the leader node alone, and so not in a query of a table.
_LEADER_ONLY = frozenset({"NOW", "AGE", "GENERATE_SERIES"})

# Over an ordered window, they need a frame.
_FRAMED = frozenset(
    {
        "AVG", "COUNT", "SUM", "MIN", "MAX", "STDDEV", "STDDEV_POP", "STDDEV_SAMP", "VARIANCE", "VAR_POP",
        "VAR_SAMP", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE",
    }
)  # fmt: skip


def refuse_by_first_words(statement: Statement) -> None:
    """Refuse a statement of a kind that is not there."""
    words = [w for w in (statement.word(at) for at in range(4)) if w not in ("OR", "REPLACE", "IF")]
    for known, why in _NOT_OF_REDSHIFT.items():
        if tuple(words[: len(known)]) == known:
            raise RefusedError(f"{' '.join(known)} is not supported by Amazon Redshift: {why}")
    for known_here in _NOT_HERE:
        if tuple(words[: len(known_here)]) == known_here:
            raise RefusedError(f"{' '.join(known_here)} is not supported by the local Redshift endpoint")
    if words[0] == "COPY":
        raise RefusedError("COPY from STDIN is not supported by Amazon Redshift: load from S3", "42601")


def refuse_clauses(statement: Statement) -> None:
    """Refuse what PostgreSQL would do and Redshift does not know."""
    for at, token in enumerate(statement.tokens):
        word, following = pair = (statement.word(at), statement.word(at + 1))
        if pair in _NO_CLAUSES:
            raise RefusedError(f"Amazon Redshift does not support {_NO_CLAUSES[pair]}")
        if pair in _NO_CLAUSES_HERE:
            raise RefusedError(f"{_NO_CLAUSES_HERE[pair]} is not supported by the local Redshift endpoint")
        if word in ("RETURNING", "LATERAL"):
            raise RefusedError(f"Amazon Redshift does not support {word}")
        if word == "(" and following in ("INSERT", "UPDATE", "DELETE", "MERGE"):
            raise RefusedError(f"Amazon Redshift does not support {following} within another statement", "42601")
        if pair == ("(", "VALUES"):
            raise RefusedError('syntax error at or near "VALUES": in Amazon Redshift they belong to INSERT', "42601")
        if pair == ("ARRAY", "["):
            raise RefusedError("Amazon Redshift has no arrays: use SUPER", "42704")
        if token.token_type == TokenType.DCOLON:
            refuse_type(statement, at + 1)
        elif following == "(" and statement.word(at - 1) != ".":
            _refuse_call(statement, at)


def _refuse_call(statement: Statement, at: int) -> None:
    name = statement.word(at)
    if name in _NO_FUNCTIONS or name.startswith("JSONB_"):
        hint = f"Use {_NO_FUNCTIONS[name]}." if name in _NO_FUNCTIONS else ""
        raise RefusedError(f"function {name.lower()} does not exist in Amazon Redshift", "42883", hint)
    if name in ("CAST", "TRY_CAST"):
        refuse_type(statement, type_of_cast(statement, at + 1))
    elif name == "OVER":
        _refuse_window(statement, at)
    elif name in _LEADER_ONLY and _reads_a_table(statement):
        raise RefusedError(
            "Specified types or functions (one per INFO message) not supported on Redshift tables.",
            hint=f"{name} runs on the leader node alone: use GETDATE, SYSDATE or a table of numbers.",
        )


def _reads_a_table(statement: Statement) -> bool:
    """Tell whether a query has a table in it, or writes into one."""
    words = [statement.word(at) for at in range(len(statement.tokens))]
    if words[0] in ("UPDATE", "DELETE", "MERGE") or (words[0] == "INSERT" and "SELECT" in words):
        return True
    return any(
        word == "FROM"
        and at + 1 < len(statement.tokens)
        and statement.tokens[at + 1].token_type in (TokenType.VAR, TokenType.IDENTIFIER)
        and words[at + 1] != "GENERATE_SERIES"
        and not is_within_call_with_from(statement, at)
        for at, word in enumerate(words)
    )


def _refuse_window(statement: Statement, over: int) -> None:
    """Refuse a window's frame of another kind than ROWS, and an ordered window without a frame where one is needed."""
    depth, words = 0, []
    for at in range(over + 1, statement.closing(over + 1)):
        depth += {"(": 1, ")": -1}.get(statement.word(at), 0)
        if depth == 1:
            words.append(statement.word(at))
    for kind in ("RANGE", "GROUPS"):
        if kind in words:
            raise RefusedError(f"Amazon Redshift takes ROWS as a frame, not {kind}")
    name = statement.word(opening_of(statement, over - 1) - 1)
    if name == "GROUP":
        raise RefusedError("A function WITHIN GROUP with OVER is not supported by the local Redshift endpoint")
    if name in _FRAMED and "ORDER" in words and "ROWS" not in words:
        raise RefusedError("Aggregate window functions with an ORDER BY clause require a frame clause")
