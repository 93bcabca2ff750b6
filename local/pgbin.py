"""Find a PostgreSQL server with PostGIS. Standard library only: bootstrap.sh asks first of all."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST_MAJOR = 15
PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/opt/homebrew/opt/postgresql@*/bin",  # Homebrew on Apple silicon
    "/usr/local/opt/postgresql@*/bin",  # Homebrew on Intel
)


class PostgresMissingError(RuntimeError):
    """No server that is new enough and has PostGIS."""


def major(bin_dir: Path) -> int:
    """Return the server's major version, 0 when `bin_dir` holds no server that runs."""
    if not (bin_dir / "initdb").exists() or not (bin_dir / "pg_config").exists():
        return 0
    answer = subprocess.run([bin_dir / "postgres", "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"(\d+)", answer.stdout)
    return int(version.group(1)) if answer.returncode == 0 and version else 0


def _has_postgis(bin_dir: Path) -> bool:
    share = subprocess.run([bin_dir / "pg_config", "--sharedir"], capture_output=True, text=True, check=True).stdout
    return (Path(share.strip()) / "extension" / "postgis.control").is_file()


def find() -> Path:
    """Return the directory of the newest server programs (initdb, postgres) that PostGIS is installed for.

    Raises PostgresMissingError when there is none of version 15 or newer.
    """
    found = [path for pattern in PLACES for path in Path("/").glob(pattern.lstrip("/"))]
    on_path = shutil.which("postgres")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    newest_first = sorted(((major(path), path) for path in found), reverse=True)
    for version, path in newest_first:
        if version >= OLDEST_MAJOR and _has_postgis(path):
            return path
    raise PostgresMissingError(f"No PostgreSQL {OLDEST_MAJOR} or newer with PostGIS is installed.")


if __name__ == "__main__":
    try:
        print(find())
    except PostgresMissingError as missing:
        sys.exit(str(missing))
