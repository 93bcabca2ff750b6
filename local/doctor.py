"""What `make doctor` looks at: the machine, the installation, the remembered state, and the platform when it runs.

It changes nothing. This module has what can be asked without the installation: standard library only, Python 3.9 or
newer. `local.doctor_platform` has the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from local import aws, pgbin, space, state
from local.errors import LocalError
from local.layout import REPO, Layout, can_pass

OK, WARNING, WRONG = "ok", "warning", "wrong"
COLOURS = {OK: "32", WARNING: "33", WRONG: "31"}
CHECK_SECONDS = 10.0  # no check takes a second when what it asks answers

GB = 1000**3
DISK_WRONG = space.NEEDED_MB * 1000**2  # `make up` refuses
DISK_WARNING = 2 * GB  # too little for an installation
INODES = 50_000  # an installation has 33,000 files
MEMORY = 3 * GB // 2  # what the running platform takes, and a little more
CLOCK_SECONDS = 300.0


@dataclass(frozen=True)
class Finding:
    """What one check saw: OK, WARNING (the next `make up` goes on all the same) or WRONG, and what mends it."""

    level: str
    text: str
    fix: str = ""


Check = Callable[[], Iterable[Finding]]


def ok(text: str) -> Finding:
    """Return a finding that needs nobody."""
    return Finding(OK, text)


def warning(text: str, fix: str) -> Finding:
    """Return a finding that somebody should know."""
    return Finding(WARNING, text, fix)


def wrong(text: str, fix: str) -> Finding:
    """Return a finding that does not mend itself, or that is broken now."""
    return Finding(WRONG, text, fix)


def examine(name: str, check: Check) -> list[Finding]:
    """Return a check's findings. One that hangs or fails is a finding itself, and what it found before counts."""
    findings: list[Finding] = []

    def collect() -> None:
        try:
            for finding in check():
                findings.append(finding)  # one by one: the next may hang
        except LocalError as error:
            findings.append(wrong(str(error), "make up"))
        except Exception as error:  # noqa: BLE001 - reported: it must not hide the other checks
            findings.append(
                wrong(f"{name}: cannot be checked: {type(error).__name__}: {error}", "look at what the error names")
            )

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    thread.join(CHECK_SECONDS)
    found = list(findings)
    if thread.is_alive():
        hangs = f"{name}: no answer for {CHECK_SECONDS:.0f} s"
        found.append(wrong(hangs, "what was asked takes requests and does not answer: end that process, then make up"))
    return found


def _ask(question: str, repo: Path) -> str | None:
    """Return what bootstrap.sh answers, None when it says no. It knows the rules by which it installs."""
    answer = subprocess.run(
        [repo / "local" / "bootstrap.sh", "ask", question],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CHECK_SECONDS,
        check=False,
    )
    return answer.stdout.strip() if answer.returncode == 0 else None


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


# The machine


def python(repo: Path) -> Iterator[Finding]:
    """Look for the Python that bootstrap.sh would take."""
    found = _ask("find_python", repo)
    if found:
        yield ok(f"Python: {found}")
    else:
        yield wrong(
            "no Python 3.11, 3.12 or 3.13 on the PATH",
            "sudo apt-get install -y python3 python3-venv    (Debian 12, Ubuntu 24.04 or newer)",
        )


def packages(repo: Path) -> Iterator[Finding]:
    """Look for PostgreSQL with PostGIS, and for what makes virtual environments."""
    names = " ".join((_ask("missing_packages", repo) or "").split())
    try:
        directory = pgbin.find()
        yield ok(f"PostgreSQL {pgbin.major(directory)} with PostGIS: {directory}")
    except pgbin.PostgresMissingError:
        names = names or "postgresql postgresql-postgis"  # without a Python bootstrap.sh does not say
    if names:
        if sys.platform == "darwin":
            yield wrong("PostgreSQL 15 or newer with PostGIS is missing", "brew install postgresql@17 postgis")
        elif shutil.which("apt-get") and _ask("may_be_root", repo) is not None:
            yield warning(f"missing: {names}", "nothing to do: the next make installs them")
        else:
            install = "sudo apt-get update && sudo apt-get install -y --no-install-recommends"
            yield wrong(f"missing: {names}", f"{install} {names}")


def tools(path: str | None) -> Iterator[Finding]:
    """Look for git on `path`. That there are make and a shell is known already."""
    if shutil.which("git", path=path):
        yield ok("git")
    else:
        yield warning("git is missing: some tests and the commit hooks need it", "sudo apt-get install -y git")


