"""docker-compose.yaml and the Dockerfile: what can be known of them without Docker.

Their text is checked, its settings are compared with those of `make up`, and the file's services run natively, with the
commands, variables, mounts, order and health checks that it names (see natively.py).
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redshift_connector
from psycopg.rows import dict_row

from local import airflow, aws, emulator, envfile, ports, postgres, warehouse
from local import state as states
from local.compose import Containers, secret_files
from local.layout import REPO, Layout, tool
from local.platform import LEFT_PAUSED, PORTS
from local.supervisor import wait_until
from tests.local import natively

PORT_VARIABLES = {
    "POSTGRES_PORT": "15432",
    "EMULATOR_PORT": "14566",
    "REDSHIFT_PORT": "15439",
    "AIRFLOW_PORT": "8080",
}
ONCE = {"passwords", "setup", "airflow-migrate", "start"}
IMAGE = re.compile(r"[a-z/-]+:(?P<tag>[\w.-]*\d[\w.-]*)")
DOCKERFILE = (REPO / "Dockerfile").read_text()
SERVICES = natively.load({})


def test_the_file_fits_the_compose_specification():
    command = [tool("airflow", "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", natively.FILE]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_hadolint_finds_nothing_in_the_dockerfile():
    checked = subprocess.run(
        [tool("airflow", "hadolint"), REPO / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout == ""


def test_each_image_has_a_tag_with_a_version():
    images = [service["image"] for service in SERVICES.values()]
    bases = re.findall(r"^ARG \w+_IMAGE=(.+)$", DOCKERFILE, re.MULTILINE)
    assert len(images) == len(SERVICES)
    assert len(bases) == 2
    assert [image for image in images + bases if not IMAGE.fullmatch(image)] == []
    # Nothing is built from an image that is not such an argument.
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${POSTGRES_IMAGE}", "${PYTHON_IMAGE}"}


def test_the_image_has_mwaas_airflow_and_python():
    version = re.search(r"^apache-airflow==(.+)$", (REPO / "requirements.txt").read_text(), re.MULTILINE)
    constraints = re.search(r"^--constraint (.+)$", (REPO / "requirements.txt").read_text(), re.MULTILINE)
    assert version
    assert constraints
    platform = {service["image"] for service in SERVICES.values() if "platform" in service["image"]}
    assert platform == {f"marketplace-platform:airflow-{version[1]}"}
    assert version[1] == airflow.version()
    # requirements.txt names the file where MWAA has it, and so does the image.
    assert f"COPY dags/{Path(constraints[1]).name} {Path(constraints[1]).parent}/" in DOCKERFILE
    assert Path(constraints[1]).name.endswith("-py3.12.txt")
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.12\.\d+-slim-bookworm$", DOCKERFILE, re.MULTILINE)


def test_dockerignore_lets_through_what_is_copied_and_no_more():
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()]
    first, *lines = [line for line in (REPO / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    let_through = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert {name if name in let_through else name.split("/")[0] for name in copied} == let_through
    assert [name for name in copied if not (REPO / name).exists()] == []


def test_no_image_runs_as_root():
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    assert [re.findall(r"^USER (.+)$", stage, re.MULTILINE)[-1] for stage in stages] == ["999:999", "999:999"]
    built = {name for name, service in SERVICES.items() if service["image"].startswith("marketplace-")}
    assert {name: service["user"] for name, service in SERVICES.items() if name not in built} == {
        "network": "65534:65534"
    }
    assert [name for name in built if "user" in SERVICES[name]] == []


def test_each_image_is_built_by_one_service_which_the_others_wait_for():
    """Nine services that build one image at once stand in each other's way in some versions of Compose."""
    builds = {name: service["build"]["target"] for name, service in SERVICES.items() if "build" in service}
    assert builds == {"passwords": "platform", "postgres": "postgres"}
    assert {service["pull_policy"] for name, service in SERVICES.items() if name in builds} == {"build"}
    users = {name for name, service in SERVICES.items() if service["image"].startswith("marketplace-platform:")}
    assert {SERVICES[name]["pull_policy"] for name in users - {"passwords"}} == {"never"}


