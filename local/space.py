"""Whether there is room: a server that runs into a full disk stops in the middle of what it does."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from local.errors import LocalError

# A fresh platform takes about 250 MB, most of it PostgreSQL's databases and log of changes.
NEEDED_MB = 300


def shortages(directories: Iterable[Path], also_mb: int = 0) -> list[str]:
    """Return a sentence for each of `directories`, existing or to be made, that lies on a disk with too little room.

    `also_mb` is needed beside what the platform itself needs.
    """
    found = []
    needed_mb = NEEDED_MB + also_mb
    for directory in directories:
        existing = next(path for path in (directory, *directory.parents) if path.exists())
        free = shutil.disk_usage(existing).free // 1_000_000
        if free < needed_mb:
            found.append(f"The disk is full: {free} MB are free in {existing}, and the platform needs {needed_mb} MB.")
    return found


def require(directories: Iterable[Path], also_mb: int = 0) -> None:
    """Raise LocalError unless there is room in all of `directories`, for `also_mb` too."""
    if lacking := shortages(directories, also_mb):
        raise LocalError("\n".join([*lacking, "Free some space there, then `make up`."]))
