"""What Amazon MWAA runs, as it wants it: the DAGs with what they read, plugins.zip, and the requirements.

    make package

MWAA syncs one prefix of a bucket to dags/, so include/ goes there too; plugins.zip is unpacked into plugins/, its
modules at its root; requirements.txt is installed when a container starts. In a network without a way to PyPI the
packages that MWAA's image lacks come as wheels in plugins.zip, where pip then looks for them.

The same sources give the same bytes, so what has not changed is known by its digest.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra import packages
from infra.errors import PackageError
from infra.packages import REPO

REQUIREMENTS = REPO / "requirements.txt"
CONSTRAINTS = REPO / "dags" / "constraints-3.3.1-py3.12.txt"
# Where MWAA puts things. (Amazon MWAA User Guide, "Creating a requirements.txt file".)
MWAA_PLUGINS = "/usr/local/airflow/plugins"
MWAA_CONSTRAINTS = "/usr/local/airflow/dags/constraints-3.3.1-py3.12.txt"
LARGEST_PLUGINS = 1_000_000_000  # bytes; MWAA's quota for plugins.zip
# What MWAA's image of this version holds, with all that it brings along. What requirements.txt asks for beyond it is
# installed by pip, and has to come as a wheel where pip reaches nothing.
IN_IMAGE = (
    "apache-airflow==3.3.1",
    "apache-airflow-providers-amazon",
    "apache-airflow-providers-celery",
    "apache-airflow-providers-common-compat",
    "apache-airflow-providers-common-io",
    "apache-airflow-providers-common-sql",
    "apache-airflow-providers-fab",
    "apache-airflow-providers-postgres",
    "apache-airflow-providers-standard",
)
# Amazon Linux 2023 has glibc 2.34.
PLATFORM = ("--python-platform=x86_64-manylinux_2_28", "--python-version=3.12")
SKIPPED = {"__pycache__", ".DS_Store"}


@dataclass(frozen=True)
class Package:
    """The files of `dags/` by their names under it, plugins.zip and requirements.txt."""

    dags: Mapping[str, Path]
    plugins: Path
    requirements: Path


def build(private: bool) -> Package:
    """Return the package, made under .local/package; `private` for a network without a way out. Raises PackageError."""
    directory = packages.PACKAGES / ("airflow-private" if private else "airflow")
    with packages.alone():
        digest = _digest(private)
        stamp = directory / "digest"
        if not stamp.exists() or stamp.read_text() != digest:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            _make(directory, private)
            stamp.write_text(digest)
    plugins = directory / "plugins.zip"
    if plugins.stat().st_size > LARGEST_PLUGINS:
        raise PackageError(f"{plugins} has {plugins.stat().st_size:,} bytes; MWAA takes {LARGEST_PLUGINS:,}.")
    return Package(dags(), plugins, directory / "requirements.txt")


def dags() -> dict[str, Path]:
    """Return the files that MWAA syncs to dags/, by their names there: those of dags/, and include/ beside them."""
    found = {path.relative_to(REPO / "dags").as_posix(): path for path in _files(REPO / "dags")}
    return found | {path.relative_to(REPO).as_posix(): path for path in _files(REPO / "include")}


def requirements(private: bool) -> str:
    """Return requirements.txt for MWAA; in a private network pip looks beside the plugins, and nowhere else."""
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    offline = ["--no-index", f"--find-links {MWAA_PLUGINS}"] if private else []
    return "\n".join([*offline, *lines]) + "\n"


def unpack(package: Package, home: Path) -> None:
    """Lay a package out under `home` as MWAA does under /usr/local/airflow: dags/, plugins/ and requirements.txt."""
    for name, path in package.dags.items():
        (home / "dags" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, home / "dags" / name)
    shutil.unpack_archive(package.plugins, home / "plugins")
    shutil.copyfile(package.requirements, home / "requirements.txt")


def _files(root: Path) -> list[Path]:
    return sorted(
        path for path in root.rglob("*") if path.is_file() and not SKIPPED & set(path.relative_to(root).parts)
    )


def _digest(private: bool) -> str:
    made_of = hashlib.sha256(f"{private} {requirements(private)}".encode() + Path(__file__).read_bytes())
    for path in _files(REPO / "plugins"):
        made_of.update(os.fsencode(path.relative_to(REPO)) + b"\0" + path.read_bytes())
    made_of.update(CONSTRAINTS.read_bytes() if private else b"")
    return made_of.hexdigest()


def _make(directory: Path, private: bool) -> None:
    (directory / "requirements.txt").write_text(requirements(private))
    with tempfile.TemporaryDirectory(prefix="marketplace-package-") as made:
        root = Path(made)
        for path in _files(REPO / "plugins"):
            name = root / path.relative_to(REPO / "plugins")
            name.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, name)
        if private:
            _download(missing_in_image(), root)
        packages.zip_tree(root, directory / "plugins.zip")


def missing_in_image() -> list[str]:
    """Return what has to be installed beyond MWAA's image, as pins: `pandas==3.0.5`. Raises PackageError."""
    asked = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith(("#", "--"))]
    here = _resolve(IN_IMAGE)
    return sorted(_resolve(asked) - here)


def _resolve(asked: Sequence[str]) -> set[str]:
    """Everything that these packages need, under MWAA's constraints, as pins."""
    with tempfile.TemporaryDirectory(prefix="marketplace-package-") as directory:
        file = Path(directory) / "requirements.in"
        file.write_text("\n".join(asked) + "\n")
        command = ["uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary=:all:", *PLATFORM]
        found = packages.run([*command, f"--constraint={CONSTRAINTS}", str(file)])
    return {match[0] for line in found.splitlines() if (match := re.match(r"[A-Za-z0-9._-]+==[^ ;]+", line))}


def _download(pins: Sequence[str], root: Path) -> None:
    """Put the wheels of these packages into a directory."""
    # uv downloads no wheels; pip does, and asks for no installation when it is run out of a package of its own.
    command = ["uv", "tool", "run", "--quiet", "--from=pip==26.3", "pip", "download", "--quiet", "--no-deps"]
    where = [f"--platform=manylinux_2_{minor}_x86_64" for minor in (28, 27, 24, 17, 12, 5)]
    where += ["--platform=manylinux2014_x86_64", "--python-version=3.12", "--implementation=cp"]
    packages.run([*command, "--only-binary=:all:", *where, f"--dest={root}", *pins])


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the package, and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m infra.airflow_package", description="Make what MWAA runs.")
    parser.add_argument("--private", action="store_true", help="with wheels, for a network without a way to PyPI")
    options = parser.parse_args(arguments)
    try:
        package = build(options.private)
    except PackageError as error:
        print(f"package: {error}", file=sys.stderr)
        return 1
    print(f"dags/: {len(package.dags)} files, include/ among them")
    for path in (package.plugins, package.requirements):
        content = path.read_bytes()
        size, digest = len(content) / 1e6, hashlib.sha256(content).hexdigest()
        print(f"{path.relative_to(REPO)}: {size:.3f} MB, SHA-256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
