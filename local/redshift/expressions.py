"""Functions and clauses of Redshift's queries that PostgreSQL writes otherwise.

Source: Amazon Redshift Database Developer Guide, "SQL functions", "SELECT".
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot.tokenizer_core import TokenType

from local.redshift.edits import Edits, Rewrite, arguments_of, is_within_call_with_from, whole
from local.redshift.qualify import qualified
from local.redshift.statements import RefusedError, Statement
from local.redshift.typenames import put_type, type_of_cast

# A name for the part of a date comes bare there, and must be a text here.
_DATE_PARTS = frozenset({"DATEADD", "DATE_ADD", "DATEDIFF", "DATE_DIFF", "DATE_PART", "DATE_TRUNC"})

# What comes after a subquery that has no name.
_AFTER_SUBQUERY = frozenset(
    [
        ")", ",", "WHERE", "GROUP", "HAVING", "QUALIFY", "ORDER", "LIMIT", "OFFSET", "UNION", "INTERSECT", "EXCEPT",
        "MINUS", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "ON", "USING", "WHEN",
    ]
)  # fmt: skip


def in_expressions(statement: Statement, rewrite: Rewrite) -> Edits:
    """Return the edits of the functions, casts and clauses within a statement."""
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
        elif called and word == "NVL2":
            edits += _nvl2(statement, at)
        elif called and word in _CALLS:
            edits += _CALLS[word](statement, at, rewrite)
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
            edits += put_type(statement, type_of_cast(statement, at + 1), in_cast=True)
        elif token.token_type == TokenType.DCOLON:
            edits += put_type(statement, at + 1, in_cast=True)
        elif token.token_type == TokenType.NUMBER and statement.text[token.end + 1 : token.end + 2].isalpha():
            edits.append((token.end + 1, token.end + 1, " "))  # 4WHEN, as Redshift's own driver has it
    return edits


def _name_of_subquery(statement: Statement, at: int) -> Edits:
    """A subquery in FROM needs no name; PostgreSQL wants one."""
    if statement.word(at + 2) not in ("SELECT", "WITH") or statement.word(at - 1) == "DISTINCT":
        return []
    closing = statement.closing(at + 1)
    is_last = closing + 1 == len(statement.tokens)
    if not is_last and statement.word(closing + 1) not in _AFTER_SUBQUERY:
        return []
    if is_within_call_with_from(statement, at):
        return []
    end = statement.tokens[closing].end + 1
    return [(end, end, f" AS subquery_{at}")]


def _date_part(statement: Statement, at: int) -> Edits:
    token = statement.tokens[at + 2]
    named = statement.word(at + 2)
    renamed = statement.word(at).replace("DATE_ADD", "DATEADD").replace("DATE_DIFF", "DATEDIFF")
    edits = [(statement.tokens[at].start, statement.tokens[at].end + 1, renamed)]
    if named and statement.word(at + 3) == ",":
        edits.append((token.start, token.end + 1, f"'{named.lower()}'"))
    return edits


def _nvl2(statement: Statement, at: int) -> Edits:
    arguments = arguments_of(statement, at + 1)
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


def _decode(statement: Statement, at: int, rewrite: Rewrite) -> Edits:
    """DECODE(tested, value, result, …, otherwise): NULL equals NULL in it."""
    arguments = arguments_of(statement, at + 1)
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
    return [whole(statement, at, " ".join([*parts, "END)"]))]


def _listagg(statement: Statement, at: int, rewrite: Rewrite) -> Edits:
    """LISTAGG([DISTINCT] x [, separator]) [WITHIN GROUP (ORDER BY …)] is string_agg(x::text, separator ORDER BY …).

    With DISTINCT, PostgreSQL orders only by what it makes distinct, which must not be the text of a number.
    """
    arguments = arguments_of(statement, at + 1)
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


def _convert(statement: Statement, at: int, rewrite: Rewrite) -> Edits:
    """CONVERT(type, value) is CAST(value AS type)."""
    arguments = arguments_of(statement, at + 1)
    if len(arguments) != 2:
        return []
    kind, value = (rewrite(statement.source(*place)) for place in arguments)
    return [whole(statement, at, f"CAST({value} AS {kind})")]


# Calls that are put anew as a whole.
_CALLS: dict[str, Callable[[Statement, int, Rewrite], Edits]] = {
    "DECODE": _decode, "LISTAGG": _listagg, "CONVERT": _convert,
}  # fmt: skip


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