def test_ports_are_published_on_the_loopback_interface_only():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"network": [f"127.0.0.1:{port}:{port}" for port in PORT_VARIABLES.values()]}
    moved = natively.load(dict(zip(PORT_VARIABLES, "3456", strict=True)))["network"]["ports"]
    assert moved == [f"127.0.0.1:{port}:{port}" for port in "3456"]


def test_all_services_share_one_network():
    assert {service.get("network_mode") for name, service in SERVICES.items() if name != "network"} == {
        "service:network"
    }


def test_what_runs_on_has_a_health_check_and_nothing_is_restarted():
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == ONCE
    assert {service["restart"] for service in SERVICES.values()} == {"no"}


def test_what_a_service_needs_is_done_or_healthy_before_it_starts():
    early = {
        (name, other)
        for name, service in SERVICES.items()
        for other, needed in service.get("depends_on", {}).items()
        if needed["condition"] != ("service_completed_successfully" if other in ONCE else "service_healthy")
    }
    assert early == {("airflow-scheduler", "airflow-api-server")}  # for the order in which they stop


def test_dags_and_sql_are_mounted_read_only_from_the_clone():
    mounts = {mount for service in SERVICES.values() for mount in service.get("volumes", ())}
    assert mounts == {
        "./dags:/opt/marketplace/dags:ro",
        "./include:/opt/marketplace/include:ro",
        "./plugins:/opt/marketplace/plugins:ro",
        "state:/opt/marketplace/.local",
        "state:/opt/marketplace/.local:ro",
        "postgres:/var/lib/postgresql/data",
    }


def test_the_emulator_has_time_to_write_its_state():
    service = SERVICES["emulator"]
    needed = next(program for program in _containers(Path("/nowhere"))._programs() if program.name == "emulator")
    assert service["stop_signal"] == f"SIG{needed.stop_signal}"
    assert natively.seconds(service["stop_grace_period"]) >= needed.stop_seconds


def test_no_secret_stands_in_the_file():
    """Each value that Airflow takes for a secret comes from a file, and nothing looks like a password."""
    values = [(name, value) for service in SERVICES.values() for name, value in service.get("environment", {}).items()]
    sensitive = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY|SQL_ALCHEMY_CONN")
    harmless = {"AIRFLOW__SECRETS__BACKEND", "AIRFLOW__SECRETS__BACKEND_KWARGS"} | {
        f"AIRFLOW__WORKERS__{name}" for name in ("SECRETS_BACKEND", "SECRETS_BACKEND_KWARGS")
    }
    read_from = re.compile(r"(cat )?/opt/marketplace/\.local/secrets/(?P<file>\w+)")
    files = set()
    for name, value in values:
        if sensitive.search(name) and name not in harmless:
            if name in {"AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"}:
                assert value in {"local", "airflow", "redshift"}  # they open nothing but the emulator
                continue
            if name == "AWS_SHARED_CREDENTIALS_FILE":
                continue
            match = read_from.fullmatch(value)
            assert match, name
            files.add(match["file"])
    assert files == {path.name for path in secret_files(_containers(Path("/nowhere")))}
    assert not re.search(r"[0-9a-f]{16}|[A-Za-z0-9+/_-]{40,}=|://[^/\s]+:[^/\s]+@", natively.FILE.read_text())


def _containers(home: Path) -> Containers:
    """The platform as it is in the containers, with the outputs that the stacks have there."""
    containers = Containers(Layout(home / ".local"))
    containers.state.ports = dict(ports.PREFERRED)
    return containers


@pytest.fixture
def image() -> Containers:
    return _containers(Path(natively.HOME))


