"""The whole platform, with Airflow: its parts are killed under a load, and nothing is lost or there twice afterwards.

Each test holds a load still by a lock that the load needs, kills, calls `up`, and waits until the file has arrived.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from local import cli, emulator, postgres
from local.airflow import FINISHED, PARTS
from local.errors import LocalError
from local.layout import Layout
from local.platform import Platform
from local.supervisor import PartDownError, leftovers, wait_until
from tests.conftest import worker_ports

PORTS = worker_ports(postgres=21432, emulator=21566, redshift=21439, airflow=21080)
ROWS, WRONG = 400, 4
LINES = 10  # all of them name a game that nobody knows
# What a busy machine may need; nothing here waits this long when it is well.
ARRIVAL_SECONDS = 240
# The lock that a load of transactions takes when its rows are staged (marketplace.ingest.load.lock).
LOCK = "hashtext('ingest'), hashtext('store.transaction')"

# Whatever is in the store of the transactions with one prefix, but for what tells one file's rows from another's.
LOADED = """
select substr(t.transaction_id, length(%(prefix)s) + 1), t.type, t.occurred_at, t.currency, t.reported_total, c.ref
from store.transaction as t
left join store.customer as c using (customer_id)
where starts_with(t.transaction_id, %(prefix)s)
order by 1
"""
REJECTED = """
select r.line_no, r.reason, replace(r.raw, %(prefix)s, '')
from ops.rejected_row as r
inner join ops.load as l using (load_id)
where l.object_key = %(key)s
order by 1
"""
LEDGER = """
select object_key, status, read, accepted, rejected, held
from ops.load
where kind = 'file' and starts_with(split_part(object_key, '/', 3), %(prefix)s)
order by 1
"""


class Bench:
    """A platform under test, and what is asked of it."""

    def __init__(self, platform: Platform, said: list[str]) -> None:
        self.platform = platform
        self.said = said

    @property
    def s3(self) -> Any:
        """Return a client of the emulator's S3."""
        return emulator.client("s3", self.platform.endpoint)

    def put(self, prefix: str) -> None:
        """Put a file of transactions and one of their lines, whose ids and names begin with `prefix`."""
        transactions = ["transaction_id,txn_type,txn_ts,currency,total_amount,customer_ref"]
        transactions += [
            f"{prefix}{n},{'wrong' if n < WRONG else 'sale'},2025-01-{n % 28 + 1:02d},EUR,{n}.50,CUST-{n:05d}"
            for n in range(ROWS)
        ]
        lines = [
            "transaction_id,line_no,game_ref,publisher_ref,region,platform,gross_amount,platform_fee,net_amount",
            *(f"{prefix}{n},1,Nobody's Game,Nobody,EU,PC,10,3,7" for n in range(WRONG, WRONG + LINES)),
        ]
        for dataset, rows in {"transaction": transactions, "transaction_detail": lines}.items():
            body = "\n".join([*rows, ""]).encode()
            key = f"landing/{dataset}/{prefix}.csv"
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    @property
    def bucket(self) -> str:
        """Return the landing bucket's name."""
        return self.platform.state.outputs["LandingBucket"]

    def query(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the store."""
        with psycopg.connect(self.platform.store_url(), connect_timeout=5) as connection:
            return connection.execute(statement, parameters).fetchall()

    def keys(self, prefix: str) -> list[str]:
        """Return where the versions of the files with this name lie, without the load's number: each version once."""
        listing = self.s3.list_object_versions(Bucket=self.bucket).get("Versions", [])
        keys = [re.sub(r"/\d{4}/\d\d/\d\d/\d+-", "/", entry["Key"]) for entry in listing]
        return sorted(key for key in keys if key.endswith(f"/{prefix}.csv"))

    @contextlib.contextmanager
    def held_still(self, prefix: str) -> Iterator[Callable[[], None]]:
        """Put the files of `prefix` and hold both loads in the middle of their transactions, until released."""
        holder = psycopg.connect(self.platform.store_url(), autocommit=True)
        holder.execute(f"select pg_advisory_lock({LOCK})")
        try:
            self.put(prefix)
            waiting = "select 1 from pg_locks where locktype = 'advisory' and not granted"
            wait_until(
                lambda: len(self.query(waiting)) >= 2, ARRIVAL_SECONDS, lambda: f"the loads do not begin: {self.said}"
            )
            yield holder.close
        finally:
            holder.close()

    def wait_for_arrival(self, prefix: str, heals: int = 0) -> None:
        """Wait until both files are in the ledger and have left landing/; call `up` at most `heals` times meanwhile."""
        left = heals

        def arrived() -> bool:
            nonlocal left
            try:
                self.platform.require_running()
            except PartDownError:
                if not left:
                    raise
                left -= 1
                self.platform.up()
            done = [status for _, status, *_ in self.query(LEDGER, prefix=prefix)]
            return done == ["done", "done"] and not [k for k in self.keys(prefix) if k.startswith("landing/")]

        wait_until(arrived, ARRIVAL_SECONDS, lambda: f"{self.query(LEDGER, prefix=prefix)}, {self.keys(prefix)}")

    def account(self, prefix: str) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that became of the files of `prefix`, in words that are the same for every prefix."""
        key = f"landing/transaction/{prefix}.csv"
        return {
            "store": self.query(LOADED, prefix=prefix),
            "rejected": self.query(REJECTED, prefix=prefix, key=key),
            "held": self.query(
                "select h.line_no, replace(h.raw, %(prefix)s, '') from ops.held_row as h"
                " inner join ops.load as l using (load_id) where l.object_key = %(key)s and h.retried_load_id is null"
                " order by 1",
                prefix=prefix, key=f"landing/transaction_detail/{prefix}.csv",
            ),
            "ledger": [(key.replace(prefix, ""), *rest) for key, *rest in self.query(LEDGER, prefix=prefix)],
            "objects": [(key.replace(prefix, ""),) for key in self.keys(prefix)],
        }  # fmt: skip

    def kill(self, part: str) -> None:
        """Kill a part the hard way, and wait until the supervisor has noticed."""
        os.kill(self.platform.statuses()[part].pid, signal.SIGKILL)
        wait_until(lambda: self.platform.statuses()[part].crashed, 30, lambda: f"{part} is still thought to run")

    def pause(self) -> None:
        """Pause the ingestion, when what runs of it has ended."""
        wait_until(
            lambda: all(run["state"] in FINISHED for run in self.platform.api.runs("ingest_files")),
            ARRIVAL_SECONDS,
            lambda: str(self.platform.api.runs("ingest_files")),
        )
        self.platform.api.request("PATCH", "/api/v2/dags/ingest_files?update_mask=is_paused", {"is_paused": True})

    def unpause(self) -> None:
        """Unpause the ingestion, and wait until its watchers are those of a DAG that is not paused.

        Airflow takes the triggers of a paused DAG's assets away when it next parses its file, and gives them back when
        it first parses it after that. A message that comes in between goes to a trigger that is about to end.
        """
        unpaused = datetime.now(UTC)
        self.platform.api.unpause("ingest_files")
        wait_until(
            lambda: datetime.fromisoformat(self.platform.api.dag("ingest_files")["last_parsed_time"]) > unpaused,
            ARRIVAL_SECONDS,
            lambda: f"ingest_files was not parsed again: {self.said}",
        )

    def wait_until_well(self) -> None:
        """Wait until every part says that it is healthy: a busy machine may keep one from answering in time."""
        well = dict.fromkeys([*PARTS, "emulator", "postgres", "redshift"], "healthy")
        wait_until(lambda: self.platform.health() == well, 60, lambda: str(self.platform.health()))

    def assert_nothing_is_lost(
        self, prefix: str, undisturbed: dict[str, list[tuple[Any, ...]]], heals: int = 0
    ) -> None:
        """Wait for the files of `prefix`, and compare all that became of them with the undisturbed load."""
        self.wait_for_arrival(prefix, heals)
        assert self.account(prefix) == undisturbed
        assert self.query("select object_key from ops.load where read <> accepted + rejected + held") == []


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """A platform with Airflow, whose database keeps what was committed, as that of `make up` does."""
    directory = Path(tempfile.mkdtemp(prefix="marketplace-test-")).resolve()
    directory.chmod(0o711)  # PostgreSQL may run as another user
    said: list[str] = []
    platform = Platform(Layout(directory / "state"), preferred_ports=PORTS, say=said.append)
    try:
        platform.up()
        yield Bench(platform, said)
    finally:
        platform.down()
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> dict[str, list[tuple[Any, ...]]]:
    """What becomes of the files when nothing happens to them."""
    bench.put("calm-")
    bench.wait_for_arrival("calm-")
    account = bench.account("calm-")
    assert [len(rows) for rows in account.values()] == [ROWS - WRONG, WRONG, LINES, 2, 2]
    assert account["ledger"] == [
        ("landing/transaction/.csv", "done", ROWS, ROWS - WRONG, WRONG, 0),
        ("landing/transaction_detail/.csv", "done", LINES, 0, 0, LINES),
    ]
    assert account["objects"] == [("archive/transaction/.csv",), ("archive/transaction_detail/.csv",)]
    return account


@pytest.fixture(autouse=True)
def well(bench: Bench) -> None:
    """Begin each test with a platform that is well, whatever the one before has left, and has said nothing yet."""
    bench.platform.up()
    bench.wait_until_well()
    bench.said.clear()


def test_the_emulator_killed_with_files_in_it_and_under_a_load(bench: Bench, undisturbed: dict[str, Any]) -> None:
    bench.pause()
    bench.put("waiting-")
    bench.kill("emulator")
    with pytest.raises(LocalError, match="emulator is down"):
        bench.platform.require_running()
    bench.platform.up()
    assert bench.keys("waiting-") == [
        "landing/transaction/waiting-.csv",
        "landing/transaction_detail/waiting-.csv",
    ]
    bench.unpause()
    # The messages are lost; the next file's wakes the run that finds all.
    bench.put("later-")
    bench.assert_nothing_is_lost("later-", undisturbed)
    bench.assert_nothing_is_lost("waiting-", undisturbed)

    with bench.held_still("emulator-") as release:
        bench.kill("emulator")
        release()
        # The load ends without the emulator, but its object cannot be moved.
        wait_until(
            lambda: [row[1] for row in bench.query(LEDGER, prefix="emulator-")] == ["done", "done"],
            ARRIVAL_SECONDS,
            lambda: str(bench.query(LEDGER, prefix="emulator-")),
        )
    bench.platform.up()

    bench.wait_until_well()
    bench.assert_nothing_is_lost("emulator-", undisturbed)


def test_the_scheduler_killed_under_a_load(bench: Bench, undisturbed: dict[str, Any]) -> None:
    with bench.held_still("scheduler-"):
        bench.kill("airflow-scheduler")

        bench.platform.up()

        assert any(re.fullmatch(r"Ending \d+ processes that a killed part left", line) for line in bench.said)
        assert any(line.startswith("airflow-scheduler was down.") for line in bench.said)
    bench.wait_until_well()
    bench.assert_nothing_is_lost("scheduler-", undisturbed)


def test_a_part_that_hangs_is_started_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.platform.HANG_SECONDS", 0.0)
    former = bench.platform.statuses()["airflow-api-server"].pid
    os.kill(former, signal.SIGSTOP)

    bench.platform.up()

    assert "airflow-api-server hangs: starting it anew" in bench.said
    assert bench.platform.statuses()["airflow-api-server"].pid != former
    bench.wait_until_well()


@pytest.mark.full
def test_everything_killed_at_once_under_a_load(
    bench: Bench, undisturbed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with bench.held_still("all-"):
        for process in leftovers(bench.platform.layout):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        wait_until(lambda: not leftovers(bench.platform.layout), 30, lambda: "some of it still runs")
    assert cli.status(bench.platform) == 1
    assert "The platform is not running: make up" in capsys.readouterr().out

    bench.platform.up()

    bench.wait_until_well()
    bench.assert_nothing_is_lost("all-", undisturbed)


def test_postgres_killed_under_a_load(
    bench: Bench, undisturbed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with bench.held_still("pg-"):
        bench.kill("postgres")
    assert cli.status(bench.platform) == 1
    printed = capsys.readouterr().out
    assert "postgres went down. The last lines of " in printed
    assert "`make up` starts what is down." in printed
    assert printed.count("went down") == 1  # what ended because of it is no news

    bench.platform.up()

    assert "Airflow lost its database: ending what is left of it" in bench.said
    bench.wait_until_well()
    bench.assert_nothing_is_lost("pg-", undisturbed)


@pytest.mark.full
def test_a_backend_killed_under_a_load(bench: Bench, undisturbed: dict[str, Any]) -> None:
    # The server ends all its sessions by that and recovers by itself; some parts of Airflow end sooner or later.
    with bench.held_still("backend-"), postgres.connect(bench.platform.state) as superuser:
        ((pid,),) = superuser.execute("select min(pid) from pg_locks where locktype = 'advisory' and not granted")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not _answers(superuser), 30, lambda: "the server did not notice")

    bench.platform.up()

    bench.wait_until_well()
    # A part that met the server in recovery may end only after that: then it is for one more `up`.
    bench.assert_nothing_is_lost("backend-", undisturbed, heals=len(PARTS))


def _answers(connection: psycopg.Connection[Any]) -> bool:
    try:
        return bool(connection.execute("select 1").fetchone())
    except psycopg.OperationalError:
        return False
