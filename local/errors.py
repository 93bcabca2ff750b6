"""The one kind of error that people see without a traceback."""

from __future__ import annotations


class LocalError(RuntimeError):
    """Something on this machine is not as it must be. The message names it and says what to do."""
