"""A platform of these tests' own, with a real supervisor, PostgreSQL and emulator: they kill its parts."""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import psycopg
import pytest
import redshift_connector
from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook
from airflow.sdk import Connection

from local import airflow, cli, demo, emulator, envfile, interruption, ports, postgres, state, warehouse
from local.errors import LocalError
from local.layout import LONGEST_SOCKET_PATH, Layout
from local.platform import Platform
from local.supervisor import MARKER, PATIENCE, PartDownError, leftovers, wait_until
from tests.conftest import hanging, worker_ports

PORTS = worker_ports(postgres=30432, emulator=31566, redshift=30439, airflow=32080)
WELL = dict.fromkeys(["emulator", "postgres", "redshift"], "healthy")


def new_platform(directory: Path) -> tuple[Platform, list[str]]:
    """Return a platform in a directory, and the list that its progress goes into."""
    said: list[str] = []
    layout = Layout(directory / "state")
    return Platform(layout, with_airflow=False, durable=False, preferred_ports=PORTS, say=said.append), said


@contextmanager
def open_directory() -> Iterator[Path]:
    """Make a temporary directory that other users can pass through."""
    with tempfile.TemporaryDirectory(prefix="marketplace-test-") as name:
        path = Path(name).resolve()
        path.chmod(0o711)
        yield path


@pytest.fixture
def directory() -> Iterator[Path]:
    with open_directory() as path:
        yield path


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Platform, list[str]]]:
    with open_directory() as path:
        platform, said = new_platform(path)
        try:
            platform.up()
            yield platform, said
        finally:
            platform.down()


@pytest.fixture
def running(shared: tuple[Platform, list[str]]) -> tuple[Platform, list[str]]:
    """A platform that is well, whatever the test before has done to it, and has said nothing yet."""
    platform, said = shared
    platform.up()
    said.clear()
    return platform, said


def kill(platform: Platform, part: str) -> int:
    """Kill a part the hard way, wait until the supervisor has noticed, and return its former process id."""
    pid = platform.statuses()[part].pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: platform.statuses()[part].crashed, 10, lambda: f"{part} is still thought to run")
    return pid


@pytest.mark.parametrize("part", ["emulator", "redshift"])
def test_a_port_that_is_lost_between_choice_and_start_gives_way(
    part: str, directory: Path, monkeypatch: pytest.MonkeyPatch
):
    platform, said = new_platform(directory)
    choose = ports.choose

    def offer(wanted: int, taken: set[int]) -> int:
        first = next(offers, None) if wanted == PORTS[part] else None
        return first or choose(wanted, taken)

    with socket.create_server((ports.HOST, 0)) as foreign:
        stolen = foreign.getsockname()[1]
        offers = iter([stolen])
        monkeypatch.setattr(ports, "choose", offer)
        try:
            platform.up()
            assert f"Another process took the port of {part} while it started: once more, with another" in said
            assert platform.state.ports[part] != stolen
            assert platform.health() == WELL
        finally:
            platform.down()


def test_down_leaves_no_process_and_no_port(directory: Path):
    platform, _said = new_platform(directory)
    try:
        platform.up()
        pids = [status.pid for status in platform.statuses().values()]
        assert len(pids) == 3
        assert set(pids) <= {process.pid for process in leftovers(platform.layout)}
    finally:
        platform.down()
    assert leftovers(platform.layout) == []
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert [port for port in platform.state.ports.values() if not ports.is_free(port)] == []
    assert platform.statuses() == {}


def test_a_second_up_changes_nothing(running: tuple[Platform, list[str]]):
    platform, _said = running
    before = {name: status.pid for name, status in platform.statuses().items()}
    platform.up()
    assert {name: status.pid for name, status in platform.statuses().items()} == before
    assert platform.health() == WELL


