"""The marts and the dashboard, of a warehouse with five million lines of transactions and a million sessions.

The warehouse lies in a PostgreSQL of its own with fsync on, and is reached by the local Redshift endpoint, as the DAGs
reach it. Each case is what a task of the DAG does, in a process of its own.

marts       all marts built anew, in one transaction
dashboard   its figures, where each of them comes from, and the drawing; nothing is uploaded
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from rich.console import Console

from bench.case import Case, CaseError, Measure, Run, measure
from bench.ingest import MILLION, label
from bench.ingest_store import Stores, temporary_platform
from local import aws, warehouse
from local.platform import Platform
from marketplace import warehouse as warehouse_schema

LINES = 5  # of a transaction
# A fifth as many sessions as lines, in 4,000 cells; 1,000 games of 50 publishers; 500 files; the last 500 days.
_FILL = """
set role warehouse_owner;
insert into store.publisher (publisher_id, name, name_key)
select 'P-' || n, 'Publisher ' || n, 'publisher ' || n from generate_series(0, 49) as n;
insert into store.game (game_id, title, title_key)
select 'G-' || n, 'Game ' || n, 'game ' || n from generate_series(0, 999) as n;
insert into store.game_release (game_id, platform, publisher_id)
select 'G-' || n, p, 'P-' || n %% 50
from generate_series(0, 999) as n cross join unnest(array['PC', 'PS5', 'Switch', 'Xbox']) as p;
insert into ops.load_account (load_id, kind, dataset, object_key, file_load_id, put_at, finished_at, status, read,
    accepted, rejected, held, inserted, updated, unchanged, superseded, issues, archive_key)
select n, 'file', 'transaction_detail', 'landing/' || n || '.csv', n, now(), now(), 'done', 0, 0, 0, 0, 0, 0, 0, 0, 0,
    'archive/' || n || '.csv'
from generate_series(0, 499) as n;
insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total, customer_id)
select 'T-' || n, case when n %% 20 = 0 then 'refund' when n %% 50 = 1 then 'payout' else 'sale' end,
    now() - n %% 500 * interval '1 day' - n %% 86400 * interval '1 s', (array['EUR', 'EUR', 'USD', 'JPY'])[1 + n %% 4],
    0, n
from generate_series(0, %(lines)s / 5 - 1) as n;
insert into store.transaction_line (transaction_id, line_no, game_id, platform, region, gross, fee, reported_net,
    load_id, load_line)
select 'T-' || n / 5, 1 + n %% 5, 'G-' || n %% 1000, (array['PC', 'PS5', 'Switch', 'Xbox'])[1 + n / 7 %% 4],
    (array['EU', 'US', 'LATAM', 'ASIA'])[1 + n / 3 %% 4], n %% 9000 + 0.25, 0.05, n %% 9000 + 0.2, n %% 500, n
from generate_series(0, %(lines)s - 1) as n;
insert into geo.area (area_id, name, kind)
select 'A-' || n, 'Area ' || n, 'region' from generate_series(0, 49) as n;
insert into geo.area_cell (area_id, cell_id)
select 'A-' || n, (2010 + i) * 10000 + 2300 + j
from generate_series(0, 49) as n cross join generate_series(0, 79) as i cross join generate_series(0, 49) as j
where (i + j + n) %% 25 = 0;
insert into store.play_session (session_id, customer_id, game_id, platform, started_at, duration_s, location_longitude,
    location_latitude, cell_id, load_id, load_line)
select 'S-' || n, n %% 100000, 'G-' || n %% 1000, 'PC',
    now() - n %% 500 * interval '1 day' - n %% 86400 * interval '1 s', n %% 9000, 5 + n %% 80 * 0.15,
    45 + n / 80 %% 50 * 0.1, (2010 + n %% 80) * 10000 + 2300 + n / 80 %% 50, n %% 500, n
from generate_series(0, %(lines)s / 5 - 1) as n;
insert into ops.sync_run (run_id, table_name, mode, store_snapshot, exported, deleted, files, bytes, seconds, synced_at)
values ('bench', 'store.game', 'full', '', 1, 0, 1, 1, 1, now());
insert into ops.sync_state (table_name, definition, system_identifier, token, store_snapshot, synced_at, run_id)
values ('store.game', '', '', '', '', now(), 'bench');
"""

console = Console(highlight=False, soft_wrap=True)


def cases(sizes: Sequence[int]) -> list[Case]:
    """Return the cases for so many lines."""
    return [
        Case(f"{name}_{label(rows)}", f"bench.marts_cases:{name}", {"rows": rows})
        for rows in sizes
        for name in ("marts", "dashboard")
    ]


CASES = cases((5 * MILLION,))


def ratios(_measured: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return nothing: there is none to compare with."""
    return {}


@contextmanager
def measuring(chosen: Sequence[Case]) -> Iterator[Measure]:
    """Start a PostgreSQL and an endpoint, fill the warehouse, and yield what measures a case; all goes afterwards."""
    sizes = {case.arguments["rows"] for case in chosen}
    if len(sizes) != 1:
        raise CaseError("The marts are measured with one size at a time: ROWS=100000.")
    with temporary_platform() as (platform, _directory), aws.environment(platform.public_environment()):
        with closing(warehouse.connect(platform.state)) as connection:
            warehouse_schema.migrate(connection)
        console.print(f"[dim]Making {label(*sizes)} lines[/dim]")
        with psycopg.connect(platform.store_url("postgres", warehouse.DATABASE), autocommit=True) as behind:
            for statement in _FILL.split(";\n"):
                if statement.strip():
                    behind.execute(statement.encode(), {"lines": max(sizes)})
            behind.execute("reset role")
            behind.execute("vacuum (analyze)")
        yield Bench(platform).measure


@dataclass
class Bench:
    """A filled warehouse."""

    platform: Platform

    def measure(self, case: Case, python: str) -> Run:
        """Run a case once."""
        said = warehouse.public_environment(self.platform.state)
        login = {
            "host": said["REDSHIFT_HOST"],
            "port": int(said["REDSHIFT_PORT"]),
            "user": said["REDSHIFT_USER"],
            "password": said["REDSHIFT_PASSWORD"],
            "database": said["REDSHIFT_DATABASE"],
            "ssl": False,
        }
        stores = Stores(self.platform)
        before = stores.cpu_seconds()
        run = measure(replace(case, arguments={"warehouse": login, **case.arguments}), python)
        return replace(run, server_cpu_seconds=stores.cpu_seconds() - before)
