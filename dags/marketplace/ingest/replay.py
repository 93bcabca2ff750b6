"""Replaying: loading rejected or held rows again, after a contract was mended or whenever a person asks for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from marketplace.ingest.again import Chosen, Failed, FailedError, Loaded, Unreadable, UnreadableError, load_again
from marketplace.ingest.ledger import Connection
from marketplace.store import query


@dataclass(frozen=True)
class Selection:
    """Which rows to load again; None leaves nothing out.

    `load_id` is any load: of a file it chooses what its retries and replays have left over, too. `file` is a key, in
    which * stands for any text and ? for any character. `put_from` (included) and `put_to` are when the file was put.
    """

    rows: Literal["rejected", "held", "both"] = "rejected"
    dataset: str | None = None
    load_id: int | None = None
    file: str | None = None
    reason: str | None = None
    put_from: datetime | None = None
    put_to: datetime | None = None

    @property
    def chosen(self) -> Chosen:
        """Return the query of its rows."""
        parameters = asdict(self)
        del parameters["rows"]
        parameters["rejected"] = self.rows != "held"
        parameters["held"] = self.rows != "rejected"
        parameters["file"] = self.file and _like(self.file)
        return Chosen(query("ingest/replay/chosen.sql"), parameters)


def _like(pattern: str) -> str:
    r"""Return what LIKE understands for a pattern of * and ?.

    >>> print(_like("landing/game/*_1.csv"))
    landing/game/%\_1.csv
    """
    for character in "\\%_":
        pattern = pattern.replace(character, f"\\{character}")
    return pattern.replace("*", "%").replace("?", "_")


def replay_rows(connection: Connection, run: str, selection: Selection) -> list[Loaded]:
    """Load the selected rows again; returns a load and its account for each file of which something new has become.

    When all else is done, raises FailedError for files whose rows the database refused (which may help to repeat), else
    UnreadableError for those whose rows the contract can no longer read.
    """
    unreadable, failed = Unreadable(), Failed()
    done = load_again(connection, run, "replay", selection.chosen, unreadable, failed)
    if failed:
        raise FailedError(str(failed))
    if unreadable:
        raise UnreadableError(str(unreadable))
    return done