def test_a_killed_emulator_is_named_and_comes_back_with_its_objects(running: tuple[Platform, list[str]]):
    platform, said = running
    bucket = platform.state.outputs["LandingBucket"]
    put = emulator.client("s3", platform.endpoint).put_object(Bucket=bucket, Key="landing/game/a.csv", Body=b"x")
    kill(platform, "emulator")
    log = platform.layout.log_file("emulator")
    log.write_text("the last words\n")
    with pytest.raises(PartDownError, match=r"emulator is down.*emulator\.log:\n    the last words\n"):
        platform.require_running()
    platform.up()
    assert f"emulator was down. The last lines of {log}:\n    the last words" in said
    assert emulator.missing(platform.state) == []
    s3 = emulator.client("s3", platform.endpoint)
    answer = s3.get_object(Bucket=bucket, Key="landing/game/a.csv", VersionId=put["VersionId"])
    assert answer["Body"].read() == b"x"


def test_a_notification_that_goes_elsewhere_is_missed(running: tuple[Platform, list[str]]):
    platform, _ = running
    s3, bucket = emulator.client("s3", platform.endpoint), platform.state.outputs["LandingBucket"]
    good = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    elsewhere = [{**good[0], "QueueArn": good[0]["QueueArn"] + "-dead-letter"}]
    for configured, missing in ((elsewhere, ["the bucket's notification"]), (good, [])):
        s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={"QueueConfigurations": configured},
            SkipDestinationValidation=True,  # S3 may not send to that queue
        )
        assert emulator.missing(platform.state) == missing


def test_an_emulator_that_hangs_is_started_anew(running: tuple[Platform, list[str]], monkeypatch: pytest.MonkeyPatch):
    platform, said = running
    monkeypatch.setattr("local.platform.HANG_SECONDS", 1.0)

    with hanging(platform, "emulator") as former:
        platform.up()

    assert "emulator hangs: starting it anew" in said
    assert platform.statuses()["emulator"].pid != former
    assert platform.health() == WELL


def redshift(platform: Platform) -> redshift_connector.Connection:
    """Return a session of the owner of the warehouse, by Redshift's own driver and the variables of .local/env."""
    values = envfile.read(platform.layout.env_file)
    host, port, database, user, password = (
        values[f"REDSHIFT_{name}"] for name in ("HOST", "PORT", "DATABASE", "USER", "PASSWORD")
    )
    return redshift_connector.connect(
        host=host, port=int(port), database=database, user=user, password=password, ssl=False
    )


def test_redshifts_driver_logs_in_as_the_owner_of_the_warehouse(running: tuple[Platform, list[str]]):
    platform, _said = running
    with redshift(platform) as session, session.cursor() as cursor:
        cursor.execute("select current_user, current_database()")
        assert cursor.fetchall() == (["warehouse_owner", "warehouse"],)
        cursor.execute("create table public.mine (id int)")
    with postgres.connect(platform.state) as connection:
        kept = connection.execute(
            "select rolname, left(rolpassword, 3) from pg_authid where rolpassword is not null order by 1"
        ).fetchall()
        rules = connection.execute(
            "select type, database, auth_method from pg_hba_file_rules order by line_number"
        ).fetchall()
    # md5 for nobody else, and nowhere else.
    assert kept == [(role, "md5" if role == "warehouse_owner" else "SCR") for role in sorted(platform.state.passwords)]
    assert rules == [
        ("local", ["all"], "scram-sha-256"),
        ("host", ["warehouse"], "md5"),
        ("host", ["all"], "scram-sha-256"),
    ]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        postgres.connect(platform.state, "store", "warehouse_owner")


def test_airflows_connection_opens_the_warehouse(running: tuple[Platform, list[str]]):
    platform, _said = running
    name = f"{platform.state.outputs['ConnectionsPrefix']}/redshift_warehouse"
    secret = emulator.client("secretsmanager", platform.endpoint).get_secret_value(SecretId=name)["SecretString"]
    hook = RedshiftSQLHook(redshift_conn_id="redshift_warehouse")
    hook.conn = Connection.from_json(secret, conn_id="redshift_warehouse")
    assert hook.get_first("select current_user, current_database()") == ["warehouse_owner", "warehouse"]


