"""What is committed: no trace of one machine, no state, and documents whose links lead somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
# A package index serves from these hosts; a lock that names one breaks where another index is used.
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs\.org|proxy\.golang\.org"
    r"|(?<![\w-])--(?:extra-)?index[-]url[ =]\S"
)
# Directories of the machine that someone worked on.
MACHINE = re.compile(r"(?<![\w.$}~-])/(?:work|root|home/\w+|Users/\w+)/")
LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)\"")
STATE = re.compile(r"(?:^|/)(?:\.env|\.local|\.venv|uv\.lock|poetry\.lock|package-lock\.json|__pycache__)(?:/|$)")


def tracked() -> list[str]:
    """Return the paths of all committed files."""
    listed = subprocess.run(
        ["git", "-C", str(REPO), "ls-files", "-z"], capture_output=True, text=True, check=True
    ).stdout
    return sorted(path for path in listed.split("\0") if path and (REPO / path).is_file())


TRACKED = tracked()
DOCUMENTS = [path for path in TRACKED if path.endswith(".md")]


def text_of(path: str) -> str | None:
    """Return a file's text, or None when it is not UTF-8 text (an image, a defective sample)."""
    try:
        return (REPO / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def findings(pattern: re.Pattern[str]) -> list[str]:
    """Return each line of a committed file that matches, as path:line: text."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path in TRACKED
        if (text := text_of(path)) is not None
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_the_repository_is_tracked():
    assert {"README.md", "requirements.txt", "dags/ingest_files.py"} <= set(TRACKED)


def test_no_file_names_a_package_registry():
    assert findings(REGISTRY) == []


def test_no_file_names_a_directory_of_one_machine():
    assert findings(MACHINE) == []


def test_no_state_and_no_foreign_lock_file_is_committed():
    assert [path for path in TRACKED if STATE.search(path)] == []


def test_the_readme_names_both_commands():
    readme = (REPO / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^ *(?:\$ )?make demo\b", readme, re.MULTILINE)
    assert re.search(r"^ *(?:\$ )?make test\b", readme, re.MULTILINE)


def test_there_are_documents():
    assert {"README.md", "docs/decisions/0001-airflow-3.3.1-on-mwaa.md"} <= set(DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_a_document_leads_to_a_committed_file(document):
    folder = (REPO / document).parent
    broken = []
    for match in LINK.finditer((REPO / document).read_text(encoding="utf-8")):
        target = (match[1] or match[2]).partition("#")[0]
        if not target or re.match(r"[a-z]+:", target):
            continue
        path = (folder / target).resolve()
        relative = path.relative_to(REPO).as_posix() if path.is_relative_to(REPO) else None
        if relative not in TRACKED and not (path.is_dir() and any(file.startswith(f"{relative}/") for file in TRACKED)):
            broken.append(target)
    assert broken == []


def test_every_decision_is_in_the_index():
    index = (REPO / "docs/decisions/README.md").read_text(encoding="utf-8")
    decisions = [Path(path).name for path in TRACKED if re.fullmatch(r"docs/decisions/\d{4}-.+\.md", path)]
    assert decisions
    assert [name for name in decisions if f"({name})" not in index] == []