def disk(
    places: Mapping[str, Path], wrong_below: int = DISK_WRONG, warn_below: int = DISK_WARNING, inodes: int = INODES
) -> Iterator[Finding]:
    """Look at the space of each file system on which one of `places` (name → directory) lies."""
    by_device: dict[int, list[str]] = {}
    for name, path in places.items():
        if path.exists():
            by_device.setdefault(path.stat().st_dev, []).append(name)
    for names in by_device.values():
        place = places[names[0]]
        found = os.statvfs(place)
        free = found.f_bavail * found.f_frsize
        text = f"disk: {free / GB:.1f} GB free for {', '.join(names)}"
        mend = f"free some: df -h '{place}'; `make reset` deletes this platform's data"
        if free < wrong_below:
            yield wrong(f"{text}: it will be full soon", mend)
        elif free < warn_below:
            yield warning(f"{text}: too little for an installation", mend)
        else:
            yield ok(text)
        if found.f_files and found.f_favail < inodes:  # some file systems do not count them
            yield warning(f"disk: only {found.f_favail} inodes left for {', '.join(names)}", f"df -i '{place}'")
        if names[0] == "the clone" and found.f_flag & getattr(os, "ST_NOEXEC", 0):
            yield wrong(f"the file system of {place} is mounted noexec", "move the clone to another file system")


def memory(meminfo: Path, limit: Path, used: Path, needed: int = MEMORY) -> Iterator[Finding]:
    """Look at the memory that is left, of the machine (`meminfo`) and of this container (`limit` and `used`)."""
    if not meminfo.exists():
        return  # macOS
    known = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), re.MULTILINE)
    left = int(known.group(1)) * 1024 if known else 0
    if limit.exists() and limit.read_text().strip() != "max":
        left = min(left, int(limit.read_text()) - int(used.read_text()))
    text = f"memory: {left / GB:.1f} GB left"
    if left < needed:
        yield warning(f"{text}: the platform takes {needed / GB:.1f} GB", "end what else runs, or give more memory")
    else:
        yield ok(text)


def writable(places: Mapping[str, Path]) -> Iterator[Finding]:
    """Look whether this user may write where the platform does."""
    for name, path in places.items():
        if not os.access(path, os.W_OK | os.X_OK):
            mend = f"sudo chown -R {_user(os.getuid())} '{path}'" if name == "the clone" else "export TMPDIR=…"
            yield wrong(f"{name} ({path}) is not writable by {_user(os.getuid())}", mend)
        else:
            yield ok(f"{name} is writable: {path}")


def owners(places: Iterable[Path], database: Path, uid: int) -> Iterator[Finding]:
    """Look for files below `places` that are not user `uid`'s, as after `sudo make`; root's `database` is another's."""
    foreign: list[Path] = []
    directories = [directory for directory in places if directory.exists()]
    for directory in directories:
        for root, folders, files in os.walk(directory):
            if uid == 0 and str(database.name) in folders and Path(root) == database.parent:
                folders.remove(database.name)
            for name in (*folders, *files):
                with contextlib.suppress(FileNotFoundError):  # a running platform's files come and go
                    if os.lstat(os.path.join(root, name)).st_uid != uid:  # noqa: PTH118 - 30,000 files
                        foreign.append(Path(root) / name)
    if foreign:
        owner = _user(foreign[0].lstat().st_uid)
        count = "1 file belongs" if len(foreign) == 1 else f"{len(foreign)} files belong"
        names = " ".join(f"'{directory}'" for directory in directories)
        yield wrong(
            f"{count} to another user, as after `sudo make`; the first, of {owner}: {foreign[0]}",
            f"sudo chown -R {_user(uid)} {names}    (or run make as {owner})",
        )
    elif directories:
        yield ok(f"what was installed and written belongs to {_user(uid)}")


def clock(repo: Path, written: Iterable[Path], now: float) -> Iterator[Finding]:
    """Look whether `now` is earlier than the newest commit, or than what the platform wrote last."""
    times = {f"{path}": path.stat().st_mtime for path in written if path.exists()}
    if shutil.which("git"):
        command = ["git", "-C", str(repo), "log", "-1", "--format=%ct"]
        commit = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False)
        if commit.stdout.strip():  # no clone, or another user's
            times["the newest commit"] = float(commit.stdout)
    what, newest = max(times.items(), key=lambda item: item[1], default=("", 0.0))
    if newest > now + CLOCK_SECONDS:
        text = f"the clock is {(newest - now) / 60:.0f} minutes behind {what}: leases and tokens go by it"
        yield warning(text, "sudo timedatectl set-ntp true    (in a container: the host's clock)")
    else:
        yield ok(f"clock: {time.strftime('%Y-%m-%d %H:%M:%S %z', time.localtime(now))}")


