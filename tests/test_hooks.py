"""The hooks of .pre-commit-config.yaml: each passes a good file, and stops a bad one with its finding."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

REPO = Path(__file__).resolve().parents[1]
CONFIG = ".pre-commit-config.yaml"
# In two parts, or the scanner would find it here.
TOKEN = "ghp_" + "9fK2mQ7xT4vB8nL1wR6yH3jD5cZ0aS2eU7pX"

CONTRACT = """
dataset: artist
description: Artists.
key: [artist_id]
columns: [{{name: artist_id, type: {type}, description: The key.}}]
tables: [store.artist]
"""
# What a hook runs of this repository itself.
NEEDED = {"contracts": ("dags/marketplace/contracts", "dags/marketplace/settings.py")}

# hook → (path, what passes, what does not, what the hook says of it)
FILES = {
    "ruff": (
        "infra/run.py",
        '"""Run a command."""\n',
        '"""Run a command."""\n\nimport subprocess\n\nsubprocess.run("ls *", shell=True, check=True)\n',
        "subprocess-popen-with-shell-equals-true",
    ),
    "ruff-format": ("infra/form.py", "x = 1\n", "x  =  1\n", "infra/form.py:1:3"),
    "mypy": ("infra/typed.py", "x: int = 1\n", 'x: int = "one"\n', "infra/typed.py:1: error: Incompatible types"),
    "sqlfluff": (
        "include/sql/store/games.sql",
        "select game.title\nfrom store.game as game\n",
        "select *\nfrom store.game as game\n",
        "AM04",
    ),
    "contracts": (
        "include/contracts/artist.yaml",
        CONTRACT.format(type="id"),
        CONTRACT.format(type="money"),
        "include/contracts/artist.yaml: column 'artist_id', type: found 'money'; accepted: id, ",
    ),
    "cfn-lint": (
        "infra/templates/queue.yaml",
        "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n",
        "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Properties:\n      Nmae: landing\n",
        "'Nmae' was unexpected",
    ),
    "workflows": (
        ".github/workflows/ci.yml",
        "on: push\njobs:\n  lint:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: make lint\n",
        "on: push\njobs:\n  lint:\n    runs_on: ubuntu-24.04\n",
        ".github/workflows/ci.yml::$.jobs.lint",
    ),
    "zizmor": (
        ".github/workflows/ci.yml",
        "name: ci\non: push\npermissions: {}\njobs:\n  say:\n    runs-on: ubuntu-24.04\n    steps:\n"
        '      - env:\n          BRANCH: ${{ github.head_ref }}\n        run: echo "$BRANCH"\n',
        "name: ci\non: push\npermissions: {}\njobs:\n  say:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo ${{ github.head_ref }}\n",
        "error[template-injection]: code injection via template expansion",
    ),
    "compose": (
        "docker-compose.yaml",
        "services:\n  network:\n    image: busybox:1.37.0\n",
        "services:\n  network:\n    imgae: busybox:1.37.0\n",
        "'imgae' was unexpected",
    ),
    "hadolint": ("Dockerfile", "FROM busybox:1.37.0\nUSER 999\n", "FROM busybox:latest\nUSER 999\n", "DL3007"),
    "secrets": ("notes.txt", "No token here.\n", f"token = {TOKEN}\n", "GITHUB-PAT"),
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository of its own with this one's hooks and tools."""
    for name in (CONFIG, "pyproject.toml", ".sqlfluff"):
        shutil.copy(REPO / name, tmp_path)
    (tmp_path / "include" / "sql").mkdir(parents=True)  # by which include/ is found
    (tmp_path / ".venv").symlink_to(REPO / ".venv")
    for package in ("bench", "dags/marketplace", "infra", "local", "plugins"):  # mypy insists on what its settings name
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main"], cwd=tmp_path, check=True)
    return tmp_path


def environment(clone: Path) -> dict[str, str]:
    return os.environ | {"PRE_COMMIT_HOME": str(clone / ".local" / "pre-commit"), "PRE_COMMIT_COLOR": "never"}


def write(clone: Path, path: str, text: str) -> None:
    (clone / path).parent.mkdir(parents=True, exist_ok=True)
    (clone / path).write_text(text)


def run(clone: Path, hook: str, path: str) -> subprocess.CompletedProcess[str]:
    command = [REPO / ".venv/airflow/bin/pre-commit", "run", hook, "--files", path]
    return subprocess.run(command, cwd=clone, env=environment(clone), capture_output=True, text=True, check=False)


def test_every_hook_is_tried_here():
    (source,) = yaml.safe_load((REPO / CONFIG).read_text())["repos"]
    assert {hook["id"] for hook in source["hooks"]} == set(FILES)


@pytest.mark.parametrize("hook", FILES)
def test_a_hook_passes_good_files_and_stops_bad_ones(hook: str, clone: Path):
    path, good, bad, finding = FILES[hook]
    for needed in NEEDED.get(hook, ()):
        copy = shutil.copytree if (REPO / needed).is_dir() else shutil.copy
        copy(REPO / needed, clone / needed)

    write(clone, path, good)
    passed = run(clone, hook, path)
    assert (passed.returncode, "Passed" in passed.stdout) == (0, True), passed.stdout + passed.stderr

    write(clone, path, bad)
    stopped = run(clone, hook, path)
    assert (stopped.returncode, finding in stopped.stdout) == (1, True), stopped.stdout + stopped.stderr


def test_a_commit_with_a_secret_is_refused_and_the_secret_is_not_shown(clone: Path):
    path, _, bad, finding = FILES["secrets"]
    write(clone, path, bad)
    subprocess.run([REPO / ".venv/airflow/bin/pre-commit", "install"], cwd=clone, env=environment(clone), check=True)
    subprocess.run(["git", "add", path], cwd=clone, check=True)
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]

    command = ["git", *identity, "commit", "--message", "a note"]
    refused = subprocess.run(command, cwd=clone, env=environment(clone), capture_output=True, text=True, check=False)

    assert refused.returncode == 1
    assert finding in refused.stderr
    assert TOKEN not in refused.stdout + refused.stderr
    assert subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, check=False).returncode != 0