def test_a_killed_redshift_is_named_and_comes_back(running: tuple[Platform, list[str]]):
    platform, said = running
    former = {name: status.pid for name, status in platform.statuses().items()}
    kill(platform, "redshift")
    assert platform.health() == {**WELL, "redshift": "exited"}
    with pytest.raises(PartDownError, match="redshift is down"):
        platform.require_running()
    platform.up()
    assert any(line.startswith("redshift was down.") for line in said)
    assert platform.health() == WELL
    now = {name: status.pid for name, status in platform.statuses().items()}
    assert now == {**former, "redshift": now["redshift"]}


def test_a_redshift_that_hangs_is_started_anew(running: tuple[Platform, list[str]], monkeypatch: pytest.MonkeyPatch):
    platform, said = running
    former = platform.statuses()["redshift"].pid
    monkeypatch.setattr("local.platform.HANG_SECONDS", 3.0)
    os.kill(former, signal.SIGSTOP)
    assert platform.health() == {**WELL, "redshift": "does not answer"}

    platform.up()

    assert "redshift hangs: starting it anew" in said
    assert platform.statuses()["redshift"].pid != former
    assert platform.health() == WELL


def test_redshift_outlives_its_database(running: tuple[Platform, list[str]]):
    platform, _said = running
    former = platform.statuses()["redshift"].pid
    with redshift(platform):
        kill(platform, "postgres")
        assert platform.health() == {**WELL, "postgres": "exited", "redshift": "lacks its database"}
        platform.up()
    assert platform.statuses()["redshift"].pid == former
    assert platform.health() == WELL


def test_status_says_where_redshift_is(running: tuple[Platform, list[str]], monkeypatch: pytest.MonkeyPatch):
    platform, _said = running
    printed: list[str] = []
    monkeypatch.setattr(cli.console, "print", lambda line, **_options: printed.append(line))
    assert cli.status(platform) == 0
    (line,) = [line for line in printed if line.startswith("redshift ")]
    assert re.search(rf"\[green\]healthy *\[/green\] .* 127\.0\.0\.1:{platform.state.ports['redshift']}$", line)


