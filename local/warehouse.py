"""The Redshift endpoint (local/redshift) as a part of the platform: how it runs, and whether it answers.

In a container this is its health check as well: python -m local.warehouse. Exit status 0 says that it is well.
"""

from __future__ import annotations

import sys
from contextlib import closing

import psycopg
import redshift_connector
from redshift_connector.core import Connection

from local import ports, postgres
from local import state as states
from local.errors import LocalError
from local.layout import Layout, tool
from local.state import State

DATABASE = "warehouse"
USER = "warehouse_owner"


class WrongPasswordError(LocalError):
    """PostgreSQL refuses the password by which the endpoint is asked: waiting does not help."""


def command(state: State) -> list[str]:
    """Return the endpoint's command line."""
    numbers = (state.ports["redshift"], state.ports["postgres"])
    return [str(tool("airflow", "python")), "-m", "local.redshift", *map(str, numbers)]


def public_environment(state: State) -> dict[str, str]:
    """Return what a client needs to know, by the names of .local/env."""
    return {
        "REDSHIFT_HOST": ports.HOST,
        "REDSHIFT_PORT": str(state.ports["redshift"]),
        "REDSHIFT_DATABASE": DATABASE,
        "REDSHIFT_USER": USER,
        "REDSHIFT_PASSWORD": state.passwords[USER],
    }


def answers(state: State) -> bool:
    """Tell whether a session through the endpoint answers. It has none to give while PostgreSQL is down.

    Raises WrongPasswordError.
    """
    try:
        with postgres.connect(state, DATABASE, USER, part="redshift") as session:
            return session.execute("select 1").fetchone() == (1,)
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise WrongPasswordError(
                f"The PostgreSQL behind the Redshift endpoint on port {state.ports['redshift']} refuses {USER} with the"
                " password of .local/state.json: somebody has given the role another, or the endpoint is not this"
                " platform's. `make down`, then `make up` gives it this one."
            ) from None
        return False


def connect(state: State) -> Connection:
    """Return a connection to the warehouse by Redshift's own driver, as its owner."""
    said = public_environment(state)
    return redshift_connector.connect(
        host=said["REDSHIFT_HOST"],
        port=int(said["REDSHIFT_PORT"]),
        user=said["REDSHIFT_USER"],
        password=said["REDSHIFT_PASSWORD"],
        database=said["REDSHIFT_DATABASE"],
        ssl=False,
    )


def at_head(state: State) -> bool:
    """Tell whether the warehouse has had all migrations."""
    from marketplace import warehouse as migrations

    with closing(connect(state)) as connection:
        current, newest = migrations.revisions(connection)
    return current == newest


def main() -> int:
    """Return 0 when the endpoint of this clone's platform answers."""
    try:
        is_well = answers(states.load(Layout()))
    except WrongPasswordError as error:
        print(error)
        return 1
    print("redshift is healthy" if is_well else "redshift does not answer")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
