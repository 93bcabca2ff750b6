"""The whole platform: start it, stop it, and say how each part is.

`make up` and the tests' session fixture use the same class; the tests leave Airflow's processes out.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

from infra import packages
from local import airflow, aws, emulator, envfile, interruption, issuer, ports, postgres, space, warehouse
from local import state as states
from local.errors import LocalError
from local.layout import Layout, tool
from local.supervisor import DOWN, PartDownError, Program, Status, Supervisor, end_orphans, last_lines, silent

# Not unpaused by `make up`: it makes data without end.
LEFT_PAUSED = {"generate_mock_data"}
PORT_ATTEMPTS = 3
API_SERVER, SCHEDULER = "airflow-api-server", "airflow-scheduler"
PORTS = {
    "postgres": "postgres",
    "emulator": "emulator",
    "redshift": "redshift",
    API_SERVER: "airflow",
}  # part → port's name
# A part that does not answer for so long, or is not healthy though its database is there, hangs.
HANG_SECONDS = 40.0
# By then a part that runs listens, if it ever will.
LISTEN_SECONDS = 10.0


class Platform:
    """One platform in a directory of its own, below which everything it writes lies."""

    def __init__(
        self,
        layout: Layout,
        *,
        with_airflow: bool = True,
        durable: bool = True,
        preferred_ports: dict[str, int] | None = None,
        say: Callable[[str], None] = silent,
    ) -> None:
        self.layout = layout
        self.state = states.load(layout)
        self.supervisor = Supervisor(layout, say)
        self._with_airflow = with_airflow
        self._durable = durable
        self._preferred = preferred_ports or ports.PREFERRED
        self._say = say

    # What others need to know

    @property
    def endpoint(self) -> str:
        """Return the emulator's URL."""
        return emulator.endpoint(self.state)

    @property
    def api_url(self) -> str:
        """Return the address of the APIs: of the emulator's gateway."""
        return f"{self.endpoint}/_aws/execute-api/{self.state.outputs['ApiId']}"

    @property
    def api(self) -> airflow.Api:
        """Return the client of Airflow's REST API."""
        return airflow.Api(f"http://{ports.HOST}:{self.state.ports['airflow']}")

    def store_url(self, role: str = "store_owner", database: str = "store") -> str:
        """Return the address of the store, or of another database, for `role`."""
        return postgres.url(self.state, role, database)

    def public_environment(self) -> dict[str, str]:
        """Return the variables of .local/env."""
        return {
            **aws.variables(self.endpoint),
            **({"AIRFLOW_URL": self.api.url} if self._with_airflow else {}),
            "API_URL": self.api_url,
            "STORE_URL": self.store_url(),
            **warehouse.public_environment(self.state),
            "LANDING_BUCKET": self.state.outputs["LandingBucket"],
            "EXPORT_BUCKET": self.state.outputs["ExportBucket"],
            "REPORT_BUCKET": self.state.outputs["ReportBucket"],
            "NOTIFICATION_QUEUE_URL": self.state.outputs["NotificationQueueUrl"],
            "NOTIFICATION_TABLE": self.state.outputs["NotificationTable"],
            **airflow.marketplace(self.state),
        }

    def data_directories(self) -> list[Path]:
        """Return where this platform writes."""
        elsewhere = Path(self.state.postgres_home or self.layout.state)
        return [self.layout.state] if elsewhere.is_relative_to(self.layout.state) else [self.layout.state, elsewhere]

    # Start

    def up(self) -> None:
        """Start what is not running, deploy what is not deployed, and wait until all is well. Idempotent."""
        space.require(self.data_directories())
        if not self.layout.run.exists():
            # Somebody deleted .local under a running platform, whose parts must not write into the new one.
            end_orphans(self.layout, self._say)
        self.layout.create()
        with self._alone():
            self.state = states.load(self.layout)
            postgres.require_data(self.state)
            end_orphans(self.layout, self._say)
            for attempt in range(1, PORT_ATTEMPTS + 1):
                try:
                    self._bring_up()
                    return
                except LocalError:
                    lost = self._lost_port()
                    if lost is None or attempt == PORT_ATTEMPTS:
                        raise
                    self._say(f"Another process took the port of {lost} while it started: once more, with another")
                    self.supervisor.stop(lost)

    def _bring_up(self) -> None:
        starts = any(status.state != "RUNNING" for status in self.statuses().values()) or not self.statuses()
        with ports.turn(self._say) if starts else nullcontext():
            self._start_parts()
        if self._with_airflow:
            self._migrate()
            self._unpause()

    def _start_parts(self) -> None:
        self._choose_ports()
        self._start_supervisor()
        lost_database = self._with_airflow and self.supervisor.statuses()["postgres"].crashed
        if lost_database:
            # Each part ends by that, or hangs, some soon and some late: none is to do so after this.
            self._say("Airflow lost its database: ending what is left of it")
            self.supervisor.stop_all(list(airflow.PARTS))
        try:
            # The pool's end waits for all, which look at INTERRUPTED between their steps.
            with ThreadPoolExecutor() as pool:
                database = pool.submit(self._start_database)
                cloud = pool.submit(self._start_emulator)
                endpoint = pool.submit(self._start_redshift, database)
                try:
                    for part in (database, cloud, endpoint):
                        part.result()
                except KeyboardInterrupt:
                    self._say("Interrupted: ending what was begun")
                    interruption.INTERRUPTED.set()
                    raise
        finally:
            interruption.INTERRUPTED.clear()
        envfile.write(self.layout.env_file, self.public_environment(), "Written by `make up`. To use it: . .local/env")
        if self._with_airflow:
            self._start_airflow(self.supervisor.start if lost_database else self._start)

    def _lost_port(self) -> str | None:
        """Return the part whose port a foreign process listens on: two platforms that start at once may want one."""
        for part, status in self.supervisor.statuses().items():
            port = self.state.ports.get(PORTS.get(part, ""))
            if port and not ports.is_free(port) and not ports.listens(status.pid, port):
                return part
        return None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep a second start, stop or reset of the same platform out, and any of what is another clone's."""
        postgres.require_own(self.layout, self.state)
        with (self.layout.state / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise LocalError(
                    f"Another make starts or stops the platform (process {lock.read().strip()}): wait."
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def _choose_ports(self) -> None:
        """Keep the ports of what runs; find free ones for the rest, and say so when they differ."""
        statuses = self.supervisor.statuses()
        # A part that starts or stops holds its port as well.
        running = {name for name, status in statuses.items() if status.state not in DOWN}
        before = dict(self.state.ports)
        for part, name in PORTS.items():
            if part in running or (name == "airflow" and not self._with_airflow):
                continue
            wanted = before.get(name) or self._preferred[name]
            others = {port for other, port in self.state.ports.items() if other != name}
            port = ports.choose(wanted, others)
            if port != wanted:
                self._say(f"Port {wanted} is taken: {part} listens on {port}")
            self.state.ports[name] = port
        if running and before != self.state.ports:
            for part in statuses:
                self._name_crash(part)
            # The other parts were told the former port.
            self.supervisor.shut_down()
        states.save(self.layout, self.state)

    def _programs(self) -> list[Program]:
        programs = [postgres.program(self.state), self._launched("emulator", 15), self._launched("redshift", 5)]
        if self._with_airflow:
            programs += [self._launched(part, 20) for part in airflow.PARTS]
        return programs

    def _launched(self, part: str, stop_seconds: int) -> Program:
        launch = [sys.executable, "-m", "local.launch", str(self.layout.state)]
        return Program(part, [*launch, part], stop_seconds=stop_seconds)

    def _start_supervisor(self) -> None:
        if not self.state.postgres_home:
            self.state.postgres_home = str(postgres.data_home(self.layout))
            states.save(self.layout, self.state)
        self.supervisor.ensure(self._programs(), "root" if os.geteuid() == 0 else "")

    def _start(self, part: str) -> bool:
        """Start a part unless it runs, and say whether it had crashed."""
        self._name_crash(part)
        return self.supervisor.start(part)

    def _name_crash(self, part: str) -> None:
        if self.supervisor.statuses()[part].crashed:
            log = self.layout.log_file(part)
            self._say(f"{part} was down. The last lines of {log}:\n{last_lines(log)}")

    def _start_database(self) -> None:
        if self.supervisor.statuses()["postgres"].state != "RUNNING":
            postgres.create(self.layout, self.state)
            postgres.configure(self.state, durable=self._durable)
            postgres.remove_stale_lock(self.state)
            self._start("postgres")
        self.supervisor.wait("postgres", lambda: postgres.answers(self.state), 60)
        postgres.create_roles_and_databases(self.state)
        self._say(f"PostgreSQL on port {self.state.ports['postgres']}")
        if self._with_airflow:
            self._migrate_airflow()

    def stacks_digest(self) -> str:
        """Return a digest of all that the stacks are made of: they are deployed again when it changes."""
        keys = issuer.key_set(self.layout)
        made_of = emulator.templates_digest(self.state) + packages.digest("local") + keys
        return hashlib.sha256(made_of.encode()).hexdigest()

    def _start_emulator(self) -> None:
        issuer.ensure_key(self.layout)
        digest = self.stacks_digest()
        if digest != self.state.stacks_digest:
            self.supervisor.stop("emulator")  # what it knows of resource types may have changed as well
        started = self._start_server("emulator")
        self._wait_for_answer("emulator", lambda: emulator.answers(self.state), started=started)
        absent = emulator.missing(self.state)
        if absent or digest != self.state.stacks_digest:
            self._deploy_stacks(absent)
            self.state.stacks_digest = digest
            states.save(self.layout, self.state)
        # Each time: the objects of before a repair may have taken their place.
        issuer.publish(self.layout, self.state)
        self._say(f"AWS emulator on port {self.state.ports['emulator']}")

    def _start_redshift(self, database: Future[None]) -> None:
        """Start the endpoint while the database starts, without which it has no answer."""
        started = self._start_server("redshift")
        database.result()
        self._wait_for_answer("redshift", lambda: warehouse.answers(self.state), started=started)
        self._say(f"Redshift on port {self.state.ports['redshift']}")

    def _start_server(self, part: str) -> bool:
        """Start a part unless it runs and listens; return whether it had to be started."""
        if self._is_deaf(part):
            self.supervisor.stop(part)
        return self._start(part)

    def _is_deaf(self, part: str) -> bool:
        """Tell whether a part runs for a while and does not listen where it ought to."""
        status = self.supervisor.statuses()[part]
        late = time.time() > status.since + LISTEN_SECONDS
        return status.state == "RUNNING" and late and not ports.listens(status.pid, self.state.ports[PORTS[part]])

    def _wait_for_answer(self, part: str, answers: Callable[[], bool], *, started: bool) -> None:
        """Wait until a part answers at a port of its own. One that was not `started` and hangs is started once."""
        try:
            self.supervisor.wait(part, answers, HANG_SECONDS)
        except warehouse.WrongPasswordError:
            raise
        except LocalError:
            if started or self.supervisor.statuses()[part].state in DOWN:
                raise
            self._say(f"{part} hangs: starting it anew")
            self.supervisor.stop(part)
            self.supervisor.start(part)
            self.supervisor.wait(part, answers, 30)
        port = self.state.ports[PORTS[part]]
        if not ports.listens(self.supervisor.statuses()[part].pid, port):
            raise LocalError(f"Port {port} belongs to a process that is not the {part} of this platform.")

    def _deploy_stacks(self, absent: list[str]) -> None:
        """Deploy, from scratch when something is `absent`, and have the emulator write its state to disk."""
        if absent and emulator.must_be_emptied(self.layout):
            self._say(f"The emulator lacks {', '.join(absent)}: deploying; objects that are there stay")
            self.supervisor.stop("emulator")
            emulator.set_objects_aside(self.layout)
            self._start_again()
        self._deploy()
        # It writes its state only when it stops: so what was deployed outlives a kill.
        self.supervisor.stop("emulator")
        emulator.put_objects_back(self.layout)
        self._start_again()
        absent = emulator.missing(self.state)
        if absent:
            raise LocalError(f"The emulator lacks {', '.join(absent)} after a deployment: make logs PART=emulator")

    def _start_again(self) -> None:
        self.supervisor.start("emulator")
        self.supervisor.wait("emulator", lambda: emulator.answers(self.state), 30)

    def _deploy(self) -> None:
        """Deploy the CloudFormation stacks, the same as on AWS, to the emulator."""
        from infra.deploy import deploy
        from infra.errors import DeployError

        parameters = {
            "Creator": "local",
            "StoreHost": ports.HOST,
            "StorePort": str(self.state.ports["postgres"]),
            "StoreOwnerPassword": self.state.passwords["store_owner"],
            "StoreWriterPassword": self.state.passwords["store_writer"],
            "StoreReaderPassword": self.state.passwords["store_reader"],
            "WarehouseHost": ports.HOST,
            "WarehousePort": str(self.state.ports["redshift"]),
            "WarehousePassword": self.state.passwords["warehouse_owner"],
            "TokenIssuer": issuer.address(self.state),
            "TokenKeys": issuer.key_set(self.layout),
        }
        with aws.environment(aws.variables(self.endpoint)):
            try:
                self.state.outputs = deploy("local", parameters)
            except DeployError as error:
                raise LocalError(f"The stacks could not be deployed to the emulator. {error}") from error

    def _migrate_airflow(self) -> None:
        version = airflow.version()
        if self.state.airflow_database == version:
            return
        self._say("Airflow's metadata database: migrating (about 15 s, once)")
        log = self.layout.log_file("airflow-migrate")
        with log.open("w") as output:
            migrated = interruption.run(
                [tool("airflow", "airflow"), "db", "migrate"],
                env=aws.cleaned(os.environ) | airflow.database(self.layout, self.state),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        if migrated.returncode != 0:
            raise LocalError(f"`airflow db migrate` failed. The last lines of {log}:\n{last_lines(log)}")
        self.state.airflow_database = version
        states.save(self.layout, self.state)

    def _start_airflow(self, start: Callable[[str], bool]) -> None:
        parts = list(airflow.PARTS)
        if self._unwell(parts):
            self._say("Airflow: starting")
        # The scheduler last: it hands out tasks at once, those of a killed one too, which fail without the API server.
        started = {part for part in parts if part != SCHEDULER and start(part)}
        self._wait_healthy([API_SERVER], started)
        if start(SCHEDULER):
            started.add(SCHEDULER)
        self._wait_healthy(parts, started)
        self._say(f"Airflow on {self.api.url}")

    def _unwell(self, parts: list[str]) -> list[str]:
        """Return which of these parts of Airflow are down, else which are not healthy."""
        statuses = self.supervisor.statuses()
        if down := [part for part in parts if statuses[part].state in DOWN]:
            return down
        # Only the API server can be asked, about the others too; another platform's may have the port.
        mine = ports.listens(statuses[API_SERVER].pid, self.state.ports["airflow"])
        health = self._airflow_health() if mine else {}
        return [part for part in parts if health.get(airflow.HEALTH[part]) != "healthy"] if health else [API_SERVER]

    def _airflow_health(self) -> dict[str, str]:
        statuses = self.supervisor.statuses()
        return self.api.health({name: statuses[part].since for part, name in airflow.HEALTH.items()})

    def _wait_healthy(self, parts: list[str], started: set[str], seconds: float = 120) -> None:
        """Wait until these parts of Airflow are well. One not in `started` that goes down, or hangs, is started once.

        It ran when `up` began, and may go down only now, because its database was away before.
        """
        begun = time.monotonic()
        while unwell := self._unwell(parts):
            late = time.monotonic() - begun
            statuses = self.statuses()
            for part in unwell:
                is_down = statuses[part].state in DOWN
                if part not in started and (is_down or late > HANG_SECONDS):
                    self._say(f"{part} {'went down' if is_down else 'hangs'}: starting it anew")
                    self.supervisor.stop(part)
                    self.supervisor.start(part)
                    started.add(part)
                elif is_down or late > seconds:
                    raise PartDownError(
                        self.layout, part, "is down" if is_down else f"is not healthy after {late:.0f} s"
                    )
            for part in ("postgres", "emulator", "redshift"):
                if statuses[part].state in DOWN:
                    raise PartDownError(self.layout, part, "is down")
            time.sleep(0.3)

    def require_running(self) -> None:
        """Raise PartDownError when a part is down, naming it with its log's last lines."""
        statuses = self.supervisor.statuses()
        if not statuses:
            raise LocalError("The platform is not running: make up")
        for status in statuses.values():
            if status.state not in ("RUNNING", "STARTING"):
                raise PartDownError(self.layout, status.name, "is down")

    def _wait_for_dag(self, dag_id: str, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while dag_id not in self.api.dags():
            self.require_running()
            if time.monotonic() > deadline:
                errors = "\n".join(f"{file}:\n{trace}" for file, trace in self.api.import_errors().items())
                raise LocalError(f"Airflow has not found the DAG {dag_id} after {seconds:.0f} s. {errors}")
            time.sleep(0.3)

    def _migrate(self) -> None:
        """Bring store and warehouse to their newest migrations, by the DAG that does it everywhere."""
        if postgres.at_head(self.state) and warehouse.at_head(self.state):
            return
        self._wait_for_dag("migrate")
        self.api.unpause("migrate")
        run_id = self.api.trigger("migrate")
        self._say("The schemas of store and warehouse: DAG migrate")
        self.api.wait("migrate", run_id, 180)

    def _unpause(self) -> None:
        """Unpause each DAG once. One that a person paused afterwards stays paused."""
        for dag_id, paused in self.api.dags().items():
            if dag_id in LEFT_PAUSED or dag_id in self.state.unpaused:
                continue
            if paused:
                self.api.unpause(dag_id)
            self.state.unpaused.append(dag_id)
        states.save(self.layout, self.state)

    # Stop

    def down(self) -> None:
        """Stop everything. Data stays."""
        if self.layout.state.exists():
            with self._alone():
                self.supervisor.shut_down()
                self.layout.remove_socket()
        else:
            # Somebody deleted .local; its processes may run all the same.
            end_orphans(self.layout, self._say)
            self.layout.remove_socket()

    def reset(self) -> None:
        """Stop everything and delete all data of this platform. What bootstrap.sh installed stays."""
        self.down()
        postgres.remove(self.state)
        for path in self.layout.state.iterdir() if self.layout.state.exists() else ():
            if path.name in ("tools", "log"):
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    # Look

    def statuses(self) -> dict[str, Status]:
        """Return every part as the supervisor sees it; none when the platform is down."""
        return self.supervisor.statuses()

    def health(self) -> dict[str, str]:
        """Return for each part `healthy`, or in a few words what is wrong with it."""
        statuses = self.statuses()
        health = {
            name: "healthy" if status.state == "RUNNING" else status.state.lower() for name, status in statuses.items()
        }
        if health["postgres"] == "healthy" and not postgres.answers(self.state):
            health["postgres"] = "does not answer"
        if health["emulator"] == "healthy":
            if not emulator.answers(self.state):
                health["emulator"] = "does not answer"
            elif absent := emulator.missing(self.state):
                health["emulator"] = f"lacks {', '.join(absent)}"
        # One that an older version of the clone started has no endpoint yet.
        if health.get("redshift") == "healthy":
            if health["postgres"] != "healthy":
                health["redshift"] = "lacks its database"
            elif not warehouse.answers(self.state):
                health["redshift"] = "does not answer"
        if self._with_airflow:
            reported = self._airflow_health()
            for part, name in airflow.HEALTH.items():
                if health[part] == "healthy":
                    # Only the API server can be asked, about the others too.
                    silence = "does not answer" if part == API_SERVER else "unknown"
                    health[part] = reported.get(name, silence)
        return health
