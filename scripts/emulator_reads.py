"""The AWS emulator, noting which properties of a template its own CloudFormation handlers read.

Runs in the emulator's own Python environment, before the program that is its first argument: what that program adds is
not the emulator's own. Each create and delete is a line of the file that READS names: a type, what it was given, and
what of it was read.
"""

# ruff: noqa: D102 - the methods are those of dict

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS


class Noting(dict[str, Any]):
    """Properties that note their names when they are asked for. Who goes through all of them has read all."""

    def __init__(self, properties: dict[str, Any], read: set[str]) -> None:
        super().__init__(properties)
        self._read = read

    def __getitem__(self, name: str) -> Any:
        self._read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._read.add(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        self._read.add(name)
        return super().pop(name, *default)

    def __iter__(self) -> Iterator[str]:
        self._read.update(super().keys())
        return super().__iter__()

    def keys(self) -> Any:
        self._read.update(super().keys())
        return super().keys()

    def values(self) -> Any:
        self._read.update(super().keys())
        return super().values()

    def items(self) -> Any:
        self._read.update(super().keys())
        return super().items()

    def copy(self) -> dict[str, Any]:
        self._read.update(super().keys())
        return super().copy()


def noting(kind: str, handler: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """Return the handler of a type, followed by a line of what it read."""

    def noted(*arguments: Any) -> Any:
        read: set[str] = set()
        given = {name for argument in arguments if isinstance(argument, dict) for name in argument}
        result = handler(*(Noting(a, read) if isinstance(a, dict) else a for a in arguments))
        with file.open("a") as lines:
            lines.write(json.dumps({"type": kind, "given": sorted(given), "read": sorted(read & given)}) + "\n")
        return result

    return noted


if __name__ == "__main__":
    for kind, handlers in _RESOURCE_HANDLERS.items():
        for phase in {"create", "delete"} & handlers.keys():
            handlers[phase] = noting(kind, handlers[phase], Path(os.environ["READS"]))
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
