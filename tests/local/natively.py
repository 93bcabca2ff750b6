"""Runs the services of docker-compose.yaml without containers: what a test can know of the file without Docker.

Each service gets a directory of its own that stands for its container's root, with what the Dockerfile copies and with
the mounts that the file names, and no more. Its command, its environment and its health check are the file's, with
/opt/marketplace moved below that directory and 0.0.0.0 replaced by 127.0.0.1. Two things have stand-ins: initdb for the
entrypoint of the postgres image, and this machine's network for the shared one.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import yaml

from infra import packages
from local import pgbin, postgres
from local.layout import REPO

FILE = REPO / "docker-compose.yaml"
HOME = "/opt/marketplace"  # the images' working directory
PGDATA = "/var/lib/postgresql/data"
START_SECONDS = 300  # far more than it takes
LOG_BEFORE = 2000  # bytes that a service wrote before it was told to end, and did not
SECONDS = {"s": 1, "m": 60}

server_programs = functools.cache(pgbin.find)


def load(variables: dict[str, str]) -> dict[str, Any]:
    """Return the services as Compose sees them: anchors merged, `variables` put in, $$ for a dollar sign."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match["name"], match["default"])

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: filled(child) for name, child in node.items()}
        if isinstance(node, list):
            return [filled(child) for child in node]
        return re.sub(r"\$\$|\$\{(?P<name>\w+):-(?P<default>[^}]*)\}", value, node) if isinstance(node, str) else node

    return filled(yaml.safe_load(FILE.read_text()))["services"]


def seconds(duration: str) -> int:
    """Return a duration such as 30s."""
    return int(duration[:-1]) * SECONDS[duration[-1]]


class Service:
    """One service: its root directory, its process while it runs, and its output."""

    def __init__(self, name: str, spec: dict[str, Any], directory: Path) -> None:
        self.name, self.spec, self._directory = name, spec, directory
        self.root = directory / name
        self.log = directory / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        home = self.root / HOME.lstrip("/")
        home.mkdir(parents=True)
        if spec["image"].startswith("marketplace-platform:"):
            (home / ".venv").symlink_to(REPO / ".venv")
            for copied in ("infra", "local"):
                shutil.copytree(REPO / copied, home / copied, ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copyfile(REPO / "requirements-api.txt", home / "requirements-api.txt")
        for mount in spec.get("volumes", ()):
            source, target, *_ = mount.split(":")
            volume = REPO / source if source.startswith("./") else directory / "volumes" / source
            place = self.root / target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(volume)
            if source == "state":
                # `setup` packs the APIs' function the first time. Here it finds that of this clone: the package index
                # may be configured for this person only, whose variables no service gets.
                made = packages.build("local")
                (volume / "package").mkdir(parents=True, exist_ok=True)
                shutil.copy2(made, volume / "package" / made.name)
        self._home = home

    def _here(self, text: str) -> str:
        return text.replace(HOME, str(self._home)).replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - it is taken out

    def environment(self) -> dict[str, str]:
        """Return the variables of its processes: those of its image and those of the file, none of this shell's."""
        path = [self._home / ".venv" / "airflow" / "bin", server_programs(), os.defpath]
        image = {"PATH": ":".join(map(str, path)), "HOME": str(self._home), "LANG": "C.UTF-8"}
        return image | {name: self._here(value) for name, value in self.spec.get("environment", {}).items()}

    def run(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process as in the service's container."""
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [self._here(word) for word in command],
                cwd=self._home,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )

    def start(self) -> None:
        """Start it, as `docker compose up` starts a container that does not run."""
        self.process = self._run_postgres() if self.name == "postgres" else self.run(self.spec["command"])

    def _run_postgres(self) -> subprocess.Popen[bytes]:
        """Do what the postgres image's entrypoint does: initdb in an empty volume, then the command."""
        user = postgres.server_user() or None
        as_user = {"user": user, "group": user, "extra_groups": [] if user else None}
        data = (self.root / PGDATA.lstrip("/")).resolve()
        environment = self.environment()
        if not any(data.iterdir()):
            password_file = data.parent / "password"
            password_file.write_text(Path(environment["POSTGRES_PASSWORD_FILE"]).read_text())
            data.chmod(0o700)
            if user:
                shutil.chown(data, user, user)
                shutil.chown(password_file, user, user)
            arguments = shlex.split(environment["POSTGRES_INITDB_ARGS"])
            made = ["initdb", f"--pgdata={data}", "--username=postgres", f"--pwfile={password_file}", *arguments]
            assert self.run([*made, "--no-sync"], **as_user).wait() == 0, self.log.read_text()
            password_file.unlink()
            with (data / "postgresql.conf").open("a") as file:
                file.write("listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n")
        return self.run([*self.spec["command"], "-D", str(data)], **as_user)

    def is_healthy(self) -> bool:
        """Run its health check."""
        check = self.spec["healthcheck"]
        word, *command = check["test"]
        assert word == "CMD"
        running = self.run(command)
        try:
            return running.wait(seconds(check["timeout"])) == 0
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            return False

    def end(self, number: int) -> str:
        """End it as Docker ends a container; return what there is to say if its time was over before it ended."""
        assert self.process
        if self.process.poll() is not None:
            return ""
        family = psutil.Process(self.process.pid).children(recursive=True)
        grace, late = self.spec.get("stop_grace_period", "10s"), ""
        told = self.log.stat().st_size
        self.process.send_signal(number)
        try:
            self.process.wait(seconds(grace))
        except subprocess.TimeoutExpired:
            late = f"{self.name} did not end within {grace} after {signal.Signals(number).name}. {self._account(told)}"
            self.process.kill()
            self.process.wait()
        for process in family:  # a container ends with its first process
            if process.is_running():
                process.kill()
        psutil.wait_procs(family, timeout=10)
        return late

    def _account(self, told: int) -> str:
        """Return its processes, with what the kernel has them wait for, and its log from just before it was told."""
        assert self.process
        first = psutil.Process(self.process.pid)
        lines = ["Its processes:"]
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.Error, OSError):  # it may end meanwhile
                waits = Path(f"/proc/{process.pid}/wchan").read_text()
                command = shlex.join(word for word in process.cmdline() if word)
                lines.append(f"  {process.pid} of {process.ppid()}, {process.status()} in {waits}: {command}")
        log = self.log.read_bytes()[max(0, told - LOG_BEFORE) :].decode(errors="replace")
        return "\n".join([*lines, "What it logged:", log])

    def stop(self) -> str:
        """Stop it in an orderly way; return as `end` does."""
        return self.end(signal.Signals[self.spec.get("stop_signal", "SIGTERM")])


