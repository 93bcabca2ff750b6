"""Queries of the catalogs, as Redshift's drivers write them: an item of a SELECT may be named further on in it."""

from __future__ import annotations

import re

from sqlglot.tokenizer_core import TokenType

from local.redshift.edits import Edits, Rewrite
from local.redshift.statements import RefusedError, Statement

# PostgreSQL's own catalogs are asked in PostgreSQL's own words, by drivers above all.
_CATALOG = re.compile(r"pg_(?!catalog|temp)\w+|information_schema|svv_\w+|stv_\w+", re.IGNORECASE)


def asks_catalog(statement: Statement) -> bool:
    """Tell whether a statement names a catalog of PostgreSQL's or a view of Redshift's about the database."""
    return any(
        token.token_type in (TokenType.VAR, TokenType.IDENTIFIER)
        and _CATALOG.fullmatch(token.text)
        and statement.word(at + 1) != "("
        for at, token in enumerate(statement.tokens)
    )


def columns_of_catalogs(statement: Statement, rewrite: Rewrite) -> Edits:
    """Return the edits that put an item's expression for its name."""
    edits = _copies_of_columns(statement, rewrite)
    words = [statement.word(at) for at in range(len(statement.tokens))]
    if not any(word.startswith(("INFORMATION_SCHEMA", "SVV_")) for word in words):
        edits += _names_in_conditions(statement)
    return edits


def _copies_of_columns(statement: Statement, rewrite: Rewrite) -> Edits:
    """An item of a SELECT may name one before it, as redshift_connector's query of columns does: x AS a, a AS b.

    A column of that name in FROM comes first, and there is none in PostgreSQL's catalogs.
    """
    edits: Edits = []
    for at in range(2, len(statement.tokens) - 2):
        name = statement.word(at)
        if not (name and statement.word(at - 1) == "," and statement.word(at + 1) == "AS"):
            continue
        if (statement.word(at - 3), statement.word(at - 2)) == ("AS", name):
            edits.append(
                (statement.tokens[at].start, statement.tokens[at].end + 1, _item_before(statement, at - 3, rewrite))
            )
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


def _item_before(statement: Statement, as_: int, rewrite: Rewrite) -> str:
    """Return the expression of a SELECT's item, whose AS is at a place."""
    depth, cases = 0, 0
    for at in range(as_ - 1, 0, -1):
        word = statement.word(at)
        depth += {")": 1, "(": -1}.get(word, 0)
        cases += {"END": 1, "CASE": -1}.get(word, 0)
        if depth == 0 and cases == 0 and statement.word(at - 1) in (",", "SELECT"):
            return f"({rewrite(statement.source(at, as_ - 1))})"
    raise RefusedError("syntax error in the list of SELECT", "42601")
