"""What docker-compose.yaml runs once at each start: python -m local.compose passwords|setup|start.

The state is that of `make up`, in .local, which is a volume there. Compose starts the parts, so no supervisor runs but
for a moment: see `Containers.deploy`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg

from local import emulator, envfile, ports, postgres
from local import state as states
from local.errors import LocalError
from local.layout import Layout
from local.platform import Platform
from local.supervisor import Program


def secret_files(platform: Platform) -> dict[Path, str]:
    """Return the files that the services read their secrets from, and what each holds."""
    state = platform.state
    directory = platform.layout.state / "secrets"
    return {
        directory / "postgres_password": state.passwords[postgres.SUPERUSER],
        directory / "airflow_database_url": postgres.url(state, "airflow", "airflow", "postgresql+psycopg2"),
        directory / "airflow_fernet_key": state.fernet_key,
        directory / "airflow_jwt_secret": state.jwt_secret,
    }


class Containers(Platform):
    """The platform whose parts are services of docker-compose.yaml."""

    def passwords(self) -> None:
        """Make the passwords, the first time, and write the files that the services read them from.

        One more file, with no secret in it, says how PostgreSQL asks for them.
        """
        self.layout.create()
        # The services are told their ports by the same variables.
        self.state.ports = {name: int(os.environ[f"{name.upper()}_PORT"]) for name in ports.PREFERRED}
        states.save(self.layout, self.state)
        for path, text in secret_files(self).items():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            envfile.write_private(path, text)
        (self.layout.state / "pg_hba.conf").write_text(postgres.ACCESS_RULES)

    def setup(self) -> None:
        """Bring the databases' roles and the emulator's stacks to what they must be."""
        try:
            postgres.create_roles_and_databases(self.state)
        except psycopg.OperationalError as error:
            if "password authentication failed" not in str(error):
                raise
            raise LocalError(
                "PostgreSQL has other passwords than the volume `state`, which was made anew. To delete the volume\n"
                "`postgres` as well, and all data with it, type:\n    docker compose down --volumes"
            ) from None
        self.deploy()
        envfile.write(self.layout.env_file, self.public_environment(), "Written by the service setup")

    def deploy(self) -> None:
        """Deploy the stacks, or heal what a kill of the emulator lost, before its service starts.

        The emulator writes its state only when it stops, and no service can stop another. So it runs here first, under
        a supervisor as in `make up`, on the same volume.
        """
        if not emulator.answers(self.state):
            self._start_supervisor()
            try:
                self._start_emulator()
            finally:
                self.supervisor.shut_down()
        elif absent := emulator.missing(self.state):
            raise LocalError(
                f"The emulator lacks {', '.join(absent)}, and is mended while it is down. Type:\n"
                "    docker compose stop emulator\n    docker compose up --detach"
            )
        elif (digest := self.stacks_digest()) != self.state.stacks_digest:
            self._say("The templates changed: deploying them")
            self._deploy()
            self.state.stacks_digest = digest
            states.save(self.layout, self.state)

    def start(self) -> None:
        """Migrate the store by the DAG that does it everywhere, and unpause each DAG the first time."""
        self._migrate()
        self._unpause()
        self._say(f"The platform is up. Airflow: {self.api.url}")

    def require_running(self) -> None:
        """Nothing to ask: Compose starts this after all parts are healthy, and a silent API raises by itself."""

    def _programs(self) -> list[Program]:
        return [self._launched("emulator", 15)]


def main(step: str) -> int:
    """Run one step; return its exit status."""
    try:
        platform = Containers(Layout(), say=lambda text: print(text, flush=True))
        {"passwords": platform.passwords, "setup": platform.setup, "start": platform.start}[step]()
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
