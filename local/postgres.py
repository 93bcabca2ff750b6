"""The PostgreSQL server: its data directory, its configuration, and its roles and databases."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from local import interruption, pgbin
from local.errors import LocalError
from local.layout import REPO, Layout, can_pass
from local.ports import HOST
from local.redshift import catalog
from local.state import State
from local.supervisor import Program

SERVER_USER = "postgres"  # PostgreSQL refuses to run as root
SUPERUSER = "postgres"
DATABASES = {"store": "store_owner", "warehouse": "warehouse_owner", "airflow": "airflow"}
# Redshift's driver knows md5 and no SCRAM.
MD5_ROLES = {"warehouse_owner"}
# Who has a SCRAM password is asked for it by the line with md5 as well. Only an image's entrypoint has a local socket.
ACCESS_RULES = """\
# type  database   user  address  method
local   all        all            scram-sha-256
host    warehouse  all   all      md5
host    all        all   all      scram-sha-256
"""
STORE_BOOTSTRAP = REPO / "include" / "sql" / "store" / "bootstrap.sql"


def server_user() -> str:
    """Return the user that the server must run as when this is root, else an empty string."""
    if os.geteuid() != 0:
        return ""
    try:
        pwd.getpwnam(SERVER_USER)
    except KeyError:
        raise LocalError(f"No user {SERVER_USER} to run PostgreSQL as: run make as an ordinary user.") from None
    return SERVER_USER


def data_home(layout: Layout) -> Path:
    """Return the directory that holds the server's data.

    It is .local/postgres, or /var/lib/marketplace-HASH where the server's user cannot reach the clone, as
    under a home directory of mode 700.
    """
    user = server_user()
    if not user or can_pass(user, layout.state):
        return layout.postgres_home
    return layout.postgres_home_elsewhere


def require_own(layout: Layout, state: State) -> None:
    """Raise LocalError unless the remembered data is this clone's: a copy's state still names the original's."""
    if state.postgres_home and Path(state.postgres_home) not in (layout.postgres_home, layout.postgres_home_elsewhere):
        raise LocalError(
            f"This clone was moved or copied: its state names PostgreSQL's data in {state.postgres_home}. "
            "Nothing was touched. What to do: make doctor"
        )


def require_data(state: State) -> None:
    """Raise LocalError when data that was there is gone."""
    if state.airflow_database and not data_directory(state).exists():
        raise LocalError(f"PostgreSQL's data is gone: {data_directory(state)}. To begin anew: make reset, then make up")


def data_directory(state: State) -> Path:
    """Return the server's data directory."""
    return Path(state.postgres_home) / "data"


def program(state: State) -> Program:
    """Return how the supervisor runs the server: an interrupt is its fast shutdown."""
    return Program(
        "postgres",
        [str(pgbin.find() / "postgres"), "-D", str(data_directory(state))],
        user=server_user(),
        stop_signal="INT",
        stop_seconds=30,
        stop_group=False,
    )


