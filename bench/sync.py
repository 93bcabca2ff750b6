r"""The warehouse sync: what a load has changed in store.transaction_line, from the store to the merged warehouse.

Store and warehouse lie in one PostgreSQL of their own with fsync on; the warehouse is reached by the local Redshift
endpoint, and its files lie in the emulator's S3. A change is 90 % updates, 9 % inserts and 1 % deletes in one
transaction, of other rows each time. All that is measured of a change of a fifth gets the same one. After each case
what was loaded is compared with the store, by counts and checksums.

empty                       a sync of all tables in which nothing has changed
ours_100k, _300k, _1m       export, manifests and apply of so many changes of five million rows
reconcile_1m                the comparison of what the last of them has loaded
unchecked_1m                a sync that leaves the comparison to another run, and so has no checksums to export
copy_gzip_1m                the limit of the export: psql's \copy of the same rows through gzip -1 to the disk
export_1m                   the export of the same rows, and of the keys that are gone, without checksums
export_checked_1m           the export with the checksums of those rows, as a sync has it
dlt_1m, sling_1m, ingestr_1m   the same changes (see bench.sync_peers)

What is there to be compared with others has one run, with theirs; all else three.
"""

from __future__ import annotations

import gzip
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import boto3
import psutil
import psycopg
from psycopg import sql
from rich.console import Console

from bench.case import Case, CaseError, Measure, Run, measure
from bench.ingest import MILLION, label
from bench.ingest_store import Stores, temporary_platform
from local import aws, warehouse
from local.platform import Platform
from marketplace import warehouse as warehouse_schema
from marketplace.sync import statements
from marketplace.sync.export import PREFIX, Compare
from marketplace.sync.tables import read_tables

BUCKET = "bench"
DATABASE = "bench_sync"
TABLE = "store.transaction_line"
FILLED = ("store.publisher", "store.game", "store.game_release", "store.customer", "store.transaction", TABLE)
LINES = 5  # of a transaction
# Transactions that follow one another are changed together, as the lines of a file are.
RUN_OF_TRANSACTIONS = 20
PEERS = ("dlt", "sling", "ingestr")
# By a number, which ingestr cannot go by: it wants a time, and gets the number as one.
VIEWS = {"dlt": "bench.line", "sling": "bench.line", "ingestr": "bench.line_at"}
# Of the disk, at most: store and warehouse, the dead rows of both, a copy for each peer, and the log.
BYTES_A_ROW = 3000
_PEERS = "requirements-sync.txt"
_FILL = (
    "insert into store.publisher (publisher_id, name, name_key) values ('P-1', 'A publisher', 'a publisher')",
    "insert into store.game (game_id, title, title_key)"
    " select 'G-' || n, 'Game ' || n, 'game ' || n from generate_series(0, 999) as n",
    "insert into store.game_release (game_id, platform, publisher_id) select game_id, 'PC', 'P-1' from store.game",
    "insert into store.customer (ref) select 'CUST-' || n from generate_series(1, 1000) as n",
    "insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total, customer_id)"
    " select 'T-' || lpad(n::text, 9, '0'), 'sale', '2025-01-01Z'::timestamptz + n * interval '7 s', 'EUR', 100,"
    " 1 + n %% 1000 from generate_series(0, %(transactions)s - 1) as n",
    "insert into store.transaction_line (transaction_id, line_no, game_id, platform, region, gross, fee, reported_net,"
    " load_id, load_line)"
    " select 'T-' || lpad((n / 5)::text, 9, '0'), 1 + n %% 5, 'G-' || n %% 1000, 'PC',"
    " (array['EU', 'US', 'LATAM', 'ASIA'])[1 + n %% 4], n %% 9000 + 0.25, 0.05, n %% 9000 + 0.2, 1, n"
    " from generate_series(0, %(transactions)s * 5 - 1) as n",
    "create schema bench",
    # What the last change has deleted, which no peer sees.
    "create table bench.deleted (like store.transaction_line)",
)
# What the others go by: they do not know the type of row_xid.
_FOR_PEERS = (
    "create view bench.line as select transaction_id, line_no, game_id, platform, region, gross, fee, reported_net,"
    " load_id, load_line, row_xid::text::bigint as changed from store.transaction_line",
    "create index transaction_line_changed on store.transaction_line ((row_xid::text::bigint))",
    "create view bench.line_at as select transaction_id, line_no, game_id, platform, region, gross, fee, reported_net,"
    " load_id, load_line, to_timestamp(row_xid::text::bigint) as changed from store.transaction_line",
    "create index transaction_line_changed_at on store.transaction_line (to_timestamp(row_xid::text::bigint))",
)
_CHANGE = (
    "create temporary table chosen on commit drop as"
    " select l.transaction_id, l.line_no,"
    " row_number() over (order by r.place, l.transaction_id, l.line_no) as number"
    " from (select first, row_number() over (order by hashint8extended(first, %(change)s)) as place"
    " from generate_series(0, %(transactions)s - 1, %(run)s) as first) as r"
    " cross join generate_series(0, %(run)s - 1) as n"
    " inner join store.transaction_line as l on l.transaction_id = 'T-' || lpad((r.first + n)::text, 9, '0')"
    " where r.place <= %(runs)s",
    "analyze chosen",
    "update store.transaction_line as l set gross = l.gross + 1, reported_net = l.reported_net + 1,"
    " load_id = 1 + %(change)s from chosen as c"
    " where c.number <= %(updates)s and (l.transaction_id, l.line_no) = (c.transaction_id, c.line_no)",
    "truncate bench.deleted",
    "with gone as (delete from store.transaction_line as l using chosen as c"
    " where c.number > %(updates)s and c.number <= %(updates)s + %(deletes)s"
    " and (l.transaction_id, l.line_no) = (c.transaction_id, c.line_no) returning l.*)"
    " insert into bench.deleted select * from gone",
    # Lines that follow one another; each change adds them to other transactions, or as a further line.
    "insert into store.transaction_line (transaction_id, line_no, game_id, platform, region, gross, fee, reported_net,"
    " load_id, load_line)"
    " select 'T-' || lpad(((%(change)s * 7919 + n) %% %(transactions)s)::text, 9, '0'), 5 + %(change)s,"
    " 'G-' || n %% 1000, 'PC', 'EU', n %% 9000 + 0.25, 0.05, n %% 9000 + 0.2, 1 + %(change)s, n"
    " from generate_series(0, %(inserts)s - 1) as n",
)

