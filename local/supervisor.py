"""One supervisord a platform: it starts the parts, and a part that crashed stays down until `make up`."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
from supervisor.xmlrpc import SupervisorTransport

from local import aws, envfile, interruption
from local.errors import LocalError
from local.layout import REPO, Layout

Answer = TypeVar("Answer")

MARKER = "LOCAL_PLATFORM"  # every process of a platform carries its state directory in this variable
DOWN = {"STOPPED", "EXITED", "FATAL", "BACKOFF", "UNKNOWN"}
LAST = "postgres"  # the part that is stopped last
LOG_LINES = 8
LINE_WIDTH = 200  # what a log line is cut to when it is shown
PATIENCE = 15.0  # seconds that a process has to end before it is killed
# Airflow's workers do not heed SIGTERM once their scheduler is gone.
WORKER_NAME, WORKER_PATIENCE = "airflow worker", 3.0


def silent(_text: str) -> None:
    """Say nothing: the default of what reports progress."""


@dataclass(frozen=True)
class Program:
    """One part: its name, its command line, and how it wants to be stopped."""

    name: str
    command: list[str]
    user: str = ""
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    stop_group: bool = True


@dataclass(frozen=True)
class Status:
    """One part as the supervisor sees it."""

    name: str
    state: str  # RUNNING, STARTING, STOPPING, or one of DOWN
    pid: int
    since: float  # seconds since the epoch of the last start, 0 if never
    exit_status: int

    @property
    def crashed(self) -> bool:
        """Tell whether it went down by itself."""
        return self.state in DOWN - {"STOPPED"}


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def configuration(layout: Layout, programs: list[Program], user: str) -> str:
    """Return supervisord's configuration. It holds no secret: see local.launch."""
    sections = [
        "[unix_http_server]",
        f"file = {_escape(str(layout.socket))}",
        "chmod = 0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisord]",
        f"identifier = {_escape(str(layout.state))}",
        f"pidfile = {_escape(str(layout.run / 'supervisord.pid'))}",
        f"logfile = {_escape(str(layout.log_file('supervisord')))}",
        f"childlogdir = {_escape(str(layout.log))}",
        f"directory = {_escape(str(REPO))}",
        *([f"user = {user}"] if user else []),
    ]
    for program in programs:
        sections += [
            f"[program:{program.name}]",
            f"command = {_escape(shlex.join(program.command))}",
            *([f"user = {program.user}"] if program.user else []),
            "autostart = false",
            "autorestart = false",
            "startretries = 0",
            "startsecs = 1",
            f"stopsignal = {program.stop_signal}",
            f"stopwaitsecs = {program.stop_seconds}",
            f"stopasgroup = {str(program.stop_group).lower()}",
            "killasgroup = true",
            "redirect_stderr = true",
            f"stdout_logfile = {_escape(str(layout.log_file(program.name)))}",
            "stdout_logfile_maxbytes = 10MB",
            "stdout_logfile_backups = 1",
        ]
    return "\n".join(sections) + "\n"


def last_lines(path: Path, count: int = LOG_LINES) -> str:
    """Return the last lines of a log, indented, or a word that there are none."""
    text = path.read_text(errors="replace") if path.exists() else ""
    lines = text.rstrip().splitlines()[-count:]
    return "\n".join(f"    {line[:LINE_WIDTH]}" for line in lines) or "    (its log is empty)"


class PartDownError(LocalError):
    """A part of the platform is not running: names it, with its log's last lines."""

    def __init__(self, layout: Layout, part: str, what: str) -> None:
        log = layout.log_file(part)
        super().__init__(
            f"{part} {what}. The last lines of {log}:\n{last_lines(log)}\n"
            f"When the cause is gone, `make up` starts it again; `make logs PART={part}` shows more."
        )


