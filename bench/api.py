"""The two APIs in this process, from the gateway's event to the answer, beside the bare queries that each needs.

sums, inbox              what Mangum and the app make of the event of an HTTP API: token, parameters, query, JSON
cold                     a new process that has the package for Lambda and nothing else: imports, and its first answer
sums_bare, inbox_bare    the same queries alone, by the same driver: one of the store; two of the table (texts, marks)

Sums are of a box of about 50 cells, by day, of a month of the groups of geo.activity; an inbox is a page of 20. One
request after another, as in a function's instance. So seconds by requests say requests a second, and the phases are
milliseconds: half of the requests, and all but a hundredth, took no longer. What the app adds is told in pairs: before
each request its bare query is asked, and half of the differences are no larger. So a database that is slower for a
minute, as the emulator of a table of a million is, slows both.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Any
from urllib.parse import urlencode

import boto3
import jwt
import psycopg
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from mangum import Mangum

from bench.case import Case, Measure, Run, peak_mb
from bench.ingest_store import temporary_platform
from infra import packages
from local import aws, issuer, ports, postgres
from local.platform import Platform
from marketplace import store
from marketplace.api import aggregates
from marketplace.api.app import create_app
from marketplace.api.config import Config
from marketplace.api.inbox import FIRST_DAY, LAST_DAY, Inbox

MILLION = 1_000_000
REQUESTS = 1000
DATABASE = "bench_api"
CUSTOMERS = 2000
# What a new instance of the function does, without Lambda's own work of getting there.
COLD = """
import json, sys, time
started = time.perf_counter()
sys.path.insert(0, sys.argv[1])
from marketplace.api.handler import handler
imported = time.perf_counter()
answer = handler(json.load(sys.stdin), None)
print(json.dumps([answer["statusCode"], imported - started, time.perf_counter() - imported, time.process_time()]))
"""
ADDED = "p50 over the bare query, ms"
QUERY = {"from": "2025-01-01", "to": "2025-01-31", "bbox": "8,48,9,49", "group_by": "day"}
CELLS = """
insert into geo.cell (cell_id, boundary)
select i * 10000 + j, geo.cell_boundary(i * 10000 + j)
from generate_series(2010, 2089) as i cross join generate_series(2300, 2349) as j
"""
ACTIVITY = """
insert into geo.activity
(cell_id, day, game_id, platform, sessions, timed_sessions, seconds, player_ids, player_sessions)
select c.cell_id, date '2025-01-01' + n %% 125, 'G' || n / 125, 'PC', 2, 1, 60, array[1, 2], array[1, 1]
from geo.cell as c cross join generate_series(0, %s / 4000 - 1) as n
"""


def cases(sizes: Sequence[int]) -> list[Case]:
    """Return the cases: of so many aggregates, and so many notifications."""
    names = ("sums", "sums_bare", "inbox", "inbox_bare", "cold")
    return [
        Case(name if rows == MILLION else f"{name}_{rows}", name, {"rows": rows}) for rows in sizes for name in names
    ]


CASES = cases((MILLION,))


def ratios(measured: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return what the app adds to the bare queries, in milliseconds."""
    return {
        f"overhead of {name}, p50 of pairs, ms": round(case["phases"][ADDED], 3)
        for name, case in measured.items()
        if ADDED in case["phases"]
    }


@contextmanager
def measuring(chosen: Sequence[Case]) -> Iterator[Measure]:
    """Start a platform, fill its store and its table, and yield what measures a case; all of it goes afterwards."""
    (rows,) = {case.arguments["rows"] for case in chosen}
    with temporary_platform() as (platform, _directory), aws.environment(platform.public_environment()):
        _fill_store(platform, rows)
        if any(case.function.startswith("inbox") for case in chosen):
            _fill_table(platform.state.outputs["NotificationTable"], rows)
        with tempfile.TemporaryDirectory(prefix="marketplace-bench-") as package:
            with zipfile.ZipFile(packages.build("local")) as zipped:
                zipped.extractall(package)
            yield Bench(platform, package).measure


def _fill_store(platform: Platform, rows: int) -> None:
    import sqlalchemy

    with postgres.connect(platform.state) as superuser:
        postgres.create_database(superuser, DATABASE, "store_owner")
    postgres.prepare_store(platform.state, DATABASE)
    url = postgres.url(platform.state, "store_owner", DATABASE, "postgresql+psycopg")
    with sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).connect() as engine:
        store.migrate(engine)
    with psycopg.connect(platform.store_url("store_owner", DATABASE), autocommit=True) as owner:
        owner.execute(CELLS)
        owner.execute(ACTIVITY, (rows,))
        owner.execute("vacuum analyze geo.cell")
        owner.execute("vacuum analyze geo.activity")


def _fill_table(table: str, rows: int) -> None:
    dynamodb = boto3.client("dynamodb")
    expires = {"N": str(int(time.time()) + 86_400)}

    def fill(customer: int) -> None:
        texts = {name: {"S": name} for name in ("topic", "locale", "subject", "body", "stored_at")}
        items = [
            {"customer_id": {"S": f"CUST-{customer:04}"}, "item": {"S": f"{day}#R{n}"}, "day": {"S": day},
             "rule_id": {"S": f"R{n}"}, "expires_at": expires, **texts}
            for n in range(rows // CUSTOMERS)
            for day in [date.fromordinal(739_000 + n).isoformat()]
        ]  # fmt: skip
        for start in range(0, len(items), 25):
            batch = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
            dynamodb.batch_write_item(RequestItems={table: batch})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, range(CUSTOMERS)))


