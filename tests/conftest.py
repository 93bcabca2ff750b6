"""What all tests share: a platform of their own in a temporary directory, and stores quick to get."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import botocore.session
import hypothesis
import pytest
import sqlalchemy

from local import airflow, aws, ports, postgres
from local.layout import Layout
from local.platform import Platform
from local.supervisor import wait_until
from marketplace import store as store_schema
from marketplace.contracts import model

TEMPLATE = "store_template"
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def worker_ports(postgres: int, emulator: int, redshift: int, airflow: int) -> dict[str, int]:
    """Return ports that no other worker of this run looks for: each has a turn of its own to choose them, see below.

    They are to be below those that the kernel gives to outgoing connections: no other process has them by chance.
    """
    named = {"postgres": postgres, "emulator": emulator, "redshift": redshift, "airflow": airflow}
    return {name: port + 300 * WORKER for name, port in named.items()}


# Away from the ports of a platform that the same person may have running.
PORTS = worker_ports(postgres=25432, emulator=24566, redshift=25439, airflow=28080)

_airflow_home = pytest.StashKey[str]()

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Cut the tests off from the shell's clouds, databases and Airflow before anything reads them."""
    kept = aws.cleaned(os.environ)
    kept.pop("ENV", None)  # by which tests/deployment, started alone, finds an account
    os.environ.clear()
    home = config.stash.setdefault(_airflow_home, tempfile.mkdtemp(prefix="marketplace-airflow-"))
    os.environ.update(kept | airflow.folders(home) | {"AIRFLOW__CORE__UNIT_TEST_MODE": "False"})
    # Else a worker whose platform starts would wait for the other's, for half a minute each time.
    ports.TURN -= WORKER
    # So that a pytest that is told to end still ends its servers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_airflow_home], ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def contracts_are_parsed_once() -> Iterator[None]:
    """Of many small loads more than half of the time would go into parsing the same YAML.

    Parsed anew when a file of its directory was written, as it may borrow from another: a test may mend any of them.
    """
    read_contract = model.read_contract
    parsed: dict[tuple[Path, frozenset[tuple[str, int, int]]], model.Contract] = {}

    def read_once(path: Path) -> model.Contract:
        with os.scandir(path.parent) as files:
            written = frozenset((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        if (path, written) not in parsed:
            parsed[path, written] = read_contract(path)
        return parsed[path, written]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "read_contract", read_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def boto_reads_its_descriptions_once() -> Iterator[None]:
    """Each task of a DAG makes clients of its own, and each would search hundreds of folders for its service."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", functools.cache(botocore.session.create_loader))
        yield


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """PostgreSQL, the emulator and the deployed stacks, without Airflow's processes.

    AWS_* and MARKETPLACE_* are set for the rest of the session.
    """
    with temporary_platform() as running, aws.environment(running.public_environment()):
        yield running


@contextmanager
def temporary_platform() -> Iterator[Platform]:
    """Start a platform in a directory that goes with it."""
    directory = Path(tempfile.mkdtemp(prefix="marketplace-test-")).resolve()
    directory.chmod(0o711)  # PostgreSQL may run as another user
    running = Platform(Layout(directory / "state"), with_airflow=False, durable=False, preferred_ports=PORTS)
    try:
        running.up()
        yield running
    finally:
        running.down()
        shutil.rmtree(directory)


@contextmanager
def hanging(platform: Platform, part: str) -> Iterator[int]:
    """Have a part hang, and yield its process id. It is killed as soon as it is told to end.

    The supervisor does that too, after the seconds that a part has to end: up to twenty of them.
    """
    pid = platform.statuses()[part].pid
    os.killpg(pid, signal.SIGSTOP)

    def kill() -> None:
        wait_until(lambda: platform.statuses()[part].state == "STOPPING", 120, lambda: f"{part} is not told to end")
        os.killpg(pid, signal.SIGKILL)

    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill)
        yield pid
        killed.result()


@dataclass(frozen=True)
class Store:
    """A migrated database of the platform."""

    platform: Platform
    name: str

    def url(self, role: str) -> str:
        """Return its address for one of store_owner, store_writer and store_reader."""
        return self.platform.store_url(role, self.name)


def migrate(platform: Platform, database: str) -> None:
    """Bring a database to the newest migration."""
    url = postgres.url(platform.state, "store_owner", database, "postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        store_schema.migrate(connection)


@pytest.fixture(scope="session")
def store_template(platform: Platform) -> str:
    """A migrated database that others are copied from: a copy takes a tenth of a second."""
    return make_store_template(platform)


def make_store_template(platform: Platform) -> str:
    """Make the migrated database that others are copied from, and return its name."""
    with postgres.connect(platform.state) as connection:
        postgres.create_database(connection, TEMPLATE, "store_owner")
    postgres.prepare_store(platform.state, TEMPLATE)
    migrate(platform, TEMPLATE)
    return TEMPLATE


def copied(platform: Platform, template: str) -> Iterator[Store]:
    """Yield a copy of the template, and drop it with whatever still uses it."""
    name = f"store_{uuid.uuid4().hex[:12]}"
    with postgres.connect(platform.state) as connection:
        postgres.create_database(connection, name, "store_owner", template)
    postgres.prepare_store(platform.state, name)
    yield Store(platform, name)
    with postgres.connect(platform.state) as connection:
        postgres.drop_database(connection, name)


@pytest.fixture(scope="module")
def store(platform: Platform, store_template: str) -> Iterator[Store]:
    """An empty, migrated store for the tests of one module."""
    yield from copied(platform, store_template)


@pytest.fixture
def fresh_store(platform: Platform, store_template: str) -> Iterator[Store]:
    """An empty, migrated store for one test."""
    yield from copied(platform, store_template)


@pytest.fixture(scope="session")
def airflow_db(platform: Platform) -> Iterator[None]:
    """Airflow in this process, on the platform: for `dag.test()`.

    Its metadata lies in the platform's database `airflow`, and it reads its connections from the emulator's
    Secrets Manager. The store that those name is the database `store`, migrated here.
    """
    migrate(platform, "store")
    variables = airflow.database(platform.layout, platform.state) | airflow.secrets_backend(platform.state)
    del variables["AIRFLOW_HOME"]  # one home a process: Airflow reads it once
    with aws.environment(variables):
        from airflow import settings
        from airflow.utils.db import initdb

        # Airflow may have been imported before, with another database.
        settings.dispose_orm(do_log=False)
        settings.configure_vars()
        settings.configure_orm()
        initdb()
        yield
        settings.dispose_orm(do_log=False)
