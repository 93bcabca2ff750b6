"""The part of `make doctor` that needs the installation: ports, left processes, and the platform when it runs."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import psycopg

from local import airflow, aws, emulator, ports, postgres, warehouse
from local.doctor import Check, Finding, examine, ok, warning, wrong
from local.errors import LocalError
from local.layout import REPO
from local.platform import LEFT_PAUSED, PORTS, Platform
from local.supervisor import DOWN, orphans

LATE_SECONDS = 15 * 60  # ingest_files looks every 15 minutes


def checks(platform: Platform) -> dict[str, dict[str, Check]]:
    """Return the checks by group and name."""
    return {
        "Ports": {"ports": partial(used_ports, platform), "turn": partial(turn, ports.TURN)},
        "Processes": {
            "processes": partial(processes, platform),
            "lock": partial(at_work, platform.layout.state / "lock"),
        },
        "Platform": running(platform),
    }


def holder(port: int) -> str:
    """Return who listens on a port, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass  # on macOS only root may ask; or it has just ended
    return "another process"


def used_ports(platform: Platform) -> Iterator[Finding]:
    """Look at the remembered or preferred ports. That one is taken is no fault: another will be used."""
    statuses = platform.statuses()
    for part, name in PORTS.items():
        port = platform.state.ports.get(name) or ports.PREFERRED[name]
        status = statuses.get(part)
        runs = status is not None and status.state not in DOWN
        if status and runs and ports.listens(status.pid, port):
            yield ok(f"port {port}: {part} of this platform")
        elif ports.is_free(port):
            yield ok(f"port {port} is free for {part}")
        elif runs:
            yield wrong(f"port {port} of {part} belongs to {holder(port)}", "make up")
        else:
            yield ok(f"port {port} is taken by {holder(port)}: {part} will listen on the next free one")


def turn(port: int) -> Iterator[Finding]:
    """Look at the port by which platforms that start take turns."""
    if ports.is_free(port):
        return
    with socket.socket() as probe:
        probe.settimeout(1)
        listens = probe.connect_ex((ports.HOST, port)) == 0
    if listens:  # who has the turn does not listen
        text = f"port {port}, by which platforms that start take turns, belongs to {holder(port)}"
        yield warning(text, f"end it, or `make up` waits for {ports.TURN_SECONDS} s each time")
    else:
        yield ok("another platform on this machine is starting")


def processes(platform: Platform) -> Iterator[Finding]:
    """Look for processes of this platform that no supervisor looks after."""
    # Looked for twice: what ends between listing all and listing the supervisor's own, as a session does, is none.
    twice = orphans(platform.layout) & orphans(platform.layout)
    left = sorted(twice, key=lambda process: process.pid)
    if left:
        names = ", ".join(f"{process.pid} {process.name()}" for process in left[:5])
        count = "1 process" if len(left) == 1 else f"{len(left)} processes"
        text = f"left by a killed part or supervisor: {count} ({names}{', …' if len(left) > 5 else ''})"
        yield wrong(text, "make up ends them and starts anew; make down only ends them")
    else:
        yield ok("no process was left by a killed part")


def at_work(lock: Path) -> Iterator[Finding]:
    """Look for a make that starts or stops this platform at the moment."""
    locks = Path("/proc/locks")
    if not lock.exists() or not locks.exists():
        return
    pid = lock.read_text().strip()
    if any("FLOCK" in line and pid in line.split() for line in locks.read_text().splitlines()):
        text = f"another make starts or stops the platform (process {pid})"
        yield warning(text, "wait until it has ended, then look again")


# The platform when it runs


def running(platform: Platform) -> dict[str, Check]:
    """Return the checks of the running platform: of what is down, only that."""
    health: dict[str, str] = {}
    first = examine("parts", partial(parts, platform, health))
    found: dict[str, Check] = {"parts": lambda: first}
    has_database = health.get("postgres") == "healthy"
    has_resources = health.get("emulator") == "healthy"
    if has_database:
        found["store"] = partial(store, platform)
    if health.get("redshift") == "healthy":
        found["warehouse"] = partial(warehouse_schema, platform)
    if has_resources:
        found["stacks"] = partial(stacks, platform)
        found["queue"] = partial(dead_letters, platform)
        found["files"] = partial(waiting, platform, time.time())
    if has_database and has_resources:
        for name, (_role, _database, part) in emulator.CONNECTIONS.items():
            if health.get(part) == "healthy":
                found[f"connection {name}"] = partial(connection, platform, name)
    if health.get("airflow-api-server") == "healthy":
        found["DAGs"] = partial(dags, platform.api)
    return found


def parts(platform: Platform, health: dict[str, str]) -> Iterator[Finding]:
    """Look at the health of each part, and put it into `health`."""
    if not platform.statuses():
        yield ok("the platform is down: `make up` starts it")
        return
    health.update(platform.health())
    for part, word in health.items():
        if word == "healthy":
            yield ok(f"{part} is healthy")
        elif word == "starting":
            yield warning(f"{part} is starting", "look again in half a minute")
        else:
            yield wrong(f"{part}: {word}", f"make up; its log: make logs PART={part}")


def stacks(platform: Platform) -> Iterator[Finding]:
    """Look whether what is deployed was made from the present templates."""
    if platform.stacks_digest() == platform.state.stacks_digest:
        yield ok("the stacks are those of the present templates")
    else:
        yield warning("the templates have changed since they were deployed", "make up")