console = Console(highlight=False, soft_wrap=True)


def cases(sizes: Sequence[int]) -> list[Case]:
    """Return the cases for tables of so many rows, of which a fifth changes, or less."""
    found = []
    for rows in sizes:
        most = rows // 5
        found.append(Case(f"empty_of_{label(rows)}", "bench.sync_cases:sync", {"rows": rows, "changed": 0}))
        for changed in (most // 10, most * 3 // 10):
            found.append(_case("ours", "bench.sync_cases:sync", rows, changed))
        found.append(_case("copy_gzip", "bench.sync_cases:copy_gzip", rows, most))
        found.append(_case("export", "bench.sync_cases:export", rows, most, compare="none"))
        found.append(_case("export_checked", "bench.sync_cases:export", rows, most))
        for name, function in zip(PEERS, ("dlt_arrow", "sling", "ingestr"), strict=True):
            found.append(replace(_case(name, f"bench.sync_peers:{function}", rows, most), requirements=_PEERS, runs=1))
        found.append(replace(_case("unchecked", "bench.sync_cases:sync", rows, most, compare="none"), runs=1))
        # Last: after it the change is in the warehouse.
        found.append(_case("ours", "bench.sync_cases:sync", rows, most))
        found.append(_case("reconcile", "bench.sync_cases:reconcile", rows, most))
    return found


def _case(name: str, function: str, rows: int, changed: int, compare: Compare = "touched") -> Case:
    full_name = f"{name}_{label(changed)}_of_{label(rows)}"
    return Case(full_name, function, {"rows": rows, "changed": changed, "compare": compare})


CASES = cases((5 * MILLION,))


def ratios(cases: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return how we compare by seconds of the clock (the median of the pairs), and what a changed row costs."""
    found = {}
    ours = [name for name in cases if name.startswith("ours_")]

    def runs(name: str) -> list[float]:
        seconds: list[float] = cases[name]["runs"]
        return seconds

    limit = ("copy_gzip",)
    for mine, others in (("export", limit), ("export_checked", limit), ("ours", PEERS), ("unchecked", PEERS)):
        for name in [name for name in cases if name.startswith(f"{mine}_")]:
            for other in (f"{other}_{name.removeprefix(f'{mine}_')}" for other in others):
                if other in cases:
                    ratio = median(one / two for one, two in zip(runs(other), runs(name), strict=False))
                    found[f"seconds: {other} / {name}"] = round(ratio, 2)
    for name in ours:
        found[f"microseconds a changed row: {name}"] = round(1e6 * cases[name]["seconds"] / cases[name]["rows"], 1)
        checked = name.replace("ours", "reconcile", 1)
        if checked in cases:
            both = median(one + two for one, two in zip(runs(name), runs(checked), strict=False))
            found[f"seconds: {name} and {checked}"] = round(both, 2)
    for name in ours[1:]:
        found[f"peak memory: {name} / {ours[0]}"] = round(cases[name]["peak_rss_mb"] / cases[ours[0]]["peak_rss_mb"], 2)
    return found


@contextmanager
def measuring(cases: Sequence[Case]) -> Iterator[Measure]:
    """Start a PostgreSQL, an emulator and an endpoint, fill a store and sync it; all goes afterwards."""
    sizes = {case.arguments["rows"] for case in cases}
    if len(sizes) != 1:
        raise CaseError("The sync is measured with one size of the table at a time: ROWS=100000.")
    needed = BYTES_A_ROW * max(sizes)
    if (free := shutil.disk_usage(tempfile.gettempdir()).free) < needed:
        raise CaseError(
            f"{tempfile.gettempdir()} has {free / 1e9:.0f} GB free, and {needed / 1e9:.0f} GB are needed for a while:"
            " make room there, name another directory (TMPDIR), or measure fewer rows (ROWS)."
        )
    console.print("[dim]Starting a PostgreSQL, an emulator and an endpoint of their own[/dim]")
    with temporary_platform() as (platform, directory), aws.environment(platform.public_environment()):
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        with closing(warehouse.connect(platform.state)) as connection:
            warehouse_schema.migrate(connection)
        yield Bench(platform, directory, cases).measure


@dataclass
class Bench:
    """A store and its warehouse; what has been changed in the one and is not in the other yet.

    pending   the rows of the change that the warehouse has not had
    synced    the rows of the last sync
    since     the transaction before the change, which is what peers begin at
    used      the cases that have had the change
    waiting   the peers that have not been measured as often as they will be
    """

    platform: Platform
    directory: Path
    cases: Sequence[Case]
    pending: int = 0
    synced: int = 0
    since: int = 0
    changes: int = 0
    runs: int = 0
    used: set[str] = field(default_factory=set)
    waiting: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stores = Stores(self.platform)
        self._store = self.stores.url("postgres", DATABASE)
        self._behind = self.platform.store_url("postgres", warehouse.DATABASE)
        said = warehouse.public_environment(self.platform.state)
        self._warehouse = {
            "host": said["REDSHIFT_HOST"],
            "port": int(said["REDSHIFT_PORT"]),
            "user": said["REDSHIFT_USER"],
            "password": said["REDSHIFT_PASSWORD"],
            "database": said["REDSHIFT_DATABASE"],
            "ssl": False,
        }
        self._bucket = boto3.resource("s3").Bucket(BUCKET)
        self._file = self.directory / "changed.csv.gz"
        (rows,) = {case.arguments["rows"] for case in self.cases}
        self._transactions = rows // LINES
        self._peers = [name for name in PEERS if any(case.name.startswith(name) for case in self.cases)]
        self.waiting = {case.name: case.runs for case in self.cases if case.requirements}
        self._fill()

    def measure(self, case: Case, python: str) -> Run:
        """Run a case once on the change that it needs, and see that it did what it should. Raises CaseError."""
        changed = case.arguments["changed"]
        name = case.function.partition(":")[2]
        peer = next((peer for peer in self._peers if case.name.startswith(peer)), "")
        if name == "reconcile":
            if self.pending or self.synced != changed:
                self._change(changed)
                self._do("sync", changed)
        elif self.pending != changed or case.name in self.used:
            self._change(changed)
        self.used.add(case.name)
        if case.name in self.waiting:
            self.waiting[case.name] -= 1
        if peer or name == "copy_gzip":
            arguments = self._arguments_of_others(peer, changed - changed // 100)
            run = self._measured(replace(case, arguments=arguments), python)
            self._check_peer(peer) if peer else self._check_file(run.rows)
            return run
        return self._do(name, changed, case, python)

    def _do(self, name: str, changed: int, case: Case | None = None, python: str = sys.executable) -> Run:
        """Do what a task of ours does, as a case or beside the cases. Raises CaseError."""
        arguments = {"store": self.stores.url("store_writer", DATABASE), "warehouse": self._warehouse, "bucket": BUCKET}
        if name == "reconcile":
            arguments["prefix"] = self._prefix()
        else:
            self._bucket.objects.all().delete()
            self.runs += 1
            arguments["run"] = f"run-{self.runs}"
            arguments["compare"] = case.arguments.get("compare", "touched") if case else "touched"
        case = case or Case(name, f"bench.sync_cases:{name}")
        run = self._measured(replace(case, arguments=arguments), python)
        if run.rows != changed:
            raise CaseError(f"{case.name} has dealt with {run.rows:,} rows and keys, not {changed:,}")
        if name == "sync":
            # Without checksums there is nothing to be reconciled by.
            self.pending, self.synced = 0, changed if arguments["compare"] == "touched" else -1
            self.check()
        return run

    def _arguments_of_others(self, peer: str, rows: int) -> dict[str, Any]:
        """Return the arguments of a peer's case, or of the limit's."""
        if not peer:
            store = self.stores.url("store_writer", DATABASE)
            return {"store": store, "query": self._query(), "path": str(self._file), "rows": rows}
        arguments = {"source": self._store, "view": VIEWS[peer], "table": f"bench_{peer}.line", "rows": rows}
        if peer == "dlt":
            login = {name: self._warehouse[name] for name in ("host", "port", "password", "database")}
            login["username"] = self._warehouse["user"]
            return {**arguments, "target": login, "since": self.since, "staging": f"s3://{BUCKET}/dlt"}
        arguments["target"] = self.platform.store_url(warehouse.USER, warehouse.DATABASE)
        return arguments | ({"since": self.since} if peer == "ingestr" else {})

    def _measured(self, case: Case, python: str) -> Run:
        endpoint = psutil.Process(self.platform.supervisor.statuses()["redshift"].pid)

        def served() -> float:
            times = endpoint.cpu_times()
            return self.stores.cpu_seconds() + times.user + times.system

        before = served()
        run = measure(case, python)
        return replace(run, server_cpu_seconds=served() - before)

    # --- what there is to sync ---------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Make a store of so many lines, and a warehouse that is equal to it."""
        lines = self._transactions * LINES
        console.print(f"[dim]Making {label(lines)} lines, and what they refer to[/dim]")
        begun = time.perf_counter()
        self.stores.create(DATABASE)
        with psycopg.connect(self._store) as connection:
            # The rows are right: to look their references up, one by one, would take the longest.
            connection.execute("set local session_replication_role = replica")
            for statement in _FILL:
                _run(connection, statement, {"transactions": self._transactions})
            for statement in _FOR_PEERS if self._peers else ():
                connection.execute(statement.encode())
        with psycopg.connect(self._store) as connection:
            rows = sum(_truth(connection, table, ["row_xid"])[0] for table in FILLED)
        self._settle()
        console.print(f"[dim]{time.perf_counter() - begun:.0f} s. Loading the warehouse for the first time[/dim]")
        begun = time.perf_counter()
        self._do("sync", rows)
        # All rows are compared once a day: here, and by none of the syncs that are measured.
        self._do("reconcile", rows)
        self._settle()
        console.print(f"[dim]{time.perf_counter() - begun:.0f} s[/dim]")

    def _change(self, changed: int) -> None:
        """Change so many rows in one transaction, other ones each time; what the warehouse has not had comes first."""
        if self.pending:
            self._do("sync", self.pending)
        if not changed:
            self._settle()
            return
        console.print(f"[dim]Changing {changed:,} rows[/dim]")
        if any(self.waiting.get(case.name) and case.arguments["changed"] == changed for case in self.cases):
            self._reset_peers()
        self.changes += 1
        inserts, deletes = changed * 9 // 100, changed // 100
        with psycopg.connect(self._store) as connection:
            for statement in _CHANGE:
                _run(
                    connection,
                    statement,
                    {
                        "change": self.changes,
                        "transactions": self._transactions,
                        "updates": changed - inserts - deletes,
                        "inserts": inserts,
                        "deletes": deletes,
                        "run": RUN_OF_TRANSACTIONS,
                        # Some lines are gone by earlier changes.
                        "runs": changed // (LINES * RUN_OF_TRANSACTIONS) * 5 // 4 + 2,
                    },
                )
        self.pending = changed
        self.used = set()
        self._settle()

    def _reset_peers(self) -> None:
        """Give each peer a table as ours is in the warehouse, equal to the store as it is now."""
        with psycopg.connect(self._store) as connection:
            ((self.since,),) = connection.execute("select pg_current_xact_id()::text::bigint").fetchall()
        with psycopg.connect(self._behind) as connection:
            connection.execute(sql.SQL("set role {}").format(sql.Identifier(warehouse.USER)))
            for peer in self._peers:
                names = {
                    "schema": sql.Identifier(f"bench_{peer}"),
                    "staging": sql.Identifier(f"bench_{peer}_staging"),  # dlt's own
                    "type": sql.SQL("timestamptz" if peer == "ingestr" else "bigint"),
                    "since": sql.SQL("to_timestamp({})" if peer == "ingestr" else "{}").format(self.since),
                }
                # As ours, whose key is noted alone. ingestr's statement needs one that is kept.
                key = ["create unique index on {schema}.line (transaction_id, line_no)"] if peer == "ingestr" else []
                for statement in (
                    "drop schema if exists {schema} cascade",
                    "drop schema if exists {staging} cascade",
                    "create schema {schema}",
                    "create table {schema}.line (like store.transaction_line including all)",
                    "alter table {schema}.line add column changed {type} default {since}",
                    "insert into {schema}.line select * from store.transaction_line",
                    "alter table {schema}.line alter column changed drop default",
                    *key,
                ):
                    connection.execute(sql.SQL(statement).format(**names))

    def _settle(self) -> None:
        """Leave nothing to be done that a measure would feel: statistics, hints, dirty pages."""
        with psycopg.connect(self._behind, autocommit=True) as connection:
            connection.execute("vacuum (analyze)")
        self.stores.settle(DATABASE)

    def _query(self) -> str:
        """Return the query of the changed rows in one line, as psql's commands are."""
        with psycopg.connect(self._behind) as connection:
            ((snapshot,),) = connection.execute(
                "select store_snapshot from ops.sync_state where table_name = %s", [TABLE]
            ).fetchall()
        with psycopg.connect(self._store) as connection:
            query = statements.changed_rows(read_tables(connection)[TABLE], snapshot)
            return " ".join(query.as_string(connection).split())

    def _prefix(self) -> str:
        """Return where the files of the last sync lie."""
        with psycopg.connect(self._behind) as connection:
            ((token,),) = connection.execute(
                "select token from ops.sync_state where table_name = %s", [TABLE]
            ).fetchall()
        return f"{PREFIX}run-{self.runs}/{token}/"

    # --- what must be there ------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Compare all tables that have rows, by counts and checksums. Raises CaseError."""
        with psycopg.connect(self._store) as store, psycopg.connect(self._behind) as behind:
            for table in FILLED:
                columns = _columns(behind, table)
                right, found = (_truth(side, table, columns) for side in (store, behind))
                if right != found:
                    raise CaseError(f"{table}: the store has (rows, checksum) {right}, the warehouse {found}")

    def _check_peer(self, peer: str) -> None:
        """Compare a peer's table with the store and what was deleted there. Raises CaseError."""
        with psycopg.connect(self._store) as store, psycopg.connect(self._behind) as behind:
            columns = _columns(behind, TABLE)
            parts = [_truth(store, table, columns) for table in (TABLE, "bench.deleted")]
            right = tuple(map(sum, zip(*parts, strict=True)))
            found = _truth(behind, f"bench_{peer}.line", columns)
        if right != found:
            raise CaseError(f"{peer}: (rows, checksum) should be {right}, and are {found}")

    def _check_file(self, rows: int) -> None:
        """Count the rows of the limit's file. Raises CaseError."""
        with gzip.open(self._file) as file:
            found = sum(1 for _ in file)
        if found != rows:
            raise CaseError(f"{self._file.name} has {found:,} rows, not {rows:,}")


def _run(connection: psycopg.Connection[Any], statement: str, values: dict[str, int]) -> None:
    """Run a statement with values put into it as numbers: as parameters they would have no certain type."""
    literals = {name: str(value) for name, value in values.items()}
    connection.execute((statement % literals).encode())


def _columns(warehouse_: psycopg.Connection[Any], table: str) -> list[str]:
    schema, _, name = table.partition(".")
    found = warehouse_.execute(
        "select column_name from information_schema.columns where table_schema = %s and table_name = %s"
        " order by ordinal_position",
        [schema, name],
    )
    return [column for (column,) in found]


def _truth(connection: psycopg.Connection[Any], table: str, columns: Sequence[str]) -> tuple[int, int]:
    """Return the number of a table's rows, and the sum of their hashes."""
    ((rows, checksum),) = connection.execute(
        sql.SQL("select count(*), coalesce(sum(hashtextextended(row({})::text, 0)::numeric), 0) from {}").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(*table.split("."))
        )
    ).fetchall()
    return rows, checksum
