"""The databases of `bench.ingest`: a PostgreSQL of its own, stores on it, and what must be in them."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import sqlalchemy
from psycopg import sql

from bench.case import CaseError
from bench.ingest_files import COLUMNS, Lines
from local import postgres
from local.layout import Layout
from local.platform import Platform
from marketplace import settings
from marketplace import store as store_schema

# Away from the ports of a platform that the same person may have running, and of the tests.
PORTS = {"postgres": 26432, "emulator": 25566, "redshift": 26439, "airflow": 29080}
# The one that is measured in; it is a copy of the store of its size.
DATABASE = "bench"
LOOK_SECONDS = 0.1
_COMPARED = [name for name in COLUMNS if name not in ("load_id", "load_line")]
_SHOWN = 3


@contextmanager
def temporary_platform() -> Iterator[tuple[Platform, Path]]:
    """Start what `make up` does but Airflow, with fsync on, and yield it with a directory; both go afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="marketplace-bench-")).resolve()
    directory.chmod(0o711)  # PostgreSQL may run as another user
    running = Platform(Layout(directory / "state"), with_airflow=False, preferred_ports=PORTS)
    try:
        running.up()
        yield running, directory
    finally:
        running.reset()
        shutil.rmtree(directory)


class Stores:
    """Stores on a running platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def url(self, role: str, database: str = DATABASE) -> str:
        """Return the address of a store for a role."""
        return self._platform.store_url(role, database)

    def create(self, name: str) -> None:
        """Create a store as the migrations make it."""
        with postgres.connect(self._platform.state) as connection:
            postgres.create_database(connection, name, "store_owner")
        postgres.prepare_store(self._platform.state, name)
        owner = postgres.url(self._platform.state, "store_owner", name, "postgresql+psycopg")
        engine = sqlalchemy.create_engine(owner, poolclass=sqlalchemy.NullPool)
        with engine.connect() as owned:
            store_schema.migrate(owned)

    def settle(self, name: str = DATABASE) -> None:
        """Leave nothing to be done that a measure would feel: statistics, hints, dirty pages."""
        with psycopg.connect(self.url("postgres", name), autocommit=True) as connection:
            connection.execute("vacuum (analyze)")
            connection.execute("checkpoint")
        os.sync()

    def copy(self, template: str, releases: Path | None) -> None:
        """Make the store that is measured in anew: a copy of another, with the releases of a file if there is one."""
        with postgres.connect(self._platform.state) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(DATABASE)))
            connection.execute(
                sql.SQL("create database {} owner store_owner template {} strategy file_copy").format(
                    sql.Identifier(DATABASE), sql.Identifier(template)
                )
            )
        postgres.prepare_store(self._platform.state, DATABASE)
        if releases:
            with psycopg.connect(self.url("store_owner")) as owned:
                _copy(owned, "store.game_release (game_id, platform, publisher_id)", releases, "format csv")
        self.settle()

    def cpu_seconds(self) -> float:
        """Return what the server has taken of the processor, the processes that it has ended included."""
        server = psutil.Process(self._platform.supervisor.statuses()["postgres"].pid)
        total = server.cpu_times().children_user + server.cpu_times().children_system
        for process in (server, *server.children()):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue  # it ended a moment ago: the server has its times by now, or has them next time
            total += times.user + times.system
        return float(total)

    # --- what must be there ------------------------------------------------------------------------------------------

    def check_rows(self, lines: Lines, database: str = DATABASE) -> None:
        """Compare store.transaction_line with the final rows of a file, value by value. Raises CaseError."""
        names = sql.SQL(", ").join(map(sql.Identifier, _COMPARED))
        with psycopg.connect(self.url("postgres", database)) as connection:
            connection.execute("create temporary table truth (like store.transaction_line)")
            connection.execute("alter table truth alter row_xid drop not null")
            columns = ", ".join(COLUMNS)
            _copy(connection, f"truth ({columns})", lines.rows, "format csv, header")
            connection.execute("analyze truth")
            differences = connection.execute(
                sql.SQL(
                    "select to_jsonb(found), to_jsonb(right_one), count(*) over () from"
                    " (select {names} from store.transaction_line) as found"
                    " full join (select {names} from truth) as right_one using (transaction_id, line_no)"
                    " where found is distinct from right_one limit {shown}"
                ).format(names=names, shown=_SHOWN)
            ).fetchall()
            connection.rollback()
        if differences:
            shown = "\n".join(f"found {found}, expected {expected}" for found, expected, _ in differences)
            raise CaseError(f"store.transaction_line: {differences[0][2]} rows differ from the truth:\n{shown}")

    def check_account(self, key: str, lines: Lines, **outcomes: int) -> None:
        """Compare the account of a load, and the rows it rejected and holds, with the truth of its file.

        `outcomes` are what the accepted rows must have done to the store, as far as it is known. Raises CaseError.
        """
        truth = lines.outcomes
        expected = {
            "read": lines.records,
            "accepted": truth["accepted"] + truth["superseded"],
            "rejected": truth["rejected"],
            "held": truth["held"],
            "superseded": truth["superseded"],
            "rows": truth["accepted"],
            **outcomes,
        }
        with psycopg.connect(self.url("postgres")) as connection:
            found = connection.execute(
                "select load_id, read, accepted, rejected, held, superseded, inserted, updated, unchanged,"
                " inserted + updated + unchanged as rows from ops.load where object_key = %s", [key]
            )  # fmt: skip
            names = [column.name for column in found.description or ()]
            account = dict(zip(names, found.fetchone() or (), strict=True))
            kept = {
                table: Counter(
                    connection.execute(
                        sql.SQL("select line_no, column_name, reason from {} where load_id = %s").format(
                            sql.Identifier("ops", table)
                        ),
                        [account["load_id"]],
                    )
                )
                for table in ("rejected_row", "held_row")
            }
        wrong = [
            f"{name} is {account[name]:,}, not {count:,}" for name, count in expected.items() if account[name] != count
        ]
        for table, right in (("rejected_row", lines.rejected), ("held_row", lines.held)):
            odd = (kept[table] - Counter(right)) + (Counter(right) - kept[table])
            if odd:
                wrong.append(f"ops.{table} differs in {odd.total()} rows, such as {min(odd, key=str)}")
        if wrong:
            raise CaseError(f"{key}: {'; '.join(wrong)}")


def _copy(connection: psycopg.Connection, target: str, path: Path, options: str) -> None:
    command = f"copy {target} from stdin ({options})".encode()
    with connection.cursor() as cursor, path.open("rb") as file, cursor.copy(command) as copy:
        while piece := file.read(1 << 20):
            copy.write(piece)


# --- what a load is doing --------------------------------------------------------------------------------------------


class Watch:
    """Looks ten times a second at what a load has the server do, and adds up the seconds of each.

    From outside: a load is not made slower by being asked, nor has to be changed to tell. A script is known by its
    first line, which says what it is for.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._scripts = _scripts()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.phases: dict[str, float] = {}

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            before = time.perf_counter()
            while not self._over.wait(LOOK_SECONDS):
                doing = connection.execute(
                    "select query, state, wait_event from pg_stat_activity"
                    " where datname = %s and usename = 'store_writer' order by xact_start nulls last limit 1",
                    [DATABASE],
                ).fetchone()
                now = time.perf_counter()
                if doing:
                    phase = self._phase(*doing)
                    self.phases[phase] = self.phases.get(phase, 0.0) + now - before
                before = now

    def _phase(self, query: str, state: str, wait_event: str | None) -> str:
        if state != "active" or wait_event == "ClientRead":
            return "reading and validating, the server waits"
        first = query.lstrip().partition("\n")[0]
        script = next((name for start, name in self._scripts.items() if first.startswith(start)), "")
        return script or first.partition(" ")[0].lower()


def _scripts() -> dict[str, str]:
    """Return the names of the ingestion's SQL scripts by their first lines, as far as nothing is put in there."""
    folder = settings.include_dir() / "sql" / "store" / "ingest"
    return {
        re.split(r"[\n{%]", path.read_text(encoding="utf-8"), maxsplit=1)[0]: path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*.sql"))
    }
