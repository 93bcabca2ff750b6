"""Asks the app as AWS does: by the event of an HTTP API, through Mangum."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI
from mangum import Mangum

from local import ports
from local.state import State
from marketplace.api.config import Config, read_keys
from tests.api import tokens


@dataclass(frozen=True)
class Answer:
    """What the function returns."""

    status_code: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        """Return the body's meaning."""
        return json.loads(self.text)


def app_config(state: State, database: str, table: str, key: tokens.Key) -> Config:
    """Return where the app finds what it needs: a platform's store, a table of inboxes, and whose tokens are good."""
    return Config(
        store_host=ports.HOST,
        store_port=state.ports["postgres"],
        store_database=database,
        store_password=state.passwords["store_reader"],
        notification_table=table,
        issuer=tokens.ISSUER,
        audiences=frozenset({tokens.AUDIENCE}),
        token_keys=read_keys(tokens.key_set(key)),
        scope_prefix="",
        customer_claim="customer",
        cursor_key=b"k" * 32,
    )


class Client:
    """An HTTP API before the app, without an authorizer: the app must refuse by itself."""

    def __init__(self, app: FastAPI) -> None:
        self._handler = Mangum(app, lifespan="off")

    def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | Sequence[tuple[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Return the answer to a request."""
        given = params.items() if isinstance(params, Mapping) else params
        query = urlencode([(name, str(value).lower() if isinstance(value, bool) else value) for name, value in given])
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {"host": "api.example", **{name.lower(): value for name, value in (headers or {}).items()}},
            "requestContext": {
                "http": {"method": method, "path": path, "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1"},
                "requestId": "the-request=",
                "stage": "$default",
            },
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }
        answer = self._handler(event, None)  # type: ignore[arg-type]
        text = answer["body"]
        if answer.get("isBase64Encoded"):
            text = base64.b64decode(text).decode()
        return Answer(answer["statusCode"], answer["headers"], text)

    def get(self, path: str, params: Any = (), headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a GET."""
        return self.request("GET", path, params, headers)
