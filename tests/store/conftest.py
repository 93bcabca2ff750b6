"""Connections to a migrated store whose work is rolled back, and empty databases for the migrations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
import sqlalchemy

from local import postgres

_databases = itertools.count(1)


@pytest.fixture
def connect(store: Any) -> Iterator[Callable[[str], psycopg.Connection]]:
    """Opens connections to the store, as a role; whatever was not committed is gone after the test."""
    with ExitStack() as opened:

        def open_as(role: str) -> psycopg.Connection:
            connection = psycopg.connect(store.url(role))
            opened.callback(connection.close)
            return connection

        yield open_as


@pytest.fixture
def owner(connect: Callable[[str], psycopg.Connection]) -> psycopg.Connection:
    return connect("store_owner")


@pytest.fixture
def writer(connect: Callable[[str], psycopg.Connection]) -> psycopg.Connection:
    return connect("store_writer")


@pytest.fixture
def reader(connect: Callable[[str], psycopg.Connection]) -> psycopg.Connection:
    return connect("store_reader")


@pytest.fixture
def empty_store(platform: Any) -> Iterator[sqlalchemy.Engine]:
    """The owner's engine on a database that has had no migration yet, only what needs a superuser."""
    database = f"empty_store_{next(_databases)}"
    with postgres.connect(platform.state) as superuser:
        postgres.create_database(superuser, database, "store_owner")
        postgres.prepare_store(platform.state, database)
        url = postgres.url(platform.state, "store_owner", database, "postgresql+psycopg")
        engine = sqlalchemy.create_engine(url)
        yield engine
        engine.dispose()
        postgres.drop_database(superuser, database)