@dataclass
class Bench:
    """Asks in this process, where the app is as it is on Lambda."""

    platform: Platform
    package: str

    def __post_init__(self) -> None:
        """Make the app and a token for it."""
        state = self.platform.state
        key = rsa.generate_private_key(65537, 2048)
        self._config = Config(
            store_host=ports.HOST,
            store_port=state.ports["postgres"],
            store_database=DATABASE,
            store_password=state.passwords["store_reader"],
            notification_table=state.outputs["NotificationTable"],
            issuer="bench",
            audiences=frozenset({issuer.AUDIENCE}),
            token_keys={"bench": key.public_key()},
            scope_prefix="",
            customer_claim="customer",
            cursor_key=b"k" * 32,
        )
        claims = {"iss": "bench", "aud": issuer.AUDIENCE, "exp": time.time() + 36_000, "customer": "CUST-0001"}
        claims["scope"] = " ".join(issuer.SCOPES)
        self._token = jwt.encode(claims, key, "RS256", {"kid": "bench"})
        self._handler = Mangum(create_app(self._config), lifespan="off")

    def measure(self, case: Case, _python: str) -> Run:
        """Ask so many times, after some that do not count; before each request its bare query, if it is not that."""
        if case.function == "cold":
            return self._cold()
        asked, _, only = case.function.partition("_")
        bare = {"sums": self._sums, "inbox": self._inbox}[asked]()
        path, query = {"sums": ("/aggregated-data", urlencode(QUERY)), "inbox": ("/notifications", "")}[asked]
        for _ in range(50):
            bare()
            self._request(path, query)
        took, cpu, added = [], 0.0, []
        for _ in range(REQUESTS):
            bare_s, bare_cpu_s = _timed(bare)
            if only:
                took.append(bare_s)
                cpu += bare_cpu_s
            else:
                whole_s, whole_cpu_s = _timed(lambda: self._request(path, query))
                took.append(whole_s)
                cpu += whole_cpu_s
                added.append(whole_s - bare_s)
        ordered = sorted(1000 * seconds for seconds in took)
        phases = {"p50, ms": ordered[REQUESTS // 2], "p99, ms": ordered[REQUESTS * 99 // 100]}
        if added:
            phases[ADDED] = 1000 * median(added)
        return Run(REQUESTS, sum(took), cpu, peak_mb("self"), phases=phases)

    def _cold(self) -> Run:
        config = self._config
        keys = [json.loads(RSAAlgorithm.to_jwk(key)) | {"kid": kid} for kid, key in config.token_keys.items()]
        settings = {
            "STORE_HOST": config.store_host, "STORE_PORT": str(config.store_port),
            "STORE_DATABASE": config.store_database, "STORE_PASSWORD": config.store_password,
            "NOTIFICATION_TABLE": config.notification_table, "API_ISSUER": config.issuer,
            "API_AUDIENCES": ",".join(config.audiences), "API_TOKEN_KEYS": json.dumps({"keys": keys}),
            "API_CUSTOMER_CLAIM": config.customer_claim, "API_CURSOR_KEY": config.cursor_key.decode(),
        }  # fmt: skip
        environment = {f"MARKETPLACE_{name}": value for name, value in settings.items()}
        event = json.dumps(self._event("/aggregated-data", urlencode(QUERY)))
        command = [str(packages.EMULATOR), "-I", "-S", "-c", COLD, self.package]
        done = subprocess.run(
            command, input=event, env=os.environ | environment, capture_output=True, text=True, check=True
        )
        status, imports_s, answer_s, cpu_s = json.loads(done.stdout)
        if status != 200:
            raise RuntimeError(done.stderr)
        phases = {"imports, ms": 1000 * imports_s, "first answer, ms": 1000 * answer_s}
        return Run(1, imports_s + answer_s, cpu_s, 0.0, phases=phases)

    def _event(self, path: str, query: str) -> dict[str, Any]:
        return {
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
            "headers": {"host": "bench", "authorization": f"Bearer {self._token}"}, "isBase64Encoded": False,
            "requestContext": {"http": {"method": "GET", "path": path, "sourceIp": ports.HOST, "protocol": "HTTP/1.1"}},
        }  # fmt: skip

    def _request(self, path: str, query: str) -> None:
        answer = self._handler(self._event(path, query), None)  # type: ignore[arg-type]
        if answer["statusCode"] != 200 or not any(json.loads(answer["body"]).values()):
            raise RuntimeError(f"{path}: {answer}")

    def _sums(self) -> Callable[[], object]:
        connection = psycopg.connect(self.platform.store_url("store_reader", DATABASE), autocommit=True)
        connection.execute("set plan_cache_mode = force_custom_plan")
        asked = aggregates.Asked.model_validate(QUERY)
        source = aggregates._source(connection, asked)
        statement = store.query("api/sums.sql", key=aggregates.KEYS["day"], activity=source.activity)
        parameters = {
            "first_day": asked.first_day, "last_day": asked.last_day, "platform": None, "games": None, "after": None,
            "goes_on": False, "rows": 101, **source.parameters,
        }  # fmt: skip
        return lambda: connection.execute(statement, parameters).fetchall()

    def _inbox(self) -> Callable[[], object]:
        """Return what asks as the app does for a page: word by word the requests that it makes."""
        table = self.platform.state.outputs["NotificationTable"]
        inbox, requests = Inbox(table), []
        events = inbox._client.meta.events
        events.register("provide-client-params.dynamodb.Query", lambda params, **_: requests.append(params))
        inbox.page("CUST-0001", FIRST_DAY, LAST_DAY, unread=False, rows=20, after=None)
        client = boto3.client("dynamodb")
        return lambda: [client.query(**request) for request in requests]


def _timed(ask: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds by the clock and of this process's CPU that it took."""
    started, cpu = time.perf_counter(), time.process_time()
    ask()
    return time.perf_counter() - started, time.process_time() - cpu
