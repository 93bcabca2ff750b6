"""Files of NAME='value' lines in shell syntax, such as .local/env."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path


def write(path: Path, values: Mapping[str, str], heading: str) -> None:
    """Replace `path` in one step by one export line a value, readable by its owner only."""
    lines = [f"# {heading}", *(f"export {name}={shlex.quote(value)}" for name, value in values.items())]
    write_private(path, "\n".join(lines) + "\n")


def read(path: Path) -> dict[str, str]:
    """Return the values of a file that `write` made."""
    values = {}
    for words in (shlex.split(line, comments=True) for line in path.read_text().splitlines()):
        if words:
            name, _, value = words[-1].partition("=")
            values[name] = value
    return values


def write_private(path: Path, text: str) -> None:
    """Replace `path` in one step by a file of mode 600, so that no reader sees half of it."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)
