"""What must hold when something breaks: clients, S3, PostgreSQL, the protocol; and when many come at once.

On a platform of its own: PostgreSQL is restarted here, and sessions and threads are counted.
"""

from __future__ import annotations

import gzip
import io
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg import errors

from local import aws, ports, postgres
from local.platform import Platform
from local.supervisor import wait_until
from tests.conftest import temporary_platform
from tests.redshift.clients.conftest import Warehouse, new_schema
from tests.redshift.clients.gate import Gate, standing

ROWS = 100_000
SECONDS = 10.0
AT_ONCE = 20
SLEEPS = "select from pg_stat_activity where usename = 'warehouse_owner' and wait_event = 'PgSleep'"
TABLE = "create table line (line_id int, note varchar(40), amount decimal(10,2))"


@pytest.fixture(scope="module")
def own() -> Iterator[Platform]:
    with temporary_platform() as platform, aws.environment(platform.public_environment()):
        yield platform


class Endpoint:
    """An endpoint of the test's own, before the platform's PostgreSQL and a gate before its S3."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, postgres_port: int, gate: Gate) -> None:
        self.port = port
        self.gate = gate
        self._process = psutil.Process(process.pid)
        self._postgres_port = postgres_port

    def assert_nothing_is_left(self, warehouse: Warehouse) -> None:
        """Wait until neither PostgreSQL nor the endpoint knows of a session.

        A session's thread holds its two connections until it ends. Threads are not counted: Arrow makes some of its
        own whenever it has more to do than before, and keeps them.
        """

        def left() -> str:
            sessions = warehouse.rows(
                "select pid, state, query from pg_stat_activity where usename = 'warehouse_owner'"
            )
            held = [
                (connection.laddr, connection.raddr)
                for connection in self._process.net_connections("tcp")
                if connection.raddr
                and (connection.laddr.port == self.port or connection.raddr.port == self._postgres_port)
            ]
            return f"sessions {sessions}, connections {held}" if sessions or held else ""

        wait_until(lambda: not left(), SECONDS, left)


@pytest.fixture(scope="module")
def endpoint(own: Platform) -> Iterator[Endpoint]:
    with standing(ports.HOST, own.state.ports["emulator"]) as (gate, s3_port):
        with socket.socket() as probe:
            probe.bind((ports.HOST, 0))
            port = int(probe.getsockname()[1])
        variables = aws.cleaned(os.environ) | aws.variables(f"http://{ports.HOST}:{s3_port}")
        process = subprocess.Popen(
            [sys.executable, "-m", "local.redshift", str(port), str(own.state.ports["postgres"])], env=variables
        )
        try:
            wait_until(lambda: ports.listens(process.pid, port), SECONDS, lambda: f"nobody listens on {port}")
            yield Endpoint(process, port, own.state.ports["postgres"], gate)
        finally:
            gate.open()
            process.terminate()
            process.wait()


@pytest.fixture
def warehouse(own: Platform, endpoint: Endpoint) -> Iterator[Warehouse]:
    endpoint.gate.open()
    with new_schema(own, endpoint.port) as schema:
        with psycopg.connect(schema.url) as connection:
            connection.execute(TABLE)
        yield schema
    endpoint.gate.open()
    endpoint.gate.asked = lambda _request: None


def lines(rows: int) -> str:
    return "".join(f"{n},note number {n},{n % 1000}.25\n" for n in range(rows))


def parquet(rows: int) -> bytes:
    table = pa.table(
        {"a": range(rows), "b": [f"{n:x}" * 5 for n in range(rows)], "c": pa.array([1] * rows, pa.int64())}
    )
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="none", use_dictionary=False)
    return sink.getvalue()


def count(warehouse: Warehouse) -> int:
    return int(warehouse.rows("select count(*) from line")[0][0])


@pytest.mark.parametrize("rows", [ROWS, pytest.param(1_000_000, marks=pytest.mark.full)])
def test_a_copy_that_is_rolled_back_leaves_nothing(warehouse: Warehouse, endpoint: Endpoint, rows: int) -> None:
    place = warehouse.put("lines.csv", lines(rows))
    with psycopg.connect(warehouse.url) as connection:
        connection.execute(f"copy line from '{place}' iam_role default csv")
        assert connection.execute("select count(*), sum(line_id) from line").fetchone() == (
            rows,
            rows * (rows - 1) // 2,
        )
        connection.rollback()
        assert connection.execute("select count(*) from line").fetchone() == (0,)
    assert count(warehouse) == 0
    endpoint.assert_nothing_is_left(warehouse)


@contextmanager
def held_copy(warehouse: Warehouse, gate: Gate) -> Iterator[str]:
    """Yield a COPY that stands still in the middle, until the gate is opened: of a file of several blocks."""
    place = warehouse.put("lines.csv", lines(1_000_000))
    gate.close_after(20_000_000, holds=True)
    yield f"copy line from '{place}' iam_role default csv"


def test_a_client_that_is_killed_in_a_copy_leaves_nothing(warehouse: Warehouse, endpoint: Endpoint) -> None:
    with held_copy(warehouse, endpoint.gate) as statement:
        script = "import sys, psycopg; psycopg.connect(sys.argv[1], autocommit=True).execute(sys.argv[2])"
        client = subprocess.Popen([sys.executable, "-c", script, warehouse.url, statement])
        assert endpoint.gate.reached.wait(SECONDS)
        wait_until(
            lambda: bool(warehouse.rows("select from pg_stat_progress_copy where tuples_processed > 0")),
            SECONDS,
            lambda: "no COPY is at work",
        )
        client.send_signal(signal.SIGKILL)
        client.wait()
        endpoint.gate.open()
    endpoint.assert_nothing_is_left(warehouse)
    assert count(warehouse) == 0


def test_a_client_that_is_killed_in_a_query_leaves_nothing(warehouse: Warehouse, endpoint: Endpoint) -> None:
    script = "import sys, psycopg; psycopg.connect(sys.argv[1]).execute('select pg_sleep(600)')"
    client = subprocess.Popen([sys.executable, "-c", script, warehouse.url])
    wait_until(lambda: bool(warehouse.rows(SLEEPS)), SECONDS, lambda: "no query is at work")
    client.send_signal(signal.SIGKILL)
    client.wait()
    endpoint.assert_nothing_is_left(warehouse)


def test_twenty_at_once_copy_query_and_roll_back(warehouse: Warehouse, endpoint: Endpoint) -> None:
    place = warehouse.put("lines.csv", lines(5000))

    def work(number: int) -> tuple[int, int]:
        with psycopg.connect(warehouse.url) as connection:
            connection.execute(f"copy line from '{place}' iam_role default csv")
            connection.execute("insert into line values (%s, 'own', 1)", [-number])
            ours = connection.execute("select count(*), min(line_id) from line").fetchone()
            connection.rollback()
        assert ours is not None
        return ours

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert list(pool.map(work, range(1, AT_ONCE + 1))) == [(5001, -number) for number in range(1, AT_ONCE + 1)]
    assert count(warehouse) == 0
    endpoint.assert_nothing_is_left(warehouse)


def test_an_object_that_goes_before_it_is_read_rolls_back(warehouse: Warehouse, endpoint: Endpoint) -> None:
    warehouse.put("two/1.csv", lines(10))
    warehouse.put("two/2.csv", lines(10))
    key = f"{warehouse.schema}/two/2.csv"

    def lose(request: bytes) -> None:
        if request.startswith(b"GET ") and key.encode() in request.partition(b"\r\n")[0]:
            warehouse.s3.delete_object(Bucket=warehouse.bucket, Key=key)

    endpoint.gate.asked = lose
    statement = f"copy line from 's3://{warehouse.bucket}/{warehouse.schema}/two/' iam_role default csv"
    with psycopg.connect(warehouse.url, autocommit=True) as connection:
        with pytest.raises(errors.InternalError_, match=r"S3ServiceException.*404.*two/2\.csv"):
            connection.execute(statement)
        assert connection.execute("select count(*) from line").fetchone() == (0,)
        connection.execute(statement)  # of what is left
    assert count(warehouse) == 10


@pytest.mark.parametrize("kind", ["csv", "gzip", "parquet"])
def test_an_object_that_breaks_off_rolls_back(warehouse: Warehouse, endpoint: Endpoint, kind: str) -> None:
    body = {"csv": lines(50_000).encode, "gzip": lambda: gzip.compress(lines(300_000).encode()),
            "parquet": lambda: parquet(300_000)}[kind]()  # fmt: skip
    assert len(body) > 1_000_000
    options = {"csv": "csv", "gzip": "csv gzip", "parquet": "parquet"}[kind]
    statement = f"copy line from '{warehouse.put('whole', body)}' iam_role default {options}"
    with psycopg.connect(warehouse.url) as connection:
        connection.execute("insert into line values (1, 'before', 1)")
        endpoint.gate.close_after(1_000_000, holds=False)
        with pytest.raises(errors.InternalError_, match="S3ServiceException"):
            connection.execute(statement)
        with pytest.raises(errors.InFailedSqlTransaction):
            connection.execute("select 1")
        connection.rollback()
        endpoint.gate.open()
        connection.execute(statement)
    assert count(warehouse) == {"csv": 50_000, "gzip": 300_000, "parquet": 300_000}[kind]


def test_a_query_is_cancelled(warehouse: Warehouse) -> None:
    with psycopg.connect(warehouse.url) as connection, ThreadPoolExecutor(1) as pool:
        running = pool.submit(connection.execute, "select pg_sleep(600)")
        wait_until(lambda: bool(warehouse.rows(SLEEPS)), SECONDS, lambda: "no query is at work")
        connection.cancel()
        with pytest.raises(errors.QueryCanceled):
            running.result(SECONDS)
        connection.rollback()
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_copy_is_cancelled(warehouse: Warehouse, endpoint: Endpoint) -> None:
    with (
        held_copy(warehouse, endpoint.gate) as statement,
        psycopg.connect(warehouse.url) as connection,
        ThreadPoolExecutor(1) as pool,
    ):
        running = pool.submit(connection.execute, statement)
        assert endpoint.gate.reached.wait(SECONDS)
        connection.cancel()
        endpoint.gate.open()
        with pytest.raises(errors.QueryCanceled):
            running.result(SECONDS)
        connection.rollback()
        assert connection.execute("select count(*) from line").fetchone() == (0,)


def test_postgresql_may_go_and_come_back(own: Platform, warehouse: Warehouse) -> None:
    with psycopg.connect(warehouse.url) as connection:
        connection.execute("insert into line values (1, 'lost', 1)")
        own.supervisor.stop("postgres")
        with pytest.raises(psycopg.OperationalError, match=r"terminating connection|has closed the connection"):
            connection.execute("select 1")
    with pytest.raises(
        psycopg.OperationalError, match="PostgreSQL behind the local Redshift endpoint cannot be reached"
    ):
        psycopg.connect(warehouse.url)
    own.supervisor.start("postgres")
    wait_until(lambda: postgres.answers(own.state), SECONDS, lambda: "PostgreSQL does not answer")
    with psycopg.connect(warehouse.url) as connection:
        assert connection.execute("select count(*) from line").fetchone() == (0,)


NONSENSE = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    struct.pack(">ii", 4, 196608),
    b"\xff" * 100,
    struct.pack(">ii", 8, 1234),
]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=["http", "short", "noise", "protocol"])
def test_what_is_no_greeting_ends_that_connection_only(
    warehouse: Warehouse, endpoint: Endpoint, nonsense: bytes
) -> None:
    with psycopg.connect(warehouse.url) as connection:
        with socket.create_connection((ports.HOST, endpoint.port), timeout=SECONDS) as stranger:
            stranger.sendall(nonsense)
            heard = stranger.recv(1000)
            assert heard == b"" or heard.startswith(b"E")
        assert connection.execute("select 1").fetchone() == (1,)
    endpoint.assert_nothing_is_left(warehouse)


@pytest.mark.parametrize(
    "nonsense", [b"Q\0\0\0\1", b"\xff" * 6, b"B\0\0\0\6xx", b"z\0\0\0\4"], ids=["length", "noise", "bind", "type"]
)
def test_what_is_no_message_ends_that_connection_only(
    warehouse: Warehouse, endpoint: Endpoint, nonsense: bytes
) -> None:
    with psycopg.connect(warehouse.url) as connection:
        broken = psycopg.connect(warehouse.url)
        os.write(broken.fileno(), nonsense)
        with pytest.raises(psycopg.OperationalError):
            broken.execute("select 1")
        broken.close()
        assert connection.execute("select 1").fetchone() == (1,)
    endpoint.assert_nothing_is_left(warehouse)


def test_bytes_that_are_no_utf8_are_refused(warehouse: Warehouse) -> None:
    with psycopg.connect(warehouse.url, autocommit=True) as connection:
        with pytest.raises(errors.CharacterNotInRepertoire):
            connection.execute(b"select '\xff'")
        assert connection.execute("select 1").fetchone() == (1,)
