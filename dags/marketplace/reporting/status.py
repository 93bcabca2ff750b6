"""The state of every part, as the Marketplace page shows it: measured here, written to the report bucket as JSON.

`status/latest.json` has each of PARTS with the time when it was measured. A part whose database or queue does not
answer keeps its last good value and its time, and says what went wrong; all others are written. Beside it lie the
newest raw lines of each dataset and reason, under `status/lines/`: they hold personal data, so a file whose lines are
erased or loaded again is deleted. docs/marketplace-page.md describes all of it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from redshift_connector.error import Error as RedshiftError

from marketplace.ingest.objects import GONE, list_landed
from marketplace.store import query
from marketplace.sync import differences, lag
from marketplace.sync.tables import read_tables

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

VERSION = 1  # of the JSON; the page refuses one that it does not know
LATEST = "status/latest.json"
LINES = "status/lines/"  # expire_raw_lines deletes what is under it
FIGURES = "dashboard/latest/figures.json"
# Raw lines are shown of files no older than this: the lifecycle of the bucket keeps nothing of them for longer.
SHOWN_FOR = timedelta(days=30)
MOST_LINES = 200  # of a dataset and reason
# When a number asks for somebody's attention.
WAITING_TOO_LONG = timedelta(minutes=30)  # ingestion looks every 15 minutes, whatever becomes of the events
BEHIND_TOO_LONG_S = 30 * 60  # so does the sync
HELD_TOO_LONG = timedelta(days=7)
ERROR_LENGTH = 300
UNREACHABLE = (psycopg.Error, RedshiftError, BotoCoreError, ClientError, OSError)

Part = dict[str, Any]


@dataclass(frozen=True)
class Sources:
    """Where the parts are asked: how to connect to the databases, clients of S3 and SQS, and names of what is there.

    `queues` are addresses by name.
    """

    store: Callable[[], psycopg.Connection[Any]]
    warehouse: Callable[[], Any]
    s3: S3Client
    sqs: Any
    landing_bucket: str
    report_bucket: str
    queues: dict[str, str]


class _Once:
    """A connection that is opened when it is first needed. One that cannot be opened is not tried again."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._connection: Any = None
        self._error: Exception | None = None

    def get(self) -> Any:
        if self._error is not None:
            raise self._error
        if self._connection is None:
            try:
                self._connection = self._connect()
            except UNREACHABLE as error:
                self._error = error
                raise
        return self._connection

    def settle(self) -> None:
        """End the transaction of the part that was read; a connection that is dead by now is let go."""
        if self._connection is not None:
            try:
                self._connection.rollback()
            except UNREACHABLE as error:
                self._error, self._connection = error, None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class _Reader:
    """Reads the parts, each by the method of its name."""

    def __init__(self, sources: Sources, now: datetime) -> None:
        self._sources = sources
        self._now = now
        self._store = _Once(self._connect_store)
        self._warehouse = _Once(sources.warehouse)

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()
        self._warehouse.close()

    def read(self, part: str) -> Any:
        try:
            return getattr(self, part)()
        finally:
            self._store.settle()
            self._warehouse.settle()

    def files(self) -> dict[str, Any]:
        """The file put last, and those that wait in landing/ or could not be loaded."""
        landed = [
            {"object_key": o.object_key, "version_id": o.version_id, "put_at": o.put_at.isoformat()}
            for o in list_landed(self._sources.s3, self._sources.landing_bucket)
        ]
        (counts,) = self._rows("waiting", objects=Jsonb(landed))
        return {"last": next(iter(self._rows("last_file")), None), **counts}

    def rows(self) -> dict[str, Any]:
        """Today's account (the day is UTC), by dataset."""
        midnight = self._now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return {"day": midnight.date(), "datasets": self._rows("today", since=midnight)}

    def rejected(self) -> dict[str, Any]:
        """The rejected rows that stand, by dataset and reason, each with its newest raw lines."""
        since = self._now - SHOWN_FOR
        groups = self._rows("rejected", since=since)
        for group in groups:
            wanted = {name: group[name] for name in ("dataset", "reason")}
            group["lines"] = self._rows("rejected_rows", since=since, most=MOST_LINES, **wanted)
        return {"since": since, "groups": groups}

    def held(self) -> dict[str, Any]:
        """The rows that wait, by dataset and reason, each with those that have waited longest."""
        groups = self._rows("held")
        for group in groups:
            wanted = {name: group[name] for name in ("dataset", "reason", "ref_dataset")}
            group["lines"] = self._rows("held_rows", most=MOST_LINES, **wanted)
        return {"groups": groups}

    def sync(self) -> dict[str, Any]:
        """How far the warehouse is behind the store, and what the last sync has loaded."""
        warehouse, store = self._warehouse.get(), self._store.get()
        behind = lag.measure(store, read_tables(store).values(), lag.read_reached(warehouse))
        last = self._of_warehouse(
            "select run_id, max(synced_at) as synced_at, sum(exported) as exported, sum(deleted) as deleted,"
            " count(*) as tables, max(case when mode = 'full' then 1 else 0 end) as with_full_reload"
            " from ops.sync_run where run_id = (select run_id from ops.sync_run order by synced_at desc limit 1)"
            " group by run_id"
        )
        return {"lag": asdict(behind), "last": next(iter(last), None)}

    def reconcile(self) -> dict[str, Any]:
        """What was compared last and what it found, and which differences nobody has repaired yet."""
        last = self._of_warehouse(
            "select run_id, max(checked_at) as checked_at, count(*) as tables, sum(compared) as compared,"
            " sum(differences) as differences, min(scope) as scope"
            " from ops.sync_check where run_id = (select run_id from ops.sync_check order by checked_at desc limit 1)"
            " group by run_id"
        )
        warehouse = self._warehouse.get()
        by_table = self._of_warehouse(
            "select table_name, count(*) as differences, max(found_at) as found_at from ops.sync_difference"
            " where repaired_by is null group by table_name order by table_name"
        )
        return {"last": next(iter(last), None), "open": differences.count_open(warehouse), "by_table": by_table}

    def marts(self) -> dict[str, Any]:
        """When the marts were built, and of which moment of the store."""
        built = self._of_warehouse("select mart, rows_built, run_id, as_of, built_at from mart.built order by mart")
        return {"marts": built}

    def dashboard(self) -> dict[str, Any]:
        """Which moment of the store the published dashboard shows; nothing when there is none yet."""
        figures = read_figures(self._sources.s3, self._sources.report_bucket)
        return {name: figures.get(name) for name in ("as_of", "run_id", "built_at")}

    def notifications(self) -> dict[str, Any]:
        """The account of the last day that was delivered, or tried to."""
        return {"last": next(iter(self._rows("notifications")), None)}

    def queues(self) -> dict[str, Any]:
        """About how many messages wait, are being worked on, and were given up, in each queue."""
        return {name: self._queue(url) for name, url in self._sources.queues.items()}

    def _queue(self, url: str) -> dict[str, int | None]:
        here, dead = self._attributes(url), None
        if "RedrivePolicy" in here:
            # It is of the same account and region, so that its address differs by the name alone.
            name = json.loads(here["RedrivePolicy"])["deadLetterTargetArn"].rsplit(":", 1)[1]
            there = f"{url.rsplit('/', 1)[0]}/{name}"
            dead = sum(int(count) for name, count in self._attributes(there).items() if name.startswith("Approximate"))
        return {
            "waiting": int(here["ApproximateNumberOfMessages"]),
            "with_a_worker": int(here["ApproximateNumberOfMessagesNotVisible"]),
            "dead": dead,
        }

    def _attributes(self, url: str) -> dict[str, str]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "RedrivePolicy"]
        found: dict[str, str] = self._sources.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return found

    def _connect_store(self) -> psycopg.Connection[Any]:
        connection = self._sources.store()
        connection.read_only = True
        return connection

    def _rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        with self._store.get().cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query(f"status/{name}.sql"), parameters).fetchall()

    def _of_warehouse(self, statement: str) -> list[dict[str, Any]]:
        with closing(self._warehouse.get().cursor()) as cursor:
            cursor.execute(statement)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