def shell(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look for settings of the shell that local commands refuse."""
    try:
        aws.refuse_remote(environ)
        yield ok("the shell points AWS clients nowhere else")
    except LocalError as error:
        name = next(iter(str(error).split()))
        yield wrong(f"{name} leads to another machine: local commands refuse it", f"unset {name}")


# The installation


def environments(repo: Path) -> Iterator[Finding]:
    """Look whether the Python environments are those of the present lock files, run, and were made here."""
    venv = repo / ".venv"
    if not (venv / "bootstrap.stamp").exists():
        yield warning(
            "not installed, or not to the end", "nothing to do: the next make installs; only that: make bootstrap"
        )
        return
    for name, program in (("airflow", "airflow"), ("emulator", "ministack")):
        interpreter = venv / name / "bin" / "python"
        if not _runs(interpreter):
            yield wrong(f"the Python of .venv/{name} has gone", f"rm -r '{venv}' && make bootstrap")
            return
        script = venv / name / "bin" / program
        first = script.read_text(errors="replace")[:500] if script.exists() else ""
        named = re.search(r"(/[^\n'\"]*/bin/)python", first)
        if not named:
            yield wrong(f"{script} is missing", f"rm -r '{venv}' && make bootstrap")
            return
        there = Path(named.group(1))
        if not there.exists() or not there.samefile(interpreter.parent):
            text = f".venv was made in another place ({there.parents[2]}): the clone was moved or copied"
            yield wrong(text, f"rm -r '{venv}' && make bootstrap")
            return
    if _ask("up_to_date", repo) is None:
        text = "the Python environments are not those of the present lock files and bootstrap.sh"
        yield warning(text, "nothing to do: the next make installs; only that: make bootstrap")
    else:
        yield ok("the Python environments are those of the lock files")


def _runs(interpreter: Path) -> bool:
    try:
        asked = subprocess.run([interpreter, "-I", "-c", ""], capture_output=True, timeout=CHECK_SECONDS, check=False)
        return asked.returncode == 0
    except OSError:
        return False


def versions(repo: Path) -> Iterator[Finding]:
    """Look whether each installed package has a version that its lock names: somebody may have used pip."""
    for name, lock, main in (
        ("airflow", repo / "requirements-dev.txt", "apache-airflow"),
        ("emulator", repo / "local" / "requirements-emulator.txt", "ministack"),
    ):
        site = next((repo / ".venv" / name).glob("lib/python*/site-packages"), None)
        if site is None:
            continue  # `environments` says so
        pins: dict[str, set[str]] = {}  # by Python's version, one package may have several
        for package, version in re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", lock.read_text(), re.M):
            pins.setdefault(_plain(package), set()).add(version)
        installed = dict(_installed(site))
        differing = [
            f"{package} {installed.get(package, 'missing')} (lock: {' or '.join(sorted(pins[package]))})"
            for package in sorted(pins)
            if (package in installed or package == main) and installed.get(package) not in pins[package]
        ]
        if differing:
            mend = f"rm '{repo / '.venv' / 'bootstrap.stamp'}' && make bootstrap"
            yield wrong(f".venv/{name} differs from its lock: {', '.join(differing)}", mend)
        else:
            yield ok(f"{main} {installed[main]}")


def _plain(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _installed(site: Path) -> Iterator[tuple[str, str]]:
    for directory in site.glob("*.dist-info"):
        name, _, version = directory.name[: -len(".dist-info")].rpartition("-")
        yield _plain(name), version


def bootstrap_lock(lock: Path) -> Iterator[Finding]:
    """Look for an installation that is at work, and for a lock that only seems to be one's."""
    pid = (lock / "pid").read_text().strip() if (lock / "pid").exists() else ""
    command = Path("/proc") / (pid or "-") / "cmdline"
    if not pid or not command.exists():
        return  # nobody, or one that was killed: the next takes over
    if b"bootstrap.sh" in command.read_bytes():
        yield warning(f"an installation is at work (process {pid})", "wait until it has ended, then look again")
    else:
        yield wrong(f"{lock} names process {pid}, which is no installation", f"rm -r '{lock}'")


# The remembered state


def read_state(layout: Layout) -> state.State | None:
    """Return the remembered state, None when there is none or it cannot be read (see `state_file`)."""
    try:
        return state.load(layout) if (layout.state / "state.json").exists() else None
    except (OSError, LocalError):
        return None


def state_file(layout: Layout) -> Iterator[Finding]:
    """Look at state.json, which has the passwords that PostgreSQL's data was made with."""
    path = layout.state / "state.json"
    elsewhere = layout.postgres_home_elsewhere
    data = [home for home in (layout.postgres_home, elsewhere) if home.exists()]
    anew = (
        f"to begin anew, without its data: make down; rm -r {' '.join(map(repr, map(str, [layout.state, *data[1:]])))}"
    )
    if elsewhere in data and layout.postgres_home not in data:
        anew = f"to begin anew, without its data: make down; rm -r '{layout.state}' '{elsewhere}'"
    if not path.exists():
        if data:
            yield wrong(f"{path} is gone, and with it the passwords of the data in {data[0]}", anew)
        else:
            yield ok("no state yet: nothing was started here")
        return
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        yield wrong(f"{path} cannot be read: {error}", anew)
        return
    unknown = (
        set(content) - {field.name for field in fields(state.State)} if isinstance(content, dict) else {"no object"}
    )
    if unknown:
        text = f"{path} was written by another version of this repository: {', '.join(sorted(unknown))}"
        yield wrong(text, f"go back to that version; {anew}")
        return
    try:
        state.load(layout)
    except LocalError as error:
        yield wrong(str(error).removesuffix(" What to do: make doctor"), anew)
        return
    if path.stat().st_mode & 0o077:
        yield wrong(f"{path} holds passwords, and others may read it", f"chmod 600 '{path}'")
    else:
        yield ok(f"state: {path}")


def moved(layout: Layout, remembered: state.State) -> Iterator[Finding]:
    """Look whether the remembered place of PostgreSQL's data is another clone's."""
    home = Path(remembered.postgres_home)
    own = layout.postgres_home_elsewhere
    if not remembered.postgres_home or home in (layout.postgres_home, own):
        return
    path = layout.state / "state.json"
    text = f"the clone was moved or copied: {path} names the data in {home}"
    if layout.postgres_home.exists():
        yield wrong(text, f"sed -i 's|{home}|{layout.postgres_home}|' '{path}'")
    else:
        yield wrong(
            text, f"moved: sed -i 's|{home}|{own}|' '{path}' && mv '{home}' '{own}'; copied: rm -r '{layout.state}'"
        )


def data_directory(remembered: state.State, server_uid: int) -> Iterator[Finding]:
    """Look whether the installed PostgreSQL, as user `server_uid`, can be started on the data that there is."""
    data = Path(remembered.postgres_home) / "data"
    if not remembered.postgres_home or not data.exists():
        if remembered.airflow_database:
            yield wrong(f"PostgreSQL's data is gone: {data}", "make reset, then make up: everything is made anew")
        return
    owner = data.stat().st_uid
    if owner != server_uid:
        mend = f"sudo chown -R {_user(server_uid)} '{data.parent}'    (or run make as it was run before)"
        yield wrong(f"{data} belongs to {_user(owner)}, and the server runs as {_user(server_uid)}", mend)
        return
    if server_uid != os.getuid():
        for directory in reversed(data.parents):
            if not can_pass(server_uid, directory):
                text = f"user {_user(server_uid)}, as whom the server runs, cannot pass through {directory}"
                yield wrong(text, f"chmod o+x '{directory}'")
                return
    version = (data / "PG_VERSION").read_text().strip() if (data / "PG_VERSION").exists() else "no version"
    with contextlib.suppress(pgbin.PostgresMissingError):  # `packages` says so
        installed = str(pgbin.major(pgbin.find()))
        if version != installed:
            text = f"{data} was made by PostgreSQL {version}, and {installed} is installed"
            yield wrong(text, "make reset, then make up, or to keep the data: docs/local.md, Another PostgreSQL")
            return
    yield from _postmaster(data, server_uid, version)


def _postmaster(data: Path, server_uid: int, version: str) -> Iterator[Finding]:
    """Look at postmaster.pid, by which PostgreSQL knows that a server has the data already."""
    lock = data / "postmaster.pid"
    pid = lock.read_text().split("\n")[0].strip() if lock.exists() else ""
    process = Path("/proc") / (pid or "-")
    if pid and not Path("/proc/self").exists():
        return  # macOS
    if not pid:
        yield ok(f"PostgreSQL's data, of version {version}: {data}")
    elif process.exists() and str(data).encode() in (process / "cmdline").read_bytes():
        yield ok(f"PostgreSQL's data, of version {version}, in use by process {pid}: {data}")
    elif process.exists() and process.stat().st_uid == server_uid:
        # To PostgreSQL any process of the server's user is a server: it would not start.
        yield wrong(f"{lock} names process {pid}, which is another program by now", f"rm '{lock}'")
    else:
        yield warning("PostgreSQL was killed", "nothing to do: the next `make up` recovers its data")


# All together


def _server_uid() -> int:
    """Return the user that PostgreSQL runs as: for root it is user postgres."""
    import pwd

    return pwd.getpwnam("postgres").pw_uid if os.getuid() == 0 else os.getuid()


def offline_checks(repo: Path, layout: Layout, environ: Mapping[str, str]) -> dict[str, dict[str, Check]]:
    """Return the checks that need nothing installed, by group and name."""
    remembered = read_state(layout) or state.State()
    temporary = Path(environ.get("TMPDIR") or "/tmp")  # noqa: S108 - tempfile would write there to find out
    home = Path(remembered.postgres_home or layout.state)
    database = next(path for path in (home, *home.parents) if path.exists())
    cgroup = Path("/sys/fs/cgroup")
    meminfo = Path("/proc/meminfo")
    written = [layout.state / "state.json", layout.env_file, *layout.log.glob("*.log")]
    return {
        "Machine": {
            "Python": partial(python, repo),
            "packages": partial(packages, repo),
            "tools": partial(tools, environ.get("PATH")),
            "disk": partial(disk, {"the clone": repo, "temporary files": temporary, "the database": database}),
            # What runs has its memory already.
            "memory": partial(memory, meminfo, cgroup / "memory.max", cgroup / "memory.current", GB // 4)
            if layout.socket.exists()
            else partial(memory, meminfo, cgroup / "memory.max", cgroup / "memory.current"),
            "permissions": partial(writable, {"the clone": repo, "the temporary directory": temporary}),
            "owners": partial(owners, [repo / ".venv", layout.state], layout.postgres_home, os.getuid()),
            "clock": partial(clock, repo, written, time.time()),
            "shell": partial(shell, environ),
        },
        "Installation": {
            "environments": partial(environments, repo),
            "versions": partial(versions, repo),
            "installation's lock": partial(bootstrap_lock, layout.state / "bootstrap.lock"),
        },
        "State": {
            "state.json": partial(state_file, layout),
            "place": partial(moved, layout, remembered),
            "PostgreSQL's data": lambda: data_directory(remembered, _server_uid()),
        },
    }


def show(heading: str, findings: Iterable[Finding], *, colour: bool) -> None:
    """Print a group."""
    print(heading)
    for finding in findings:
        level = f"{finding.level:8}"
        if colour:
            level = f"\033[{COLOURS[finding.level]}m{level}\033[0m"
        print(f"  {level}{finding.text}")
        if finding.fix:
            print(f"          → {finding.fix}")
    sys.stdout.flush()


def summary(findings: Iterable[Finding]) -> str:
    """Return the last line."""
    counts = dict.fromkeys((OK, WARNING, WRONG), 0)
    for finding in findings:
        counts[finding.level] += 1
    plural = "" if counts[WARNING] == 1 else "s"
    return f"{counts[OK]} ok, {counts[WARNING]} warning{plural}, {counts[WRONG]} wrong"


def main() -> int:
    """Run every check, print what each found, and return 1 when anything is wrong."""
    layout = Layout()
    environ = dict(os.environ)
    kept = aws.cleaned(environ)
    os.environ.clear()
    os.environ.update(kept)
    groups = offline_checks(REPO, layout, environ)
    readable = read_state(layout) is not None or not (layout.state / "state.json").exists()
    if Path(sys.prefix).resolve() == REPO / ".venv" / "airflow" and readable:
        try:
            from local import doctor_platform
            from local.platform import Platform
        except ImportError as error:
            groups["Installation"]["packages"] = partial(_incomplete, error)
        else:
            groups |= doctor_platform.checks(Platform(layout))
    found: list[Finding] = []
    for heading, checks in groups.items():
        findings = [finding for name, check in checks.items() for finding in examine(name, check)]
        show(heading, findings, colour=sys.stdout.isatty())
        found += findings
    print(summary(found))
    return 1 if any(finding.level == WRONG for finding in found) else 0


def _incomplete(error: ImportError) -> Iterator[Finding]:
    yield wrong(f".venv/airflow is incomplete: {error}", f"rm -r '{REPO / '.venv'}' && make bootstrap")


if __name__ == "__main__":
    sys.exit(main())
