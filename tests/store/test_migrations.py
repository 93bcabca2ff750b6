"""Moving a database to the newest migration: once, again, twice at once, and when a migration fails."""

from __future__ import annotations

import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from marketplace import settings, store

MIGRATIONS = settings.include_dir() / "sql" / "store" / "migrations"
HEAD = "0010"

BROKEN = '''
"""Makes a table, then fails."""

from pathlib import Path

from alembic import op

revision = "{revision}"
down_revision = "{down_revision}"


def upgrade() -> None:
    script = Path(__file__).parents[1] / "{revision}_broken.sql"
    op.get_bind().connection.driver_connection.execute(script.read_text(encoding="utf-8"))
'''


def migrate(engine: sqlalchemy.Engine) -> str:
    with engine.connect() as connection:
        return store.migrate(connection)


def revisions(engine: sqlalchemy.Engine) -> tuple[str | None, str | None]:
    with engine.connect() as connection:
        return store.revisions(connection)


def catalog(engine: sqlalchemy.Engine) -> set[tuple]:
    """Return every object of ours with the transaction that last wrote its catalog row."""
    statement = """
        select 'relation', oid::text, relname::text, xmin::text from pg_class
         where relowner = current_role::regrole
        union all
        select 'routine', oid::text, proname::text, xmin::text from pg_proc
         where proowner = current_role::regrole
        union all
        select 'schema', oid::text, nspname::text, xmin::text from pg_namespace
         where nspowner = current_role::regrole
    """
    with engine.connect() as connection:
        return {tuple(row) for row in connection.execute(sqlalchemy.text(statement))}


@pytest.fixture
def broken_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """One migration more than there is, which makes a table and then fails; returns its revision."""
    revision = f"{int(HEAD) + 1:04}"
    copy = tmp_path / "sql" / "store" / "migrations"
    shutil.copytree(MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / f"{revision}_broken.sql").write_text("create table ops.half (id int);\nselect 1 / 0;\n")
    (copy / "versions" / f"{revision}_broken.py").write_text(BROKEN.format(revision=revision, down_revision=HEAD))
    monkeypatch.setattr(settings, "include_dir", lambda: tmp_path)
    return revision


def test_an_empty_database_is_brought_to_the_head(empty_store: sqlalchemy.Engine) -> None:
    assert revisions(empty_store) == (None, HEAD)
    assert catalog(empty_store) == set()

    assert migrate(empty_store) == HEAD

    assert revisions(empty_store) == (HEAD, HEAD)
    schemas = {name for kind, _, name, _ in catalog(empty_store) if kind == "schema"}
    assert schemas == {"ops", "store", "geo"}


def test_migrating_again_changes_nothing(empty_store: sqlalchemy.Engine) -> None:
    migrate(empty_store)
    before = catalog(empty_store)
    assert len(before) > 50

    assert migrate(empty_store) == HEAD

    assert catalog(empty_store) == before


def test_two_at_once_both_end_at_the_head(empty_store: sqlalchemy.Engine) -> None:
    waiting = sqlalchemy.text(
        """
        select count(*) from pg_locks
         where locktype = 'advisory' and not granted
           and database = (select oid from pg_database where datname = current_database())
        """
    )
    with ThreadPoolExecutor() as pool:
        with empty_store.begin() as first:
            # Nobody gets ahead until both stand in line.
            first.execute(sqlalchemy.text("select pg_advisory_xact_lock(:lock)"), {"lock": store.MIGRATION_LOCK})
            ends = [pool.submit(migrate, empty_store) for _ in range(2)]
            deadline = time.monotonic() + 30
            while first.execute(waiting).scalar_one() < 2:
                assert time.monotonic() < deadline, "the two migrations did not ask for the lock"
                time.sleep(0.01)
        assert [end.result(timeout=60) for end in ends] == [HEAD, HEAD]

    assert revisions(empty_store) == (HEAD, HEAD)