def test_a_platform_of_a_version_without_redshift_gets_one(running: tuple[Platform, list[str]]):
    """Its state has no password and no port, its supervisor no such part, and the warehouse is the superuser's."""
    platform, _said = running
    before = platform.state
    platform.down()
    file = platform.layout.state / "state.json"
    content = json.loads(file.read_text())
    del content["passwords"]["warehouse_owner"], content["ports"]["redshift"]
    file.write_text(json.dumps(content))
    older, _ = new_platform(platform.layout.state.parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(older, "_programs", lambda: platform._programs()[:2])
        older._start_supervisor()
        older._start_database()
        with postgres.connect(older.state) as connection:
            connection.execute("alter database warehouse owner to postgres")
        assert older.health() == {"emulator": "stopped", "postgres": "healthy"}
    assert cli.status(older) == 1

    older.up()

    assert older.health() == WELL
    assert older.state.passwords["warehouse_owner"] != before.passwords["warehouse_owner"]
    with redshift(older) as session, session.cursor() as cursor:
        cursor.execute("select pg_get_userbyid(datdba) from pg_database where datname = 'warehouse'")
        assert cursor.fetchall() == (["warehouse_owner"],)


def test_what_the_emulator_lost_is_deployed_again_around_the_objects(running: tuple[Platform, list[str]]):
    platform, said = running
    bucket = platform.state.outputs["LandingBucket"]
    s3, sqs = emulator.client("s3", platform.endpoint), emulator.client("sqs", platform.endpoint)
    put = s3.put_object(Bucket=bucket, Key="landing/game/a.csv", Body=b"x")
    sqs.delete_queue(QueueUrl=platform.state.outputs["LandingQueueUrl"])
    assert emulator.missing(platform.state) == ["the landing queue"]
    assert platform.health()["emulator"] == "lacks the landing queue"
    platform.up()
    assert "The emulator lacks the landing queue: deploying; objects that are there stay" in said
    assert emulator.missing(platform.state) == []
    answer = s3.get_object(Bucket=bucket, Key="landing/game/a.csv", VersionId=put["VersionId"])
    assert answer["Body"].read() == b"x"
    s3.put_object(Bucket=bucket, Key="landing/game/b.csv", Body=b"y")
    messages: list[str] = []

    def told() -> bool:
        queue = platform.state.outputs["LandingQueueUrl"]
        received = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
        messages.extend(message["Body"] for message in received)
        return any("landing/game/b.csv" in body for body in messages)

    wait_until(told, 10, lambda: f"no message about the new object in {messages}")


def test_a_killed_database_comes_back_with_its_data(running: tuple[Platform, list[str]]):
    platform, said = running
    with postgres.connect(platform.state, "store") as connection:
        connection.execute("create table public.kept (id int)")
    kill(platform, "postgres")
    with pytest.raises(PartDownError, match="postgres is down"):
        platform.require_running()
    platform.up()
    assert any(line.startswith("postgres was down.") for line in said)
    with postgres.connect(platform.state, "store") as connection:
        assert connection.execute("select count(*) from public.kept").fetchone() == (0,)


@pytest.mark.parametrize("number", [str(os.getpid()), ""], ids=["a process that is no server", "empty"])
def test_a_lock_that_names_no_server_of_ours_is_removed(number: str, tmp_path: Path):
    (tmp_path / "data").mkdir()
    lock = tmp_path / "data" / "postmaster.pid"
    lock.write_text(f"{number}\n{tmp_path}\n")
    postgres.remove_stale_lock(state.State(postgres_home=str(tmp_path)))
    assert not lock.exists()


def test_the_lock_of_a_running_server_stays(running: tuple[Platform, list[str]]):
    platform, _said = running
    postgres.remove_stale_lock(platform.state)
    assert (postgres.data_directory(platform.state) / "postmaster.pid").exists()


def test_what_a_killed_supervisor_left_behind_is_ended_by_the_next_up(running: tuple[Platform, list[str]]):
    platform, _said = running
    orphans = [status.pid for status in platform.statuses().values()]
    os.kill(int((platform.layout.run / "supervisord.pid").read_text()), signal.SIGKILL)
    wait_until(lambda: platform.statuses() == {}, 10, lambda: "the supervisor still answers")
    assert [pid for pid in orphans if psutil.pid_exists(pid)] == orphans
    platform.up()
    assert [pid for pid in orphans if psutil.pid_exists(pid)] == []
    assert platform.health() == WELL


def test_the_children_of_a_killed_part_are_ended_by_the_next_up(running: tuple[Platform, list[str]]):
    platform, _said = running
    environment = dict(os.environ) | {MARKER: str(platform.layout.state)}
    script = "import subprocess, sys; print(subprocess.Popen(['sleep', '60'], stdout=-3, stderr=-3).pid)"
    made = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    child = psutil.Process(int(made.stdout))
    # It is there once it runs its program: until then it has no environment to be told by.
    wait_until(lambda: child in leftovers(platform.layout), 10, lambda: "the child does not run")
    before = {name: status.pid for name, status in platform.statuses().items()}
    platform.up()
    assert not child.is_running()
    assert {name: status.pid for name, status in platform.statuses().items()} == before


def test_a_worker_that_does_not_heed_its_end_is_found_by_its_session_and_killed_soon(
    running: tuple[Platform, list[str]],
):
    platform, said = running
    deaf = (
        "import signal, time; open('/proc/self/comm', 'w').write('airflow worker'); signal.signal(15, signal.SIG_IGN);"
        " print(1, flush=True); time.sleep(60)"
    )
    hidden = f"import os, sys; os.execve(sys.executable, [sys.executable, '-c', {deaf!r}], {{}})"
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {hidden!r}]).wait()"
    environment = dict(os.environ) | {MARKER: str(platform.layout.state)}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"1\n"
        members = [process for process in leftovers(platform.layout) if os.getsid(process.pid) == parent.pid]
        assert len(members) == 2
        began = time.monotonic()
        platform.up()
        assert time.monotonic() - began < PATIENCE
        assert not [process for process in members if process.is_running() and process.status() != "zombie"]
    assert "Ending 2 processes that a killed part left" in said


