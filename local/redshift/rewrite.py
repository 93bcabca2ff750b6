"""Redshift's SQL as PostgreSQL takes it: what a statement's tokens say is left out, put otherwise, or refused.

What can be a function, a type or a view in the database is one (sql/); here is only what PostgreSQL's grammar would not
take, or would take for something else than Redshift does. Texts and comments are never touched.

    refusals.py         what is refused
    ddl.py              CREATE, ALTER, VACUUM, ANALYZE
    typenames.py        types
    expressions.py      functions and clauses of queries
    qualify.py          QUALIFY
    merge.py            MERGE
    settings.py         SET, RESET, SHOW
    catalog_queries.py  queries of the catalogs
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from sqlglot.tokenizer_core import TokenType

from local.redshift import merge
from local.redshift.catalog_queries import asks_catalog, columns_of_catalogs
from local.redshift.ddl import alter, create, maintenance
from local.redshift.edits import Edits, edited, removed
from local.redshift.expressions import in_expressions
from local.redshift.refusals import refuse_by_first_words, refuse_clauses
from local.redshift.settings import setting
from local.redshift.statements import Statement, split


@lru_cache(maxsize=512)
def rewrite(sql: str) -> str:
    """Return a text of one or more statements as PostgreSQL takes it. Raises RefusedError."""
    statements = split(sql)
    edits: Edits = []
    for statement in statements:
        edits += _edits(statement)
    return edited(sql, edits)


def _edits(statement: Statement) -> Edits:
    refuse_by_first_words(statement)
    first = statement.word(0)
    edits = list(_names(statement))
    edits += _texts_with_backslashes(statement)
    edits += in_expressions(statement, rewrite)
    if first in ("SET", "RESET", "SHOW"):
        edits += setting(statement)
    elif first == "CREATE":
        edits += create(statement)
    elif first == "ALTER":
        edits += alter(statement)
    elif first == "MERGE":
        edits += merge.checked(statement, rewrite)
    elif first == "DELETE" and statement.word(1) != "FROM":
        edits.append((statement.tokens[0].end + 1, statement.tokens[0].end + 1, " FROM"))
    elif first in ("VACUUM", "ANALYZE"):
        edits += maintenance(statement)
    elif first in ("GRANT", "REVOKE"):
        edits += [removed(statement, at) for at in range(1, len(statement.tokens)) if statement.word(at) == "ROLE"]
    if first == "WITH":
        merge.refuse_with(statement)
    if asks_catalog(statement):
        edits += columns_of_catalogs(statement, rewrite)
    else:
        refuse_clauses(statement)
    return edits


def _names(statement: Statement) -> Iterator[tuple[int, int, str]]:
    """Put names as PostgreSQL takes them; a query of its catalogs names their columns as it wants."""
    folds = not asks_catalog(statement)
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
