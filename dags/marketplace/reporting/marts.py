"""The marts: each is built anew of the synced tables by a file of include/sql/warehouse/marts, all in a transaction.

So a reader sees all of them as of one moment of the store, and a build that fails leaves the last ones.
"""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlparse

from marketplace import settings

if TYPE_CHECKING:
    from redshift_connector.core import Connection
    from redshift_connector.cursor import Cursor

log = logging.getLogger(__name__)


class NothingSyncedError(RuntimeError):
    """The warehouse has had no sync yet, so there is nothing to build of."""


def marts() -> dict[str, list[str]]:
    """Return the statements of each mart, by its name, in the order in which they are built."""
    folder = settings.include_dir() / "sql" / "warehouse" / "marts"
    found = {}
    for file in sorted(folder.glob("*.sql")):
        text = sqlparse.format(file.read_text(encoding="utf-8"), strip_comments=True)
        found[file.stem] = [one.strip().rstrip(";") for one in sqlparse.split(text) if one.strip()]
    return found


def build(connection: Connection) -> dict[str, int] | None:
    """Build all marts and commit; returns how many rows each has, or None when nothing was synced since the last time.

    `connection` is not in autocommit, and the warehouse's owner's. Raises NothingSyncedError, and redshift_connector's
    errors.
    """
    with closing(connection.cursor()) as cursor:
        cursor.execute("lock mart.built")
        cursor.execute("select min(synced_at) from ops.sync_state")
        ((as_of,),) = cursor.fetchall()
        # A sync that found nothing to do has changed nothing here.
        cursor.execute(
            "select run_id from ops.sync_run where exported > 0 or deleted > 0 or mode = 'full'"
            " order by synced_at desc, run_id limit 1"
        )
        newest = cursor.fetchone()
        if newest is None:
            raise NothingSyncedError("The warehouse has had no sync yet: run sync_warehouse first.")
        (run_id,) = newest
        cursor.execute("select mart, run_id from mart.built")
        built = dict(cursor.fetchall())
        if built == dict.fromkeys(marts(), run_id):
            connection.rollback()
            return None
        rows = {name: _build(cursor, name, statements) for name, statements in marts().items()}
        cursor.execute("delete from mart.built")
        now = datetime.now(UTC)
        for name, count in rows.items():
            cursor.execute(
                "insert into mart.built (mart, rows_built, run_id, as_of, built_at) values (%s, %s, %s, %s, %s)",
                (name, count, run_id, as_of, now),
            )
    connection.commit()
    return rows


def _build(cursor: Cursor, name: str, statements: list[str]) -> int:
    for statement in statements:
        cursor.execute(statement)
    cursor.execute(f"select count(*) from mart.{name}")  # noqa: S608 - a file's name
    ((rows,),) = cursor.fetchall()
    log.info("mart.%s: %s rows", name, rows)
    return int(rows)
