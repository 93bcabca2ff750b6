"""Redshift's SQL as PostgreSQL takes it: what a statement's tokens say is left out, put otherwise, or refused.

What can be a function, a type or a view in the database is one (catalog.sql); here is only what PostgreSQL's grammar
would not take, or would take for something else than Redshift does. Texts and comments are never touched.

Source: Amazon Redshift Database Developer Guide, "SQL commands", "SQL functions", "Unsupported PostgreSQL features".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise

from sqlglot.tokenizer_core import TokenType

from local.redshift.merge import checked, refuse_with
from local.redshift.qualify import qualified
from local.redshift.statements import RefusedError, Statement, split

# PostgreSQL's own catalogs are asked in PostgreSQL's own words, by drivers above all.
_CATALOG = re.compile(r"pg_(?!catalog|temp)\w+|information_schema|svv_\w+|stv_\w+", re.IGNORECASE)

# What Redshift's sessions know and PostgreSQL's do not; a name with a dot may be set to anything.
_SETTINGS = frozenset(
    {
        "analyze_threshold_percent", "auto_mv", "cast_super_null_on_error", "datashare_break_glass_session_var",
        "default_geometry_encoding", "describe_field_name_in_uppercase", "downcase_delimited_identifier",
        "enable_case_sensitive_identifier", "enable_case_sensitive_super_attribute", "enable_numeric_rounding",
        "enable_result_cache_for_session", "enable_vacuum_boost", "error_on_nondeterministic_update",
        "json_parse_dedup_attributes", "json_parse_truncate_strings", "max_concurrency_scaling_clusters",
        "max_cursor_result_set_size", "mv_enable_aqmv_for_session", "navigate_super_null_on_error",
        "parse_super_null_on_error", "pg_federation_repeatable_read", "query_group",
        "spectrum_enable_pseudo_columns", "spectrum_query_maxerror", "stored_proc_log_min_messages", "use_fips_ssl",
        "wlm_query_slot_count",
    }
)  # fmt: skip

# Those that would change what a statement gives, which here they do not: only what they are anyway may be set.
_FIXED_SETTINGS = {
    "cast_super_null_on_error": True, "describe_field_name_in_uppercase": False, "downcase_delimited_identifier": True,
    "enable_case_sensitive_identifier": False, "enable_case_sensitive_super_attribute": False,
    "enable_numeric_rounding": True, "error_on_nondeterministic_update": False, "json_parse_dedup_attributes": False,
    "json_parse_truncate_strings": False, "navigate_super_null_on_error": True, "parse_super_null_on_error": False,
}  # fmt: skip

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

# Types that Redshift has not, or has by another name.
_NO_TYPES = {
    "JSON": "SUPER", "JSONB": "SUPER", "UUID": "VARCHAR(36)", "BYTEA": "VARBYTE", "SERIAL": "IDENTITY",
    "BIGSERIAL": "IDENTITY", "SMALLSERIAL": "IDENTITY", "MONEY": "DECIMAL(p,s)", "XML": "VARCHAR", "INET": "VARCHAR",
    "HSTORE": "SUPER", "TSVECTOR": "VARCHAR", "BIT": "VARCHAR", "CIDR": "VARCHAR", "MACADDR": "VARCHAR",
    "TSQUERY": "VARCHAR", "CITEXT": "VARCHAR",
}  # fmt: skip
_NO_FUNCTIONS = {
    "STRING_AGG": "LISTAGG", "ARRAY_AGG": "LISTAGG", "JSONB_BUILD_OBJECT": "OBJECT", "JSON_BUILD_OBJECT": "OBJECT",
    "GEN_RANDOM_UUID": "a value of the client's", "JSONB_AGG": "LISTAGG", "JSON_AGG": "LISTAGG",
    "TO_JSONB": "JSON_PARSE", "TO_JSON": "JSON_PARSE", "REGEXP_MATCHES": "REGEXP_SUBSTR", "FORMAT": "||",
    "UNNEST": "navigation of SUPER",
    "ROW_TO_JSON": "OBJECT", "JSON_OBJECT_AGG": "LISTAGG",
}  # fmt: skip
# The types of a column, by their first words.
_TYPES = frozenset(
    {
        "SMALLINT", "INT2", "INTEGER", "INT", "INT4", "BIGINT", "INT8", "DECIMAL", "NUMERIC", "REAL", "FLOAT4",
        "DOUBLE", "FLOAT8", "FLOAT", "BOOLEAN", "BOOL", "CHAR", "CHARACTER", "NCHAR", "BPCHAR", "VARCHAR",
        "NVARCHAR", "TEXT", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "TIME", "TIMETZ", "GEOMETRY", "GEOGRAPHY", "SUPER",
        "VARBYTE", "VARBINARY", "BINARY", "INTERVAL",
    }
)  # fmt: skip
# What only PostgreSQL writes in CREATE TABLE.
_NO_TABLES = {
    ("INHERITS", "("): "INHERITS", ("PARTITION", "BY"): "PARTITION BY", ("PARTITION", "OF"): "PARTITION OF",
    ("GENERATED", "ALWAYS"): "GENERATED ALWAYS: use IDENTITY(seed, step)", ("EXCLUDE", "USING"): "EXCLUDE",
    ("TABLESPACE",): "TABLESPACE", ("ON", "COMMIT"): "ON COMMIT",
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
# A name for the part of a date comes bare there, and must be a text here.
_DATE_PARTS = frozenset({"DATEADD", "DATE_ADD", "DATEDIFF", "DATE_DIFF", "DATE_PART", "DATE_TRUNC"})

Edits = list[tuple[int, int, str]]


@lru_cache(maxsize=512)
def rewrite(sql: str) -> str:
    """Return a text of one or more statements as PostgreSQL takes it. Raises RefusedError."""
    statements = split(sql)
    edits: Edits = []
    for statement in statements:
        edits += _edits(statement)
    return _edited(sql, edits)


def _edited(sql: str, edits: Edits) -> str:
    """Return a text with its edits made. One within a larger one is void: the larger one has rewritten what it has."""
    parts, done = [], 0
    for start, end, text in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        if start < done:
            continue
        parts += [sql[done:start], text]
        done = end
    return "".join([*parts, sql[done:]])


def _edits(statement: Statement) -> Edits:
    _refuse_by_first_words(statement)
    first = statement.word(0)
    edits = list(_names(statement))
    edits += _texts_with_backslashes(statement)
    edits += _in_expressions(statement)
    if first in ("SET", "RESET", "SHOW"):
        edits += _setting(statement)
    elif first == "CREATE":
        edits += _create(statement)
    elif first == "ALTER":
        edits += _alter(statement)
    elif first == "MERGE":
        edits += _merge(statement)
    elif first == "DELETE" and statement.word(1) != "FROM":
        edits.append((statement.tokens[0].end + 1, statement.tokens[0].end + 1, " FROM"))
    elif first in ("VACUUM", "ANALYZE"):
        edits += _maintenance(statement)
    elif first in ("GRANT", "REVOKE"):
        edits += [_removed(statement, at) for at in range(1, len(statement.tokens)) if statement.word(at) == "ROLE"]
    if first == "WITH":
        refuse_with(statement)
    if _asks_catalog(statement):
        edits += _copies_of_columns(statement)
        words = [statement.word(at) for at in range(len(statement.tokens))]
        if not any(word.startswith(("INFORMATION_SCHEMA", "SVV_")) for word in words):
            edits += _names_in_conditions(statement)
    else:
        _refuse_clauses(statement)
    return edits


def _refuse_by_first_words(statement: Statement) -> None:
    words = [w for w in (statement.word(at) for at in range(4)) if w not in ("OR", "REPLACE", "IF")]
    for known, why in _NOT_OF_REDSHIFT.items():
        if tuple(words[: len(known)]) == known:
            raise RefusedError(f"{' '.join(known)} is not supported by Amazon Redshift: {why}")
    for known_here in _NOT_HERE:
        if tuple(words[: len(known_here)]) == known_here:
            raise RefusedError(f"{' '.join(known_here)} is not supported by the local Redshift endpoint")
    if words[0] == "COPY":
        raise RefusedError("COPY from STDIN is not supported by Amazon Redshift: load from S3", "42601")


def _asks_catalog(statement: Statement) -> bool:
    """Tell whether a statement names a catalog of PostgreSQL's or a view of Redshift's about the database."""
    return any(
        token.token_type in (TokenType.VAR, TokenType.IDENTIFIER)
        and _CATALOG.fullmatch(token.text)
        and statement.word(at + 1) != "("
        for at, token in enumerate(statement.tokens)
    )


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


def _refuse_clauses(statement: Statement) -> None:
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
            _refuse_type(statement, at + 1)
        elif following == "(" and statement.word(at - 1) != ".":
            _refuse_call(statement, at)


def _refuse_call(statement: Statement, at: int) -> None:
    name = statement.word(at)
    if name in _NO_FUNCTIONS or name.startswith("JSONB_"):
        hint = f"Use {_NO_FUNCTIONS[name]}." if name in _NO_FUNCTIONS else ""
        raise RefusedError(f"function {name.lower()} does not exist in Amazon Redshift", "42883", hint)
    if name in ("CAST", "TRY_CAST"):
        _refuse_type(statement, _type_of_cast(statement, at + 1))
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
        and not _is_within_call_with_from(statement, at)
        for at, word in enumerate(words)
    )


def _is_within_call_with_from(statement: Statement, at: int) -> bool:
    """Tell whether a FROM is that of EXTRACT(… FROM …) and its like."""
    depth = 0
    for place in range(at - 1, 0, -1):
        depth += {")": 1, "(": -1}.get(statement.word(place), 0)
        if depth < 0:
            return statement.word(place - 1) in ("EXTRACT", "TRIM", "SUBSTRING")
    return False


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
    name = statement.word(_opening(statement, over - 1) - 1)
    if name == "GROUP":
        raise RefusedError("A function WITHIN GROUP with OVER is not supported by the local Redshift endpoint")
    if name in _FRAMED and "ORDER" in words and "ROWS" not in words:
        raise RefusedError("Aggregate window functions with an ORDER BY clause require a frame clause")


def _opening(statement: Statement, closing: int) -> int:
    """Return the place of the bracket that the one at `closing` closes, else 0."""
    depth = 0
    for at in range(closing, 0, -1):
        depth += {")": 1, "(": -1}.get(statement.word(at), 0)
        if depth == 0:
            return at
    return 0


def _refuse_type(statement: Statement, at: int) -> None:
    """Refuse a type that Redshift has not."""
    word = statement.word(at)
    if word in _NO_TYPES:
        raise RefusedError(
            f'type "{word.lower()}" does not exist in Amazon Redshift', "42704", f"Use {_NO_TYPES[word]}."
        )
    end = statement.closing(at + 1) if statement.word(at + 1) == "(" else at
    if word and (statement.word(end + 1), statement.word(end + 2)) == ("[", "]"):
        raise RefusedError("Amazon Redshift has no arrays: use SUPER", "42704")


def _names(statement: Statement) -> Iterator[tuple[int, int, str]]:
    """Put names as PostgreSQL takes them; a query of its catalogs names their columns as it wants."""
    folds = not _asks_catalog(statement)
    for at, token in enumerate(statement.tokens):
        if token.token_type == TokenType.IDENTIFIER and not folds:
            continue
        if (name := statement.name(at)) != statement.source(at, at):
            yield token.start, token.end + 1, name


def _texts_with_backslashes(statement: Statement) -> Iterator[tuple[int, int, str]]:
    """In every text a backslash escapes what comes after it, in PostgreSQL only in one that begins with E."""
    for token in statement.tokens:
        if token.token_type == TokenType.STRING and "\\" in statement.text[token.start : token.end + 1]:
            yield token.start, token.start, "E"


def _arguments(statement: Statement, opening: int) -> list[tuple[int, int]]:
    """Return the first and the last token of each argument between a bracket and its counterpart."""
    closing = statement.closing(opening)
    arguments, first, depth = [], opening + 1, 0
    for at in range(opening + 1, closing + 1):
        word = statement.word(at)
        if (word == "," and depth == 0) or at == closing:
            arguments.append((first, at - 1))
            first = at + 1
        depth += {"(": 1, ")": -1}.get(word, 0)
    return arguments if arguments != [(opening + 1, opening)] else []


def _in_expressions(statement: Statement) -> Edits:
    edits: Edits = []
    for at, token in enumerate(statement.tokens):
        word, following = statement.word(at), statement.word(at + 1)
        if statement.word(at - 1) == ".":
            continue
        called = following == "("
        if called and word in _DATE_PARTS:
            edits += _date_part(statement, at)
        elif called and word == "NVL":
            edits.append((token.start, token.end + 1, "COALESCE"))
        elif called and word in _BY_CASE:
            edits += _BY_CASE[word](statement, at)
        elif called and word == "LISTAGG":
            edits += _listagg(statement, at)
        elif called and word == "CONVERT":
            edits += _convert(statement, at)
        elif word == "APPROXIMATE" and following in ("COUNT", "PERCENTILE_DISC"):
            edits.append((token.start, statement.tokens[at + 1].start, ""))
        elif word == "SYSDATE":
            edits.append((token.start, token.end + 1, "pg_catalog.sysdate()"))
        elif word == "MINUS" and following in ("SELECT", "ALL", "DISTINCT", "(", "WITH"):
            edits.append((token.start, token.end + 1, "EXCEPT"))
        elif word == "QUALIFY":
            edits.append(qualified(statement, at, rewrite))
        elif word == "SELECT" and following == "TOP":
            edits += _top(statement, at)
        elif called and word in ("FROM", "JOIN"):
            edits += _name_of_subquery(statement, at)
        elif called and word in ("CAST", "TRY_CAST"):
            edits += _type(statement, _type_of_cast(statement, at + 1), in_cast=True)
        elif token.token_type == TokenType.DCOLON:
            edits += _type(statement, at + 1, in_cast=True)
        elif token.token_type == TokenType.NUMBER and statement.text[token.end + 1 : token.end + 2].isalpha():
            edits.append((token.end + 1, token.end + 1, " "))  # 4WHEN, as Redshift's own driver has it
    return edits


# What comes after a subquery that has no name.
_AFTER_SUBQUERY = frozenset(
    [
        ")", ",", "WHERE", "GROUP", "HAVING", "QUALIFY", "ORDER", "LIMIT", "OFFSET", "UNION", "INTERSECT", "EXCEPT",
        "MINUS", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "ON", "USING", "WHEN",
    ]
)  # fmt: skip


def _name_of_subquery(statement: Statement, at: int) -> Edits:
    """A subquery in FROM needs no name; PostgreSQL wants one."""
    if statement.word(at + 2) not in ("SELECT", "WITH") or statement.word(at - 1) == "DISTINCT":
        return []
    closing = statement.closing(at + 1)
    is_last = closing + 1 == len(statement.tokens)
    if not is_last and statement.word(closing + 1) not in _AFTER_SUBQUERY:
        return []
    if _is_within_call_with_from(statement, at):
        return []
    end = statement.tokens[closing].end + 1
    return [(end, end, f" AS subquery_{at}")]


def _copies_of_columns(statement: Statement) -> Edits:
    """An item of a SELECT may name one before it, as redshift_connector's query of columns does: x AS a, a AS b.

    A column of that name in FROM comes first, and there is none in PostgreSQL's catalogs.
    """
    edits: Edits = []
    for at in range(2, len(statement.tokens) - 2):
        name = statement.word(at)
        if not (name and statement.word(at - 1) == "," and statement.word(at + 1) == "AS"):
            continue
        if (statement.word(at - 3), statement.word(at - 2)) == ("AS", name):
            edits.append((statement.tokens[at].start, statement.tokens[at].end + 1, _item_before(statement, at - 3)))
    return edits


def _names_in_conditions(statement: Statement) -> Edits:
    """A condition may name an item of the SELECT before it, as redshift_connector's query of tables does.

    Such as x.y AS a … WHERE a LIKE b. A column of that name in FROM comes first, and there is none in PostgreSQL's own
    catalogs.
    """
    items = {
        statement.word(at + 1): statement.source(at - 3, at - 1)
        for at in range(4, len(statement.tokens) - 1)
        if statement.word(at) == "AS"
        and statement.word(at - 2) == "."
        and statement.word(at - 4) in (",", "SELECT")
        and statement.word(at + 1)
    }
    return [
        (token.start, token.end + 1, items[statement.word(at)])
        for at, token in enumerate(statement.tokens)
        if statement.word(at) in items
        and statement.word(at - 1) in ("WHERE", "AND", "OR", "(")
        and statement.word(at + 1) in ("LIKE", "=", "IN")
    ]


def _item_before(statement: Statement, as_: int) -> str:
    """Return the expression of a SELECT's item, whose AS is at a place."""
    depth, cases = 0, 0
    for at in range(as_ - 1, 0, -1):
        word = statement.word(at)
        depth += {")": 1, "(": -1}.get(word, 0)
        cases += {"END": 1, "CASE": -1}.get(word, 0)
        if depth == 0 and cases == 0 and statement.word(at - 1) in (",", "SELECT"):
            return f"({rewrite(statement.source(at, as_ - 1))})"
    raise RefusedError("syntax error in the list of SELECT", "42601")