PARTS = ("files", "rows", "rejected", "held", "sync", "reconcile", "marts", "dashboard", "notifications", "queues")
WITH_LINES = ("rejected", "held")  # the parts whose groups have raw lines


def publish(sources: Sources, now: datetime) -> dict[str, Any]:
    """Measure all parts and write them to the report bucket; returns the problems of those that could not be measured.

    Raises what S3 raises: where nothing can be written there is nobody to tell.
    """
    s3, bucket = sources.s3, sources.report_bucket
    # Read before the raw lines are: a run that is slower than another, newer one must not undo what that has written.
    before = json.loads(read_object(s3, bucket, LATEST) or b"{}").get("parts", {})
    parts = {}
    with _Reader(sources, now) as reader:
        for name in PARTS:
            parts[name] = _measured(reader, name, before.get(name, {}), now)
    kept = _write_lines(s3, bucket, parts)
    status = {"version": VERSION, "written_at": now, "attention": attention(parts, now), "parts": parts}
    _put(s3, bucket, LATEST, status)
    # After the new status, which names them no more: nobody is shown a link to a file that is gone.
    _delete_others(s3, bucket, kept)
    return {name: part["error"] for name, part in parts.items() if part["error"]}


def _measured(reader: _Reader, name: str, before: Part, now: datetime) -> Part:
    try:
        # As JSON has it, as the value that is kept from the last time.
        return {"as_of": now.isoformat(), "error": None, "value": json.loads(_text(reader.read(name)))}
    except UNREACHABLE as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        log.warning("%s cannot be measured: %s", name, said[0])
        return {"as_of": before.get("as_of"), "error": said[0][:ERROR_LENGTH], "value": before.get("value")}


