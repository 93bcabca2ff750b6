"""What is asked of each part. A check returns what it found, and raises CheckError with what is wrong.

Each is given its connection or client, so that a test calls it as the DAG does. Nothing is left behind but the canary's
entry in the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

from marketplace import store, warehouse
from marketplace.contracts import load_contracts

if TYPE_CHECKING:
    import psycopg
    from mypy_boto3_s3 import S3Client
    from redshift_connector.core import Connection as RedshiftConnection

# A header and no row: it takes the whole way of a file, and no table is changed by it.
CANARY_DATASET = "wishlist"
COPIED = (1, 2, 3)


class CheckError(RuntimeError):
    """A part is not what it ought to be."""


def require(condition: object, problem: str) -> None:
    """Raise CheckError with `problem` unless the condition holds."""
    if not condition:
        raise CheckError(problem)


def connections(names: Iterable[str], read: Callable[[str], Any]) -> list[str]:
    """Check that Airflow's secrets backend has each connection, with a host; return their names.

    `read` returns the connection of a name, and raises when there is none, as Airflow's BaseHook.get_connection.
    """
    found = []
    for name in names:
        try:
            connection = read(name)
        except Exception as error:
            raise CheckError(
                f"Airflow does not see its connection {name} ({type(error).__name__}): is its secret there, is the "
                f"secrets backend's prefix right, and may the environment's role read it?"
            ) from error
        require(connection.host, f"The connection {name} names no host.")
        found.append(name)
    return found


def store_facts(connection: psycopg.Connection[Any], *, encrypted: bool) -> dict[str, Any]:
    """Check the store: PostGIS is there, it is the primary, and TLS is on where `encrypted` asks for it."""
    row = connection.execute(store.query("verification/facts.sql")).fetchone()
    postgis, is_encrypted, is_standby = row or (None, None, None)
    require(postgis, "The store has no PostGIS: the DAG migrate, or include/sql/store/bootstrap.sql, has not run.")
    require(not is_standby, "The connection to the store ends at a standby: the sync needs the primary.")
    require(is_encrypted or not encrypted, "The connection to the store is not encrypted.")
    return {"postgis": postgis, "encrypted": is_encrypted}


def at_head(part: str, revision: object, head: object) -> str:
    """Check that a database has had the newest migration; return which that is."""
    require(revision == head, f"The {part} is at migration {revision}, the newest is {head}: run the DAG migrate.")
    return str(revision)


def copy_from(connection: RedshiftConnection, s3: S3Client, bucket: str, name: str) -> int:
    """Check that the warehouse reads a file of the export prefix by COPY with its own role; return its rows.

    The file and the temporary table go again. `name` keeps runs apart.
    """
    key = f"sync/{re.sub(r'[^A-Za-z0-9_-]', '-', name)}/check.csv"
    s3.put_object(Bucket=bucket, Key=key, Body="".join(f"{number}\n" for number in COPIED).encode())
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("create temporary table check_copy (number integer)")
            cursor.execute(f"copy check_copy (number) from 's3://{bucket}/{key}' iam_role default format csv")
            cursor.execute("select number from check_copy order by number")  # the table is this session's
            found = tuple(number for (number,) in cursor.fetchall())
        connection.rollback()
    finally:
        s3.delete_object(Bucket=bucket, Key=key)
    require(found == COPIED, f"The warehouse read {found} by COPY, where {COPIED} was written.")
    return len(found)


def warehouse_version(connection: RedshiftConnection) -> int:
    """Check that the warehouse has had the newest migration; return its number."""
    current, newest = warehouse.revisions(connection)
    at_head("warehouse", current, newest)
    return current


def put_canary(s3: S3Client, bucket: str, at: datetime) -> str:
    """Put a file of nothing but its header into the landing bucket, and return its key."""
    header = ",".join(load_contracts()[CANARY_DATASET].header)
    key = f"landing/{CANARY_DATASET}/canary-{at:%Y%m%dT%H%M%S%f}.csv"
    s3.put_object(Bucket=bucket, Key=key, Body=f"{header}\n".encode())
    return key


def canary_is_through(connection: psycopg.Connection[Any], key: str) -> bool:
    """Tell whether the canary was loaded; raises CheckError when it was, and not as it ought to be."""
    row = connection.execute(store.query("verification/canary.sql"), {"key": key}).fetchone()
    if row is None:
        return False
    status, reason = row
    require(status == "done", f"The canary {key} was loaded as {status}: {reason}")
    return True
