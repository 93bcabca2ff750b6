"""QUALIFY, which PostgreSQL does not know: a condition on window functions, as a subquery and a WHERE.

Source: Amazon Redshift Database Developer Guide, "QUALIFY clause".
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot.tokenizer_core import TokenType

from local.redshift.edits import Rewrite
from local.redshift.statements import RefusedError, Statement

_SETS = ("UNION", "INTERSECT", "EXCEPT", "MINUS")
_JOINS = ("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "OUTER", "NATURAL", ",")
# What stays after the subquery; an ORDER BY stays within it, where all that it names is known.
_AFTER = (*_SETS, "LIMIT", "OFFSET", "FETCH")


@dataclass
class _Item:
    """One thing of a select list: as the subquery selects it, and as the outer query takes it from there."""

    inner: str
    outer: str
    alias: str = ""
    expression: str = ""


def qualified(statement: Statement, at: int, rewrite: Rewrite) -> tuple[int, int, str]:
    """Return the edit that puts a SELECT with QUALIFY, the word at `at`, as PostgreSQL takes it.

    SELECT x FROM t QUALIFY c ORDER BY y LIMIT 1 becomes
    SELECT x FROM (SELECT x, (c) AS qualified FROM t ORDER BY y) AS q WHERE qualified LIMIT 1. Of a star the subquery
    selects whole rows, which the outer query takes apart: so none of its columns need be known here.
    """
    select = _select_of(statement, at)
    outside = _depths(statement, select)
    end = next((place for place in range(at, len(outside)) if outside[place] < 0), len(outside))
    limit = _first(statement, outside, at, end, _AFTER)
    order = _first(statement, outside, at, limit, ("ORDER",))
    # "WITH NO SCHEMA BINDING" ends a view.
    limit = min(limit, _first(statement, outside, at, end, ("WITH",)))
    order = min(order, limit)
    source = _first(statement, outside, select, at, ("FROM",))
    if source == at:
        raise RefusedError("QUALIFY needs a FROM clause", "42601")
    if statement.word(select + 1) in ("TOP", "DISTINCT"):
        beside = statement.word(select + 1)
        raise RefusedError(f"QUALIFY beside {beside} is not supported by the local Redshift endpoint: use a subquery")
    tables_end = _first(statement, outside, source, at, ("WHERE", "GROUP", "HAVING"))
    tables = _tables(statement, outside, source + 1, tables_end)
    if tables_end == at and tables[-1][1]:
        raise RefusedError("QUALIFY directly after FROM needs an alias of the table before it", "42601")
    items = [
        item
        for number, (first, last) in enumerate(_split(outside, statement, select + 1, source))
        for item in _items(statement, first, last, number, tables)
    ]
    is_by_place = order < limit and any(
        statement.tokens[place].token_type == TokenType.NUMBER and statement.word(place - 1) in ("BY", ",")
        for place in range(order, limit)
    )
    if is_by_place and any(item.outer.endswith("*") for item in items):
        raise RefusedError("QUALIFY with a star and ORDER BY a place is not supported by the local Redshift endpoint")
    grouped = any(outside[place] == 0 and statement.word(place) == "GROUP" for place in range(source, at))
    condition = _condition(statement, at + 1, order, items, grouped)
    inner = f"{', '.join(item.inner for item in items)}, ({condition}) AS qualified {statement.source(source, at - 1)}"
    if order < limit:
        inner += f" {statement.source(order, limit - 1)}"
    outer = ", ".join(item.outer for item in items)
    text = f"SELECT {outer} FROM (SELECT {inner}) AS q WHERE q.qualified"  # noqa: S608 - the client's own text
    return statement.tokens[select].start, statement.tokens[limit - 1].end + 1, rewrite(text)


def _select_of(statement: Statement, at: int) -> int:
    depth = 0
    for place in range(at, -1, -1):
        word = statement.word(place)
        depth += {")": 1, "(": -1}.get(word, 0)
        if depth == 0 and word == "SELECT":
            return place
        if depth < 0:
            break
    raise RefusedError('syntax error at or near "QUALIFY"', "42601")


def _depths(statement: Statement, select: int) -> list[int]:
    """Return for each token how many brackets it is within, counted from the SELECT; -1 from where that ends."""
    depths, depth = [0] * select, 0
    for place in range(select, len(statement.tokens)):
        word = statement.word(place)
        if word in (")", "]"):
            depth -= 1
        if depth < 0:
            break
        depths.append(depth + (word in (")", "]")))
        if word in ("(", "["):
            depths[-1] += 1
            depth += 1
    return depths + [-1] * (len(statement.tokens) - len(depths))


def _first(statement: Statement, depths: list[int], first: int, end: int, words: tuple[str, ...]) -> int:
    """Return the place of the first of these words outside of brackets, else `end`."""
    found = (place for place in range(first, end) if depths[place] == 0 and statement.word(place) in words)
    return next(found, end)


def _split(depths: list[int], statement: Statement, first: int, end: int) -> list[tuple[int, int]]:
    """Return the first and the last token of each part between commas outside of brackets."""
    commas = [place for place in range(first, end) if depths[place] == 0 and statement.word(place) == ","]
    return list(
        zip([first, *(comma + 1 for comma in commas)], [*(comma - 1 for comma in commas), end - 1], strict=True)
    )


def _tables(statement: Statement, depths: list[int], first: int, end: int) -> list[tuple[str, bool]]:
    """Return the name by which each table of a FROM is known, and whether it is its own, without an alias."""
    tables: list[tuple[str, bool]] = []
    at = first
    while at < end:
        if depths[at] == 0 and statement.word(at) in _JOINS:
            at += 1
            continue
        stop = _first(statement, depths, at, end, (*_JOINS, "ON", "USING"))
        own = all(depths[place] == 0 for place in range(at, stop)) and (
            stop == at + 1 or all(statement.word(place) == "." for place in range(at + 1, stop, 2))
        )
        last = stop - 1
        if statement.word(last) == ")":  # alias (names of columns)
            last = next((place for place in range(last, at - 1, -1) if depths[place] == 0), at)
            own = own or last == at  # a subquery without a name
        following = _first(statement, depths, stop, end, _JOINS) if statement.word(stop) in ("ON", "USING") else stop
        tables.append((statement.source(last, last), own and following == stop))
        at = following
    return tables


def _items(statement: Statement, first: int, last: int, number: int, tables: list[tuple[str, bool]]) -> list[_Item]:
    text = statement.source(first, last)
    token = statement.tokens[last]
    if first == last and statement.word(first) == "*":
        return [_Item(f'{name} AS "r{at}"', f'(q."r{at}").*') for at, (name, _) in enumerate(tables, number * 100)]
    if statement.word(last) == "*" and statement.word(last - 1) == ".":
        return [_Item(f'{statement.source(last - 2, last - 2)} AS "r{number * 100}"', f'(q."r{number * 100}").*')]
    is_name = token.token_type in (TokenType.VAR, TokenType.IDENTIFIER) or (
        token.text.isidentifier() and statement.word(last - 1) == "AS"
    )
    before = statement.word(last - 1)
    if is_name and (first == last or (before == "." and last - first == 2)):
        return [_Item(text, statement.source(last, last))]
    if is_name and last > first and before not in (".", "+", "-", "*", "/", "%", "||", "="):
        expression = statement.source(first, last - 2 if before == "AS" else last - 1)
        return [_Item(text, statement.source(last, last), token.text.lower(), expression)]
    name = f'"{statement.tokens[first].text.lower()}"' if statement.word(first + 1) == "(" else '"?column?"'
    return [_Item(f'{text} AS "c{number}"', f'q."c{number}" AS {name}')]


def _condition(statement: Statement, first: int, end: int, items: list[_Item], grouped: bool) -> str:
    """Return the condition, with what the list's names stand for: the subquery does not know them yet."""
    known = {item.alias: item.expression for item in items if item.alias}
    if not grouped:  # where a name is also a column's, that comes first
        known = {name: text for name, text in known.items() if " over" in text.lower()}
    parts, done = [], statement.tokens[first].start
    for place in range(first, end):
        token = statement.tokens[place]
        is_name = token.token_type in (TokenType.VAR, TokenType.IDENTIFIER)
        alone = statement.word(place - 1) != "." and statement.word(place + 1) not in (".", "(")
        if is_name and alone and token.text.lower() in known:
            parts += [statement.text[done : token.start], f"({known[token.text.lower()]})"]
            done = token.end + 1
    return "".join([*parts, statement.text[done : statement.tokens[end - 1].end + 1]])