class Supervisor:
    """Speaks to the supervisord of one platform."""

    def __init__(self, layout: Layout, say: Callable[[str], None] = silent) -> None:
        self._layout = layout
        self._say = say

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._layout.socket}")
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def is_running(self) -> bool:
        """Tell whether this platform's supervisord answers."""
        try:
            return bool(self._call("getIdentification") == str(self._layout.state))
        except OSError:
            return False

    def ensure(self, programs: list[Program], user: str) -> None:
        """Start supervisord unless it runs with these programs already. It starts no part by itself."""
        text = configuration(self._layout, programs, user)
        path = self._layout.run / "supervisord.conf"
        if self.is_running():
            if path.read_text() == text:
                return
            self.shut_down()
        end_orphans(self._layout, self._say)
        envfile.write_private(path, text)
        environment = aws.cleaned(os.environ) | {MARKER: str(self._layout.state), "PYTHONUNBUFFERED": "1"}
        # setproctitle would overwrite the environment that the marker is read from.
        environment["SPT_NOENV"] = "1"
        started = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(path)],
            env=environment,
            cwd=REPO,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if started.returncode != 0:
            raise LocalError(f"The supervisor did not start: {started.stderr or started.stdout}")
        wait_until(self.is_running, 10, lambda: "The supervisor does not answer: see .local/log/supervisord.log")
        leader = psutil.Process(int((self._layout.run / "supervisord.pid").read_text()))
        envfile.write_private(self._layout.run / "session", f"{leader.pid} {leader.create_time()}")

    def statuses(self) -> dict[str, Status]:
        """Return all parts by name, in the order of the configuration; none when no supervisord runs."""
        try:
            answers = self._call("getAllProcessInfo")
        except OSError:
            return {}
        return {
            answer["name"]: Status(
                answer["name"], answer["statename"], answer["pid"], answer["start"], answer["exitstatus"]
            )
            for answer in answers
        }

    def start(self, part: str) -> bool:
        """Start a part unless it runs; return whether it had to be started."""
        if self._settled(part) not in DOWN:
            return False
        self._call("startProcess", part, False)
        return True

    def stop(self, part: str) -> None:
        """Stop a part and wait until it has ended."""
        if self._settled(part) not in DOWN:
            self._call("stopProcess", part, True)

    def stop_all(self, parts: list[str]) -> None:
        """Stop these parts at once, and wait until all have ended."""
        for part in parts:
            if self.statuses()[part].state not in DOWN | {"STOPPING"}:
                self._call("stopProcess", part, False)
        wait_until(
            lambda: all(self.statuses()[part].state in DOWN for part in parts),
            60,
            lambda: f"Not all of these stop: {', '.join(parts)}",
        )

    def _settled(self, part: str) -> str:
        """Return a part's state. One that was told to stop, as before a Ctrl-C, is waited for first."""
        wait_until(
            lambda: self.statuses()[part].state != "STOPPING",
            60,
            lambda: str(PartDownError(self._layout, part, "does not stop")),
        )
        return self.statuses()[part].state

    def wait(self, part: str, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready`; raise PartDownError when the part goes down first or takes too long."""

        def ready_or_down() -> bool:
            state = self.statuses()[part].state
            if state in DOWN:
                raise PartDownError(self._layout, part, "went down while it started")
            return state == "RUNNING" and ready()

        wait_until(
            ready_or_down,
            seconds,
            lambda: str(PartDownError(self._layout, part, f"is not ready after {seconds:.0f} s")),
        )

    def shut_down(self) -> None:
        """Stop every part and supervisord itself; nothing of the platform runs afterwards."""
        if self.is_running():
            ours = _family(self._layout)
            # All at once, but the database last: Airflow's parts write to it when they end.
            self.stop_all([name for name in self.statuses() if name != LAST])
            self._call("shutdown")
            _gone, alive = psutil.wait_procs(ours, timeout=45)
            for process in alive:
                _kill(process)
            psutil.wait_procs(alive, timeout=10)
        end_orphans(self._layout, self._say)


def wait_until(condition: Callable[[], bool], seconds: float, message: Callable[[], str]) -> None:
    """Return as soon as `condition` holds; raise LocalError with `message` after `seconds`."""
    wait_for(lambda: True if condition() else None, seconds, message)


def wait_for(
    ask: Callable[[], Answer | None], seconds: float, message: Callable[[], str], every: float = 0.1
) -> Answer:
    """Ask until the answer is not None, and return it; raise LocalError with `message` after `seconds`."""
    deadline = time.monotonic() + seconds
    while (answer := ask()) is None:
        interruption.check()
        if time.monotonic() > deadline:
            raise LocalError(message())
        time.sleep(every)
    return answer


def _family(layout: Layout) -> list[psutil.Process]:
    """Return supervisord and all its descendants."""
    try:
        supervisord = psutil.Process(int((layout.run / "supervisord.pid").read_text()))
        return [supervisord, *supervisord.children(recursive=True)]
    except (psutil.NoSuchProcess, FileNotFoundError):
        return []


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def _session(layout: Layout) -> int:
    """Return the session of this platform's last supervisord, 0 when the number is another's by now."""
    try:
        pid, created = (layout.run / "session").read_text().split()
        return int(pid) if psutil.Process(int(pid)).create_time() == float(created) else 0
    except FileNotFoundError:
        return 0
    except psutil.NoSuchProcess:
        return int(pid)  # no process gets this number while one of the session lives


def _is_marked(process: psutil.Process, layout: Layout) -> bool:
    try:
        return bool(process.environ().get(MARKER) == str(layout.state))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False  # Airflow's workers hide their environment from all but root: see `leftovers`


def _session_of(process: psutil.Process) -> int:
    """Return the session of a process, 0 when it has ended or the session is another container's."""
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return 0


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def leftovers(layout: Layout) -> list[psutil.Process]:
    """Return the processes of this platform, whoever their parent is by now.

    They are those that carry its marker, their descendants, and the whole sessions that are theirs.
    """
    everyone = {process.pid: process for process in psutil.process_iter()}
    marked = {pid for pid, process in everyone.items() if _is_marked(process, layout)}
    # A session is the platform's when the process that opened it is, or has ended: never that of a person's shell.
    sessions = {_session_of(everyone[pid]) for pid in marked}
    ours = {session for session in sessions if session in marked or session not in everyone} | {_session(layout)}
    ours -= {0, os.getsid(0)}
    found = {process for pid, process in everyone.items() if pid in marked or _session_of(process) in ours}
    for process in list(found):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.update(process.children(recursive=True))
    return sorted(
        (process for process in found if process.pid != os.getpid() and _lives(process)), key=lambda found: found.pid
    )


def orphans(layout: Layout) -> set[psutil.Process]:
    """Return the leftovers that no supervisord of ours looks after."""
    found = leftovers(layout)  # first: what a part forks after this is in the family and not in here
    return set(found) - set(_family(layout))


def end_orphans(layout: Layout, say: Callable[[str], None] = silent) -> None:
    """End what a killed part or supervisord left behind, PostgreSQL by its own fast shutdown."""
    known = orphans(layout)
    if known:
        say(f"Ending {len(known)} process{'es' if len(known) > 1 else ''} that a killed part left")
    told: dict[psutil.Process, float] = {}
    deadline = time.monotonic() + PATIENCE + 10
    # Once found, a process counts until it has ended: its parent, by which it was found, may end first.
    while alive := [process for process in known if _lives(process)]:
        if time.monotonic() > deadline:
            raise LocalError(f"These processes do not end: {', '.join(str(process.pid) for process in alive)}")
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                name = process.name()
                if process not in told:
                    told[process] = time.monotonic()
                    process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
                patience = WORKER_PATIENCE if name.startswith(WORKER_NAME) else PATIENCE
                if time.monotonic() > told[process] + patience:
                    process.kill()
        psutil.wait_procs(alive, timeout=0.3)
        known |= orphans(layout)
    psutil.wait_procs(known, timeout=2)  # what has ended is still listed until init has taken note