def create(layout: Layout, state: State) -> None:
    """Make the data directory unless it is there. An interruption leaves nothing that looks like one."""
    home = Path(state.postgres_home)
    data = data_directory(state)
    if data.exists():
        return
    user = server_user()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = home / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", prefix="marketplace-") as password_file:
        password_file.write(state.passwords[SUPERUSER])
        password_file.flush()
        if user:
            shutil.chown(home, user, user)
            shutil.chown(password_file.name, user, user)
        made = interruption.run(
            [
                pgbin.find() / "initdb",
                "--pgdata",
                unfinished,
                "--username",
                SUPERUSER,
                "--encoding",
                "UTF8",
                "--locale",
                "C.UTF-8" if os.uname().sysname == "Linux" else "en_US.UTF-8",
                "--no-sync",
                "--auth",
                "scram-sha-256",
                "--pwfile",
                password_file.name,
            ],
            user=user or None,
            group=user or None,
            extra_groups=[] if user else None,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    if made.returncode != 0:
        raise LocalError(f"PostgreSQL's data directory {data} could not be made:\n{made.stderr}")
    unfinished.rename(data)


def remove_stale_lock(state: State) -> None:
    """Remove postmaster.pid when the server that it names has ended.

    The server itself looks only whether the number is in use: it is while nobody has reaped a server that was killed
    together with its parent, and when another process has got it since. Call it when the orphans have been ended.
    """
    lock = data_directory(state) / "postmaster.pid"
    try:
        process = psutil.Process(int(lock.read_text().partition("\n")[0]))
        runs = process.status() != psutil.STATUS_ZOMBIE and str(data_directory(state)) in process.cmdline()
    except FileNotFoundError:
        return
    except (ValueError, psutil.NoSuchProcess):  # a power cut may leave it empty
        runs = False
    if not runs:
        lock.unlink()


def configure(state: State, *, durable: bool) -> None:
    """Write postgresql.conf and pg_hba.conf. Without `durable` a crash of the machine may lose data: for tests only."""
    switch = "on" if durable else "off"
    settings = {
        "listen_addresses": HOST,
        "port": str(state.ports["postgres"]),
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": "256MB",
        "max_wal_size": "2GB",
        "fsync": switch,
        "full_page_writes": switch,
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %u@%d ",
        "password_encryption": "scram-sha-256",
        # Nothing here prepares transactions. Tests do: the sync must wait for those of others.
        "max_prepared_transactions": "0" if durable else "50",
    }
    path = data_directory(state) / "postgresql.conf"
    path.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
    (data_directory(state) / "pg_hba.conf").write_text(ACCESS_RULES)


def connect(
    state: State, database: str = "postgres", role: str = SUPERUSER, part: str = "postgres"
) -> psycopg.Connection:
    """Return an autocommitting connection of `role` to `database`; by `part` redshift, through its endpoint."""
    return psycopg.connect(
        host=HOST,
        port=state.ports[part],
        dbname=database,
        user=role,
        password=state.passwords[role],
        autocommit=True,
        connect_timeout=5,
    )


def url(state: State, role: str, database: str, scheme: str = "postgresql") -> str:
    """Return the address of `database` for `role`, with its password."""
    return f"{scheme}://{role}:{state.passwords[role]}@{HOST}:{state.ports['postgres']}/{database}"


def answers(state: State) -> bool:
    """Tell whether our own server takes connections; raise LocalError when another one has the port."""
    try:
        with connect(state) as connection:
            row = connection.execute("show data_directory").fetchone()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise LocalError(f"Port {state.ports['postgres']} belongs to a PostgreSQL that is not this one.") from None
        return False
    found = row[0] if row else ""
    if Path(found).resolve() != data_directory(state).resolve():
        raise LocalError(f"Port {state.ports['postgres']} belongs to the PostgreSQL of {found}, not to this one.")
    return True


def create_roles_and_databases(state: State) -> None:
    """Bring roles, passwords, databases and what the store needs of a superuser to what they must be."""
    with connect(state) as connection:
        for role in state.passwords:
            if role == SUPERUSER:
                continue
            name = sql.Identifier(role)
            if not connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("create role {} login").format(name))
            # The verifier, not the password: statements may end up in the server's log.
            method = b"md5" if role in MD5_ROLES else b"scram-sha-256"
            verifier = connection.pgconn.encrypt_password(
                state.passwords[role].encode(), role.encode(), method
            ).decode()
            connection.execute(sql.SQL("alter role {} password {}").format(name, sql.Literal(verifier)))
        owners: dict[str, str] = dict(
            connection.execute("select datname, pg_get_userbyid(datdba) from pg_database").fetchall()
        )
        for database, owner in DATABASES.items():
            if database not in owners:
                create_database(connection, database, owner)
            elif owners[database] != owner:
                alter = sql.SQL("alter database {} owner to {}")
                connection.execute(alter.format(sql.Identifier(database), sql.Identifier(owner)))
    prepare_store(state, "store")
    prepare_warehouse(state, "warehouse")


def create_database(connection: psycopg.Connection, database: str, owner: str, template: str = "template0") -> None:
    """Create `database` as a copy of `template`."""
    statement = sql.SQL("create database {} owner {} template {}").format(
        sql.Identifier(database), sql.Identifier(owner), sql.Identifier(template)
    )
    connection.execute(statement)


def drop_database(connection: psycopg.Connection, database: str) -> None:
    """Drop `database`, ending the sessions in it."""
    connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))


def prepare_store(state: State, database: str) -> None:
    """Run bootstrap.sql in `database`: what only a superuser may do, before the migrations."""
    with connect(state, database) as connection:
        connection.execute(STORE_BOOTSTRAP.read_text())


def prepare_warehouse(state: State, database: str) -> None:
    """Give `database` what Redshift has and PostgreSQL does not: functions and views of the system catalog."""
    with connect(state, database) as connection:
        catalog.install(connection)


def at_head(state: State) -> bool:
    """Tell whether the store has had all migrations."""
    import sqlalchemy

    from marketplace import store

    engine = sqlalchemy.create_engine(url(state, "store_owner", "store", "postgresql+psycopg"))
    with engine.connect() as connection:
        current, head = store.revisions(connection)
    engine.dispose()
    return current == head


def remove(state: State) -> None:
    """Delete the data directory, wherever it lies."""
    if state.postgres_home and Path(state.postgres_home).exists():
        shutil.rmtree(state.postgres_home)