def connection(platform: Platform, name: str) -> Iterator[Finding]:
    """Open a session by the connection `name` as Airflow reads it from Secrets Manager."""
    state = platform.state
    role, expected, part = emulator.CONNECTIONS[name]
    secrets = emulator.client("secretsmanager", platform.endpoint)
    secret = f"{state.outputs['ConnectionsPrefix']}/{name}"
    # The next `make up` deploys the stacks anew, around the objects.
    anew = f"make down && rm -r '{platform.layout.emulator / 'services'}' && make up"
    try:
        said = json.loads(secrets.get_secret_value(SecretId=secret)["SecretString"])
        aws.require_loopback(f"//{said['host']}")
        address = {key: said[key] for key in ("host", "port", "password")}
    except (ValueError, LookupError, LocalError) as error:
        yield wrong(f"connection {name}: secret {secret} is no address on this machine ({type(error).__name__})", anew)
        return
    except secrets.exceptions.ClientError as error:
        yield wrong(f"connection {name}: {error}", "make up")
        return
    as_made = said["password"] == state.passwords[role] and said["port"] == state.ports[part]
    try:
        with psycopg.connect(
            **address, user=said["login"], dbname=said["schema"], connect_timeout=5, autocommit=True
        ) as session:
            user, database = session.execute("select current_user, current_database()").fetchone() or ("", "")
    except psycopg.OperationalError as error:
        reason = str(error).splitlines()[0].rpartition("FATAL:")[2].strip()
        yield wrong(f"connection {name}: {reason}", "make up" if as_made else anew)
        return
    if (user, database) == (role, expected):
        yield ok(f"connection {name} opens {database} as {user}")
    else:
        yield wrong(f"connection {name} opens {database} as {user}", anew)


def store(platform: Platform) -> Iterator[Finding]:
    """Look at the store's schema and at the ledger."""
    with postgres.connect(platform.state, "store") as session:
        table = session.execute("select to_regclass('public.alembic_version')").fetchone()
        row = session.execute("select version_num from public.alembic_version").fetchone() if table != (None,) else None
        revision = row[0] if row else "none"
        if not postgres.at_head(platform.state):
            known = (REPO / "include" / "sql" / "store" / "migrations" / "versions").glob(f"{revision}_*.py")
            if revision != "none" and not any(known):
                text = f"the store is at migration {revision}, which this clone does not have"
                yield wrong(text, "check out the commit that has it, or begin anew: make reset, then make up")
            else:
                yield wrong(f"the store lacks migrations: it is at {revision}", "make up")
            return
        yield ok(f"the store has all migrations: it is at {revision}")
        failed = session.execute("select count(*) from ops.load where status = 'failed'").fetchone()
    if failed and failed[0]:
        text = f"files that could not be loaded in six attempts: {failed[0]}"
        yield warning(text, "docs/runbooks/ingestion.md, A file does not show in the store")


def warehouse_schema(platform: Platform) -> Iterator[Finding]:
    """Look at the warehouse's schema."""
    if warehouse.at_head(platform.state):
        yield ok("the warehouse has all migrations")
    else:
        yield wrong("the warehouse lacks migrations", "make up")


def waiting(platform: Platform, now: float) -> Iterator[Finding]:
    """Look for files that wait in landing/ for longer than a run of ingest_files takes to come."""
    from marketplace.ingest import objects

    s3 = emulator.client("s3", platform.endpoint)
    late = [
        landed
        for landed in objects.list_landed(s3, platform.state.outputs["LandingBucket"])
        if landed.put_at.timestamp() < now - LATE_SECONDS
    ]
    if late:
        minutes = (now - late[0].put_at.timestamp()) / 60
        count = "1 file waits" if len(late) == 1 else f"{len(late)} files wait"
        text = f"{count} in landing/ for more than 15 minutes; {late[0].object_key} for {minutes:.0f}"
        yield warning(text, "the runs of ingest_files in the UI; docs/runbooks/ingestion.md")
    else:
        yield ok("no file waits in landing/ for more than 15 minutes")


def dead_letters(platform: Platform) -> Iterator[Finding]:
    """Look whether the dead-letter queues are empty."""
    sqs = emulator.client("sqs", platform.endpoint)
    name = "ApproximateNumberOfMessages"
    found = False
    for output, what, fix in (
        ("LandingDeadLetterQueueUrl", "the dead-letter queue",
         "docs/runbooks/ingestion.md, Messages pile up in the dead-letter queue"),
        ("NotificationDeadLetterQueueUrl", "the notifications' dead-letter queue",
         "the DAG redrive_notifications shows why; docs/runbooks/notifications.md"),
    ):  # fmt: skip
        answer = sqs.get_queue_attributes(QueueUrl=platform.state.outputs[output], AttributeNames=[name])
        count = int(answer["Attributes"][name])
        if count:
            found = True
            yield warning(f"messages in {what}: {count}", fix)
    if not found:
        yield ok("the dead-letter queues are empty")


def dags(api: airflow.Api) -> Iterator[Finding]:
    """Look for DAG files that cannot be read, and for DAGs that ought to run and are paused."""
    errors = api.import_errors()
    for file, trace in errors.items():
        yield wrong(
            f"{file} cannot be imported: {trace.strip().splitlines()[-1]}", "mend the file; the UI shows all of it"
        )
    found = api.dags()
    paused = sorted(dag for dag, is_paused in found.items() if is_paused and dag not in LEFT_PAUSED)
    for dag in paused:
        yield warning(f"the DAG {dag} is paused", f"if nobody paused it on purpose, unpause it: {api.url}/dags/{dag}")
    if not errors and not paused:
        yield ok(f"DAGs without import errors, none paused: {len(found)}")