def _type_of_cast(statement: Statement, opening: int) -> int:
    """Return the place of the type in CAST(x AS type)."""
    depth = 0
    for at in range(opening, statement.closing(opening)):
        word = statement.word(at)
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 1 and word == "AS":
            return at + 1
    raise RefusedError("syntax error in CAST: CAST(expression AS type)", "42601")


def _date_part(statement: Statement, at: int) -> Edits:
    token = statement.tokens[at + 2]
    named = statement.word(at + 2)
    renamed = statement.word(at).replace("DATE_ADD", "DATEADD").replace("DATE_DIFF", "DATEDIFF")
    edits = [(statement.tokens[at].start, statement.tokens[at].end + 1, renamed)]
    if named and statement.word(at + 3) == ",":
        edits.append((token.start, token.end + 1, f"'{named.lower()}'"))
    return edits


def _nvl2(statement: Statement, at: int) -> Edits:
    arguments = _arguments(statement, at + 1)
    if len(arguments) != 3:
        raise RefusedError("NVL2 takes three arguments", "42883")
    tokens = statement.tokens
    (_, tested), (then, then_end), (other, _) = arguments
    return [
        (tokens[at].start, tokens[at + 1].end + 1, "(CASE WHEN ("),
        (tokens[tested].end + 1, tokens[then].start, ") IS NOT NULL THEN "),
        (tokens[then_end].end + 1, tokens[other].start, " ELSE "),
        (tokens[statement.closing(at + 1)].start, tokens[statement.closing(at + 1)].end + 1, " END)"),
    ]


