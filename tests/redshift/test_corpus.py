"""Each statement of the corpus through the endpoint, with Redshift's own driver: exactly what it says comes of it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import redshift_connector

from scripts import redshift_statements
from tests.redshift.conftest import BUCKET, Endpoint
from tests.redshift.corpus import OUTCOMES, Case, cases

CASES = cases()


class Running:
    """A case in a schema and under a prefix of S3 of its own."""

    def __init__(self, endpoint: Endpoint, schema: str) -> None:
        self.schema = schema
        self.s3 = boto3.client("s3")
        self.connection = endpoint.connect()
        self.cursor = self.connection.cursor()

    def fill(self, text: str) -> str:
        """Put in what is the case's own."""
        return text.replace("{schema}", self.schema).replace("{s3}", f"s3://{BUCKET}/{self.schema}")

    def run(self, statement: str, parameters: list[Any] | None = None) -> list[list[Any]]:
        """Run a statement, and return its rows."""
        self.cursor.execute(self.fill(statement), parameters)
        return [list(row) for row in self.cursor.fetchall()] if self.cursor.description else []

    def objects(self) -> dict[str, bytes]:
        """Return what lies in S3 under the case's prefix."""
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{self.schema}/").get("Contents", [])
        return {
            entry["Key"].partition("/")[2]: self.s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
            for entry in listed
        }


@pytest.fixture
def running(endpoint: Endpoint) -> Iterator[Running]:
    """A schema that goes with the case."""
    case = Running(endpoint, f"case_{uuid.uuid4().hex[:12]}")
    case.run(f"create schema {case.schema}")
    case.run(f"set search_path to {case.schema}")
    case.connection.commit()
    try:
        yield case
    finally:
        case.connection.rollback()
        case.run("reset search_path")
        case.run(f"drop schema {case.schema} cascade")
        case.connection.commit()
        case.connection.close()


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}: {case.name}" for case in CASES])
def test_what_comes_of_a_statement(case: Case, running: Running) -> None:
    for key, content in case.objects.items():
        running.s3.put_object(Bucket=BUCKET, Key=f"{running.schema}/{key}", Body=content.encode(running.fill))
    for statement in case.setup:
        running.run(statement)
    running.connection.commit()
    running.connection.autocommit = case.autocommit
    *before, last = case.statements
    for statement in before:
        if isinstance(statement, dict):
            with pytest.raises(redshift_connector.Error):
                running.run(statement["fails"])
        else:
            running.run(statement)
    if case.error:
        with pytest.raises(redshift_connector.Error) as refused:
            running.run(last, case.parameters)
        told = refused.value.args[0]
        assert told["C"] == case.error["code"], told
        assert case.error["message"] in told["M"]
        running.connection.rollback()
    else:
        rows = running.run(last, case.parameters)
    if case.rows is not None:
        assert typed(rows) == typed(case.rows)
    if case.after:
        assert typed(running.run(case.after["query"])) == typed(filled(case.after["rows"], running))
    if case.written is not None:
        found = running.objects()
        assert set(found) == set(case.written)
        for key, content in case.written.items():
            assert content.decode(found[key]) == content.expected(running.fill)


def typed(rows: list[list[Any]]) -> list[list[tuple[str, Any]]]:
    """Return rows that are equal only if their types are, and the digits of their decimals."""
    return [[(type(value).__name__, str(value)) for value in row] for row in rows]


def filled(rows: list[list[Any]], running: Running) -> list[list[Any]]:
    return [[running.fill(value) if isinstance(value, str) else value for value in row] for row in rows]


def test_each_case_says_what_comes_of_it() -> None:
    for case in CASES:
        said = [outcome for outcome in OUTCOMES if getattr(case, outcome) is not None]
        assert len(said) == 1 or said == ["after", "error"], case.name
        assert case.guide, case.name


def test_the_page_shows_the_corpus() -> None:
    current = redshift_statements.PAGE.read_text(encoding="utf-8")
    assert redshift_statements.page(current) == current, "docs/local-redshift.md is stale: make docs"


def test_no_two_cases_have_one_name() -> None:
    assert [name for name, times in Counter((case.kind, case.name) for case in CASES).items() if times > 1] == []