def test_the_airflow_parts_are_those_of_make_up_and_have_their_settings(image: Containers):
    emulated = "http://127.0.0.1:14566"
    image.state.outputs = {
        "LandingBucket": "marketplace-local-landing-000000000000-us-east-1",
        "ExportBucket": "marketplace-local-export-000000000000-us-east-1",
        "ReportBucket": "marketplace-local-report-000000000000-us-east-1",
        "LandingQueueUrl": f"{emulated}/000000000000/marketplace-local-landing",
        "NotificationQueueUrl": f"{emulated}/000000000000/marketplace-local-notifications",
        "NotificationDeadLetterQueueUrl": f"{emulated}/000000000000/marketplace-local-notifications-dead-letter",
        "NotificationTable": "marketplace-local-notifications",
        "MetricsNamespace": "marketplace-local",
        "ConnectionsPrefix": "marketplace-local/airflow/connections",
    }
    secrets = {f"cat {path}": text for path, text in secret_files(image).items()}
    expected = airflow.environment(image.layout, image.state) | {
        "AIRFLOW__API__HOST": "0.0.0.0",  # noqa: S104 - in the shared network; see the ports
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
    }
    for part, command in airflow.PARTS.items():
        assert SERVICES[part]["command"] == command
        found = {
            name.removesuffix("_CMD"): secrets[value] if name.endswith("_CMD") else value
            for name, value in SERVICES[part]["environment"].items()
        }
        for settings in (found, expected):
            for name in ("AIRFLOW__SECRETS__BACKEND_KWARGS", "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS"):
                settings[name] = json.dumps(json.loads(settings[name]), sort_keys=True)
        assert found == {name: value.replace(str(REPO), natively.HOME) for name, value in expected.items()}
        assert SERVICES[part]["healthcheck"]["test"][-1] == airflow.HEALTH[part]
    assert SERVICES["airflow-migrate"]["environment"] == SERVICES["airflow-scheduler"]["environment"]


def test_the_emulator_is_that_of_make_up_and_has_its_settings(image: Containers):
    expected = emulator.environment(image.layout, image.state) | {
        "BIND_HOST": "0.0.0.0",  # noqa: S104 - in the shared network; see the ports
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
    }
    assert SERVICES["emulator"]["environment"] == expected
    assert SERVICES["emulator"]["command"] == [word.replace(f"{REPO}/", "") for word in emulator.command()]


def test_redshift_is_that_of_make_up_and_has_its_settings(image: Containers):
    expected = aws.variables(emulator.endpoint(image.state), "redshift") | {
        "BIND_HOST": "0.0.0.0",  # noqa: S104 - in the shared network; see the ports
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
    }
    assert SERVICES["redshift"]["environment"] == expected
    assert SERVICES["redshift"]["command"] == ["python", *warehouse.command(image.state)[1:]]


def test_the_image_has_what_redshift_imports():
    """What it has by requirements.txt need not be named: the services run with more than that here."""
    named = re.search(r"grep -E '\^\((.+)\)==' requirements-dev\.txt", DOCKERFILE)
    assert named
    locked = re.findall(r"^(\S+?)==", (REPO / "requirements-dev.txt").read_text(), re.MULTILINE)
    assert named[1].split("|") == [name for name in locked if name in {"pyarrow", "sqlglot", "supervisor", "uv"}]
    statements = [
        statement
        for path in (REPO / "local" / "redshift").glob("*.py")
        for statement in ast.parse(path.read_text()).body
    ]
    imported = {alias.name for found in statements if isinstance(found, ast.Import) for alias in found.names}
    imported |= {found.module for found in statements if isinstance(found, ast.ImportFrom) and found.module}
    by_mwaa = {"boto3", "botocore", "urllib3", "psycopg", "local"}
    foreign = {name.split(".")[0] for name in imported} - set(sys.stdlib_module_names) - by_mwaa
    assert foreign == {"pyarrow", "sqlglot"}


