"""What Redshift has in pg_catalog and PostgreSQL has not: functions, views, and its rules for tables.

The objects lie in pg_catalog, so that they are found whatever the search path is, and drivers that write
`pg_catalog.svv_all_tables` find them too. Those that are for the others alone are named rs_….
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

SQL = Path(__file__).with_name("sql")
EVENT_TRIGGER = "redshift_tables"
LOCK = 5439  # any number that nobody else takes an advisory lock by


def install(connection: psycopg.Connection) -> bool:
    """Bring the database's objects to what the SQL files say; tell whether there was anything to do.

    Run it as a superuser. It is one transaction: a session sees all of the old or all of the new. What is installed
    is told by a digest of the files, kept as the comment of the event trigger.
    """
    files = [path.read_text(encoding="utf-8") for path in sorted(SQL.glob("*.sql"))]
    digest = hashlib.sha256("".join(files).encode()).hexdigest()
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        if _installed(connection) == digest:
            return False
        connection.execute("set local allow_system_table_mods = on")
        connection.execute("set local client_min_messages = warning")  # "does not exist, skipping"
        for text in files:
            connection.execute(text.encode())
        connection.execute(f"comment on event trigger {EVENT_TRIGGER} is '{digest}'".encode())
    return True


def _installed(connection: psycopg.Connection) -> str | None:
    row = connection.execute(
        "select obj_description(oid, 'pg_event_trigger') from pg_event_trigger where evtname = %s", [EVENT_TRIGGER]
    ).fetchone()
    return row[0] if row else None