def _decode(statement: Statement, at: int) -> Edits:
    """DECODE(tested, value, result, …, otherwise): NULL equals NULL in it."""
    arguments = _arguments(statement, at + 1)
    if len(arguments) < 3:
        raise RefusedError("DECODE takes a value, and pairs of what it may be and what it then becomes", "42883")
    tested = rewrite(statement.source(*arguments[0]))
    pairs = arguments[1:]
    parts = ["(CASE"]
    for value, result in zip(pairs[::2], pairs[1::2], strict=False):
        texts = [rewrite(statement.source(*place)) for place in (value, result)]
        parts.append(f"WHEN ({tested}) IS NOT DISTINCT FROM ({texts[0]}) THEN ({texts[1]})")
    if len(pairs) % 2:
        parts.append(f"ELSE ({rewrite(statement.source(*pairs[-1]))})")
    return [_whole(statement, at, " ".join([*parts, "END)"]))]


_BY_CASE: dict[str, Callable[[Statement, int], Edits]] = {"NVL2": _nvl2, "DECODE": _decode}


def _whole(statement: Statement, at: int, text: str) -> tuple[int, int, str]:
    """Return the edit that puts `text` for a call; edits within it are then void (see `_listagg`)."""
    return statement.tokens[at].start, statement.tokens[statement.closing(at + 1)].end + 1, text