class Composed:
    """All services in one directory."""

    def __init__(self, directory: Path, variables: dict[str, str]) -> None:
        self.services: dict[str, Service] = {}
        for volume in ("state", "postgres"):
            (directory / "volumes" / volume).mkdir(parents=True)
        for path in (directory, directory / "volumes"):
            path.chmod(0o711)  # PostgreSQL may run as another user
        self.state = directory / "volumes" / "state"
        for name, spec in load(variables).items():
            self.services[name] = Service(name, spec, directory)

    def _dependencies(self, service: Service) -> dict[str, str]:
        needed = {name: entry["condition"] for name, entry in service.spec.get("depends_on", {}).items()}
        mode = service.spec.get("network_mode", "")
        return ({mode.removeprefix("service:"): "service_started"} if mode else {}) | needed

    def up(self) -> list[str]:
        """Start what does not run, each when its dependencies allow it, until all are well; return the order."""
        waiting = {n: s for n, s in self.services.items() if s.process is None or s.process.poll() is not None}
        order: list[str] = []
        well: set[str] = set()
        deadline = time.monotonic() + START_SECONDS
        while waiting or well != set(self.services):
            assert time.monotonic() < deadline, f"after {START_SECONDS} s only {well} are well, {set(waiting)} wait"
            for name, service in self.services.items():
                if name in well or not self._may_go_on(service, well, set(waiting)):
                    continue
                if name in waiting:
                    service.start()
                    order.append(name)
                    del waiting[name]
                elif self._is_well(service):
                    well.add(name)
            time.sleep(0.3)
        return order

    def _may_go_on(self, service: Service, well: set[str], waiting: set[str]) -> bool:
        """Tell whether what a service depends on, directly or not, is as it needs it."""
        return all(
            other not in waiting and (condition == "service_started" or other in well)
            for other, condition in self._dependencies(service).items()
        )

    def _is_well(self, service: Service) -> bool:
        """Tell whether a long-running service is healthy, or another one has done its work."""
        assert service.process
        status = service.process.poll()
        assert status in {None, 0}, f"{service.name} ended with {status}:\n{service.log.read_text()[-4000:]}"
        if "healthcheck" not in service.spec:
            return status == 0
        assert status is None, f"{service.name} ended:\n{service.log.read_text()[-4000:]}"
        return service.is_healthy()

    def down(self) -> list[str]:
        """Stop everything, at once what nothing else depends on; return an account of each that had to be killed."""
        killed: list[str] = []
        running = {name: service for name, service in self.services.items() if service.process}
        with ThreadPoolExecutor() as pool:
            while running:
                needed = {name for service in running.values() for name in self._dependencies(service)}
                last = [name for name in running if name not in needed]
                killed += filter(None, pool.map(Service.stop, [running.pop(name) for name in last]))
        return killed
