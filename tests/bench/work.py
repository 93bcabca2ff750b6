"""Things to measure."""

from __future__ import annotations

from bench.case import Done, Part


def allocate(megabytes: int) -> Done:
    """Hold so much memory for a moment."""
    held = bytearray(megabytes * 1_000_000)
    held[::1024] = bytes(len(held[::1024]))
    return Done(megabytes, {"half": Part(megabytes // 2, 0.5)})


def fail() -> Done:
    """Come to no end."""
    raise ValueError("there is nothing to measure")