def _listagg(statement: Statement, at: int) -> Edits:
    """LISTAGG([DISTINCT] x [, separator]) [WITHIN GROUP (ORDER BY …)] is string_agg(x::text, separator ORDER BY …).

    With DISTINCT, PostgreSQL orders only by what it makes distinct, which must not be the text of a number.
    """
    arguments = _arguments(statement, at + 1)
    if not 1 <= len(arguments) <= 2:
        raise RefusedError("LISTAGG takes an expression, and a text to put between", "42883")
    closing = statement.closing(at + 1)
    first, last = arguments[0]
    distinct = statement.word(first) == "DISTINCT"
    value = rewrite(statement.source(first + 1 if distinct else first, last))
    separator = rewrite(statement.source(*arguments[1])) if len(arguments) == 2 else "''"
    order, end = "", closing
    if [statement.word(closing + step) for step in (1, 2, 3)] == ["WITHIN", "GROUP", "("]:
        end = statement.closing(closing + 3)
        order = rewrite(statement.source(closing + 4, end - 1))
    if statement.word(end + 1) == "OVER":
        raise RefusedError("LISTAGG with OVER is not supported by the local Redshift endpoint: GROUP BY in a subquery")
    tokens = statement.tokens
    if distinct:
        gathered = f"array_agg(DISTINCT {value} {order}) FILTER (WHERE ({value}) IS NOT NULL)"
        text = f"array_to_string({gathered}, {separator})"
    else:
        text = f"string_agg(({value})::text, {separator} {order})"
    return [(tokens[at].start, tokens[end].end + 1, text)]


