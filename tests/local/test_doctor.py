"""What the doctor calls wrong is brought about for real: files, ports, processes, the parts of a platform."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from local import aws, doctor, doctor_platform, emulator, pgbin, ports, postgres, state, warehouse
from local.airflow import Api
from local.doctor import Finding, ok, warning, wrong
from local.errors import LocalError
from local.layout import REPO, Layout
from local.platform import Platform
from local.supervisor import MARKER, wait_until
from marketplace import warehouse as warehouse_schema
from tests.conftest import migrate, temporary_platform

UID = os.getuid()
USER = doctor._user(UID)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no check be given up because this machine is busy."""
    monkeypatch.setattr(doctor, "CHECK_SECONDS", 60.0)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the repository's files, without what is installed and written."""
    copy = tmp_path / "a clone"
    listed = subprocess.run(
        ["git", "-C", REPO, "ls-files", "-z", "-co", "--exclude-standard"], capture_output=True, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (REPO / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPO / name, copy / name)
    return copy


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    made = Layout(tmp_path / "state")
    made.create()
    yield made
    made.remove_socket()


def commands(directory: Path, **scripts: str) -> str:
    """Make a PATH with what bootstrap.sh needs to answer, and with these scripts."""
    directory.mkdir()
    for name in ("bash", "dirname", "env", "uname", "cat", "cmp"):
        (directory / name).symlink_to(str(shutil.which(name)))
    for name, script in scripts.items():
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)
    return str(directory)


