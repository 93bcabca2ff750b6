"""Whether too much of what a run has loaded was rejected: of a file, by its contract, and of the run as a whole."""

from __future__ import annotations

from typing import Any, NamedTuple

from marketplace.contracts import load_contracts
from marketplace.contracts.model import MAX_REJECTED_SHARE
from marketplace.ingest.ledger import Connection, execute

# A message names so many files: a run may have hundreds.
NAMED_FILES = 20
WHAT_TO_DO = 'What to do: docs/runbooks/ingestion.md, "A run failed: too many rejected rows".'


class TooManyRejectedError(RuntimeError):
    """More rows were rejected than allowed; the message names the files, their counts, reasons, and what to do."""


class FileRejections(NamedTuple):
    """What is rejected of one file; of a file that is set aside as a whole nobody knows how many rows it has."""

    dataset: str | None
    object_key: str
    read: int
    rejected: int
    reasons: list[str]
    set_aside: bool
    allowed: float

    @property
    def share(self) -> float:
        """Return the share of its rows that is rejected: all, of a file that is set aside."""
        return 1.0 if self.set_aside else _share(self.rejected, self.read)

    @property
    def is_too_much(self) -> bool:
        """Return whether its contract allows less."""
        return self.share > self.allowed

    def __str__(self) -> str:
        """Return its counts and reasons on one line."""
        if self.set_aside:
            return f"{self.object_key}: set aside as a whole: {self.reasons[0]}"
        return (
            f"{self.object_key}: {self.rejected} of {self.read} rows rejected ({self.share:.1%}, at most "
            f"{self.allowed:.1%}): {', '.join(self.reasons)}"
        )


def check_rejected_share(connection: Connection, run: str, allowed: float) -> dict[str, Any]:
    """Return how much is rejected of what `run` has loaded; raises TooManyRejectedError when it is too much.

    It is too much of a file when its share is above its contract's `max_rejected_share`, and of the run when the share
    of the rows of all its files is above `allowed`. A file that is set aside counts for itself, with share 1, but not
    for the run: its rows are unknown.
    """
    contracts = load_contracts()
    files = [
        FileRejections(
            **row,
            allowed=contracts[row["dataset"]].max_rejected_share if row["dataset"] in contracts else MAX_REJECTED_SHARE,
        )
        for row in execute(connection, "ledger/run_rejections.sql", {"run": run}).fetchall()
    ]
    read, rejected = sum(file.read for file in files), sum(file.rejected for file in files)
    share = _share(rejected, read)
    if share > allowed or any(file.is_too_much for file in files):
        total = f"This run: {rejected} of {read} rows rejected ({share:.1%}, at most {allowed:.1%})."
        raise TooManyRejectedError(
            "\n".join(
                ["Too much was rejected. The rest is stored and accounted for.", *_named(files), total, WHAT_TO_DO]
            )
        )
    set_aside = sum(file.set_aside for file in files)
    return {"files": len(files), "set_aside": set_aside, "read": read, "rejected": rejected, "share": round(share, 4)}


def _share(rejected: int, read: int) -> float:
    return rejected / read if read else 0.0


def _named(files: list[FileRejections]) -> list[str]:
    """Return a line a file that has something rejected, what is too much first, then the most rows."""
    named = sorted(
        (file for file in files if file.share), key=lambda f: (not f.is_too_much, not f.set_aside, -f.rejected)
    )
    lines = [str(file) for file in named[:NAMED_FILES]]
    if len(named) > NAMED_FILES:
        lines.append(f"... and {len(named) - NAMED_FILES} more files, in ops.load")
    return lines