def test_status_says_that_the_supervisor_was_killed(
    running: tuple[Platform, list[str]], monkeypatch: pytest.MonkeyPatch
):
    platform, _said = running
    printed: list[str] = []
    os.kill(int((platform.layout.run / "supervisord.pid").read_text()), signal.SIGKILL)
    wait_until(lambda: platform.statuses() == {}, 10, lambda: "the supervisor still answers")
    monkeypatch.setattr(cli.console, "print", printed.append)
    assert cli.status(platform) == 1
    assert re.fullmatch(r"The supervisor was killed; \d+ processes still run: make up", printed[0])
    assert "supervisord.log" in printed[1]


def test_down_ends_a_platform_whose_directory_was_deleted(directory: Path):
    platform, said = new_platform(directory)
    platform.up()
    shutil.rmtree(platform.layout.state)
    platform.down()
    assert leftovers(platform.layout) == []
    assert not platform.layout.socket.parent.exists()
    assert [port for port in platform.state.ports.values() if not ports.is_free(port)] == []
    assert any(line.startswith("Ending ") for line in said)


def test_a_part_that_still_starts_keeps_its_port(running: tuple[Platform, list[str]]):
    platform, said = running
    platform.supervisor.stop("emulator")
    platform.supervisor.start("emulator")
    wait_until(lambda: not ports.is_free(platform.state.ports["emulator"]), 10, lambda: "nothing listens")
    before = dict(platform.state.ports)
    starting = {name: replace(status, state="STARTING") for name, status in platform.statuses().items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platform.supervisor, "statuses", lambda: starting)
        platform._choose_ports()
    assert platform.state.ports == before
    assert said == []


def test_a_part_that_still_stops_is_started_after_it(running: tuple[Platform, list[str]]):
    platform, _said = running
    platform.supervisor._call("stopProcess", "emulator", False)
    platform.up()
    assert platform.health() == WELL


def test_an_emulator_on_another_port_is_restarted(running: tuple[Platform, list[str]]):
    platform, _said = running
    former = platform.statuses()["emulator"].pid
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("local.platform.LISTEN_SECONDS", 0.0)
        with socket.create_server((ports.HOST, 0)) as probe:
            free = probe.getsockname()[1]
        platform.state.ports["emulator"] = free
        state.save(platform.layout, platform.state)
        platform.up()
    assert platform.statuses()["emulator"].pid != former
    assert platform.health() == WELL


def test_changed_stacks_are_deployed_to_an_emulator_started_anew(running: tuple[Platform, list[str]]):
    """What the emulator knows of resource types is changed with the stacks."""
    platform, _said = running
    before = platform.statuses()["emulator"].pid
    digest = platform.state.stacks_digest
    states = state.load(platform.layout)
    states.stacks_digest = "of another version"
    state.save(platform.layout, states)

    platform.up()

    assert platform.statuses()["emulator"].pid != before
    assert state.load(platform.layout).stacks_digest == digest
    assert platform.health() == WELL


def test_stacks_that_cannot_be_deployed_are_a_line_and_no_traceback(running: tuple[Platform, list[str]]):
    platform, _said = running
    good = state.load(platform.layout)
    bad = replace(good, stacks_digest="", passwords={**good.passwords, "store_reader": "short"})
    state.save(platform.layout, bad)
    try:
        with pytest.raises(LocalError, match=r"^The stacks could not be deployed .*StoreReaderPassword"):
            platform.up()
    finally:
        state.save(platform.layout, replace(good, stacks_digest=""))
    platform.up()
    assert platform.health() == WELL


def test_a_copied_clone_touches_nothing_of_the_original(running: tuple[Platform, list[str]], directory: Path):
    platform, _said = running
    before = {name: status.pid for name, status in platform.statuses().items()}
    skipped = shutil.ignore_patterns("*.sock", "data")
    shutil.copytree(platform.layout.state, directory / "state", ignore=skipped)
    copied, _ = new_platform(directory)

    try:
        for step in (copied.up, copied.down, copied.reset):
            with pytest.raises(LocalError, match=r"^This clone was moved or copied: .* What to do: make doctor$"):
                step()
    finally:
        copied.supervisor.shut_down()  # of what a copy that is not refused has started

    # The doctor's advice. What the copy remembers of processes is the original's still.
    home = str(copied.layout.postgres_home)
    state.save(copied.layout, replace(copied.state, postgres_home=home))
    new_platform(directory)[0].down()
    assert {name: status.pid for name, status in platform.statuses().items()} == before
    assert platform.health() == WELL


