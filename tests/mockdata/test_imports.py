"""The generator and the ingestion share no code that reads a value, so neither repeats the other's faults."""

from __future__ import annotations

import ast
from pathlib import Path

import marketplace.mockdata

PACKAGE = Path(marketplace.mockdata.__file__).parents[1]
GENERATOR = "marketplace.mockdata"
INGESTION = ("marketplace.contracts", "marketplace.ingest")
# What both may use: where the package's files are, connections, queries by name, assets. None of it looks at a value.
SHARED = {f"marketplace{name}" for name in ("", ".assets", ".connections", ".settings", ".store", ".warehouse")}


def modules() -> dict[str, Path]:
    """Return the modules of the package by name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("marketplace", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(module: str) -> set[str]:
    """Return the package's modules that a module imports, wherever in its text."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    parents = {name.rpartition(".")[0] for name in names}
    return (names | parents) & MODULES.keys()


def reached(start: str) -> set[str]:
    """Return the modules that are loaded with a module, itself included."""
    found, new = set(), {start}
    while new:
        found |= new
        new = {name for module in new for name in imported(module)} - found
    return found


def of(*packages: str) -> set[str]:
    return {m for m in MODULES for package in packages if m == package or m.startswith(f"{package}.")}


def test_the_modules_are_found() -> None:
    assert f"{GENERATOR}.generate" in of(GENERATOR)
    assert "marketplace.contracts.names" in of(*INGESTION)
    assert "marketplace.contracts.names" in reached("marketplace.ingest.load")


def test_neither_imports_the_other() -> None:
    for module in of(GENERATOR):
        assert not reached(module) & of(*INGESTION), module
    for module in of(*INGESTION):
        assert not reached(module) & of(GENERATOR), module


def test_what_both_import_looks_at_no_value() -> None:
    generator = {name for module in of(GENERATOR) for name in reached(module)}
    ingestion = {name for module in of(*INGESTION) for name in reached(module)}
    assert generator & ingestion <= SHARED