def _convert(statement: Statement, at: int) -> Edits:
    """CONVERT(type, value) is CAST(value AS type)."""
    arguments = _arguments(statement, at + 1)
    if len(arguments) != 2:
        return []
    kind, value = (rewrite(statement.source(*place)) for place in arguments)
    return [_whole(statement, at, f"CAST({value} AS {kind})")]


def _top(statement: Statement, at: int) -> Edits:
    """SELECT TOP n … is SELECT … LIMIT n, at the end of that SELECT."""
    count = statement.tokens[at + 2]
    if not count.text.isdigit():
        raise RefusedError("TOP takes a whole number", "42601")
    depth, end = 0, len(statement.tokens)
    for place in range(at, len(statement.tokens)):
        word = statement.word(place)
        if word in ("UNION", "INTERSECT", "EXCEPT", "MINUS") and depth == 0:
            raise RefusedError("TOP beside UNION, INTERSECT or EXCEPT is not supported by the local Redshift endpoint")
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth < 0:
            end = place
            break
    last = statement.tokens[end - 1]
    return [
        (statement.tokens[at + 1].start, count.end + 1, ""),
        (last.end + 1, last.end + 1, f" LIMIT {count.text}"),
    ]


def _type(statement: Statement, at: int, *, in_cast: bool) -> Edits:
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


