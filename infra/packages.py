"""The code that functions run, as zip files: one for AWS, and one for the Python that the emulator runs functions by.

    make package-api

The same sources give the same bytes: names in order, one time for all files, no trace of the machine. So a zip file is
known by its digest, and a stack changes when its code does, and else not.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.errors import PackageError

REPO = Path(__file__).resolve().parents[1]
PACKAGES = REPO / ".local" / "package"
EMULATOR = REPO / ".venv" / "emulator" / "bin" / "python"
LARGEST = 50_000_000  # bytes; what Lambda takes at once

# Lambda's Python 3.12 runs on Amazon Linux 2023, whose C library is glibc 2.34.
AWS = ["--python-platform=x86_64-manylinux_2_28", "--python-version=3.12", "--only-binary=:all:"]
LOCK = REPO / "requirements-api.txt"
# Of botocore's descriptions of four hundred services, those of the two that the function speaks to.
SERVICES = {"dynamodb", "rds"}
SOURCES = ("dags/marketplace/__init__.py", "dags/marketplace/settings.py", "dags/marketplace/store.py")
TREES = ("dags/marketplace/api", "include/sql/store/api")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that zip files know


def sources() -> dict[str, Path]:
    """Return the repository's own files of the package, by their names in it."""
    found = [REPO / path for path in SOURCES]
    found += [path for tree in TREES for path in (REPO / tree).rglob("*") if path.suffix in (".py", ".sql")]
    return {path.relative_to(REPO).as_posix().removeprefix("dags/"): path for path in sorted(found)}


def digest(target: str) -> str:
    """Return what the package for `target` (aws or local) is made of, as a digest: without making it."""
    made_of = hashlib.sha256(target.encode() + LOCK.read_bytes() + Path(__file__).read_bytes())
    if target == "local":
        made_of.update(os.fsencode(_version(EMULATOR)))
    for name, path in sources().items():
        made_of.update(name.encode() + b"\0" + path.read_bytes())
    return made_of.hexdigest()


def build(target: str) -> Path:
    """Return the package for `target` (aws or local), made when it is not there yet. Raises PackageError."""
    path = PACKAGES / f"api-{target}-{digest(target)[:16]}.zip"
    with alone():
        if not path.exists():
            for former in PACKAGES.glob(f"api-{target}-*.zip"):
                former.unlink()
            make(target, path)
    if path.stat().st_size > LARGEST:
        raise PackageError(f"{path} has {path.stat().st_size:,} bytes; Lambda takes {LARGEST:,}.")
    return path


def key(path: Path) -> str:
    """Return the key of a package in the bucket of code: its content, so that one is never overwritten by another."""
    return f"api/{hashlib.sha256(path.read_bytes()).hexdigest()}.zip"


@contextmanager
def alone() -> Iterator[None]:
    """Let one process at a time make packages."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with (PACKAGES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(target: str, path: Path) -> None:
    """Write the package for `target` to `path`, from nothing. Raises PackageError."""
    with tempfile.TemporaryDirectory(prefix="marketplace-package-") as directory:
        root = Path(directory) / "package"
        where = [f"--python={EMULATOR}"] if target == "local" else AWS
        run(
            [
                "uv",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--link-mode=copy",
                f"--target={root}",
                *where,
                f"--requirement={LOCK}",
            ]
        )
        _prune(root)
        for name, source in sources().items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, root / name)
        _compile(root, EMULATOR if target == "local" else Path(sys.executable), target)
        unfinished = path.with_suffix(".new")
        zip_tree(root, unfinished)
        unfinished.replace(path)


def _prune(root: Path) -> None:
    """Remove what nobody needs, or what differs from one machine to another."""
    for directory in ("bin", "__pycache__"):
        shutil.rmtree(root / directory, ignore_errors=True)
    for service in (root / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in SERVICES:
            shutil.rmtree(service)
    for pattern in (
        "*.dist-info/RECORD",
        "*.dist-info/INSTALLER",
        "*.dist-info/REQUESTED",
        "*.dist-info/uv_cache.json",
    ):
        for file in root.glob(pattern):
            file.unlink()
    (root / ".lock").unlink(missing_ok=True)


def _compile(root: Path, python: Path, target: str) -> None:
    """Compile all modules: where a function runs, what it compiles at its start is thrown away each time.

    By the Python that will run them; without one the package starts slower, and works.
    """
    if target == "aws" and _version(python) != "3.12":
        return
    command = [
        str(python),
        "-m",
        "compileall",
        "-q",
        "-j1",
        "--invalidation-mode=unchecked-hash",
        "-s",
        str(root),
        str(root),
    ]
    run(command, {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": ""})


def _version(python: Path) -> str:
    return run([str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()


def zip_tree(root: Path, path: Path) -> None:
    """Write the files under `root` into a zip file: in their names' order, all of one time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for file in sorted(root.rglob("*"), key=lambda file: file.relative_to(root).as_posix()):
            if file.is_file():
                entry = zipfile.ZipInfo(file.relative_to(root).as_posix(), EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o100644 << 16
                archive.writestr(entry, file.read_bytes())


def run(command: Sequence[str], variables: dict[str, str] | None = None) -> str:
    """Return what a program writes. Raises PackageError with its last words."""
    program = [str(Path(sys.executable).with_name("uv")), *command[1:]] if command[0] == "uv" else command
    done = subprocess.run(program, capture_output=True, text=True, check=False, env={**os.environ, **(variables or {})})
    if done.returncode != 0:
        raise PackageError("\n".join([f"{' '.join(command[:3])} failed:", *done.stderr.splitlines()[-5:]]))
    return done.stdout


def main() -> int:
    """Make both packages, and say where they are."""
    for target in ("aws", "local"):
        try:
            path = build(target)
        except PackageError as error:
            print(f"package-api: {error}", file=sys.stderr)
            return 1
        content = path.read_bytes()
        print(f"{path.relative_to(REPO)}: {len(content) / 1e6:.1f} MB, SHA-256 {hashlib.sha256(content).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