def test_data_that_is_gone_is_not_made_anew_in_silence(directory: Path):
    platform, _said = new_platform(directory)
    platform.layout.create()
    home = str(platform.layout.postgres_home)
    state.save(platform.layout, replace(platform.state, postgres_home=home, airflow_database="3.3.1"))
    platform, _said = new_platform(directory)

    with pytest.raises(LocalError, match=r"^PostgreSQL's data is gone: .*/postgres/data\. To begin anew: make reset"):
        platform.up()
    platform.reset()

    assert state.load(platform.layout).airflow_database == ""


@pytest.mark.parametrize(
    "content",
    ['{"ports": {', "[]", "{}", '{"passwords": {"postgres": 1}}', '{"passwords": null}', '{"colour": "blue"}'],
)
def test_a_state_that_cannot_be_read_is_named(directory: Path, content: str):
    (directory / "state").mkdir()
    (directory / "state" / "state.json").write_text(content)

    with pytest.raises(LocalError, match=r"state/state\.json cannot be read: .* What to do: make doctor$"):
        new_platform(directory)


def test_ctrl_c_ends_a_command_and_the_waiting(tmp_path: Path):
    log = tmp_path / "log"
    interruption.INTERRUPTED.set()
    try:
        began = time.monotonic()
        with log.open("w") as output, pytest.raises(interruption.InterruptedWorkError):
            interruption.run(["sleep", "60"], stdout=output)
        with pytest.raises(interruption.InterruptedWorkError):
            wait_until(lambda: False, 60, lambda: "")
        assert time.monotonic() - began < 10
    finally:
        interruption.INTERRUPTED.clear()


def test_a_server_that_speaks_no_http_does_not_answer(platform_of_parrot: state.State):
    """A port without a server may be one too: the kernel can connect it to itself, if it may give it to connections."""
    assert not emulator.answers(platform_of_parrot)
    api = airflow.Api(emulator.endpoint(platform_of_parrot))
    assert api.health({}) == {}
    with pytest.raises(airflow.NoAnswerError, match=r"GET /api/v2/version HTTP/1\.1"):
        api.request("GET", "/api/v2/version")


def test_a_run_is_asked_for_again_when_the_api_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow, "ANSWER_SECONDS", 0.2)
    asked, over = [], threading.Event()

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if len(asked) == 1:
                over.wait(30)
                return
            body = b'{"state": "success"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer((ports.HOST, 0), Busy) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever, 0.05)
        try:
            airflow.Api(f"http://{ports.HOST}:{server.server_port}").wait("migrate", "run", 30)
        finally:
            over.set()
            server.shutdown()
    assert asked == ["/api/v2/dags/migrate/dagRuns/run"] * 2


@pytest.fixture
def platform_of_parrot() -> Iterator[state.State]:
    """A state with an emulator that says what it is told."""

    class Parrot(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(self.request.recv(65536))

    with socketserver.TCPServer((ports.HOST, 0), Parrot) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever, 0.05)
        yield state.State(ports={"emulator": server.server_address[1]})
        server.shutdown()


def test_a_heartbeat_from_before_the_start_is_a_predecessors(monkeypatch: pytest.MonkeyPatch):
    answer = {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "2026-01-01T00:00:10+00:00"},
        "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
    }
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_a, **_o: io.StringIO(json.dumps(answer)))
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    api = airflow.Api("http://127.0.0.1:1")
    health = api.health({"scheduler": start})
    assert health == {"metadatabase": "healthy", "scheduler": "healthy", "triggerer": "unknown"}
    assert api.health({"scheduler": start + 11})["scheduler"] == "starting"


def test_a_demo_that_loses_a_part_names_it(running: tuple[Platform, list[str]], monkeypatch: pytest.MonkeyPatch):
    platform, _said = running
    monkeypatch.setattr(platform, "up", lambda: kill(platform, "postgres"))
    with pytest.raises(PartDownError, match="postgres is down"):
        demo.run(platform, cli.console, cli.Clock())


