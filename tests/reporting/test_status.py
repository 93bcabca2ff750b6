"""The state of every part, measured on the platform's real parts, and the raw lines beside it in the report bucket."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import psycopg
import pytest

from marketplace.reporting import status
from marketplace.reporting.status import Sources
from tests.ingest.conftest import Ingestion
from tests.sync.conftest import Sync


class Published:
    """Publishes the status of a store, a warehouse, two buckets and a queue of its own."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.s3 = sources.s3
        self.now = datetime.now(UTC)

    def publish(self, later: timedelta = timedelta(), **changed: Any) -> dict[str, Any]:
        """Publish, as so much later than this began, and return what the page would read."""
        self.unknown = status.publish(replace(self.sources, **changed), self.now + later)
        return self.read(status.LATEST)

    def read(self, key: str) -> Any:
        return json.loads(self.s3.get_object(Bucket=self.sources.report_bucket, Key=key)["Body"].read())

    def keys(self) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=self.sources.report_bucket, Prefix=status.LINES)
        return [found["Key"] for found in listed.get("Contents", [])]


@pytest.fixture
def published(sync: Sync, ingestion: Ingestion) -> Iterator[Published]:
    """Store and warehouse are the test's own, and `ingestion` loads into that store."""
    sqs, s3 = boto3.client("sqs"), boto3.client("s3")
    name = f"status-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    url = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy})["QueueUrl"]
    yield Published(Sources(sync.connect, sync.warehouse, s3, sqs, ingestion.bucket, name, {"landing": url}))
    for queue in (dead, url):
        sqs.delete_queue(QueueUrl=queue)
    for found in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=found["Key"])
    s3.delete_bucket(Bucket=name)