def test_a_failing_migration_leaves_an_empty_database_empty(
    empty_store: sqlalchemy.Engine, broken_migration: str
) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty_store)

    assert revisions(empty_store) == (None, broken_migration)
    assert catalog(empty_store) == set()


def test_a_failing_migration_leaves_a_migrated_database_as_it_was(
    empty_store: sqlalchemy.Engine, request: pytest.FixtureRequest
) -> None:
    migrate(empty_store)
    before = catalog(empty_store)
    broken_migration = request.getfixturevalue("broken_migration")

    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty_store)

    assert revisions(empty_store) == (HEAD, broken_migration)
    assert catalog(empty_store) == before


def test_what_files_had_confirmed_one_by_one_is_packed(empty_store: sqlalchemy.Engine) -> None:
    with empty_store.begin() as connection:
        config = store._alembic(connection)
        command.upgrade(config, "0002")
        connection.execute(
            sqlalchemy.text(
                """
                insert into ops.confirmation (table_name, key, load_id, load_line) values
                ('store.publisher_alias', '{"alias_id": "P-1"}', 7, 2),
                ('store.game_alias', '{"alias_id": "G-1"}', 8, 3),
                ('store.transaction', '{"transaction_id": "T-1"}', 9, 4),
                ('store.transaction_line', '{"line_no": 2, "transaction_id": "T, 1"}', 10, 6),
                ('store.transaction_line', '{"line_no": 1, "transaction_id": "T-1"}', 10, 5);
                insert into ops.confirmation (table_name, key, load_id, load_line)
                select 'store.transaction', jsonb_build_object('transaction_id', 'X-' || i), 11, i
                from generate_series(1, 2001) as i
                """
            )
        )

    migrate(empty_store)

    packs = "select dataset, load_id, first_key, last_key, keys, load_lines from ops.confirmation where load_id {} 11"
    with empty_store.connect() as connection:
        small = connection.execute(sqlalchemy.text(packs.format("<") + " order by load_id")).fetchall()
        large = connection.execute(sqlalchemy.text(packs.format("=") + " order by first_key")).fetchall()
    assert [tuple(row) for row in small] == [
        ("publisher", 7, "P-1", "P-1", ["P-1"], [2]),
        ("game", 8, "G-1", "G-1", ["G-1"], [3]),
        ("transaction", 9, "T-1", "T-1", ["T-1"], [4]),
        ("transaction_detail", 10, '("T, 1",2)', "(T-1,1)", ['("T, 1",2)', "(T-1,1)"], [6, 5]),
    ]
    assert [len(row[4]) for row in large] == [2000, 1]
    confirmed = {key: line for row in large for key, line in zip(row[4], row[5], strict=True)}
    assert confirmed == {f"X-{i}": i for i in range(1, 2002)}


def test_each_revision_has_its_sql_file_and_each_sql_file_its_revision() -> None:
    revisions_of_files = sorted(path.stem for path in (MIGRATIONS / "versions").glob("*.py"))

    assert revisions_of_files[-1].startswith(f"{HEAD}_")
    assert revisions_of_files == sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+", name) for name in revisions_of_files)


def test_revisions_are_numbered_without_gaps_to_one_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)

    upwards = list(scripts.walk_revisions())[::-1]

    assert scripts.get_heads() == [HEAD]
    assert [script.revision for script in upwards] == [f"{n:04}" for n in range(1, int(HEAD) + 1)]
    assert [script.down_revision for script in upwards] == [
        None,
        *(script.revision for script in upwards[:-1]),
    ]
    assert all(Path(script.path).name.startswith(f"{script.revision}_") for script in upwards)


def test_each_revision_runs_the_sql_file_of_its_own_name() -> None:
    for path in (MIGRATIONS / "versions").glob("*.py"):
        assert re.findall(r'"(\w+\.sql)"', path.read_text(encoding="utf-8")) == [f"{path.stem}.sql"]
