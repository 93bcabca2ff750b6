"""include/sql: every file says what it is for, is used, and every file that the code names is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
SQL = REPO / "include" / "sql"
FILES = sorted(SQL.rglob("*.sql"))
# A migration runs as it is; all others have parameters.
QUERIES = [file for file in FILES if "migrations" not in file.parts]
PATHS = [file.relative_to(SQL).as_posix() for file in FILES]
# Applied by a tool that takes what is in the directory, or that runs outside the DAGs.
NOT_NAMED_IN_THE_PACKAGE = ["store/bootstrap.sql", "store/migrations/*", "warehouse/migrations/*"]

every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SQL)))


def pattern(node: ast.expr) -> str | None:
    """Return the text of a string, with * for what an f-string fills in; None for other expressions."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(pattern(part) if isinstance(part, ast.Constant) else "*" for part in node.values)
    return None


def named_in_the_package() -> Iterator[tuple[str, str]]:
    """Yield each name of an SQL file in dags/, as the code writes it, with the place that names it.

    The code may leave off the name's first directories: a sub-package may look only into its own.
    """
    for file in sorted((REPO / "dags").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            text = pattern(node) if isinstance(node, ast.expr) else None
            if text and re.fullmatch(r"[\w*][\w*/-]*\.sql", text):
                yield text, f"{file.relative_to(REPO)}:{node.lineno}"


NAMED = sorted(set(named_in_the_package()))


def test_there_is_sql():
    assert len(FILES) >= 5
    assert len(NAMED) >= 5


@every_file
def test_the_first_line_says_what_the_file_is_for(file):
    first, *_ = file.read_text(encoding="utf-8").splitlines()
    assert re.match(r"-- \w.{15,}", first), "begin with a comment: what the statement is for, then its parameters"


@pytest.mark.parametrize(("name", "place"), NAMED)
def test_a_file_named_in_the_code_exists(name, place):
    assert any(fnmatch(f"/{path}", f"*/{name}") for path in PATHS), f"{place} names {name}: not below include/sql"


@every_file
def test_a_file_is_used(file):
    path = file.relative_to(SQL).as_posix()
    used = [*NOT_NAMED_IN_THE_PACKAGE, *(f"*/{name}" for name, _ in NAMED)]
    assert any(fnmatch(path, pattern) for pattern in used), "nothing reads this file: delete it"


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: str(file.relative_to(SQL)))
def test_values_are_bound_and_only_identifiers_are_filled_in(file):
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"'\{\w+\}'", text), "a value in quotes is filled in by text: bind it, %(name)s"
    assert not re.search(r"'%\(\w+\)s'", text), "a bound value needs no quotes"
