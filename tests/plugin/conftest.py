"""An emulator with the two buckets of the page, the page in this process, and an API server with login on before it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from local import airflow, aws, ports
from local.supervisor import wait_until
from tests import emulators

REPO = Path(__file__).resolve().parents[2]
# Each user with a role; nobody has none.
USERS = {"admin": "admin", "user": "user", "viewer": "viewer", "nobody": ""}


class Buckets:
    """The report and the landing bucket."""

    report, landing = "report-bucket", "landing-bucket"

    def __init__(self, endpoint: str) -> None:
        self.variables = aws.variables(endpoint) | {
            "MARKETPLACE_REPORT_BUCKET": self.report,
            "MARKETPLACE_LANDING_BUCKET": self.landing,
        }
        with aws.environment(self.variables):
            self.s3 = boto3.client("s3")
        for name in (self.report, self.landing):
            self.s3.create_bucket(Bucket=name)

    def put(self, key: str, value: Any, bucket: str = report) -> None:
        """Put an object: bytes as they are, anything else as JSON."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)

    def empty(self) -> None:
        for name in (self.report, self.landing):
            for found in self.s3.list_objects_v2(Bucket=name).get("Contents", []):
                self.s3.delete_object(Bucket=name, Key=found["Key"])

    def fill(self, text: str = "plain") -> dict[str, Any]:
        """Publish a status with one of everything, in which `text` stands wherever a file may put one."""
        group = {"dataset": "publisher", "reason": text, "rows": 2, "files": 1, "last_put_at": iso(), "shown": 2,
                 "key": "status/lines/rejected/x.json"}  # fmt: skip
        held = {"dataset": "wishlist", "reason": "unknown_reference", "ref_dataset": "game", "rows": 1, "files": 1,
                "oldest_put_at": iso(), "shown": 1, "key": "status/lines/held/x.json"}  # fmt: skip
        line = {"load_id": 7, "object_key": f"landing/publisher/{text}.csv", "archive_key": "archive/a.csv",
                "put_at": iso(), "line_no": 3, "column_name": "name", "detail": f"is {text}"}  # fmt: skip
        parts = {
            "files": {
                "waiting": 1, "oldest_put_at": iso(), "failed": 0,
                "last": line | {"dataset": text, "status": "rejected", "reason": text, "read": 0, "accepted": 0,
                                "rejected": 0, "held": 0, "finished_at": iso()},
            },
            "rows": {"day": iso()[:10], "datasets": [
                {"dataset": text, "files": 1, "set_aside": 0, "read": 3, "accepted": 1, "rejected": 1, "held": 1,
                 "accepted_later": 0}]},
            "rejected": {"since": iso(), "groups": [group]},
            "held": {"groups": [held]},
            "sync": {
                "last": {"run_id": text, "synced_at": iso(), "exported": 5, "deleted": 1, "tables": 16,
                         "with_full_reload": 0},
                "lag": {"seconds_behind": 12.5, "rows_behind": 3, "deletes_behind": 1, "tables_never_synced": 0,
                        "oldest_transaction_s": 0, "prepared_transactions": 0, "oldest_prepared_s": 0, "tombstones": 1,
                        "behind": {"store.game": 4}},
            },
            "reconcile": {"last": {"run_id": text, "checked_at": iso(), "tables": 2, "compared": 9, "differences": 0,
                                   "scope": "all"}, "open": 0, "by_table": []},
            "marts": {"marts": [{"mart": "revenue", "rows_built": 2, "run_id": text, "as_of": iso(),
                                 "built_at": iso()}]},
            "dashboard": {"as_of": iso(), "run_id": text, "built_at": iso()},
            "notifications": {"last": {"day": iso()[:10], "run_id": text, "status": "done", "found": 1, "queued": 1,
                                       "processed": 1, "expected": 4, "delivered": 3, "skipped": 1,
                                       "started_at": iso(), "finished_at": iso(), "chunks_failed": 0,
                                       "chunks_queued": 0}},
            "queues": {"landing": {"waiting": 0, "with_a_worker": 0, "dead": 2}},
        }  # fmt: skip
        status = {
            "version": 1,
            "written_at": iso(),
            "attention": [{"level": "alarm", "part": "queues", "text": f"2 messages {text}"}],
            "parts": {name: {"as_of": iso(), "error": None, "value": value} for name, value in parts.items()},
        }
        self.put("status/latest.json", status)
        raws = [line | {"raw": f"P-2,{text},US"}, line | {"raw": "=HYPERLINK(1)", "line_no": 4}]
        self.put(group["key"], {"kind": "rejected", **group, "lines": raws})
        self.put(held["key"], {"kind": "held", **held, "lines": [
            line | {"raw": f"CUST-1,{text},", "ref_dataset": "game", "ref_value": text}]})  # fmt: skip
        load = {"load_id": 7, "dataset": "publisher", "object_key": f"landing/{text}.csv",
                "archive_key": "archive/a.csv", "lines": 2, "value": 5, "sample_lines": [2, 4]}  # fmt: skip
        figure = {
            "id": "f",
            "label": text,
            "value": 9.5,
            "unit": "EUR",
            "loads": [load],
            "more_loads": 3,
            "lines_without_file": 2,
        }
        self.put("dashboard/latest/figures.json", {
            "as_of": iso(), "run_id": text, "built_at": iso(),
            "charts": [{"name": "c", "title": text, "figures": [figure]}],
        })  # fmt: skip
        self.put("dashboard/latest/index.html", b"<!doctype html><html lang=en><title>d</title><svg></svg></html>")
        self.put("archive/a.csv", f'publisher_id,name\nP-1,"{text}"\n\nP-2,"two\nlines"\n'.encode(), self.landing)
        return status


