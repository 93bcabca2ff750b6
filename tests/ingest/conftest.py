"""A landing bucket and a store of its own for every test, with the engine's steps as one call each."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from psycopg.rows import dict_row

from marketplace.contracts import model
from marketplace.ingest import held, ledger, objects
from marketplace.ingest.load import load_file
from tests import accounting

HEADERS = {
    "publisher": "publisher_id,name,country",
    "game": "game_id,title,release_date,genre",
    "transaction": "transaction_id,txn_type,txn_ts,currency,total_amount,customer_ref",
    "transaction_detail": (
        "transaction_id,line_no,game_ref,publisher_ref,region,platform,gross_amount,platform_fee,net_amount"
    ),
    "customer": "customer_ref,name,email,country,locale,time_zone,marketing_opt_in,created_at",
    "wishlist": "customer_ref,game_ref,added_at",
    "play_session": "session_id,customer_ref,game_ref,platform,started_at,duration_s,latitude,longitude",
    "notification_rule": (
        "rule_id,topic,subject,body,locale,due_kind,due_value,countries,platforms,owned_game,wishlisted_game,enabled"
    ),
    "notification_text": "rule_id,locale,subject,body",
}


class Ingestion:
    """Puts files and loads them, as the DAG does, without Airflow."""

    def __init__(self, url: str, owner_url: str, s3: Any, bucket: str) -> None:
        self._url = url
        self._owner_url = owner_url
        self.s3 = s3
        self.bucket = bucket
        self.files: dict[tuple[str, str], bytes] = {}
        self._runs = itertools.count(1)

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection as the DAG's role."""
        return psycopg.connect(self._url)

    def put(self, dataset: str, *rows: str, name: str = "a.csv") -> str:
        """Put a file with the dataset's header and these rows; returns its key."""
        return self.put_bytes(f"landing/{dataset}/{name}", "\n".join([HEADERS[dataset], *rows, ""]).encode())

    def put_bytes(self, key: str, body: bytes) -> str:
        """Put an object as it is; returns its key."""
        version = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)["VersionId"]
        self.files[key, version] = body
        return key

    def claim(self, run: str | None = None, *, max_files: int = 500, **options: Any) -> list[dict[str, Any]]:
        """Claim what waits, as a run of the DAG does first."""
        self.run_id = run or f"run-{next(self._runs)}"
        landed = objects.list_landed(self.s3, self.bucket)
        with self.connect() as connection:
            return ledger.claim_files(connection, landed, self.run_id, max_files, **options)

    def load(self, claim: dict[str, Any], run: str | None = None) -> dict[str, Any]:
        """Load one claimed file and move it, as the mapped tasks do."""
        result = load_file(self.connect, self.s3, self.bucket, claim["load_id"], run or self.run_id)
        if result["destination_key"]:
            source = {"Bucket": self.bucket, "Key": result["source_key"], "VersionId": result["version_id"]}
            self.s3.copy_object(Bucket=self.bucket, Key=result["destination_key"], CopySource=source)
            version = {"Key": result["source_key"], "VersionId": result["version_id"]}
            self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [version]})
        return result

    def retry(self) -> list[dict[str, Any]]:
        """Retry the held rows, as a run of the DAG does last; returns the accounts."""
        with self.connect() as connection:
            return [
                {
                    "file": load.object_key,
                    "load_id": load.load_id,
                    "accepted": account.accepted,
                    **vars(account),
                }
                for load, account in held.retry_held_rows(connection, self.run_id)
            ]

    def run(self, order: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Claim everything that waits, load it (in `order` of the claims, if given), retry; returns the results."""
        claims = self.claim()
        results = [self.load(claims[i]) for i in (order if order is not None else range(len(claims)))]
        self.retry()
        return results

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query, as the owner sees them."""
        with psycopg.connect(self._owner_url) as connection:
            return connection.execute(statement, parameters).fetchall()

    def execute(self, statement: str, *parameters: Any) -> None:
        """Run a statement as the owner."""
        with psycopg.connect(self._owner_url) as connection:
            connection.execute(statement, parameters)

    def clean_tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return what the clean tables say: every business value, no surrogate key and no trace of the loading."""
        return {
            "publisher": self.query(
                "select publisher_id, name, name_key, country_code from store.publisher order by 1"
            ),
            "publisher_alias": self.query(
                "select alias_id, publisher_id, name, country_code from store.publisher_alias order by 1"
            ),
            "game": self.query("select game_id, title, release_date, genre from store.game order by 1"),
            "game_alias": self.query(
                "select alias_id, game_id, title, release_date, genre from store.game_alias order by 1"
            ),
            "release": self.query("select game_id, platform, publisher_id from store.game_release order by 1, 2"),
            "customer": self.query(
                "select ref, name, email, country_code, locale, time_zone, marketing_opt_in, created_at"
                " from store.customer order by 1"
            ),
            "transaction": self.query(
                "select t.transaction_id, t.type, t.occurred_at, t.currency, t.reported_total, c.ref"
                " from store.transaction t left join store.customer c using (customer_id) order by 1"
            ),
            "line": self.query(
                "select transaction_id, line_no, game_id, platform, region, gross, fee, reported_net"
                " from store.transaction_line order by 1, 2"
            ),
            "wish": self.query(
                "select c.ref, w.game_id, w.added_at from store.wishlist w join store.customer c using (customer_id)"
                " order by 1, 2"
            ),
            "session": self.query(
                "select s.session_id, c.ref, s.game_id, s.platform, s.started_at, s.duration_s,"
                " st_x(s.location::geometry), st_y(s.location::geometry)"
                " from store.play_session s join store.customer c using (customer_id) order by 1"
            ),
            "rule": self.query(
                "select r.rule_id, r.topic, r.subject, r.body, r.locale, r.due_kind, r.due_value, r.audience,"
                " o.game_id, w.game_id, r.enabled from store.notification_rule r"
                " left join store.game_alias o on o.alias_id = r.owned_game"
                " left join store.game_alias w on w.alias_id = r.wishlisted_game order by 1"
            ),
            "text": self.query("select rule_id, locale, subject, body from store.notification_text order by 1, 2"),
        }

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of every table, as text: what changes nothing leaves this as it is."""
        tables = self.query(
            "select oid::regclass::text from pg_class where relkind = 'r' and relpersistence = 'p'"
            " and relnamespace::regnamespace::text in ('ops', 'store', 'geo')"
        )
        return {table: self.query(f"select t::text from {table} as t order by 1") for (table,) in tables}

    def loads(self) -> list[dict[str, Any]]:
        """Return the ledger, in the order of its entries."""
        with psycopg.connect(self._owner_url, row_factory=dict_row) as connection:
            return connection.execute("select * from ops.load order by load_id").fetchall()

    def check_accounts(self) -> None:
        """Fail when the account of a load is not what the csv module counts in the bytes that were put."""
        accounting.check(self._owner_url, self.files)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of the objects under a prefix."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return sorted(o["Key"] for o in listed.get("Contents", []))


@pytest.fixture
def mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Replaces a text in a dataset's contract, as a person does who mends it; for the rest of the test."""
    contracts = tmp_path / "contracts"

    def replace(dataset: str, old: str, new: str) -> None:
        if not contracts.exists():
            shutil.copytree(model.contracts_dir(), contracts)
            monkeypatch.setattr(model, "contracts_dir", lambda: contracts)
        path = contracts / f"{dataset}.yaml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return replace


@pytest.fixture
def ingestion(fresh_store: Any) -> Iterator[Ingestion]:
    """An empty store and an empty, versioned bucket on the platform's parts; the accounts are checked at the end."""
    s3 = boto3.client("s3")
    bucket = f"ingest-test-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with contextlib.closing(s3):
        engine = Ingestion(fresh_store.url("store_writer"), fresh_store.url("store_owner"), s3, bucket)
        yield engine
        engine.check_accounts()
