"""Trying held rows again: what no reference resolved when its file was loaded may be resolved by a later file."""

from __future__ import annotations

import logging

from psycopg import sql

from marketplace.contracts import load_contracts
from marketplace.ingest.again import Chosen, Failed, FailedError, Loaded, Unreadable, load_again
from marketplace.ingest.ledger import Connection
from marketplace.store import has_query, query

log = logging.getLogger(__name__)


def retry_held_rows(connection: Connection, run: str) -> list[Loaded]:
    """Load again every held row whose reference can be resolved by now; returns a load and its account a file.

    A row that now waits for another reference is held anew. Files whose rows the contract can no longer read are left
    as they are, with a warning in the log: they concern whoever changed the contract, and no later run. Raises
    FailedError, when all else is done, for files whose rows the database refused.
    """
    done: list[Loaded] = []
    unreadable, failed = Unreadable(), Failed()
    # A resolved row may bring what another dataset's held row names, and so on through the datasets, never further.
    for _ in load_contracts():
        loaded = load_again(connection, run, "retry", Chosen(resolvable(), {}), unreadable, failed)
        if not loaded:
            break
        done += loaded
    if unreadable:
        log.warning("%s", unreadable)
    if failed:
        raise FailedError(str(failed))
    return done


def resolvable() -> sql.Composable:
    """Return the query of all held rows whose reference resolves: each dataset's SQL knows of its own."""
    paths = [f"ingest/{dataset}/resolves.sql" for dataset in load_contracts()]
    return sql.SQL(" union all ").join(query(path) for path in paths if has_query(path))
