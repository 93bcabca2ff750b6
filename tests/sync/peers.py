"""The usual ways to keep a copy of a database, for what they miss of the same workload as the sync gets.

All of them go by a column `updated_at`, which the store does not have: it is added to the database of the test, with
the trigger that everybody uses. What they copied is compared by it: a row is stale when its `updated_at` is another.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from bench.run import environment
from tests.sync import workload
from tests.sync.synced import Synced

LOCK = Path(__file__).parents[2] / "bench" / "requirements-ingest.txt"
COPIES = Path(__file__).with_name("dlt_copies.py")
# So many seconds a sync may take before it counts as stuck.
PATIENCE_SECONDS = 120

Sync = Callable[[], None]
Peer = Callable[[str, str, dict[str, tuple[str, ...]]], AbstractContextManager[Sync]]


@dataclass(frozen=True)
class Missed:
    """What a copy was like after the last sync, which began when all writers had ended."""

    syncs: int
    rows: int  # of the store
    missing: int  # rows that the copy does not have
    stale: int  # rows that it has as they were before
    undeleted: int  # rows that the store does not have any more

    @property
    def wrong(self) -> int:
        """Return how many rows of the copy are not as they should be."""
        return self.missing + self.stale + self.undeleted


def keys(connection: psycopg.Connection[Any]) -> dict[str, tuple[str, ...]]:
    """Return the columns of the primary key of each table of schema `store`."""
    rows = connection.execute(
        "select c.table_name, array_agg(k.column_name::text order by k.ordinal_position)"
        " from information_schema.table_constraints as c join information_schema.key_column_usage as k"
        " using (constraint_schema, constraint_name, table_name)"
        " where c.table_schema = 'store' and c.constraint_type = 'PRIMARY KEY' group by 1"
    ).fetchall()
    return {table: tuple(columns) for table, columns in rows}


def add_updated_at(connection: psycopg.Connection[Any]) -> dict[str, tuple[str, ...]]:
    """Give each table of schema `store` the column that says when it was changed; return their keys."""
    connection.execute(
        "create function store.touch() returns trigger language plpgsql as"
        " $$ begin new.updated_at := now(); return new; end $$"
    )
    found = keys(connection)
    for table in found:
        name = sql.Identifier(table)
        for statement in (
            "alter table store.{} add column updated_at timestamptz not null default now()",
            "create index on store.{} (updated_at)",
            "create trigger touch before update on store.{} for each row execute function store.touch()",
        ):
            connection.execute(sql.SQL(statement).format(name))
    connection.commit()
    return found


def measure(peer: Peer, owner_url: str, writer_url: str, target_url: str, seed: int, seconds: float) -> Missed:
    """Return what a peer has missed of `seconds` of the workload, having synced all along and once afterwards."""
    with psycopg.connect(owner_url) as connection:
        tables = add_updated_at(connection)
    workload.fill(writer_url, seed)
    with peer(owner_url, target_url, tables) as sync:
        syncs = 1
        sync()
        with workload.at_work(writer_url, seed) as writers:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                sync()
                syncs += 1
                writers.check()
        sync()
    return missed(owner_url, target_url, tables, syncs + 1)


def missed(owner_url: str, target_url: str, tables: dict[str, tuple[str, ...]], syncs: int) -> Missed:
    """Compare schema `store` of two databases by key and `updated_at`."""
    rows = missing = stale = undeleted = 0
    with psycopg.connect(owner_url) as source, psycopg.connect(target_url) as target:
        for table, key in tables.items():
            query = sql.SQL("select {}, updated_at from store.{}").format(
                sql.SQL(", ").join(map(sql.Identifier, key)), sql.Identifier(table)
            )
            right, copied = ({row[:-1]: row[-1] for row in side.execute(query)} for side in (source, target))
            rows += len(right)
            missing += len(right.keys() - copied.keys())
            undeleted += len(copied.keys() - right.keys())
            stale += sum(right[one] != copied[one] for one in right.keys() & copied.keys())
    return Missed(syncs, rows, missing, stale, undeleted)


# ------------------------------------------------------------------------------------------------------ the peers


@contextmanager
def updated_at(owner_url: str, target_url: str, tables: dict[str, tuple[str, ...]]) -> Iterator[Sync]:
    """Rows changed since the newest change that was seen, upserted: what most write who write it themselves."""
    seen: dict[str, Any] = dict.fromkeys(tables, "-infinity")
    with psycopg.connect(target_url, autocommit=True) as target:
        target.execute("create schema store")
        for table, key in tables.items():
            columns = ", ".join(f"{column} text not null" for column in key)
            target.execute(
                f"create table store.{table} ({columns}, updated_at timestamptz, primary key ({', '.join(key)}))"
            )

        def sync() -> None:
            with psycopg.connect(owner_url) as source:
                source.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                for table, key in tables.items():
                    columns = ", ".join([f"{column}::text" for column in key])
                    changed = source.execute(
                        f"select {columns}, updated_at from store.{table} where updated_at >= %s", (seen[table],)
                    ).fetchall()
                    with target.transaction(), target.cursor() as cursor:
                        cursor.executemany(
                            f"insert into store.{table} values ({', '.join(['%s'] * (len(key) + 1))})"
                            f" on conflict ({', '.join(key)}) do update set updated_at = excluded.updated_at",
                            changed,
                        )
                    seen[table] = max([row[-1] for row in changed], default=seen[table])

        yield sync
        # As the store has them, for the comparison.
        with psycopg.connect(owner_url) as source:
            for table, column, type_ in source.execute(
                "select table_name, column_name, data_type from information_schema.columns"
                " where table_schema = 'store' and data_type in ('bigint', 'integer')"
            ):
                if column in tables.get(table, ()):
                    target.execute(
                        f"alter table store.{table} alter column {column} type {type_} using {column}::{type_}"
                    )


@contextmanager
def dlt(owner_url: str, target_url: str, tables: dict[str, tuple[str, ...]]) -> Iterator[Sync]:
    """dlt: a resource a table with an incremental cursor, merged by its key, as its documentation has it."""
    python = environment(LOCK)
    with tempfile.TemporaryDirectory(prefix="marketplace-dlt-") as directory:
        order = {"source": owner_url, "target": target_url, "tables": tables, "directory": directory}
        variables = {"DLT_DATA_DIR": directory, "RUNTIME__DLTHUB_TELEMETRY": "false"}
        with subprocess.Popen(
            [python, str(COPIES), json.dumps(order)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=os.environ | variables,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            lines_in, lines_out = process.stdin, process.stdout

            def sync() -> None:
                print(file=lines_in, flush=True)
                said = lines_out.readline()
                assert said == "synced\n", f"dlt ended with {process.wait(PATIENCE_SECONDS)}"

            yield sync
            # Leaving closes its input, upon which it ends.


@contextmanager
def sling(owner_url: str, target_url: str, tables: dict[str, tuple[str, ...]]) -> Iterator[Sync]:
    """sling: its mode incremental, with the keys and `updated_at`."""
    (program,) = Path(environment(LOCK)).parents[1].glob("lib/python*/site-packages/sling_*/bin/sling-*")
    streams = {
        f"store.{table}": {"primary_key": list(key), "sql": _for_sling(owner_url, table)}
        for table, key in tables.items()
    }
    replication = {
        "source": "SOURCE",
        "target": "TARGET",
        "defaults": {
            "mode": "incremental", "update_key": "updated_at", "object": "{stream_schema}.{stream_table}",
        },
        "streams": streams,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="marketplace-sling-") as home:
        file = Path(home) / "replication.json"
        file.write_text(json.dumps(replication))
        variables = {
            "SOURCE": f"{owner_url}?sslmode=disable",
            "TARGET": f"{target_url}?sslmode=disable",
            "SLING_HOME_DIR": home,
            "SLING_DISABLE_TELEMETRY": "true",
        }

        def sync() -> None:
            done = subprocess.run(
                [str(program), "run", "--replication", str(file)], env=os.environ | variables, capture_output=True,
                text=True, timeout=PATIENCE_SECONDS, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]

        yield sync


def _for_sling(owner_url: str, table: str) -> str:
    """Return the query of a table without row_xid, whose type sling does not know."""
    with psycopg.connect(owner_url) as connection:
        columns = [
            f"{column}::text as {column}" if type_ in ("USER-DEFINED", "jsonb") else column
            for column, type_ in connection.execute(
                "select column_name, data_type from information_schema.columns where table_schema = 'store'"
                " and table_name = %s and column_name <> 'row_xid'",
                (table,),
            )
        ]
    return f"select {', '.join(columns)} from store.{table} where {{incremental_where_cond}}"


PEERS: dict[str, Peer] = {
    "updated_at watermark": updated_at,
    "dlt": dlt,
    "sling": sling,
}


def of(synced: Synced) -> Peer:
    """Return our own sync as one of them, for the same measure. `updated_at` is to it a column like any other."""

    @contextmanager
    def peer(owner_url: str, target_url: str, tables: dict[str, tuple[str, ...]]) -> Iterator[Sync]:
        def sync() -> None:
            synced.sync()

        yield sync

    return peer
