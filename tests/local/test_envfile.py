from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from local import envfile

VALUES = {
    "PLAIN": "http://127.0.0.1:14566",
    "WITH_QUOTES": """it's "quoted" """,
    "WITH_SHELL": "$HOME `id` \\ # no comment",
    "WITH_EQUALS": "a=b=c",
    "EMPTY": "",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "env"
    envfile.write(path, VALUES, "for the tests")
    return path


def test_what_is_written_is_read_back(file: Path):
    assert envfile.read(file) == VALUES


@pytest.mark.parametrize("name", VALUES)
def test_a_shell_reads_the_same_value(file: Path, name: str):
    script = f'. "$1"; printf %s "${name}"'
    answer = subprocess.run(["sh", "-c", script, "sh", str(file)], capture_output=True, text=True, check=True)
    assert answer.stdout == VALUES[name]


def test_only_its_owner_reads_it_even_when_it_was_open_before(tmp_path: Path):
    path = tmp_path / "env"
    path.write_text("old")
    path.chmod(0o644)
    envfile.write(path, VALUES, "for the tests")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [child.name for child in tmp_path.iterdir()] == ["env"]