@contextmanager
def process(*command: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command that lives until the test is done with it."""
    with subprocess.Popen(command, **options) as child:  # type: ignore[call-overload]
        try:
            yield child
        finally:
            child.kill()


# How checks are run


def test_a_check_that_fails_is_reported_with_what_it_found_before():
    def fails() -> Iterator[Finding]:
        yield ok("first")
        raise OSError("no such thing")

    assert doctor.examine("ports", fails) == [
        ok("first"),
        wrong("ports: cannot be checked: OSError: no such thing", "look at what the error names"),
    ]


def test_an_error_of_ours_speaks_for_itself():
    def fails() -> list[Finding]:
        raise LocalError("Port 1 belongs to another.")

    assert doctor.examine("parts", fails) == [wrong("Port 1 belongs to another.", "make up")]


def test_a_check_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "CHECK_SECONDS", 0.5)
    released = threading.Event()

    def hangs() -> Iterator[Finding]:
        yield ok("first")
        released.wait(60)

    try:
        found = doctor.examine("disk", hangs)
    finally:
        released.set()
    fix = "what was asked takes requests and does not answer: end that process, then make up"
    assert found == [ok("first"), wrong("disk: no answer for 0 s", fix)]


def test_findings_are_printed_and_counted(capsys: pytest.CaptureFixture[str]):
    found = [ok("git"), warning("late", "wait"), wrong("gone", "make up"), ok("disk")]
    doctor.show("Machine", found, colour=False)
    assert capsys.readouterr().out.splitlines() == [
        "Machine",
        "  ok      git",
        "  warning late",
        "          → wait",
        "  wrong   gone",
        "          → make up",
        "  ok      disk",
    ]
    assert doctor.summary(found) == "2 ok, 1 warning, 1 wrong"
    doctor.show("Machine", found[2:3], colour=True)
    assert "\033[31mwrong   \033[0mgone" in capsys.readouterr().out


# The machine


def test_the_python_is_the_one_that_bootstrap_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    path = commands(tmp_path / "bin", python3="echo /where/it/is")
    monkeypatch.setenv("PATH", path)
    assert list(doctor.python(REPO)) == [ok("Python: /where/it/is")]


def test_no_suitable_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", commands(tmp_path / "bin", python3="exit 1"))
    fix = "sudo apt-get install -y python3 python3-venv    (Debian 12, Ubuntu 24.04 or newer)"
    assert list(doctor.python(REPO)) == [wrong("no Python 3.11, 3.12 or 3.13 on the PATH", fix)]


@pytest.mark.parametrize("user", ["0", "1000"])
def test_missing_packages(user: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(pgbin, "PLACES", ())
    monkeypatch.setenv("PATH", commands(tmp_path / "bin", id=f"echo {user}", **{"apt-get": ""}))
    install = "sudo apt-get update && sudo apt-get install -y --no-install-recommends postgresql postgresql-postgis"
    missing = "missing: postgresql postgresql-postgis"
    expected = (
        warning(missing, "nothing to do: the next make installs them") if user == "0" else wrong(missing, install)
    )
    assert list(doctor.packages(REPO)) == [expected]


def test_git_is_missing(tmp_path: Path):
    fix = "sudo apt-get install -y git"
    assert list(doctor.tools(str(tmp_path))) == [
        warning("git is missing: some tests and the commit hooks need it", fix)
    ]


def test_a_full_disk(tmp_path: Path):
    place = {"the clone": tmp_path, "elsewhere": tmp_path, "not there": tmp_path / "gone"}
    free = shutil.disk_usage(tmp_path).free
    levels = [
        [finding.level for finding in doctor.disk(place, wrong_below, warn_below, 0)]
        for wrong_below, warn_below in ((free * 2, free * 3), (free // 2, free * 2), (free // 3, free // 2))
    ]
    assert levels == [["wrong"], ["warning"], ["ok"]]
    (found,) = doctor.disk(place, free * 2, free * 3, 0)
    assert found.text.endswith("GB free for the clone, elsewhere: it will be full soon")
    assert found.fix == f"free some: df -h '{tmp_path}'; `make reset` deletes this platform's data"


@pytest.mark.skipif(not hasattr(os, "ST_NOEXEC"), reason="Linux names this flag")
def test_a_clone_where_no_program_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    found = list(os.statvfs(tmp_path))
    found[8] |= os.ST_NOEXEC
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(found))
    places = {"the clone": tmp_path}
    fix = "move the clone to another file system"
    assert list(doctor.disk(places, 0, 0, 0))[1:] == [wrong(f"the file system of {tmp_path} is mounted noexec", fix)]
    assert len(list(doctor.disk({"temporary files": tmp_path}, 0, 0, 0))) == 1


def test_no_inodes(tmp_path: Path):
    found = list(doctor.disk({"the clone": tmp_path}, 0, 0, inodes=2**62))
    if os.statvfs(tmp_path).f_files == 0:
        assert len(found) == 1
    else:
        assert found[1].text.startswith("disk: only ")
        assert found[1].fix == f"df -i '{tmp_path}'"


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max", ok("memory: 4.1 GB left")),
        (
            "2000000000",
            warning("memory: 1.0 GB left: the platform takes 1.5 GB", "end what else runs, or give more memory"),
        ),
    ],
)
def test_memory_of_the_machine_and_of_the_container(limit: str, expected: Finding, tmp_path: Path):
    for name, text in (
        ("meminfo", "MemTotal: 9 kB\nMemAvailable:    4000000 kB\n"),
        ("max", limit),
        ("used", "1000000000"),
    ):
        (tmp_path / name).write_text(text)
    assert list(doctor.memory(tmp_path / "meminfo", tmp_path / "max", tmp_path / "used")) == [expected]
    assert list(doctor.memory(tmp_path / "none", tmp_path / "max", tmp_path / "used")) == []


def test_a_place_that_cannot_be_written(tmp_path: Path):
    gone = tmp_path / "gone"
    found = list(doctor.writable({"the clone": gone, "the temporary directory": gone, "state": tmp_path}))
    assert found == [
        wrong(f"the clone ({gone}) is not writable by {USER}", f"sudo chown -R {USER} '{gone}'"),
        wrong(f"the temporary directory ({gone}) is not writable by {USER}", "export TMPDIR=…"),
        ok(f"state is writable: {tmp_path}"),
    ]


def test_files_of_another_user(tmp_path: Path):
    database = tmp_path / "postgres"
    assert list(doctor.owners([database], database, UID)) == []
    database.mkdir()
    assert list(doctor.owners([tmp_path], database, UID)) == [ok(f"what was installed and written belongs to {USER}")]
    (tmp_path / "file").touch()
    # To user 65534 the files are another's, whoever runs this.
    text = f"2 files belong to another user, as after `sudo make`; the first, of {USER}: {database}"
    fix = f"sudo chown -R {doctor._user(65534)} '{tmp_path}'    (or run make as {USER})"
    assert list(doctor.owners([tmp_path], database, 65534)) == [wrong(text, fix)]


def test_root_meets_the_files_of_a_user_and_of_its_own_database(tmp_path: Path):
    user = UID or 65534  # who runs this is to root another user, but for root
    database = tmp_path / "postgres"
    database.mkdir()
    os.chown(database, user, -1)
    assert [finding.level for finding in doctor.owners([tmp_path], database, 0)] == ["ok"]
    file = tmp_path / "file"
    file.touch()
    os.chown(file, user, -1)
    text = f"1 file belongs to another user, as after `sudo make`; the first, of {doctor._user(user)}: {file}"
    assert list(doctor.owners([tmp_path], database, 0)) == [
        wrong(text, f"sudo chown -R root '{tmp_path}'    (or run make as {doctor._user(user)})")
    ]


def test_a_clock_that_went_back(tmp_path: Path):
    file, now = tmp_path / "state.json", time.time()
    file.touch()
    assert [finding.level for finding in doctor.clock(tmp_path, [file, tmp_path / "none"], now)] == ["ok"]
    os.utime(file, (now + 3600, now + 3600))
    fix = "sudo timedatectl set-ntp true    (in a container: the host's clock)"
    expected = warning(f"the clock is 60 minutes behind {file}: leases and tokens go by it", fix)
    assert list(doctor.clock(tmp_path, [file], now)) == [expected]


def test_a_clock_before_the_newest_commit(tmp_path: Path):
    environment = dict(os.environ) | {"GIT_COMMITTER_DATE": "2040-01-01T00:00:00Z"}
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(
        ["git", "-C", tmp_path, *author, "commit", "-q", "--allow-empty", "-m", "a"], env=environment, check=True
    )
    (found,) = doctor.clock(tmp_path, [], 2_208_988_800 - 600)
    assert (found.level, found.text) == (
        "warning",
        "the clock is 10 minutes behind the newest commit: leases and tokens go by it",
    )


def test_a_shell_that_leads_elsewhere():
    assert list(doctor.shell({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})) == [
        ok("the shell points AWS clients nowhere else")
    ]
    text = "AWS_ENDPOINT_URL_S3 leads to another machine: local commands refuse it"
    assert list(doctor.shell({"AWS_ENDPOINT_URL_S3": "https://s3.amazonaws.com"})) == [
        wrong(text, "unset AWS_ENDPOINT_URL_S3")
    ]


# The installation


def install(clone: Path) -> Path:
    """Make what looks like an installation, with an interpreter that runs."""
    venv = clone / ".venv"
    for name, program in (("airflow", "airflow"), ("emulator", "ministack")):
        binaries = venv / name / "bin"
        binaries.mkdir(parents=True)
        (binaries / "python").symlink_to(sys.executable)
        (binaries / program).write_text(f"#!/bin/sh\n'''exec' '{binaries}/python' \"$0\"\n")
        shutil.copy(REPO / ".venv" / name / "pyvenv.cfg", venv / name)
    (venv / "postgres-bin").write_text(f"{pgbin.find()}\n")
    made_from = ["local/bootstrap.sh", "requirements-dev.txt", "local/requirements-emulator.txt"]
    made_from += [".venv/airflow/pyvenv.cfg", ".venv/emulator/pyvenv.cfg"]
    (venv / "bootstrap.stamp").write_bytes(b"".join((clone / name).read_bytes() for name in made_from))
    return venv


def test_an_installation_that_is_whole(clone: Path):
    install(clone)
    assert list(doctor.environments(clone)) == [ok("the Python environments are those of the lock files")]


def test_nothing_is_installed(clone: Path):
    fix = "nothing to do: the next make installs; only that: make bootstrap"
    assert list(doctor.environments(clone)) == [warning("not installed, or not to the end", fix)]


def test_a_lock_file_has_changed(clone: Path):
    install(clone)
    with (clone / "requirements-dev.txt").open("a") as lock:
        lock.write("# another\n")
    text = "the Python environments are not those of the present lock files and bootstrap.sh"
    fix = "nothing to do: the next make installs; only that: make bootstrap"
    assert list(doctor.environments(clone)) == [warning(text, fix)]


def test_an_interpreter_has_gone(clone: Path):
    python = install(clone) / "emulator" / "bin" / "python"
    python.unlink()
    python.symlink_to("/gone/python3.12")
    fix = f"rm -r '{clone}/.venv' && make bootstrap"
    assert list(doctor.environments(clone)) == [wrong("the Python of .venv/emulator has gone", fix)]


def test_a_program_is_missing(clone: Path):
    script = install(clone) / "emulator" / "bin" / "ministack"
    script.unlink()
    assert list(doctor.environments(clone)) == [
        wrong(f"{script} is missing", f"rm -r '{clone}/.venv' && make bootstrap")
    ]


@pytest.mark.parametrize("former", ["gone", "still there"])
def test_an_installation_from_another_place(former: str, clone: Path):
    install(clone)
    other = clone.with_name("another clone")
    shutil.move(clone, other) if former == "gone" else shutil.copytree(clone, other, symlinks=True)
    text = f".venv was made in another place ({clone}): the clone was moved or copied"
    assert list(doctor.environments(other)) == [wrong(text, f"rm -r '{other}/.venv' && make bootstrap")]


def test_versions_that_differ_from_the_lock(clone: Path):
    venv = clone / ".venv"
    for name, packages in (
        ("airflow", ["apache_airflow-3.3.1", "psutil-0.0.1", "some_tool-1.0"]),
        ("emulator", ["hypercorn-0.0.2"]),
    ):
        for package in packages:
            (venv / name / f"lib/python3.12/site-packages/{package}.dist-info").mkdir(parents=True)
    locks = {path: (clone / path).read_text() for path in ("requirements-dev.txt", "local/requirements-emulator.txt")}
    pins = {
        name: lock.split(f"\n{name}==")[1].split()[0]
        for lock in locks.values()
        for name in ("psutil", "hypercorn", "ministack")
        if f"\n{name}==" in lock
    }
    fix = f"rm '{venv}/bootstrap.stamp' && make bootstrap"
    assert list(doctor.versions(clone)) == [
        wrong(f".venv/airflow differs from its lock: psutil 0.0.1 (lock: {pins['psutil']})", fix),
        wrong(
            f".venv/emulator differs from its lock: hypercorn 0.0.2 (lock: {pins['hypercorn']}), "
            f"ministack missing (lock: {pins['ministack']})",
            fix,
        ),
    ]


def test_the_versions_of_this_installation_are_those_of_the_locks():
    assert list(doctor.versions(REPO)) == [ok("apache-airflow 3.3.1"), ok("ministack 1.5.33")]


def test_locks_of_an_installation(tmp_path: Path):
    lock = tmp_path / "bootstrap.lock"
    assert list(doctor.bootstrap_lock(lock)) == []
    lock.mkdir()
    assert list(doctor.bootstrap_lock(lock)) == []
    with process("bash", "-c", "read -r line", "bootstrap.sh", stdin=subprocess.PIPE) as installing:
        (lock / "pid").write_text(f"{installing.pid}\n")
        wait_until(lambda: bool(psutil.Process(installing.pid).cmdline()), 10, lambda: "bash does not start")
        expected = warning(
            f"an installation is at work (process {installing.pid})", "wait until it has ended, then look again"
        )
        assert list(doctor.bootstrap_lock(lock)) == [expected]
    assert list(doctor.bootstrap_lock(lock)) == []  # a killed one's lock is taken over
    (lock / "pid").write_text(f"{os.getpid()}\n")
    text = f"{lock} names process {os.getpid()}, which is no installation"
    assert list(doctor.bootstrap_lock(lock)) == [wrong(text, f"rm -r '{lock}'")]


# The remembered state


def test_state_that_is_well_or_not_there(layout: Layout):
    assert list(doctor.state_file(layout)) == [ok("no state yet: nothing was started here")]
    state.save(layout, state.State())
    path = layout.state / "state.json"
    assert list(doctor.state_file(layout)) == [ok(f"state: {path}")]
    path.chmod(0o644)
    assert list(doctor.state_file(layout)) == [
        wrong(f"{path} holds passwords, and others may read it", f"chmod 600 '{path}'")
    ]


def test_state_that_cannot_be_read(layout: Layout):
    path = layout.state / "state.json"
    anew = f"to begin anew, without its data: make down; rm -r '{layout.state}'"
    path.write_text('{"ports": ')
    (broken,) = doctor.state_file(layout)
    assert broken == wrong(f"{path} cannot be read: Expecting value: line 1 column 11 (char 10)", anew)
    path.write_text('{"ports": {}, "colour": "blue"}')
    text = f"{path} was written by another version of this repository: colour"
    assert list(doctor.state_file(layout)) == [wrong(text, f"go back to that version; {anew}")]
    assert doctor.read_state(layout) is None


def test_data_whose_passwords_are_gone(layout: Layout):
    layout.postgres_home.mkdir()
    text = f"{layout.state}/state.json is gone, and with it the passwords of the data in {layout.postgres_home}"
    anew = f"to begin anew, without its data: make down; rm -r '{layout.state}'"
    assert list(doctor.state_file(layout)) == [wrong(text, anew)]


def test_a_clone_that_was_moved_names_its_former_data(layout: Layout, tmp_path: Path):
    path = layout.state / "state.json"
    assert list(doctor.moved(layout, state.State(postgres_home=str(layout.postgres_home)))) == []
    former = f"{tmp_path}/former/.local/postgres"
    text = f"the clone was moved or copied: {path} names the data in {former}"
    layout.postgres_home.mkdir()
    state.save(layout, state.State(postgres_home=former))
    (found,) = doctor.moved(layout, state.load(layout))
    assert found == wrong(text, f"sed -i 's|{former}|{layout.postgres_home}|' '{path}'")
    subprocess.run(found.fix, shell=True, check=True)  # noqa: S602 - the line that a person would type
    assert list(doctor.moved(layout, state.load(layout))) == []
    assert state.load(layout).postgres_home == str(layout.postgres_home)


def test_a_clone_that_was_moved_and_has_its_data_elsewhere(layout: Layout):
    home, own = "/var/lib/marketplace-00000000", f"/var/lib/marketplace-{layout.identity}"
    assert list(doctor.moved(layout, state.State(postgres_home=own))) == []
    (found,) = doctor.moved(layout, state.State(postgres_home=home))
    path = layout.state / "state.json"
    assert (
        found.fix == f"moved: sed -i 's|{home}|{own}|' '{path}' && mv '{home}' '{own}'; copied: rm -r '{layout.state}'"
    )


def remember(home: Path, version: str | None = None) -> state.State:
    """Make what looks like a data directory of the installed PostgreSQL, or of `version`."""
    (home / "data").mkdir(parents=True)
    (home / "data" / "PG_VERSION").write_text(f"{version or pgbin.major(pgbin.find())}\n")
    return state.State(postgres_home=str(home))


def test_data_of_another_major_version(tmp_path: Path):
    installed = pgbin.major(pgbin.find())
    text = f"{tmp_path}/home/data was made by PostgreSQL 13, and {installed} is installed"
    fix = "make reset, then make up, or to keep the data: docs/local.md, Another PostgreSQL"
    assert list(doctor.data_directory(remember(tmp_path / "home", "13"), UID)) == [wrong(text, fix)]


def test_data_of_another_user(tmp_path: Path):
    remembered = remember(tmp_path / "home")
    text = f"{tmp_path}/home/data belongs to {USER}, and the server runs as {doctor._user(65534)}"
    fix = f"sudo chown -R {doctor._user(65534)} '{tmp_path}/home'    (or run make as it was run before)"
    assert list(doctor.data_directory(remembered, 65534)) == [wrong(text, fix)]


@pytest.mark.skipif(UID != 0, reason="only root can give a directory to another user")
def test_data_that_the_server_cannot_reach():
    with tempfile.TemporaryDirectory() as name:
        open_directory = Path(name)
        open_directory.chmod(0o711)
        closed = open_directory / "closed"
        remembered = remember(closed / "home")
        os.chown(closed / "home" / "data", 65534, 65534)
        closed.chmod(0o700)
        text = f"user {doctor._user(65534)}, as whom the server runs, cannot pass through {closed}"
        assert list(doctor.data_directory(remembered, 65534)) == [wrong(text, f"chmod o+x '{closed}'")]


def test_data_that_has_gone(tmp_path: Path):
    remembered = state.State(postgres_home=str(tmp_path))
    assert list(doctor.data_directory(remembered, UID)) == []
    remembered.airflow_database = "3.3.1"
    fix = "make reset, then make up: everything is made anew"
    assert list(doctor.data_directory(remembered, UID)) == [wrong(f"PostgreSQL's data is gone: {tmp_path}/data", fix)]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
def test_a_lock_that_names_another_program(tmp_path: Path):
    remembered = remember(tmp_path / "home")
    data = tmp_path / "home" / "data"
    version = pgbin.major(pgbin.find())
    assert list(doctor.data_directory(remembered, UID)) == [ok(f"PostgreSQL's data, of version {version}: {data}")]
    lock = data / "postmaster.pid"
    with process("sleep", "60") as other:
        lock.write_text(f"{other.pid}\n{data}\n")
        text = f"{lock} names process {other.pid}, which is another program by now"
        assert list(doctor.data_directory(remembered, UID)) == [wrong(text, f"rm '{lock}'")]
    killed = warning("PostgreSQL was killed", "nothing to do: the next `make up` recovers its data")
    assert list(doctor.data_directory(remembered, UID)) == [killed]
    with process("sh", "-c", "read -r line", "-D", str(data), stdin=subprocess.PIPE) as server:
        lock.write_text(f"{server.pid}\n{data}\n")
        wait_until(lambda: str(data) in psutil.Process(server.pid).cmdline(), 10, lambda: "sh does not start")
        in_use = ok(f"PostgreSQL's data, of version {version}, in use by process {server.pid}: {data}")
        assert list(doctor.data_directory(remembered, UID)) == [in_use]


# The command


def tree(directory: Path) -> dict[str, tuple[int, int]]:
    """Return each file below, with its time and size."""
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in sorted(directory.rglob("*"))}


def test_a_bare_clone_needs_nothing_but_the_standard_library_and_stays_as_it_is(clone: Path, tmp_path: Path):
    python = getattr(sys, "_base_executable", sys.executable)
    path = commands(tmp_path / "bin", python3=f'exec {python} -S "$@"')  # without site-packages
    before = tree(clone)
    answer = subprocess.run(
        ["make", "--no-print-directory", "doctor"],
        cwd=clone,
        env=aws.cleaned(os.environ) | {"PATH": f"{path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tree(clone) == before
    lines = answer.stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["Machine", "Installation", "State", lines[-1]]
    assert "  warning not installed, or not to the end" in lines
    assert "  ok      no state yet: nothing was started here" in lines
    assert lines[-1].endswith(" 0 wrong")
    assert (answer.returncode, answer.stderr) == (0, "")


def test_what_is_wrong_ends_with_status_1(clone: Path):
    (clone / ".local").mkdir()
    (clone / ".local" / "state.json").write_text("{")
    environment = aws.cleaned(os.environ)
    answer = subprocess.run(
        ["make", "--no-print-directory", "doctor"],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "state.json cannot be read: Expecting property name" in answer.stdout
    assert answer.stdout.splitlines()[-1].endswith(" 1 wrong")
    assert answer.returncode == 2  # make's own


def test_no_python_that_can_run_it_is_said_by_make(clone: Path, tmp_path: Path):
    old = "exit 1"
    path = commands(tmp_path / "bin", python3=old, make=f'exec {shutil.which("make")} "$@"')
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    answer = subprocess.run(
        ["make", "--no-print-directory", "doctor"],
        cwd=clone,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    fix = "Debian 12, Ubuntu 24.04 or newer: sudo apt-get install -y python3 python3-venv"
    assert answer.stderr.splitlines()[0] == f"doctor: no Python 3 that can run it. {fix}"
    assert answer.returncode == 2
    assert answer.stdout == ""


# The platform


@pytest.fixture(scope="module")
def own() -> Iterator[Platform]:
    with temporary_platform() as running:
        migrate(running, "store")
        with closing(warehouse.connect(running.state)) as connection:
            warehouse_schema.migrate(connection)
        yield running


@pytest.fixture
def platform(own: Platform) -> Platform:
    """A running platform that is well, whatever the test before has done to it."""
    own.up()
    return own


def look(platform: Platform) -> list[Finding]:
    return [
        finding
        for group in doctor_platform.checks(platform).values()
        for name, check in group.items()
        if name != "turn"  # another platform may be starting
        for finding in doctor.examine(name, check)
    ]


def not_ok(platform: Platform) -> list[Finding]:
    return [finding for finding in look(platform) if finding.level != "ok"]


def test_a_platform_that_is_well(platform: Platform):
    used = platform.state.ports
    assert look(platform) == [
        ok(f"port {used['postgres']}: postgres of this platform"),
        ok(f"port {used['emulator']}: emulator of this platform"),
        ok(f"port {used['redshift']}: redshift of this platform"),
        *[finding for finding in look(platform) if "airflow-api-server" in finding.text],
        ok("no process was left by a killed part"),
        ok("emulator is healthy"),
        ok("postgres is healthy"),
        ok("redshift is healthy"),
        ok("the store has all migrations: it is at 0010"),
        ok("the warehouse has all migrations"),
        ok("the stacks are those of the present templates"),
        ok("the dead-letter queues are empty"),
        ok("no file waits in landing/ for more than 15 minutes"),
        ok("connection store_owner opens store as store_owner"),
        ok("connection store_writer opens store as store_writer"),
        ok("connection store_reader opens store as store_reader"),
        ok("connection redshift_warehouse opens warehouse as warehouse_owner"),
    ]


def test_a_platform_that_is_down(layout: Layout):
    down = Platform(layout, with_airflow=False)
    assert look(down)[-2:] == [
        ok("no process was left by a killed part"),
        ok("the platform is down: `make up` starts it"),
    ]
    assert [finding.level for finding in look(down)] == ["ok"] * 6


def test_a_port_that_another_process_has(layout: Layout):
    down = Platform(layout, with_airflow=False)
    with socket.create_server((ports.HOST, 0)) as server:
        port = server.getsockname()[1]
        down.state.ports["emulator"] = port
        name = psutil.Process().name()
        text = f"port {port} is taken by {name} (process {os.getpid()}): emulator will listen on the next free one"
        assert list(doctor_platform.used_ports(down))[1] == ok(text)
    assert list(doctor_platform.used_ports(down))[1] == ok(f"port {port} is free for emulator")


def test_a_running_part_whose_port_another_process_has(platform: Platform, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server((ports.HOST, 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setitem(platform.state.ports, "emulator", port)
        holder = f"{psutil.Process().name()} (process {os.getpid()})"
        expected = wrong(f"port {port} of emulator belongs to {holder}", "make up")
        assert list(doctor_platform.used_ports(platform))[1] == expected


def test_who_has_the_turn_at_ports():
    with socket.socket() as held:
        held.bind((ports.HOST, 0))
        port = held.getsockname()[1]
        assert list(doctor_platform.turn(port)) == [ok("another platform on this machine is starting")]
        held.listen()
        holder = f"{psutil.Process().name()} (process {os.getpid()})"
        text = f"port {port}, by which platforms that start take turns, belongs to {holder}"
        assert list(doctor_platform.turn(port)) == [warning(text, "end it, or `make up` waits for 90 s each time")]
    assert list(doctor_platform.turn(port)) == []


def test_a_process_that_a_killed_part_left(platform: Platform):
    environment = dict(os.environ) | {MARKER: str(platform.layout.state)}
    with process("sleep", "60", env=environment) as left:
        wait_until(lambda: psutil.Process(left.pid).name() == "sleep", 10, lambda: "sleep does not start")
        expected = wrong(
            f"left by a killed part or supervisor: 1 process ({left.pid} sleep)",
            "make up ends them and starts anew; make down only ends them",
        )
        assert not_ok(platform) == [expected]


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="locks are looked up in /proc")
def test_another_make_is_at_work(platform: Platform):
    lock = platform.layout.state / "lock"
    assert list(doctor_platform.at_work(lock)) == []
    with platform._alone():
        text = f"another make starts or stops the platform (process {os.getpid()})"
        assert list(doctor_platform.at_work(lock)) == [warning(text, "wait until it has ended, then look again")]


def test_a_killed_emulator(platform: Platform):
    os.kill(platform.statuses()["emulator"].pid, signal.SIGKILL)
    wait_until(lambda: platform.statuses()["emulator"].crashed, 10, lambda: "the emulator is still thought to run")
    assert not_ok(platform) == [wrong("emulator: exited", "make up; its log: make logs PART=emulator")]


def test_an_emulator_that_does_not_answer(platform: Platform):
    stopped = psutil.Process(platform.statuses()["emulator"].pid)
    stopped.suspend()
    try:
        assert not_ok(platform) == [wrong("emulator: does not answer", "make up; its log: make logs PART=emulator")]
    finally:
        stopped.resume()


def test_a_redshift_that_does_not_answer(platform: Platform):
    stopped = psutil.Process(platform.statuses()["redshift"].pid)
    stopped.suspend()
    try:
        assert not_ok(platform) == [wrong("redshift: does not answer", "make up; its log: make logs PART=redshift")]
    finally:
        stopped.resume()


def test_a_killed_redshift(platform: Platform):
    os.kill(platform.statuses()["redshift"].pid, signal.SIGKILL)
    wait_until(lambda: platform.statuses()["redshift"].crashed, 10, lambda: "redshift is still thought to run")
    assert not_ok(platform) == [wrong("redshift: exited", "make up; its log: make logs PART=redshift")]


def test_a_database_that_does_not_answer(platform: Platform):
    stopped = psutil.Process(platform.statuses()["postgres"].pid)
    stopped.suspend()
    try:
        assert not_ok(platform) == [
            wrong("postgres: does not answer", "make up; its log: make logs PART=postgres"),
            wrong("redshift: lacks its database", "make up; its log: make logs PART=redshift"),
        ]
    finally:
        stopped.resume()


def test_a_database_server_that_is_not_ours(platform: Platform, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform.state, "postgres_home", "/elsewhere")
    port, home = platform.state.ports["postgres"], platform.layout.postgres_home
    text = f"Port {port} belongs to the PostgreSQL of {home}/data, not to this one."
    assert not_ok(platform) == [wrong(text, "make up")]


def test_a_queue_that_was_lost(platform: Platform):
    emulator.client("sqs", platform.endpoint).delete_queue(QueueUrl=platform.state.outputs["LandingQueueUrl"])
    expected = wrong("emulator: lacks the landing queue", "make up; its log: make logs PART=emulator")
    assert not_ok(platform) == [expected]


def test_templates_that_have_changed(platform: Platform, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform.state, "stacks_digest", "another")
    assert not_ok(platform) == [warning("the templates have changed since they were deployed", "make up")]


def test_a_role_whose_password_was_changed(platform: Platform):
    with postgres.connect(platform.state) as session:
        session.execute("alter role store_writer password 'another'")
    text = 'connection store_writer: password authentication failed for user "store_writer"'
    assert not_ok(platform) == [wrong(text, "make up")]
    platform.up()
    assert not_ok(platform) == []


def put_secret(platform: Platform, name: str, **changes: object) -> str:
    """Change a connection in the emulator's Secrets Manager and return its secret's name."""
    secrets = emulator.client("secretsmanager", platform.endpoint)
    secret = f"{platform.state.outputs['ConnectionsPrefix']}/{name}"
    before = json.loads(secrets.get_secret_value(SecretId=secret)["SecretString"])
    secrets.put_secret_value(SecretId=secret, SecretString=json.dumps({**before, **changes}))
    return secret


def test_a_connection_with_another_password_and_what_mends_it(platform: Platform):
    put_secret(platform, "store_writer", password="a secret")
    text = 'connection store_writer: password authentication failed for user "store_writer"'
    services = platform.layout.emulator / "services"
    expected = wrong(text, f"make down && rm -r '{services}' && make up")
    assert not_ok(platform) == [expected]
    platform.down()
    shutil.rmtree(services)
    platform.up()
    assert not_ok(platform) == []


def test_connections_that_lead_elsewhere(platform: Platform):
    fix = f"make down && rm -r '{platform.layout.emulator / 'services'}' && make up"
    before = platform.state.ports["postgres"], "store", "store_reader", platform.state.passwords["store_reader"]
    secret = put_secret(platform, "store_reader", host="192.0.2.1")
    try:
        text = f"connection store_reader: secret {secret} is no address on this machine (LocalError)"
        assert not_ok(platform) == [wrong(text, fix)]
        put_secret(platform, "store_reader", host=ports.HOST, schema="postgres")
        assert not_ok(platform) == [wrong("connection store_reader opens postgres as store_reader", fix)]
        with socket.socket() as nobody:
            nobody.bind((ports.HOST, 0))
            port = nobody.getsockname()[1]
            put_secret(platform, "store_reader", port=port, schema="store")
            (found,) = not_ok(platform)
            assert found.text.startswith("connection store_reader: ")
            assert "Connection refused" in found.text
    finally:
        keys = ("port", "schema", "login", "password")
        put_secret(platform, "store_reader", host=ports.HOST, **dict(zip(keys, before, strict=True)))
    assert not_ok(platform) == []


def test_a_store_that_lacks_migrations(platform: Platform):
    with postgres.connect(platform.state, "store") as session:
        session.execute("update public.alembic_version set version_num = '9999'")
        fix = "check out the commit that has it, or begin anew: make reset, then make up"
        assert not_ok(platform) == [wrong("the store is at migration 9999, which this clone does not have", fix)]
        session.execute("delete from public.alembic_version")
        assert not_ok(platform) == [wrong("the store lacks migrations: it is at none", "make up")]
        session.execute("insert into public.alembic_version values ('0010')")
    assert not_ok(platform) == []


def test_a_warehouse_that_lacks_migrations(platform: Platform):
    with postgres.connect(platform.state, warehouse.DATABASE) as session:
        session.execute("update ops.schema_version set version = -version")
        assert not_ok(platform) == [wrong("the warehouse lacks migrations", "make up")]
        session.execute("update ops.schema_version set version = -version")
    assert not_ok(platform) == []


def test_files_that_failed_for_good(platform: Platform):
    with postgres.connect(platform.state, "store") as session:
        session.execute(
            "insert into ops.load (kind, object_key, version_id, put_at, size_bytes, file_load_id, status)"
            " overriding system value values ('retry', 'landing/game/a.csv', 'v', now(), 1, 1, 'failed')"
        )
        fix = "docs/runbooks/ingestion.md, A file does not show in the store"
        assert not_ok(platform) == [warning("files that could not be loaded in six attempts: 1", fix)]
        session.execute("delete from ops.load")


def test_a_message_in_the_dead_letter_queue(platform: Platform):
    sqs = emulator.client("sqs", platform.endpoint)
    queue = platform.state.outputs["LandingDeadLetterQueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="{}")
    fix = "docs/runbooks/ingestion.md, Messages pile up in the dead-letter queue"
    assert not_ok(platform) == [warning("messages in the dead-letter queue: 1", fix)]
    sqs.purge_queue(QueueUrl=queue)
    queue = platform.state.outputs["NotificationDeadLetterQueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="{}")
    fix = "the DAG redrive_notifications shows why; docs/runbooks/notifications.md"
    assert not_ok(platform) == [warning("messages in the notifications' dead-letter queue: 1", fix)]
    sqs.purge_queue(QueueUrl=queue)


def test_files_that_wait_for_long(platform: Platform):
    s3, bucket = emulator.client("s3", platform.endpoint), platform.state.outputs["LandingBucket"]
    put = s3.put_object(Bucket=bucket, Key="landing/game/a.csv", Body=b"x")
    head = s3.head_object(Bucket=bucket, Key="landing/game/a.csv")
    at = head["LastModified"].timestamp()
    assert [found.level for found in doctor_platform.waiting(platform, at + 900)] == ["ok"]
    text = "1 file waits in landing/ for more than 15 minutes; landing/game/a.csv for 20"
    fix = "the runs of ingest_files in the UI; docs/runbooks/ingestion.md"
    assert list(doctor_platform.waiting(platform, at + 1200)) == [warning(text, fix)]
    s3.delete_object(Bucket=bucket, Key="landing/game/a.csv", VersionId=put["VersionId"])


def test_dags_that_cannot_be_read_or_are_paused(monkeypatch: pytest.MonkeyPatch):
    answers = {
        "/api/v2/importErrors?limit=100": {
            "import_errors": [{"filename": "broken.py", "stack_trace": "Traceback\n  File\nNameError: name 'x'\n"}]
        },
        "/api/v2/dags?limit=1000": {
            "dags": [
                {"dag_id": "ingest_files", "is_paused": True},
                {"dag_id": "generate_mock_data", "is_paused": True},
                {"dag_id": "migrate", "is_paused": False},
            ]
        },
    }
    api = Api("http://127.0.0.1:1")
    monkeypatch.setattr(Api, "request", lambda _self, _method, path: answers[path])
    paused = "if nobody paused it on purpose, unpause it: http://127.0.0.1:1/dags/ingest_files"
    assert list(doctor_platform.dags(api)) == [
        wrong("broken.py cannot be imported: NameError: name 'x'", "mend the file; the UI shows all of it"),
        warning("the DAG ingest_files is paused", paused),
    ]
    answers["/api/v2/importErrors?limit=100"]["import_errors"] = []
    answers["/api/v2/dags?limit=1000"]["dags"] = answers["/api/v2/dags?limit=1000"]["dags"][1:]
    assert list(doctor_platform.dags(api)) == [ok("DAGs without import errors, none paused: 2")]
