"""The store's SQL files and its schema: reading the files, and moving a database to the newest migration."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from psycopg import sql

from marketplace import settings

if TYPE_CHECKING:
    import psycopg
    from alembic.config import Config
    from sqlalchemy.engine import Connection

# One number for all who migrate: whoever comes second waits, then finds nothing left to do.
MIGRATION_LOCK = 7_220_001


@cache
def _text(path: str) -> str:
    return (settings.include_dir() / "sql" / "store" / path).read_text(encoding="utf-8")


def has_query(path: str) -> bool:
    """Return whether include/sql/store has the file `path`."""
    return (settings.include_dir() / "sql" / "store" / path).is_file()


def query(path: str, **identifiers: sql.Composable) -> sql.Composed:
    """Return the SQL of include/sql/store/`path`, with each `{name}` replaced by the identifier of that name.

    Values are never put in here: they are bound parameters, `%(name)s`. Raises FileNotFoundError or KeyError.
    """
    return sql.SQL(_text(path)).format(**identifiers)


def lock_tables(connection: psycopg.Connection[Any], written: Iterable[str], read: Iterable[str] = ()) -> None:
    """Wait until no load writes these tables, nor reads those `written`; held to the transaction's end.

    What is written is locked for itself, what is only read is locked shared. Everybody takes the locks in the order
    of the tables' names, so that no two wait for each other.
    """
    modes = dict.fromkeys(read, "_shared") | dict.fromkeys(written, "")
    for table, mode in sorted(modes.items()):
        connection.execute(
            sql.SQL("select pg_advisory_xact_lock{}(hashtext('ingest'), hashtext({}))").format(
                sql.SQL(mode), sql.Literal(table)
            )
        )


def _alembic(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(settings.include_dir() / "sql" / "store" / "migrations"))
    config.attributes["connection"] = connection
    return config


def revisions(connection: Connection) -> tuple[str | None, str | None]:
    """Return the revision a database of the store is at (None when empty), and the newest one there is."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_alembic(connection)).get_current_head()
    context = MigrationContext.configure(connection, opts={"version_table_schema": "public"})
    return context.get_current_revision(), head


def migrate(connection: Connection) -> str:
    """Move a database of the store to the newest migration, and return that revision.

    `connection` is the owner's. All pending migrations run in one transaction, under an advisory lock: a failure
    leaves the schema as it was, and two runs at once do not collide.
    """
    from alembic import command
    from sqlalchemy import text

    with connection.begin():
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        command.upgrade(_alembic(connection), "head")
    current, head = revisions(connection)
    connection.rollback()
    if current is None or current != head:
        raise RuntimeError(f"The store is at revision {current} after migrating, not at {head}.")
    return current