def _setting(statement: Statement) -> Edits:
    at = 2 if statement.word(1) in ("SESSION", "LOCAL") else 1
    name = statement.word(at).lower()
    if statement.word(0) == "SET" and name in _FIXED_SETTINGS and at + 2 < len(statement.tokens):
        value = statement.tokens[at + 2].text.lower()
        if value not in ("default", *(("true", "on", "1") if _FIXED_SETTINGS[name] else ("false", "off", "0"))):
            is_on = "on" if _FIXED_SETTINGS[name] else "off"
            raise RefusedError(f"{name} is not supported by the local Redshift endpoint: it is {is_on}")
    if name in _SETTINGS:
        token = statement.tokens[at]
        return [(token.start, token.end + 1, f"redshift.{token.text.lower()}")]
    return []


def _maintenance(statement: Statement) -> Edits:
    """VACUUM and ANALYZE name a table, and with it what only Redshift can do about it."""
    told = {
        "FULL", "SORT", "DELETE", "ONLY", "REINDEX", "RECLUSTER", "BOOST", "PREDICATE", "ALL", "COLUMNS", "TO",
        "PERCENT",
    }  # fmt: skip
    edits = []
    for at in range(1, len(statement.tokens)):
        if statement.word(at) in told or statement.tokens[at].token_type == TokenType.NUMBER:
            edits.append(_removed(statement, at))
    return edits


def _removed(statement: Statement, first: int, last: int | None = None) -> tuple[int, int, str]:
    tokens = statement.tokens
    return tokens[first].start, tokens[first if last is None else last].end + 1, ""


def _create(statement: Statement) -> Edits:
    words = [statement.word(at) for at in range(4)]
    if "TABLE" in words:
        return _create_table(statement, words.index("TABLE"))
    if "MATERIALIZED" in words:
        return _attributes(statement, 1, len(statement.tokens))
    if "VIEW" in words:
        # A late-binding view is not looked at until it is read; here it is looked at when it is made.
        end = len(statement.tokens)
        if [statement.word(at) for at in range(end - 4, end)] == ["WITH", "NO", "SCHEMA", "BINDING"]:
            return [_removed(statement, end - 4, end - 1)]
    return []


