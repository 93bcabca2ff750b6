"""Where the parts of one platform keep their files."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]

# A unix socket's path has at most 108 bytes on Linux and 104 on macOS, and supervisord adds its process id.
LONGEST_SOCKET_PATH = 90


@dataclass(frozen=True)
class Layout:
    """The directories of one platform: `state` holds everything it writes, the clone holds the code."""

    state: Path = REPO / ".local"

    @property
    def identity(self) -> str:
        """Return eight characters that tell this platform from any other on the machine."""
        return hashlib.sha256(str(self.state).encode()).hexdigest()[:8]

    @property
    def log(self) -> Path:
        """Return the directory of the logs."""
        return self.state / "log"

    @property
    def run(self) -> Path:
        """Return the directory of the supervisor's control socket, process id and configuration."""
        return self.state / "run"

    @property
    def env_file(self) -> Path:
        """Return the file of variables for people and for checks from outside."""
        return self.state / "env"

    @property
    def postgres_home(self) -> Path:
        """Return where PostgreSQL's data lies when user postgres can reach it (see postgres.data_home)."""
        return self.state / "postgres"

    @property
    def postgres_home_elsewhere(self) -> Path:
        """Return where PostgreSQL's data lies when user postgres cannot reach the clone."""
        return Path("/var/lib") / f"marketplace-{self.identity}"

    @property
    def emulator(self) -> Path:
        """Return where the AWS emulator keeps its objects and its services' state."""
        return self.state / "emulator"

    @property
    def airflow_home(self) -> Path:
        """Return AIRFLOW_HOME, with the logs of the tasks below it."""
        return self.state / "airflow"

    @property
    def socket(self) -> Path:
        """Return the supervisor's control socket: in the temporary directory when the path is too long."""
        path = self.run / "supervisor.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        return Path(tempfile.gettempdir()) / f"marketplace-{self.identity}" / "supervisor.sock"

    def remove_socket(self) -> None:
        """Remove the directory that the control socket has to itself, if it has one, and is there."""
        if self.socket.parent != self.run and self.socket.parent.exists():
            shutil.rmtree(self.socket.parent)

    def log_file(self, part: str) -> Path:
        """Return the log of one part, which holds what it writes to its output."""
        return self.log / f"{part}.log"

    def create(self) -> None:
        """Make the directories. The outer one is passable: PostgreSQL may run as another user below."""
        for directory in (self.state, self.log, self.run, self.emulator, self.airflow_home):
            directory.mkdir(parents=True, exist_ok=True)
        self.state.chmod(0o711)
        for private in (self.log, self.run, self.emulator, self.airflow_home):
            private.chmod(0o700)
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        if self.socket.parent.stat().st_uid != os.getuid():
            raise PermissionError(f"{self.socket.parent} belongs to another user: remove it or set TMPDIR.")


def can_pass(user: str | int, directory: Path) -> bool:
    """Tell whether `user`, whom only root can ask for, may pass through `directory`."""
    probe = subprocess.run(
        ["test", "-x", str(directory)],
        user=user,
        group=user,
        extra_groups=[],
        cwd="/",
        env={"PATH": os.defpath},
        timeout=10,
        check=False,
    )
    return probe.returncode == 0


def tool(environment: str, program: str) -> Path:
    """Return a program of the Python environment `airflow` or `emulator` that bootstrap.sh made."""
    return REPO / ".venv" / environment / "bin" / program