def _write_lines(s3: S3Client, bucket: str, parts: dict[str, Part]) -> set[str]:
    """Write the raw lines of each group to a file, unless it is there as it is; return the keys that are in use.

    In the status stays which file it is and how many lines it shows.
    """
    there = set(_keys(s3, bucket))
    kept = set()
    for name in WITH_LINES:
        for group in (parts[name]["value"] or {}).get("groups", []):
            if "lines" in group:  # not of a value that was kept from the last time
                lines = group.pop("lines")
                body = {"version": VERSION, "kind": name, **group, "lines": lines}
                digest = hashlib.sha256(_text(body).encode()).hexdigest()
                # A name of its own for each content, so that a page and its download are of one moment.
                folder = "/".join(quote(part, safe="") for part in (name, group["dataset"], group["reason"]))
                group["shown"], group["key"] = len(lines), f"{LINES}{folder}/{digest[:16]}.json"
                if group["key"] not in there:
                    _put(s3, bucket, group["key"], body)
            kept.add(group["key"])
    return kept


def _keys(s3: S3Client, bucket: str) -> Iterable[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=LINES):
        yield from (found["Key"] for found in page.get("Contents", []))


def _delete_others(s3: S3Client, bucket: str, kept: set[str]) -> None:
    for key in set(_keys(s3, bucket)) - kept:
        s3.delete_object(Bucket=bucket, Key=key)


def attention(parts: dict[str, Part], now: datetime) -> list[dict[str, str]]:
    """Return what somebody should look at, alarms before warnings: level, part, and what is the matter."""
    found = [
        {"level": "alarm", "part": name, "text": f"This part does not answer: {part['error']}"}
        for name, part in parts.items()
        if part["error"]
    ]
    for name, check in CHECKS.items():
        if parts[name]["value"] is not None:
            found += [
                {"level": level, "part": name, "text": text} for level, text in check(parts[name]["value"], now) if text
            ]
    return sorted(found, key=lambda one: one["level"])  # an alarm comes before a warning in the alphabet, too


Found = Iterable[tuple[str, str]]


def _files(value: Any, now: datetime) -> Found:
    if value["failed"]:
        yield "alarm", f"{_count(value['failed'], 'file')} in landing/ could not be loaded"
    if value["waiting"] and now - datetime.fromisoformat(value["oldest_put_at"]) > WAITING_TOO_LONG:
        since = value["oldest_put_at"][:16]
        yield "warning", f"{_count(value['waiting'], 'file')} in landing/ not loaded yet, the oldest since {since}"


def _rows(value: Any, _now: datetime) -> Found:
    set_aside = sum(of["set_aside"] for of in value["datasets"])
    if set_aside:
        yield "warning", f"{_count(set_aside, 'file')} of today set aside as a whole"


def _held(value: Any, now: datetime) -> Found:
    old = [of for of in value["groups"] if now - datetime.fromisoformat(of["oldest_put_at"]) > HELD_TOO_LONG]
    if old:
        datasets = ", ".join(sorted({of["dataset"] for of in old}))
        yield "warning", f"Rows of {datasets} wait for more than {HELD_TOO_LONG.days} days for what they refer to"


def _sync(value: Any, _now: datetime) -> Found:
    behind = value["lag"]
    if behind["tables_never_synced"]:
        yield "warning", f"{_count(behind['tables_never_synced'], 'table')} never synced to the warehouse"
    if behind["seconds_behind"] > BEHIND_TOO_LONG_S:
        rows = behind["rows_behind"] + behind["deletes_behind"]
        yield "alarm", f"The warehouse is {behind['seconds_behind'] / 60:.0f} minutes and {_count(rows, 'row')} behind"


def _reconcile(value: Any, _now: datetime) -> Found:
    if value["open"]:
        tables = ", ".join(of["table_name"] for of in value["by_table"])
        yield "alarm", f"{_count(value['open'], 'row')} of the warehouse differ from the store: {tables}"


def _notifications(value: Any, now: datetime) -> Found:
    last = value["last"]
    if last is None:
        return
    if last["status"] == "failed":
        yield "alarm", f"The notifications of {last['day']} do not add up, or could not be delivered"
    # Those of a day are delivered on the next one; a day is left for that.
    if date.fromisoformat(last["day"]) < now.astimezone(UTC).date() - timedelta(days=2):
        yield "alarm", f"No notifications have been delivered since those of {last['day']}"


def _queues(value: Any, _now: datetime) -> Found:
    for name, of_queue in value.items():
        if of_queue["dead"]:
            yield "alarm", f"{_count(of_queue['dead'], 'message')} in the dead-letter queue of {name}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


CHECKS: dict[str, Callable[[Any, datetime], Found]] = {
    "files": _files, "rows": _rows, "held": _held, "sync": _sync, "reconcile": _reconcile,
    "notifications": _notifications, "queues": _queues,
}  # fmt: skip


def read_object(s3: S3Client, bucket: str, key: str) -> bytes | None:
    """Return an object of the bucket, None when there is none."""
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise
        return None


def read_figures(s3: S3Client, bucket: str) -> dict[str, Any]:
    """Return the published dashboard's figures.json, nothing when there is no dashboard yet."""
    body = read_object(s3, bucket, FIGURES)
    return json.loads(body) if body else {}


def _put(s3: S3Client, bucket: str, key: str, body: Any) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=_text(body).encode(), ContentType="application/json")


def _text(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is not meant for the status")
