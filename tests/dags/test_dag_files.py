"""The text of the DAG files: short, and wiring only."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
DAG_FILES = sorted((REPO / "dags").glob("*.py"))
LINES = 120

every_file = pytest.mark.parametrize("file", DAG_FILES, ids=lambda file: file.name)


def heavy_packages() -> set[str]:
    """Return what ruff forbids at the top of a DAG file."""
    settings = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))
    return set(settings["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"])


def imports_while_parsing(tree: ast.AST) -> Iterator[str]:
    """Yield the packages that a file imports outside the functions it defines."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
        yield from imports_while_parsing(node)


def test_there_are_dag_files():
    assert {file.stem for file in DAG_FILES} >= {"generate_mock_data", "ingest_files", "migrate"}


@every_file
def test_a_dag_file_is_short(file):
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= LINES, (
        f"{lines} lines: a DAG file says what runs, when and in which order; logic goes to marketplace"
    )


@every_file
def test_a_dag_file_imports_nothing_heavy_at_its_top(file):
    imported = set(imports_while_parsing(ast.parse(file.read_text(encoding="utf-8"))))
    assert "airflow" in imported
    assert {"boto3", "numpy", "pandas"} <= heavy_packages()
    assert imported & heavy_packages() == set()
