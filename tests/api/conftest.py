"""The app in this process, on a store with known play and a table of notifications."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import psycopg
import pytest

from marketplace.api.app import create_app
from marketplace.api.config import Config
from tests.api import tokens
from tests.api.client import Client, app_config
from tests.infra import templates

# Where: three places of Sweden, Italy and Fiji (on both sides of the antimeridian).
STOCKHOLM, ROME, SUVA, TAVEUNI = (18.0686, 59.3293), (12.4964, 41.9028), (178.44, -18.14), (-179.95, -16.9)
GAMES = {"G1": ("Starforge", "Strategy"), "G2": ("Café Tycoon", "strategy"), "G3": ("No Genre", None)}
AREAS = {
    "NORTH": ("The North", "POLYGON((5 55, 30 55, 30 70, 5 70, 5 55))"),
    "WEST": ("Europe", "POLYGON((-10 36, 30 36, 30 70, -10 70, -10 36))"),
    "SEA": ("Europe", "POLYGON((-40 10, -30 10, -30 20, -40 20, -40 10))"),
}
# (customer, game, platform, began, seconds, place)
PLAY: list[tuple[int, str, str, str, int | None, tuple[float, float]]] = [
    (1, "G1", "PC", "2025-01-05T18:00:00Z", 3600, STOCKHOLM),
    (1, "G1", "PC", "2025-01-06T18:00:00Z", 1800, STOCKHOLM),
    (1, "G2", "PC", "2025-01-06T20:00:00Z", None, STOCKHOLM),
    (2, "G1", "PS5", "2025-01-06T23:59:59Z", 600, STOCKHOLM),
    (2, "G1", "PC", "2025-01-07T00:00:00Z", 60, ROME),
    (3, "G3", "PC", "2025-01-07T10:00:00Z", 120, ROME),
    (3, "G2", "Switch", "2025-01-08T10:00:00Z", 240, SUVA),
    (4, "G2", "Switch", "2025-01-08T11:00:00Z", 480, TAVEUNI),
]


@pytest.fixture(scope="session")
def issuer_key() -> tokens.Key:
    return tokens.Key("first")


@pytest.fixture(scope="module")
def played(store: Any) -> Any:
    """A store with the play of PLAY."""
    with psycopg.connect(store.url("store_owner")) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into store.game (game_id, title, title_key, genre) values (%s, %s, %s, %s)",
            [(game, title, title.lower(), genre) for game, (title, genre) in GAMES.items()],
        )
        cursor.executemany(
            "insert into store.game_alias (alias_id, game_id, title, title_key) values (%s, %s, %s, %s)",
            [(game, game, title, title.lower()) for game, (title, _genre) in GAMES.items()]
            + [("G1-OLD", "G1", "STARFORGE", "starforge")],
        )
        cursor.executemany(
            "insert into store.customer (customer_id, ref) overriding system value values (%s, %s)",
            [(number, f"CUST-{number:04}") for number in sorted({row[0] for row in PLAY})],
        )
        cursor.executemany(
            "insert into geo.area (area_id, name, kind, boundary)"
            " values (%s, %s, 'region', st_multi(st_geomfromtext(%s, 4326)))",
            [(area, name, wkt) for area, (name, wkt) in AREAS.items()],
        )
        cursor.executemany(
            "insert into store.play_session"
            " (session_id, customer_id, game_id, platform, started_at, duration_s, location)"
            " values (%s, %s, %s, %s, %s, %s, st_point(%s, %s, 4326)::geography)",
            [(f"S{number}", *row[:5], *row[5]) for number, row in enumerate(PLAY)],
        )
    return store


@pytest.fixture(scope="module")
def table(platform: Any) -> Iterator[str]:
    """An empty table, laid out as infra/templates/notifications.yaml has it."""
    dynamodb = boto3.client("dynamodb")
    name = "notifications-of-a-test"
    layout = templates.of_type("AWS::DynamoDB::Table")["NotificationTable"]
    dynamodb.create_table(
        TableName=name,
        **{part: layout[part] for part in ("BillingMode", "AttributeDefinitions", "KeySchema")},
        GlobalSecondaryIndexes=layout["GlobalSecondaryIndexes"],
    )
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture(scope="module")
def config(platform: Any, played: Any, table: str, issuer_key: tokens.Key) -> Config:
    """Where the app finds what it needs."""
    return app_config(platform.state, played.name, table, issuer_key)


@pytest.fixture(scope="module")
def client(config: Config) -> Client:
    """A client of the app, without a token."""
    return Client(create_app(config))


Get = Callable[..., Any]


@pytest.fixture(scope="module")
def get(client: Client, issuer_key: tokens.Key) -> Get:
    """Asks with a good token; `from` and `to` cover all play of 2025 unless they are given."""

    def ask(path: str = "/aggregated-data", **parameters: Any) -> Any:
        days = {"from": "2025-01-01", "to": "2025-12-31"} if path == "/aggregated-data" else {}
        asked = {name: value for name, value in (days | parameters).items() if value is not None}
        return client.get(path, params=asked, headers=tokens.bearer(tokens.signed(issuer_key)))

    return ask
