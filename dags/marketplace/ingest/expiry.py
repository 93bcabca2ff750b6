"""Erasing raw lines, and what quotes them: they hold personal data, and are kept only as long as somebody needs them.

Whichever way, the row of the quarantine stays, with its load, line, column and reason: every account still adds up.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from marketplace.ingest.ledger import Connection, fetch_row
from marketplace.ingest.load import QUARANTINE
from marketplace.store import lock_tables

log = logging.getLogger(__name__)


def erase_old_lines(connection: Connection, before: datetime) -> dict[str, int]:
    """Erase the raw lines of all files put before a time; returns how many loads, rows and issues these were.

    A held row that still waited is closed by it: nobody tries an empty line again.
    """
    return _erase(connection, "expire/old_lines.sql", {"before": before})


def erase_lines_of_person(connection: Connection, customer_ref: str | None, email_sha256: str | None) -> dict[str, int]:
    """Erase the raw lines that name a person, however young; returns how many loads, rows and issues these were.

    A person is named by their reference, by the e-mail address that the store has of them (it is compared inside the
    database and shown nowhere), or by an address that has this SHA-256 (of its lower-case form).
    """
    parameters = {"customer_ref": customer_ref, "email_sha256": email_sha256}
    return _erase(connection, "expire/lines_of_person.sql", parameters)


def _erase(connection: Connection, path: str, parameters: dict[str, Any]) -> dict[str, int]:
    with connection.transaction():
        lock_tables(connection, [QUARANTINE])
        counts = fetch_row(connection, path, parameters)
    log.info("Erased: %s", ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items()))
    return counts
