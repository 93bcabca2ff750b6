"""What a platform remembers between starts: its ports, its generated passwords and what was done once."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, dataclass, field

from local import envfile
from local.errors import LocalError
from local.layout import Layout

# The roles of the first platforms, which every state has, and one that came later.
FIRST_ROLES = ("postgres", "store_owner", "store_writer", "store_reader", "airflow")
ROLES = (*FIRST_ROLES, "warehouse_owner")


def _password() -> str:
    return secrets.token_hex(16)


@dataclass
class State:
    """Kept in .local/state.json, mode 600."""

    ports: dict[str, int] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=lambda: {role: _password() for role in ROLES})
    jwt_secret: str = field(default_factory=lambda: secrets.token_hex(32))
    fernet_key: str = field(default_factory=lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    postgres_home: str = ""  # where PostgreSQL's data lies
    outputs: dict[str, str] = field(default_factory=dict)  # of the CloudFormation stacks
    stacks_digest: str = ""  # of the templates and configuration that were deployed last
    airflow_database: str = ""  # the Airflow version that the metadata database was migrated to
    unpaused: list[str] = field(default_factory=list)  # DAGs that were unpaused once: a person's pause stays


def load(layout: Layout) -> State:
    """Return the remembered state, or a new one with fresh passwords; raise LocalError when it cannot be read."""
    path = layout.state / "state.json"
    if not path.exists():
        return State()
    try:
        content = json.loads(path.read_text())
        state = State(**{"passwords": {}, **content})
        # Not made anew in silence: the database knows those that were here.
        if absent := [role for role in FIRST_ROLES if not isinstance(state.passwords.get(role), str)]:
            raise ValueError(f"it has no password of {', '.join(absent)}")
        for role in ROLES:
            state.passwords.setdefault(role, _password())
        if not all(isinstance(port, int) for port in state.ports.values()):
            raise ValueError("a port is no number")
    except (ValueError, TypeError, AttributeError) as error:
        raise LocalError(f"{path} cannot be read: {error}. What to do: make doctor") from error
    return state


def save(layout: Layout, state: State) -> None:
    """Write the state in one step, so that an interruption leaves the former one."""
    envfile.write_private(layout.state / "state.json", json.dumps(asdict(state), indent=2) + "\n")