def test_a_taken_port_moves_the_part_and_what_depends_on_it(directory: Path):
    platform, said = new_platform(directory)
    with socket.create_server((ports.HOST, 0)) as first, socket.create_server((ports.HOST, 0)) as second:
        wanted, wished = first.getsockname()[1], second.getsockname()[1]
        platform._preferred = {**PORTS, "emulator": wanted, "redshift": wished}
        try:
            platform.up()
            moved = platform.state.ports["emulator"]
            assert moved > wanted
            assert f"Port {wanted} is taken: emulator listens on {moved}" in said
            assert f"Port {wished} is taken: redshift listens on {platform.state.ports['redshift']}" in said
            redshift(platform).close()
            platform.down()
            with socket.create_server((ports.HOST, moved)):
                platform.up()
                assert platform.state.ports["emulator"] > moved
                assert emulator.missing(platform.state) == []
                assert platform.public_environment()["AWS_ENDPOINT_URL"] == platform.endpoint
        finally:
            platform.down()


def test_a_database_server_that_is_not_ours_gets_no_sql(running: tuple[Platform, list[str]], directory: Path):
    platform, _said = running
    other = state.State(ports=platform.state.ports, postgres_home=str(directory / "other"))
    with pytest.raises(LocalError, match="belongs to a PostgreSQL that is not this one"):
        postgres.answers(other)
    other.passwords = platform.state.passwords
    with pytest.raises(LocalError, match=r"belongs to the PostgreSQL of .*/state/postgres/data, not to this one"):
        postgres.answers(other)


def test_a_password_that_the_warehouse_refuses_is_named(
    running: tuple[Platform, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    platform, said = running
    with postgres.connect(platform.state) as superuser, monkeypatch.context() as patch:
        superuser.execute("alter role warehouse_owner password 'another'")
        # So that `up` does not mend it.
        patch.setattr(postgres, "create_roles_and_databases", lambda _state: None)
        with pytest.raises(LocalError, match="refuses warehouse_owner with the password of"):
            platform.up()
        assert "redshift hangs: starting it anew" not in said
        patch.setattr(warehouse, "Layout", lambda: platform.layout)
        assert warehouse.main() == 1
        (line,) = capsys.readouterr().out.splitlines()
        assert "refuses warehouse_owner" in line
    platform.up()
    redshift(platform).close()


def test_a_second_start_at_the_same_time_is_refused(running: tuple[Platform, list[str]]):
    platform, _said = running
    with (platform.layout.state / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LocalError, match=rf"Another make .* \(process {os.getpid()}\)"):
            platform.up()


def test_passwords_are_needed_and_are_for_the_owner_only(running: tuple[Platform, list[str]]):
    platform, _said = running
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(platform.store_url().replace(platform.state.passwords["store_owner"], "wrong"))
    for name in ("env", "state.json"):
        assert (platform.layout.state / name).stat().st_mode & 0o777 == 0o600
    secrets = {*platform.state.passwords.values(), platform.state.jwt_secret, platform.state.fernet_key}
    for path in (platform.layout.run / "supervisord.conf", *platform.layout.log.iterdir()):
        assert not [secret for secret in secrets if secret in path.read_text(errors="replace")], path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_data_lies_elsewhere_when_the_clone_is_in_a_closed_home(directory: Path):
    directory.chmod(0o700)
    platform, _said = new_platform(directory)
    home = Path("/var/lib") / f"marketplace-{platform.layout.identity}"
    try:
        platform.up()
        assert platform.state.postgres_home == str(home)
        assert (home / "data" / "PG_VERSION").is_file()
        platform.reset()
        assert not home.exists()
        assert [path.name for path in platform.layout.state.iterdir()] == ["log"]
    finally:
        platform.down()


def test_a_long_path_gets_a_short_control_socket(directory: Path):
    layout = Layout(directory / ("long-" * 30) / "state")
    assert len(str(layout.run)) > LONGEST_SOCKET_PATH
    assert len(str(layout.socket)) <= LONGEST_SOCKET_PATH
    assert layout.identity in str(layout.socket)