def values(published: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the parts; each was measured."""
    assert {name: part["error"] for name, part in published["parts"].items()} == dict.fromkeys(status.PARTS)
    return {name: part["value"] for name, part in published["parts"].items()}


def test_before_anything_has_happened_each_part_says_so(published: Published) -> None:
    found = published.publish()
    assert (found["version"], found["written_at"]) == (1, published.now.isoformat())
    assert {part["as_of"] for part in found["parts"].values()} == {published.now.isoformat()}
    value = values(found)
    assert value["files"] == {"last": None, "waiting": 0, "oldest_put_at": None, "failed": 0}
    assert value["rows"] == {"day": published.now.date().isoformat(), "datasets": []}
    assert (value["rejected"]["groups"], value["held"]["groups"]) == ([], [])
    assert value["sync"]["last"] is None
    assert value["reconcile"] == {"last": None, "open": 0, "by_table": []}
    assert (value["marts"], value["notifications"]) == ({"marts": []}, {"last": None})
    assert value["dashboard"] == {"as_of": None, "run_id": None, "built_at": None}
    assert value["queues"] == {"landing": {"waiting": 0, "with_a_worker": 0, "dead": 0}}
    tables = value["sync"]["lag"]["tables_never_synced"]
    assert found["attention"] == [
        {"level": "warning", "part": "sync", "text": f"{tables} tables never synced to the warehouse"}
    ]


def test_files_and_rows_are_accounted_for(published: Published, ingestion: Ingestion) -> None:
    ingestion.put("publisher", "P-1,Valve,US", "P-2,,US", "P-3,Ubisoft,FR")
    ingestion.put("game", "G-1,A,2020-01-01,RPG", name="b.csv")
    ingestion.run()
    ingestion.put_bytes("landing/game/c.csv", b"not,a,header\n1,2,3\n")
    ingestion.run()
    ingestion.put("game", "G-2,B,2020-01-01,RPG", name="d.csv")
    value = values(published.publish())
    assert (value["files"]["waiting"], value["files"]["failed"]) == (1, 0)
    assert value["files"]["last"]["object_key"] == "landing/game/c.csv"
    assert value["files"]["last"]["status"] == "rejected"
    assert ":" not in value["files"]["last"]["reason"], "the rest of a reason quotes the file"
    assert value["rows"]["datasets"] == [
        {
            "dataset": "game", "files": 2, "set_aside": 1, "read": 1, "accepted": 1, "rejected": 0, "held": 0,
            "accepted_later": 0,
        },
        {
            "dataset": "publisher", "files": 1, "set_aside": 0, "read": 3, "accepted": 2, "rejected": 1, "held": 0,
            "accepted_later": 0,
        },
    ]  # fmt: skip


def test_raw_lines_of_what_was_rejected_are_there_until_they_are_loaded_again(
    published: Published, ingestion: Ingestion
) -> None:
    ingestion.put("publisher", "P-1,Valve,US", 'P-2,"",US', "P-3,,FR")
    ingestion.run()
    (group,) = values(published.publish())["rejected"]["groups"]
    assert {name: group[name] for name in ("dataset", "reason", "rows", "files", "shown")} == {
        "dataset": "publisher", "reason": "missing", "rows": 2, "files": 1, "shown": 2,
    }  # fmt: skip
    assert published.keys() == [group["key"]]
    lines = published.read(group["key"])["lines"]
    assert [(line["line_no"], line["column_name"], line["raw"]) for line in lines] == [
        (3, "name", 'P-2,"",US'), (4, "name", "P-3,,FR"),
    ]  # fmt: skip
    assert lines[0]["object_key"] == "landing/publisher/a.csv"

    ingestion.execute("update ops.rejected_row set retried_load_id = load_id where line_no = 3")
    (left,) = values(published.publish())["rejected"]["groups"]
    assert (left["rows"], left["shown"]) == (1, 1)
    assert published.keys() == [left["key"]] != [group["key"]]

    ingestion.execute("update ops.rejected_row set raw = null, detail = null, erased_at = now()")
    (erased,) = values(published.publish())["rejected"]["groups"]
    assert (erased["rows"], erased["shown"]) == (1, 0)
    assert published.read(erased["key"])["lines"] == []
    assert published.keys() == [erased["key"]]


@pytest.mark.parametrize("is_empty", [True, False])
def test_the_page_shows_what_is_published(
    published: Published, ingestion: Ingestion, sync: Sync, is_empty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from starlette.requests import Request

    from marketplace_page.app import Page

    if not is_empty:
        ingestion.put("publisher", "P-1,Valve,US", "P-2,,US")
        ingestion.put("wishlist", "CUST-1,G-404,2025-01-01")
        ingestion.run()
        sync.reconcile(sync.sync(compare="all"))
        sync.change(
            "insert into ops.notification_run (day, run_id, status, expected, delivered)"
            " values ('2026-01-01', 'r', 'failed', 3, 2)"
        )
    published.publish()
    monkeypatch.setenv("MARKETPLACE_REPORT_BUCKET", published.sources.report_bucket)
    page = Page()
    request = Request({"type": "http", "path": "/marketplace/", "root_path": "/marketplace", "headers": [],
                       "server": ("127.0.0.1", 80), "query_string": b""})  # fmt: skip
    shown = {
        name: bytes(page.render(request, f"{name}.html", status=page.status()).body).decode()
        for name in ("overview", "rejected", "held")
    }
    if is_empty:
        assert "Nothing was loaded on" in shown["overview"]
        assert "There are none." in shown["rejected"]
    else:
        assert "2 of 3" in shown["overview"]
        assert "read 1 = 0 accepted + 0 rejected + 1 held" in " ".join(shown["overview"].split())
        assert "dataset=publisher&amp;reason=missing" in shown["rejected"]
        assert "ref_dataset=game" in shown["held"]


def test_nothing_is_written_twice(published: Published, ingestion: Ingestion) -> None:
    ingestion.put("publisher", "P-1,,US")
    ingestion.run()
    (group,) = values(published.publish())["rejected"]["groups"]
    key = {"Bucket": published.sources.report_bucket, "Key": group["key"]}
    published.s3.put_object(**key, Body=b"as it was")
    published.publish()
    assert published.s3.get_object(**key)["Body"].read() == b"as it was"


def test_no_more_than_so_many_lines_are_shown(
    published: Published, ingestion: Ingestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "MOST_LINES", 2)
    ingestion.put("publisher", *(f"P-{number},,US" for number in range(1, 4)), name="a.csv")
    ingestion.run()
    ingestion.put("publisher", "P-4,,US", name="b.csv")
    ingestion.run()
    (group,) = values(published.publish())["rejected"]["groups"]
    assert (group["rows"], group["files"], group["shown"]) == (4, 2, 2)
    shown = [(line["object_key"], line["line_no"]) for line in published.read(group["key"])["lines"]]
    assert shown[0] == ("landing/publisher/b.csv", 2), "the newest file first"
    assert shown[1] == ("landing/publisher/a.csv", 2)


def test_rows_that_wait_say_for_what_and_since_when(published: Published, ingestion: Ingestion) -> None:
    ingestion.put("wishlist", "CUST-1,G-404,2025-01-01", "CUST-2,G-405,2025-01-01")
    ingestion.run()
    found = published.publish()
    (group,) = values(found)["held"]["groups"]
    assert (group["dataset"], group["ref_dataset"], group["rows"], group["shown"]) == ("wishlist", "game", 2, 2)
    assert [line["ref_value"] for line in published.read(group["key"])["lines"]] == ["G-404", "G-405"]
    assert "held" not in {one["part"] for one in found["attention"]}
    later = published.publish(timedelta(days=8))
    texts = [one["text"] for one in later["attention"] if one["part"] == "held"]
    assert texts == ["Rows of wishlist wait for more than 7 days for what they refer to"]


def test_what_the_sync_and_the_comparison_have_done(published: Published, sync: Sync) -> None:
    sync.change("insert into store.publisher (publisher_id, name, name_key) values ('P-1', 'Valve', 'valve')")
    plan = sync.sync(compare="all")
    assert sync.reconcile(plan) == []
    value = values(published.publish())
    lag = value["sync"]["lag"]
    assert (lag["rows_behind"], lag["deletes_behind"], lag["seconds_behind"], lag["behind"]) == (0, 0, 0, {})
    assert (value["sync"]["last"]["run_id"], value["sync"]["last"]["exported"]) == (plan.run_id, 1)
    assert (value["reconcile"]["last"]["run_id"], value["reconcile"]["last"]["differences"]) == (plan.run_id, 0)

    sync.change("update store.publisher set name = 'Other'")
    sync.spoil(
        "insert into ops.sync_difference (run_id, table_name, key, kind, found_at)"
        " values ('r', 'store.game', '{}', 'changed', now())"
    )
    found = published.publish()
    assert values(found)["sync"]["lag"]["behind"] == {"store.publisher": 1}
    alarm = {"level": "alarm", "part": "reconcile"}
    assert found["attention"] == [alarm | {"text": "1 row of the warehouse differ from the store: store.game"}]


def test_messages_that_were_given_up_are_an_alarm(published: Published) -> None:
    url = published.sources.queues["landing"]
    for body in ("a", "b"):
        published.sources.sqs.send_message(QueueUrl=url, MessageBody=body)
    dead = url + "-dead"
    published.sources.sqs.send_message(QueueUrl=dead, MessageBody="c")
    found = published.publish()
    assert values(found)["queues"] == {"landing": {"waiting": 2, "with_a_worker": 0, "dead": 1}}
    assert found["attention"][0] == {
        "level": "alarm", "part": "queues", "text": "1 message in the dead-letter queue of landing",
    }  # fmt: skip


def test_a_part_that_is_down_keeps_its_last_value_and_the_others_go_on(
    published: Published, ingestion: Ingestion
) -> None:
    ingestion.put("publisher", "P-1,,US")
    ingestion.run()
    before = published.publish(timedelta(hours=-1))
    keys = published.keys()

    def refused() -> Any:
        return psycopg.connect("postgresql://nobody:secret@127.0.0.1:9/store", connect_timeout=2)

    found = published.publish(store=refused)
    of_store = {"files", "rows", "rejected", "held", "sync", "notifications"}
    assert set(published.unknown) == of_store
    for name, part in found["parts"].items():
        if name in of_store:
            assert part["as_of"] == (published.now - timedelta(hours=1)).isoformat(), name
            assert part["value"] == before["parts"][name]["value"], name
            assert "127.0.0.1" in part["error"], name
            assert "secret" not in part["error"], name
        else:
            assert (part["as_of"], part["error"]) == (published.now.isoformat(), None), name
    assert published.keys() == keys, "what the kept value names stays"
    alarms = {one["part"] for one in found["attention"] if one["level"] == "alarm"}
    assert alarms == of_store

    again = published.publish()
    assert values(again)["rejected"] == before["parts"]["rejected"]["value"] | {
        "since": again["parts"]["rejected"]["value"]["since"]
    }


def test_a_warehouse_that_is_down_is_asked_once(published: Published) -> None:
    asked = []

    def refused() -> Any:
        asked.append(1)
        raise ConnectionRefusedError("the warehouse is down")

    found = published.publish(warehouse=refused)
    assert set(published.unknown) == {"sync", "reconcile", "marts"}
    assert asked == [1]
    assert found["parts"]["sync"] == {"as_of": None, "error": "the warehouse is down", "value": None}