def test_postgres_has_the_settings_of_make_up(tmp_path: Path):
    state = states.State(ports={"postgres": 15432}, postgres_home=str(tmp_path))
    postgres.data_directory(state).mkdir()
    postgres.configure(state, durable=True)
    written = dict(re.findall(r"^(\w+) = '(.*)'$", (tmp_path / "data" / "postgresql.conf").read_text(), re.MULTILINE))
    assert written.pop("port") == SERVICES["postgres"]["environment"]["PGPORT"]
    # What the image or PostgreSQL itself sets so, or Docker has another way for.
    for name in ("listen_addresses", "unix_socket_directories", "log_line_prefix"):
        del written[name]
    for name, default in (
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("max_prepared_transactions", "0"),
        ("password_encryption", "scram-sha-256"),
    ):
        assert written.pop(name) == default
    server, *options = SERVICES["postgres"]["command"]
    assert server == "postgres"
    assert dict(option.removeprefix("-c").split("=") for option in options) == {
        **written,
        "hba_file": "/opt/marketplace/.local/pg_hba.conf",
    }
    assert (tmp_path / "data" / "pg_hba.conf").read_text() == postgres.ACCESS_RULES


def test_the_ports_are_those_that_make_up_prefers():
    assert {name: str(port) for name, port in ports.PREFERRED.items()} == {
        name.removesuffix("_PORT").lower(): port for name, port in PORT_VARIABLES.items()
    }
    assert set(PORTS.values()) == set(ports.PREFERRED)


# The services themselves: started and stopped whole, which takes minutes


@pytest.fixture(scope="module")
def composed() -> Iterator[natively.Composed]:
    directory = Path(tempfile.mkdtemp(prefix="marketplace-compose-")).resolve()
    # Below the ports of outgoing connections, and seldom those of another run: they are used some time after this.
    taken: set[int] = set()
    for _ in PORT_VARIABLES:
        taken.add(ports.choose(20000 + os.getpid() % 10000, taken))
    services = natively.Composed(directory, dict(zip(PORT_VARIABLES, map(str, sorted(taken)), strict=True)))
    try:
        order = services.up()
        assert order[:4] == ["network", "passwords", "postgres", "setup"]
        assert {*order[4:7]} == {"emulator", "redshift", "airflow-migrate"}
        assert order[-1] == "start"
        yield services
    finally:
        services.down()
        shutil.rmtree(directory)


def _api(composed: natively.Composed) -> airflow.Api:
    return airflow.Api(envfile.read(composed.state / "env")["AIRFLOW_URL"])


def _run(composed: natively.Composed, service: str, *command: str) -> None:
    """Do what `docker compose run SERVICE COMMAND` does."""
    run = composed.services[service].run(list(command))
    assert run.wait(natively.START_SECONDS) == 0, composed.services[service].log.read_text()


def _loaded(composed: natively.Composed, key: str) -> list[dict[str, Any]]:
    query = "select status, read, accepted, rejected, held from ops.load where kind = 'file' and object_key = %s"
    with psycopg.connect(envfile.read(composed.state / "env")["STORE_URL"], row_factory=dict_row) as connection:
        return connection.execute(query, [key]).fetchall()


@pytest.mark.full
def test_all_airflow_parts_are_healthy(composed: natively.Composed):
    parts = _api(composed).health({})
    assert {name: parts[name] for name in airflow.HEALTH.values()} == dict.fromkeys(airflow.HEALTH.values(), "healthy")


@pytest.mark.full
def test_the_store_is_migrated_and_the_dags_are_unpaused(composed: natively.Composed):
    assert [run["state"] for run in _api(composed).runs("migrate")] == ["success"]
    files = {path.stem for path in (REPO / "dags").glob("*.py")}
    assert _api(composed).dags() == {dag_id: dag_id in LEFT_PAUSED for dag_id in files}
    assert _api(composed).import_errors() == {}


@pytest.mark.full
def test_a_sample_file_is_loaded_to_the_row(composed: natively.Composed):
    sample = f"{natively.HOME}/include/data/publisher/publishers.csv"
    _run(composed, "start", "python", "-m", "local.cli", "upload", sample)
    key = "landing/publisher/publishers.csv"
    wait_until(
        lambda: [load["status"] for load in _loaded(composed, key)] == ["done"],
        120,
        lambda: f"the ledger has {_loaded(composed, key)}",
    )
    assert _loaded(composed, key) == [{"status": "done", "read": 32, "accepted": 27, "rejected": 5, "held": 0}]


