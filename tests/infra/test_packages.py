"""The package of the APIs' function: complete, the same bytes each time, and no more than Lambda takes."""

from __future__ import annotations

import subprocess
import zipfile

import pytest

from infra import packages
from infra.errors import PackageError

MODULES = (
    "marketplace/api/handler.py",
    "marketplace/settings.py",
    "include/sql/store/api/sums.sql",
    "mangum/__init__.py",
)


def test_the_same_sources_give_the_same_bytes(tmp_path):
    first, second = packages.build("aws"), tmp_path / "second.zip"
    packages.make("aws", second)

    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size < packages.LARGEST
    names = zipfile.ZipFile(first).namelist()
    assert names == sorted(names)
    assert set(MODULES) <= set(names)
    assert [name for name in names if name.startswith(("airflow", "bin/")) or name.endswith("RECORD")] == []
    # Of Lambda's Python and system, whatever built it.
    binaries = [name for name in names if name.endswith(".so") and "cpython" in name]
    assert binaries
    assert {name.split(".")[-2] for name in binaries} == {"cpython-312-x86_64-linux-gnu"}
    assert all(str(packages.REPO).encode() not in zipfile.ZipFile(first).read(name) for name in names if ".pyc" in name)


def test_the_emulators_package_starts_on_the_emulators_python(tmp_path):
    with zipfile.ZipFile(packages.build("local")) as archive:
        archive.extractall(tmp_path)
    program = "import marketplace.api.app, mangum; print(marketplace.api.app.__file__)"
    done = subprocess.run(
        [packages.EMULATOR, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {program}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == str(tmp_path / "marketplace" / "api" / "app.py")


def test_a_package_that_cannot_be_made_says_why(tmp_path, monkeypatch):
    lock = tmp_path / "requirements-api.txt"
    lock.write_text("no-such-package-of-anybody==1.0\n")
    monkeypatch.setattr(packages, "LOCK", lock)

    with pytest.raises(PackageError, match="no-such-package-of-anybody"):
        packages.make("aws", tmp_path / "package.zip")
    assert list(tmp_path.glob("*.zip")) == []