def _create_table(statement: Statement, table: int) -> Edits:
    edits: Edits = []
    at = table + 1
    if statement.word(at) == "IF":
        at += 3  # IF NOT EXISTS
    name = statement.tokens[at]
    if name.text.startswith("#") and statement.word(1) not in ("TEMP", "TEMPORARY", "LOCAL"):
        edits.append((statement.tokens[table].start, statement.tokens[table].start, "TEMPORARY "))
    opening = at + 1
    while statement.word(opening) == ".":
        opening += 2
    has_list = statement.word(opening) == "("  # else CREATE TABLE … DISTKEY (…) AS SELECT
    closing = statement.closing(opening) if has_list else opening - 1
    as_ = next(
        (p for p in range(closing + 1, len(statement.tokens)) if statement.word(p) == "AS"), len(statement.tokens)
    )
    _refuse_in_table(statement, opening, as_)
    if not has_list:
        return edits + _attributes(statement, opening, as_)
    is_list_of_names = statement.word(opening + 2) in (",", ")")  # of CREATE TABLE (a, b) AS
    if not is_list_of_names:
        for first, last in _arguments(statement, opening):
            edits += _column(statement, first, last)
    return edits + _attributes(statement, closing + 1, as_)


def _refuse_in_table(statement: Statement, first: int, end: int) -> None:
    for at in range(first, end):
        for words, what in _NO_TABLES.items():
            if tuple(statement.word(at + step) for step in range(len(words))) == words:
                raise RefusedError(f"Amazon Redshift does not support {what}")


def _column(statement: Statement, first: int, last: int) -> Edits:
    """Return the edits of a column or a constraint of a table."""
    if statement.word(first) in ("PRIMARY", "UNIQUE", "LIKE"):
        return []
    if statement.word(first) in ("FOREIGN", "CONSTRAINT", "CHECK"):
        if "FOREIGN" in (statement.word(first), statement.word(first + 2)):
            raise RefusedError(
                "FOREIGN KEY is not supported by the local Redshift endpoint: Redshift would note it and not enforce it"
            )
        if "CHECK" in (statement.word(first), statement.word(first + 2)):
            raise RefusedError("Amazon Redshift does not support CHECK constraints")
        return []
    _refuse_type(statement, first + 1)
    if statement.word(first + 1) not in _TYPES:
        raise RefusedError(f'type "{statement.word(first + 1).lower()}" does not exist in Amazon Redshift', "42704")
    edits = _type(statement, first + 1, in_cast=False)
    for at in range(first + 1, last + 1):
        if statement.word(at) == "REFERENCES":
            raise RefusedError(
                "REFERENCES is not supported by the local Redshift endpoint: Redshift would note it and not enforce it"
            )
        if statement.word(at) == "CHECK":
            raise RefusedError("Amazon Redshift does not support CHECK constraints")
        if statement.word(at) == "IDENTITY":
            edits += _identity(statement, at)
    return edits + _attributes(statement, first + 1, last + 1)


def _identity(statement: Statement, at: int) -> Edits:
    numbers = [int(statement.source(*place)) for place in _arguments(statement, at + 1)]
    if len(numbers) != 2:
        raise RefusedError("IDENTITY takes a seed and a step", "42601")
    seed, step = numbers
    bound = f"MINVALUE {seed}" if step > 0 else f"MAXVALUE {seed}"
    options = f"(START WITH {seed} INCREMENT BY {step} {bound})"
    by_default = statement.word(at - 1) == "AS"  # GENERATED BY DEFAULT AS IDENTITY
    text = f"IDENTITY {options}" if by_default else f"GENERATED ALWAYS AS IDENTITY {options}"
    return [(statement.tokens[at].start, statement.tokens[statement.closing(at + 1)].end + 1, text)]