@pytest.mark.full
def test_the_secrets_are_in_private_files_only(composed: natively.Composed):
    state = json.loads((composed.state / "state.json").read_text())
    secrets = {*state["passwords"].values(), state["fernet_key"], state["jwt_secret"]}
    for path in [composed.state / "state.json", composed.state / "env", *(composed.state / "secrets").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for service in composed.services.values():
        told = f"{service.environment()} {service.spec['command']} {service.log.read_text()}"
        assert [secret for secret in secrets if secret in told] == [], service.name


@pytest.mark.full
def test_redshifts_driver_logs_in(composed: natively.Composed):
    values = envfile.read(composed.state / "env")
    names = {name: values[f"REDSHIFT_{name.upper()}"] for name in ("host", "database", "user", "password")}
    with redshift_connector.connect(**names, port=int(values["REDSHIFT_PORT"]), ssl=False) as session:
        cursor = session.cursor()
        cursor.execute("select current_user, current_database()")
        assert cursor.fetchall() == (["warehouse_owner", "warehouse"],)
    assert (composed.state / "pg_hba.conf").read_text() == postgres.ACCESS_RULES


def _refusal(composed: natively.Composed) -> str:
    """Run `setup`, and return what it says when it fails."""
    setup = composed.services["setup"]
    before = setup.log.stat().st_size
    assert setup.run(setup.spec["command"]).wait(natively.START_SECONDS) == 1
    return setup.log.read_text()[before:]


@pytest.mark.full
def test_volumes_that_do_not_belong_together_are_named(composed: natively.Composed):
    file = composed.state / "state.json"
    kept = file.read_text()
    content = json.loads(kept)
    file.write_text(json.dumps(content | {"passwords": dict.fromkeys(content["passwords"], "another")}))
    try:
        assert _refusal(composed).startswith("PostgreSQL has other passwords than the volume `state`")
    finally:
        file.write_text(kept)


@pytest.mark.full
def test_an_emulator_that_lacks_something_is_named_while_it_runs_and_mended_around_its_objects_when_it_does_not(
    composed: natively.Composed,
):
    values = envfile.read(composed.state / "env")
    s3, sqs = (emulator.client(name, values["AWS_ENDPOINT_URL"]) for name in ("s3", "sqs"))
    put = s3.put_object(Bucket=values["LANDING_BUCKET"], Key="kept", Body=b"x")
    sqs.delete_queue(QueueUrl=values["MARKETPLACE_LANDING_QUEUE_URL"])
    assert _refusal(composed) == (
        "The emulator lacks the landing queue, and is mended while it is down. Type:\n"
        "    docker compose stop emulator\n    docker compose up --detach\n"
    )

    composed.services["emulator"].end(signal.SIGKILL)
    shutil.rmtree(composed.state / "emulator" / "services")
    started = composed.up()
    assert started[:2] == ["passwords", "setup"]
    assert {*started} == {*ONCE, "emulator"}
    assert emulator.missing(states.load(Layout(composed.state))) == []
    answer = s3.get_object(Bucket=values["LANDING_BUCKET"], Key="kept", VersionId=put["VersionId"])
    assert answer["Body"].read() == b"x"


@pytest.mark.full
def test_all_services_stop_in_the_time_that_they_have(composed: natively.Composed):
    wait_until(
        lambda: all(run["state"] in airflow.FINISHED for run in _api(composed).runs("ingest_files")),
        180,
        lambda: f"runs go on: {_api(composed).runs('ingest_files')}",
    )
    written = composed.state / "emulator" / "services" / "cloudformation.json"
    written.unlink()
    killed = composed.down()
    assert not killed, "\n".join(killed)
    assert written.exists()
    assert [name for name, service in composed.services.items() if service.process.poll() is None] == []