def iso(ago: timedelta = timedelta(minutes=1)) -> str:
    """Return a time of not long ago."""
    return (datetime.now(UTC) - ago).isoformat()


@pytest.fixture(scope="session")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buckets]:
    """Two buckets of an emulator that has nothing else."""
    with emulators.running(tmp_path_factory.mktemp("emulator")) as port:
        yield Buckets(f"http://{ports.HOST}:{port}")


@dataclass(frozen=True)
class Server:
    """An API server of Airflow with login on."""

    url: str

    def get(self, path: str, token: str | None = None, cookie: str | None = None) -> httpx.Response:
        """Ask for a page, with a token or as a browser with its cookie."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        cookies = {"_token": cookie} if cookie else None
        return httpx.get(self.url + path, headers=headers, cookies=cookies, timeout=30)

    def token(self, user: str) -> str:
        """Log in."""
        body = {"username": user, "password": password(user)}
        return httpx.post(f"{self.url}/auth/token", json=body, timeout=30).json()["access_token"]


def password(user: str) -> str:
    return f"password of {user}"


@pytest.fixture(scope="session")
def server(buckets: Buckets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Airflow's API server with login on, before the emulator's buckets: there is neither a store nor a warehouse."""
    home = tmp_path_factory.mktemp("airflow")
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({user: password(user) for user in USERS}))
    with socket.socket() as probe:
        probe.bind((ports.HOST, 0))
        port = probe.getsockname()[1]
    url = f"http://{ports.HOST}:{port}"
    environment = aws.cleaned(os.environ) | airflow.folders(str(home)) | buckets.variables | {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": "of this test",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of this test that is long enough for its signatures",
    }  # fmt: skip
    log = home / "log"
    script = Path(__file__).with_name("api_server.py")
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(script), ports.HOST, str(port)],
            cwd=home, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        server = Server(url)

        def answers() -> bool:
            assert process.poll() is None, f"The API server has ended: {log.read_text()[-4000:]}"
            try:
                return server.get("/api/v2/version").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, 120, lambda: f"The API server does not start: {log.read_text()[-4000:]}")
        assert ports.listens(process.pid, port), f"port {port} belongs to another process"
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
