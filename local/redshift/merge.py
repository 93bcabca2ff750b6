"""Redshift's MERGE: narrower than PostgreSQL's, and with REMOVE DUPLICATES, which PostgreSQL does not know.

Source: Amazon Redshift Database Developer Guide, "MERGE".
"""

from __future__ import annotations

from local.redshift.edits import Edits, Rewrite
from local.redshift.statements import RefusedError, Statement

# What Redshift says when two rows of the source match one of the target.
MULTIPLE_MATCHES = "Found multiple matches to update the same tuple"
# How an error begins that is this one: PostgreSQL's own, and that of the catalog's merge_must_match_once.
SAID = ("MERGE command cannot affect row a second time", MULTIPLE_MATCHES)


def checked(statement: Statement, rewrite: Rewrite) -> Edits:
    """Return what makes PostgreSQL's of a MERGE. Raises RefusedError for what Redshift does not take."""
    on = _find(statement, 0, "ON")
    using = _find(statement, 0, "USING")
    if statement.word(1) != "INTO" or not using or not on:
        raise RefusedError("syntax error in MERGE: MERGE INTO target USING source ON condition …", "42601")
    if using != _end_of_name(statement, 2):
        raise RefusedError("Amazon Redshift's MERGE takes no alias for the target table", "42601")
    target, source = statement.source(2, using - 1), statement.source(using + 1, on - 1)
    if _end_of_name(statement, using + 1) >= on - 2 and source.split()[0].lower() == target.lower():
        raise RefusedError("The source and the target of a MERGE must be different tables", "0A000")
    whens = [
        at for at in range(on, len(statement.tokens)) if statement.word(at) == "WHEN" and _is_clause(statement, at)
    ]
    tail = len(statement.tokens) - 2
    if (statement.word(tail), statement.word(tail + 1)) == ("REMOVE", "DUPLICATES"):
        if whens:
            raise RefusedError("REMOVE DUPLICATES takes no WHEN clauses", "42601")
        return _remove_duplicates(statement, rewrite(target), source, on, tail, rewrite)
    _check_clauses(statement, whens)
    return []


def refuse_with(statement: Statement) -> None:
    """Refuse a MERGE or an INSERT after WITH."""
    if _find(statement, 0, "MERGE"):
        raise RefusedError("Amazon Redshift's MERGE takes no WITH before it: put it into a table", "42601")
    insert = _find(statement, 0, "INSERT")
    if statement.word(insert + 1) == "INTO":
        raise RefusedError("Amazon Redshift takes WITH after INSERT INTO table, not before it", "42601")


def _find(statement: Statement, first: int, word: str) -> int:
    """Return the place of a word outside of brackets, else 0."""
    depth = 0
    for at in range(first, len(statement.tokens)):
        found = statement.word(at)
        depth += {"(": 1, ")": -1}.get(found, 0)
        if depth == 0 and found == word:
            return at
    return 0


def _end_of_name(statement: Statement, at: int) -> int:
    """Return the place after a name, which may have a schema and a database before it."""
    while statement.word(at + 1) == ".":
        at += 2
    return at + 1


def _is_clause(statement: Statement, at: int) -> bool:
    return statement.word(at + 1) in ("MATCHED", "NOT")


def _check_clauses(statement: Statement, whens: list[int]) -> None:
    kinds = []
    for at in whens:
        matched = statement.word(at + 1) == "MATCHED"
        then = at + 2 if matched else at + 3
        if statement.word(then) != "THEN":
            raise RefusedError("Amazon Redshift's MERGE takes no condition after MATCHED", "42601")
        kinds.append((matched, statement.word(then + 1)))
        if statement.word(then + 1) == "DO":
            raise RefusedError("Amazon Redshift's MERGE does not support DO NOTHING", "42601")
        if matched and statement.word(then + 1) == "UPDATE":
            _check_set(statement, then + 3)
    if sorted(matched for matched, _ in kinds) != [False, True]:
        raise RefusedError(
            "Amazon Redshift's MERGE needs WHEN MATCHED THEN and WHEN NOT MATCHED THEN, each once", "42601"
        )
    for matched, action in kinds:
        if action not in (("UPDATE", "DELETE") if matched else ("INSERT",)):
            raise RefusedError(f"syntax error in MERGE at or near {action!r}", "42601")


def _check_set(statement: Statement, at: int) -> None:
    """Refuse `SET table.column`: the columns are those of the target."""
    depth = 0
    for place in range(at, len(statement.tokens)):
        word = statement.word(place)
        if word == "WHEN" and depth == 0 and _is_clause(statement, place):
            return
        depth += {"(": 1, ")": -1}.get(word, 0)
        begins = place == at or (depth == 0 and statement.word(place - 1) == ",")
        if begins and statement.word(place + 1) == ".":
            raise RefusedError("Amazon Redshift's MERGE takes no table before a column in SET", "42601")


def _remove_duplicates(statement: Statement, target: str, source: str, on: int, tail: int, rewrite: Rewrite) -> Edits:
    """MERGE … REMOVE DUPLICATES: rows of the target that the source has are replaced by it, the others added.

    Two rows of the source that match one row of the target are an error, as without REMOVE DUPLICATES.
    """
    condition = rewrite(statement.source(on + 1, tail - 1))
    alias = rewrite(statement.source(on - 1, on - 1))  # an alias, or the last part of the source's name
    source = rewrite(source)
    text = (
        f"WITH multiple (matches) AS (SELECT pg_catalog.merge_must_match_once(count(*))"  # noqa: S608 - the client's own
        f" FROM {target} INNER JOIN {source} ON {condition} GROUP BY {target}.ctid),"
        f" removed AS (DELETE FROM {target} USING {source} WHERE {condition} AND"
        f" (SELECT count(matches) FROM multiple) >= 0)"
        f" INSERT INTO {target} SELECT {alias}.* FROM {source}"
    )
    first, last = statement.tokens[0].start, statement.tokens[-1].end + 1
    return [(first, last, text)]
