"""requirements.txt resolves as MWAA installs it, and the development lock agrees with it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPO = Path(__file__).resolve().parents[2]
CONSTRAINTS = REPO / "dags" / "constraints-3.3.1-py3.12.txt"
ESSENTIAL = Path(__file__).with_name("mwaa-essential-constraints-3.3.1.txt")
MWAA_PYTHON = {"python_version": "3.12", "python_full_version": "3.12.13", "sys_platform": "linux"}


def requirements(file: Path) -> list[Requirement]:
    """Return the requirements of a file, without its comments and options."""
    lines = (line.partition(" #")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def pins(file: Path) -> dict[str, str]:
    """Return the version of each package that a file pins for MWAA's Python, by normalised name."""
    found = {}
    for requirement in requirements(file):
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{file.name}: pin {requirement.name} exactly"
        if requirement.marker is None or Marker(str(requirement.marker)).evaluate(MWAA_PYTHON):
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{file.name} pins {name} twice for Python 3.12"
            found[name] = specifier.version
    return found


def resolve(directory: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Resolve as MWAA does: Python 3.12 on Amazon Linux 2023, wheels only, both lists of constraints."""
    uv = Path(sys.executable).with_name("uv")
    assert uv.is_file(), f"{uv} is missing: it belongs to requirements-dev.txt, so run make again"
    (directory / "requirements.txt").write_text(text, encoding="utf-8")
    target = ["--python-version=3.12", "--python-platform=x86_64-manylinux_2_28", "--only-binary=:all:"]
    return subprocess.run(
        [
            *(uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", *target),
            *("--constraint", CONSTRAINTS, "--constraint", ESSENTIAL),
            *("--output-file", directory / "resolved.txt", directory / "requirements.txt"),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def without_the_constraint_line() -> str:
    """Return requirements.txt without the line that names a path of MWAA's."""
    return re.sub(r"^--constraint .*\n", "", (REPO / "requirements.txt").read_text("utf-8"), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What MWAA installs: each package with its version."""
    directory = tmp_path_factory.mktemp("resolve")
    finished = resolve(directory, without_the_constraint_line())
    assert finished.returncode == 0, f"MWAA could not install requirements.txt:\n{finished.stderr}"
    return pins(directory / "resolved.txt")


def test_the_constraints_are_those_that_mwaa_finds_below_dags():
    lines = re.findall(r"^(?:-c|--constraint) +(.+)$", (REPO / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert lines == [f"/usr/local/airflow/dags/{CONSTRAINTS.name}"]
    assert len(pins(CONSTRAINTS)) > 600
    assert len(pins(ESSENTIAL)) > 15


def test_airflow_itself_is_pinned_in_the_same_resolve(resolved):
    assert pins(REPO / "requirements.txt")["apache-airflow"] == "3.3.1"
    assert resolved["apache-airflow"] == "3.3.1"
    assert resolved["apache-airflow-core"] == "3.3.1"


def test_what_mwaa_installs_is_what_is_pinned(resolved):
    named = pins(REPO / "requirements.txt")
    assert {name: resolved[name] for name in named} == named


def test_every_resolved_package_has_the_version_of_the_constraints(resolved):
    constraints = pins(CONSTRAINTS)
    common = resolved.keys() & constraints.keys()
    assert len(common) > 100
    assert {name: resolved[name] for name in common} == {name: constraints[name] for name in common}


def test_nothing_essential_is_overridden(resolved):
    essential = pins(ESSENTIAL)
    common = resolved.keys() & essential.keys()
    assert {"apache-airflow", "sqlalchemy", "greenlet"} <= common
    assert {name: resolved[name] for name in common} == {name: essential[name] for name in common}


def test_a_requirement_against_the_essential_constraints_does_not_resolve(tmp_path):
    finished = resolve(tmp_path, without_the_constraint_line() + "\nsqlalchemy==2.0.50\n")
    assert finished.returncode != 0
    assert "sqlalchemy==2.0.50" in finished.stderr


def imports(node: ast.AST) -> Iterator[str]:
    """Yield the modules that code imports when it runs, by first name; not those under `if TYPE_CHECKING`."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        yield str(node.module).partition(".")[0]
    for child in ast.iter_child_nodes(node):
        yield from imports(child)


# On Lambda, with a lock of its own; no DAG imports it.
API = REPO / "dags" / "marketplace" / "api"


def imported_packages(files: Iterable[Path]) -> set[str]:
    """Return the distributions that these files import, wherever they do so."""
    modules = set()
    for file in files:
        modules |= set(imports(ast.parse(file.read_text(encoding="utf-8"))))
    third_party = modules - sys.stdlib_module_names - {"marketplace", "airflow"}
    distributions = metadata.packages_distributions()
    return {canonicalize_name(distributions[module][0]) for module in third_party}


def test_mwaa_installs_all_that_the_code_imports(resolved):
    files = [file for root in (REPO / "dags", REPO / "include") for file in root.rglob("*.py")]
    imported = imported_packages(file for file in files if API not in file.parents)
    assert {"psycopg", "alembic"} <= imported
    assert imported - resolved.keys() == set(), "the code imports this, and requirements.txt does not bring it"


def test_the_apis_lock_has_all_that_they_import_as_the_development_lock_has_it():
    lock = pins(REPO / "requirements-api.txt")
    imported = imported_packages(API.rglob("*.py"))
    assert {"fastapi", "mangum"} <= imported
    assert imported - lock.keys() == set(), "the APIs import this, and requirements-api.in does not bring it"
    everything = pins(REPO / "requirements-dev.txt")
    assert {name: everything[name] for name in lock} == lock, "run make lock"


def test_the_lock_pins_what_mwaa_installs():
    lock = pins(REPO / "requirements-dev.txt")
    named = pins(REPO / "requirements.txt")
    assert {name: lock.get(name) for name in named} == named


def test_the_lock_obeys_the_constraints_on_python_3_12():
    lock = pins(REPO / "requirements-dev.txt")
    constraints = pins(CONSTRAINTS)
    common = lock.keys() & constraints.keys()
    assert len(common) > 100
    assert {name: lock[name] for name in common} == {name: constraints[name] for name in common}


def test_the_lock_holds_every_development_tool():
    tools = {canonicalize_name(requirement.name) for requirement in requirements(REPO / "requirements-dev.in")}
    assert "pytest" in tools
    assert tools - pins(REPO / "requirements-dev.txt").keys() == set(), "run make lock"
