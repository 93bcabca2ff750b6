"""The warehouse's schema: moving a Redshift to the newest migration of include/sql/warehouse/migrations.

A migration is a numbered file of plain SQL, and one transaction. What a database has had is in its ops.schema_version.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import sqlparse

from marketplace import settings

if TYPE_CHECKING:
    from redshift_connector.core import Connection
    from redshift_connector.cursor import Cursor

CONNECTION = "redshift_warehouse"
_FILE = re.compile(r"(\d{4})_\w+\.sql")


class MigrationError(RuntimeError):
    """The migrations' files are not numbered 1, 2, 3 …, or the database has had one that is not there."""


class Migration(NamedTuple):
    """A numbered file of SQL, and the statements in it."""

    version: int
    name: str
    statements: tuple[str, ...]


def migrations() -> list[Migration]:
    """Return all migrations in their order. Raises MigrationError when a number is missing or there twice."""
    found: list[Migration] = []
    for file in sorted((settings.include_dir() / "sql" / "warehouse" / "migrations").glob("*.sql")):
        numbered = _FILE.fullmatch(file.name)
        if numbered is None or int(numbered[1]) != len(found) + 1:
            raise MigrationError(f"{file.name}: the warehouse's migration after {len(found)} is {len(found) + 1:04}_….")
        text = sqlparse.format(file.read_text(encoding="utf-8"), strip_comments=True)
        statements = tuple(one.strip().rstrip(";") for one in sqlparse.split(text) if one.strip())
        found.append(Migration(len(found) + 1, file.stem, statements))
    return found


def revisions(connection: Connection) -> tuple[int, int]:
    """Return the version that a warehouse is at (0 when it has had no migration), and the newest there is."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(
            "select count(*) from svv_tables where table_schema = 'ops' and table_name = 'schema_version'",
        )
        ((is_known,),) = cursor.fetchall()
        current = _version(cursor) if is_known else 0
    connection.rollback()
    return current, len(migrations())


def _version(cursor: Cursor) -> int:
    cursor.execute("select coalesce(max(version), 0) from ops.schema_version")
    ((version,),) = cursor.fetchall()
    return int(version)


def migrate(connection: Connection) -> int:
    """Move a warehouse to the newest migration, and return its version.

    `connection` is the owner's, and not in autocommit. Each migration is one transaction that holds the version
    table's lock: a failure leaves the warehouse at the migration before, and of two who migrate at once the second
    waits and finds it done. Raises MigrationError when the warehouse is ahead of the files.
    """
    with closing(connection.cursor()) as cursor:
        cursor.execute("create schema if not exists ops")
        cursor.execute(
            "create table if not exists ops.schema_version"
            " (version integer not null, name varchar(256) not null, applied_at timestamptz not null)"
        )
        connection.commit()
        wanted = migrations()
        for migration in wanted:
            cursor.execute("lock ops.schema_version")
            current = _version(cursor)
            if current > len(wanted):
                raise MigrationError(
                    f"The warehouse is at migration {current}, but the newest here is {len(wanted)}: deploy the newer"
                    " release, which knows it."
                )
            if current < migration.version:
                for statement in migration.statements:
                    cursor.execute(statement)
                cursor.execute(
                    "insert into ops.schema_version (version, name, applied_at) values (%s, %s, sysdate)",
                    (migration.version, migration.name),
                )
            connection.commit()
    return len(wanted)
