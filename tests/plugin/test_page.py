"""What the page shows, in this process: hostile text, missing files, old states, lines of files, downloads."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from local import aws
from tests.plugin.conftest import Buckets, iso
from tests.plugin.test_access import PAGES, WITH_LINES

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"


@pytest.fixture
def bucket(buckets: Buckets) -> Iterator[Buckets]:
    """The buckets, empty, and this process's environment leads to them."""
    buckets.empty()
    with aws.environment(buckets.variables):
        yield buckets
    buckets.empty()


@pytest.fixture
def get(bucket: Buckets, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Asks the page as its mount of Airflow does, as somebody who may see all. Nothing is kept from test to test."""
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api import security
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from marketplace_page import app

    monkeypatch.setattr(app, "get_auth_manager", SimpleAuthManager)
    monkeypatch.setattr(security, "get_auth_manager", SimpleAuthManager)
    page = app.create_app()
    page.dependency_overrides[security.get_user] = lambda: SimpleAuthManagerUser(username="a", role="admin", teams=[])
    outer = FastAPI()
    outer.mount("/marketplace", page)
    client = TestClient(outer)
    return lambda path, **query: client.get(path, params=query or None)


class Tags(HTMLParser):
    """The elements of a page, and the attributes by which one may run a script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


@pytest.mark.parametrize("path", [*PAGES.values(), *WITH_LINES.values()])
def test_what_files_say_is_shown_and_never_run(get: Callable[..., Any], bucket: Buckets, path: str) -> None:
    bucket.fill(HOSTILE)
    address, _, query = path.partition("?")
    wanted = dict(part.split("=") for part in query.split("&") if part)
    answer = get(address, **(wanted | ({"reason": HOSTILE} if wanted.get("reason") == "plain" else {})))
    assert answer.status_code == 200, answer.text
    if not answer.headers["content-type"].startswith("text/html") or "dashboard/view" in path:
        return
    elements = Tags(answer.text).elements
    assert [attributes["src"] for tag, attributes in elements if tag == "script"] == ["/marketplace/static/page.js"]
    assert not [tag for tag, _ in elements if tag == "img"]
    assert not [name for _, attributes in elements for name in attributes if name.startswith("on")]
    assert "49" not in answer.text.replace(iso()[:19], "") or "{{ 7*7 }}" in answer.text


def test_raw_lines_and_their_download(get: Callable[..., Any], bucket: Buckets) -> None:
    bucket.fill()
    shown = get("/marketplace/rejected/lines", dataset="publisher", reason="plain").text
    assert "P-2,plain,US" in shown
    assert "=HYPERLINK(1)" in shown
    answer = get("/marketplace/rejected/lines.csv", dataset="publisher", reason="plain")
    assert answer.headers["content-disposition"] == 'attachment; filename="rejected-publisher-plain.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    header, first, second = csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))
    assert header == ["object_key", "line_no", "load_id", "put_at", "column_name", "reason", "detail", "raw"]
    assert (first[1], first[7]) == ("3", "P-2,plain,US")
    assert second[7] == "'=HYPERLINK(1)", "a spreadsheet would compute it"


@pytest.mark.parametrize("begins", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=1", " =1", "＝1"])
def test_no_cell_of_a_download_begins_a_formula(begins: str) -> None:
    from marketplace_page.lines import as_csv

    _, (cell,) = csv.reader(io.StringIO(as_csv(["raw"], [{"raw": begins}]), newline=""))
    assert cell == f"'{begins}"


def test_lines_that_have_expired_are_said_to_have(get: Callable[..., Any], bucket: Buckets) -> None:
    bucket.fill()
    bucket.s3.delete_object(Bucket=bucket.report, Key="status/lines/rejected/x.json")
    answer = get("/marketplace/rejected/lines", dataset="publisher", reason="plain")
    assert "These lines have expired" in answer.text
    assert get("/marketplace/rejected/lines.csv", dataset="publisher", reason="plain").status_code == 404
    assert get("/marketplace/rejected/lines", dataset="publisher", reason="other").status_code == 404


def test_before_the_first_status_the_page_says_what_to_do(get: Callable[..., Any]) -> None:
    answer = get("/marketplace/")
    assert answer.status_code == 200
    assert "Nothing has been published yet" in answer.text
    assert "publish_status" in answer.text
    assert "There is no dashboard yet" in get("/marketplace/numbers").text


def test_an_old_status_and_a_part_that_is_down_say_so(get: Callable[..., Any], bucket: Buckets) -> None:
    status = bucket.fill()
    assert "This is old" not in get("/marketplace/").text
    status["parts"]["sync"] |= {"error": "connection refused", "as_of": iso(timedelta(hours=3))}
    status["parts"]["marts"] = {"error": "connection refused", "as_of": None, "value": None}
    status["written_at"] = iso(timedelta(minutes=26))
    bucket.put("status/latest.json", status)
    text = get_anew(get)("/marketplace/").text
    assert "This is old" in text
    assert "This is what it was 3 h ago" in text
    assert "It never did." in text


def get_anew(get: Callable[..., Any]) -> Callable[..., Any]:
    """Let what the page has kept for some seconds be old."""
    from marketplace_page import bucket

    later = bucket.time.monotonic() + bucket.FRESH_S + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bucket.time, "monotonic", lambda: later)
        answer = get("/marketplace/")
    return lambda _path: answer


def test_a_status_of_another_release_is_not_guessed_at(get: Callable[..., Any], bucket: Buckets) -> None:
    bucket.put("status/latest.json", bucket.fill() | {"version": 2})
    assert "Another release has written the status" in get("/marketplace/").text


def test_when_s3_does_not_answer_the_page_says_so(get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    answer = get("/marketplace/")
    assert answer.status_code == 503
    assert "S3 cannot be read" in answer.text


def test_a_bucket_that_is_not_set_is_named(get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MARKETPLACE_REPORT_BUCKET")
    answer = get("/marketplace/")
    assert answer.status_code == 503
    assert "marketplace.report_bucket" in answer.text
    monkeypatch.setenv("AIRFLOW__MARKETPLACE__REPORT_BUCKET", Buckets.report)
    assert get("/marketplace/").status_code == 200


def test_what_has_not_changed_is_not_read_again(bucket: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    from marketplace_page import bucket as buckets_of_page

    now = 0.0
    monkeypatch.setattr(buckets_of_page.time, "monotonic", lambda: now)
    report = buckets_of_page.Bucket("REPORT_BUCKET")
    bucket.put("a.json", {"a": 1})
    assert report.json("a.json") == {"a": 1}
    bucket.put("a.json", {"a": 2})
    assert report.json("a.json") == {"a": 1}, "it is fresh"
    now = 6.0
    assert report.json("a.json") == {"a": 2}
    now = 12.0
    assert report.json("a.json") == {"a": 2}, "S3 says that it has not changed"
    bucket.s3.delete_object(Bucket=bucket.report, Key="a.json")
    now = 18.0
    assert report.json("a.json") is None


def test_a_number_leads_to_the_lines_of_its_file(get: Callable[..., Any], bucket: Buckets) -> None:
    bucket.fill()
    sample = {"chart": "c", "figure": "f"}
    loads = get("/marketplace/numbers/loads", **sample).text
    assert "landing/plain.csv" in loads
    assert "3 more are not listed" in loads
    assert "2 of its lines come from no file" in loads
    text = get("/marketplace/numbers/lines", **sample, load_id=7).text
    assert "P-1,&#34;plain&#34;" in text
    assert "P-2,&#34;two\nlines&#34;" in text, "the whole record, which begins on line 4"
    assert get("/marketplace/numbers/lines", **sample, load_id=8).status_code == 404
    assert get("/marketplace/numbers/loads", chart="c", figure="other").status_code == 404


def test_a_line_that_lies_too_far_in_its_file_or_has_expired_is_said_to(
    get: Callable[..., Any], bucket: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketplace_page import app

    bucket.fill()
    sample = {"chart": "c", "figure": "f", "load_id": 7}
    monkeypatch.setattr(app, "MOST_READ", len('publisher_id,name\nP-1,"plain"\n\nP-2,"t'))
    text = get("/marketplace/numbers/lines", **sample).text
    assert "Line 4" in text
    assert "lies beyond" in text
    assert "P-1,&#34;plain&#34;" in text
    bucket.s3.delete_object(Bucket=bucket.landing, Key="archive/a.csv")
    assert "The file has expired" in get("/marketplace/numbers/lines", **sample).text


def test_the_lines_of_a_file_are_numbered_as_ingestion_numbers_them() -> None:
    from marketplace.ingest.records import read_records
    from marketplace_page.lines import records

    text = 'a,b\r\n1,"x\r\ny"\n\n2,z\n"3\n\n",\n4,w'
    lines = io.StringIO(text, newline="").readlines()
    expected = [(record.line_no, record.fields) for record in read_records([lines])]
    assert [(record.line_no, record.fields) for record in records(text)] == expected


def test_the_dashboard_gets_the_theme(get: Callable[..., Any], bucket: Buckets) -> None:
    bucket.fill()
    assert '<html data-theme="dark" lang=en>' in get("/marketplace/dashboard/view", theme="dark").text
    assert "<html lang=en>" in get("/marketplace/dashboard/view").text
    assert get("/marketplace/dashboard/view", theme="x onload=alert(1)").status_code == 422
