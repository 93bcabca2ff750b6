"""PostgreSQL servers beside the platform's: a store that has a standby, is copied as files, and goes back in time."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy

from local import pgbin, ports, postgres
from local.layout import Layout
from local.state import State
from local.supervisor import wait_until
from marketplace import store as store_schema

# Away from those of the platforms that tests start.
FIRST_PORT = 26432
START_SECONDS = 60


@dataclass
class Cluster:
    """A server with its data under `home`, and the passwords of its roles."""

    home: Path
    state: State
    _server: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def data(self) -> Path:
        """Return the data directory."""
        return postgres.data_directory(self.state)

    def url(self, role: str = "store_owner", database: str = "store") -> str:
        """Return the address of a database for a role."""
        return postgres.url(self.state, role, database)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        postgres.configure(self.state, durable=False)
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write("host replication all all scram-sha-256\n")
        program = postgres.program(self.state)
        with (self.home / "log").open("ab") as log:
            self._server = subprocess.Popen(program.command, stdout=log, stderr=log, cwd="/", **_as_server())
        wait_until(
            lambda: postgres.answers(self.state),
            START_SECONDS,
            lambda: f"PostgreSQL does not start: {(self.home / 'log').read_text()[-2000:]}",
        )

    def stop(self) -> None:
        """Stop the server as for a copy of its files: everything is written, and who is connected is cut off."""
        if self._server:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(START_SECONDS)
            self._server = None

    @contextmanager
    def copied_back(self) -> Iterator[Callable[[], None]]:
        """Keep the files of the server as they are now; the function that is yielded goes back to them.

        The server is stopped and started again for both.
        """
        kept = self.home / "kept"
        self.stop()
        shutil.copytree(self.data, kept, copy_function=shutil.copy2)
        _give_to_server(kept)
        self.start()

        def go_back() -> None:
            self.stop()
            shutil.rmtree(self.data)
            kept.rename(self.data)
            self.start()

        try:
            yield go_back
        finally:
            shutil.rmtree(kept, ignore_errors=True)

    @contextmanager
    def standby_running(self) -> Iterator[Cluster]:
        """Yield a streaming replica of the server."""
        home = self.home.with_name("standby")
        _prepared(home)
        _give_to_server(home)
        state = State({"postgres": ports.choose(self.state.ports["postgres"] + 1)}, dict(self.state.passwords))
        state.postgres_home = str(home)
        replica = Cluster(home, state)
        _run_as_server(
            pgbin.find() / "pg_basebackup", "--pgdata", replica.data, "--write-recovery-conf", "--checkpoint=fast",
            "--no-sync", "--dbname", self.url("postgres", "postgres"),
        )  # fmt: skip
        try:
            replica.start()
            yield replica
        finally:
            replica.stop()
            shutil.rmtree(home)


@contextmanager
def new(home: Path) -> Iterator[Cluster]:
    """Yield a running server with a migrated store; `home` must be a directory that the server's user can reach."""
    _prepared(home)
    cluster = Cluster(home, State({"postgres": ports.choose(FIRST_PORT)}, postgres_home=str(home)))
    postgres.create(Layout(home / "unused"), cluster.state)
    try:
        cluster.start()
        postgres.create_roles_and_databases(cluster.state)
        url = postgres.url(cluster.state, "store_owner", "store", "postgresql+psycopg")
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            store_schema.migrate(connection)
        yield cluster
    finally:
        cluster.stop()


def _prepared(home: Path) -> None:
    home.mkdir(mode=0o711)


def _as_server() -> dict[str, Any]:
    user = postgres.server_user()
    return {"user": user, "group": user, "extra_groups": []} if user else {}


def _run_as_server(*command: str | Path) -> None:
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **_as_server())
    assert done.returncode == 0, done.stderr


def _give_to_server(home: Path) -> None:
    user = postgres.server_user()
    if user:
        for path in [home, *home.rglob("*")]:
            shutil.chown(path, user, user)
