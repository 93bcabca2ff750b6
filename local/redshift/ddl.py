"""CREATE, ALTER and the maintenance of tables: how a table is stored is left out, what Redshift has not is refused.

Source: Amazon Redshift Database Developer Guide, "CREATE TABLE", "ALTER TABLE", "VACUUM", "ANALYZE".
"""

from __future__ import annotations

from itertools import pairwise

from sqlglot.tokenizer_core import TokenType

from local.redshift.edits import Edits, arguments_of, removed
from local.redshift.statements import RefusedError, Statement
from local.redshift.typenames import TYPES, put_type, refuse_type

# What only PostgreSQL writes in CREATE TABLE.
_NO_TABLES = {
    ("INHERITS", "("): "INHERITS", ("PARTITION", "BY"): "PARTITION BY", ("PARTITION", "OF"): "PARTITION OF",
    ("GENERATED", "ALWAYS"): "GENERATED ALWAYS: use IDENTITY(seed, step)", ("EXCLUDE", "USING"): "EXCLUDE",
    ("TABLESPACE",): "TABLESPACE", ("ON", "COMMIT"): "ON COMMIT",
}  # fmt: skip

_NO_ALTERATIONS = {
    ("SET", "NOT"): "SET NOT NULL", ("DROP", "NOT"): "DROP NOT NULL", ("SET", "DEFAULT"): "SET DEFAULT",
    ("DROP", "DEFAULT"): "DROP DEFAULT", ("ATTACH", "PARTITION"): "ATTACH PARTITION",
    ("DETACH", "PARTITION"): "DETACH PARTITION", ("DISABLE", "TRIGGER"): "DISABLE TRIGGER", ("INHERIT",): "INHERIT",
}  # fmt: skip


def create(statement: Statement) -> Edits:
    """Return the edits of a CREATE."""
    words = [statement.word(at) for at in range(4)]
    if "TABLE" in words:
        return _create_table(statement, words.index("TABLE"))
    if "MATERIALIZED" in words:
        return _attributes(statement, 1, len(statement.tokens))
    if "VIEW" in words:
        # A late-binding view is not looked at until it is read; here it is looked at when it is made.
        end = len(statement.tokens)
        if [statement.word(at) for at in range(end - 4, end)] == ["WITH", "NO", "SCHEMA", "BINDING"]:
            return [removed(statement, end - 4, end - 1)]
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
        for first, last in arguments_of(statement, opening):
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
    refuse_type(statement, first + 1)
    if statement.word(first + 1) not in TYPES:
        raise RefusedError(f'type "{statement.word(first + 1).lower()}" does not exist in Amazon Redshift', "42704")
    edits = put_type(statement, first + 1, in_cast=False)
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
    numbers = [int(statement.source(*place)) for place in arguments_of(statement, at + 1)]
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
        edits.append(removed(statement, at, last))
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


def alter(statement: Statement) -> Edits:
    """Return the edits of an ALTER."""
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
            return put_type(statement, at + 1, in_cast=False)
    return []


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


def maintenance(statement: Statement) -> Edits:
    """VACUUM and ANALYZE name a table, and with it what only Redshift can do about it."""
    told = {
        "FULL", "SORT", "DELETE", "ONLY", "REINDEX", "RECLUSTER", "BOOST", "PREDICATE", "ALL", "COLUMNS", "TO",
        "PERCENT",
    }  # fmt: skip
    edits = []
    for at in range(1, len(statement.tokens)):
        if statement.word(at) in told or statement.tokens[at].token_type == TokenType.NUMBER:
            edits.append(removed(statement, at))
    return edits