def _attributes(statement: Statement, first: int, end: int) -> Edits:
    """Return the edits that leave out how a table is stored, between two places."""
    edits: Edits = []
    at = first
    while at < end:
        word, following = statement.word(at), statement.word(at + 1)
        last = at
        if word in ("DISTSTYLE", "ENCODE", "BACKUP"):
            last = at + 1
        elif (word, following) == ("AUTO", "REFRESH"):
            last = at + 2
        elif word in ("COMPOUND", "INTERLEAVED") and following == "SORTKEY":
            last = statement.closing(at + 2)
        elif word in ("DISTKEY", "SORTKEY"):
            if following == "(":
                last = statement.closing(at + 1)
            elif following == "AUTO":
                last = at + 1
        elif (word, following) == ("COLLATE", "CASE_INSENSITIVE"):
            raise RefusedError("COLLATE CASE_INSENSITIVE is not supported by the local Redshift endpoint")
        elif (word, following) == ("COLLATE", "CASE_SENSITIVE"):
            last = at + 1
        else:
            at += 1
            continue
        edits.append(_removed(statement, at, last))
        at = last + 1
    return edits


def is_storage_only(statement: Statement) -> bool:
    """Tell whether an ALTER TABLE changes only how the table is stored: there is nothing to do here."""
    if (statement.word(0), statement.word(1)) != ("ALTER", "TABLE"):
        return False
    words = [statement.word(at) for at in range(2, len(statement.tokens))]
    pairs = list(pairwise(words))
    stored = {("ALTER", word) for word in ("DISTSTYLE", "DISTKEY", "SORTKEY", "COMPOUND", "ENCODE")}
    return any(pair in stored for pair in pairs) or (
        ("ALTER", "COLUMN") in pairs and "ENCODE" in words and "TYPE" not in words
    )


_NO_ALTERATIONS = {
    ("SET", "NOT"): "SET NOT NULL", ("DROP", "NOT"): "DROP NOT NULL", ("SET", "DEFAULT"): "SET DEFAULT",
    ("DROP", "DEFAULT"): "DROP DEFAULT", ("ATTACH", "PARTITION"): "ATTACH PARTITION",
    ("DETACH", "PARTITION"): "DETACH PARTITION", ("DISABLE", "TRIGGER"): "DISABLE TRIGGER", ("INHERIT",): "INHERIT",
}  # fmt: skip


def _refuse_alteration(words: list[str], pairs: list[tuple[str, str]]) -> None:
    """Refuse what PostgreSQL's ALTER TABLE does beyond Redshift's: a column keeps what it was made with."""
    for known, what in _NO_ALTERATIONS.items():
        if known in (pairs if len(known) == 2 else [(word,) for word in words]):
            raise RefusedError(f"Amazon Redshift does not support ALTER TABLE … {what}: make a new table")
    for at in range(3, len(words) - 1):
        is_type = words[at] == "TYPE" and words[at - 2] in ("COLUMN", "ALTER")
        if is_type and words[at + 1] not in ("VARCHAR", "NVARCHAR", "CHARACTER", "TEXT"):
            raise RefusedError("Amazon Redshift alters only the length of a VARCHAR column: make a new table")
    depth = 0
    for word in words:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == "," and depth == 0:
            raise RefusedError("Amazon Redshift's ALTER TABLE takes one action", "42601")


def _alter(statement: Statement) -> Edits:
    words = [statement.word(at) for at in range(len(statement.tokens))]
    pairs = list(pairwise(words))
    if ("APPEND", "FROM") in pairs:
        raise RefusedError("ALTER TABLE APPEND is not supported by the local Redshift endpoint")
    if words[1] == "TABLE":
        _refuse_alteration(words, pairs)
    for pair, at in ((pair, at) for at, pair in enumerate(pairs)):
        if pair == ("ADD", "COLUMN"):
            return _column(statement, at + 2, len(statement.tokens) - 1)
        if pair[0] == "ADD" and pair[1] in ("CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN"):
            return _column(statement, at + 1, len(statement.tokens) - 1)
        if pair[0] == "ADD" and at > 2:
            return _column(statement, at + 1, len(statement.tokens) - 1)
        if pair[0] == "TYPE" and words[1] == "TABLE":
            return _type(statement, at + 1, in_cast=False)
    return []


def _merge(statement: Statement) -> Edits:
    """Refuse what Redshift's MERGE does not take; put REMOVE DUPLICATES as a deletion and an insertion."""
    return checked(statement, rewrite)
