"""A line of JSON about each request, its id in the answer, and an answer for what nobody foresaw."""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
import uuid
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketplace.api.problems import Problem, answer

LOG = logging.getLogger("marketplace.api")


class AccessLog:
    """Wraps the app. What the log has of a request: no query string, no token, no customer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = scope.setdefault("state", {})["request_id"] = _request_id(scope)
        line: dict[str, Any] = {"request_id": request_id, "method": scope["method"], "status": None, "bytes": 0}

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                line["status"] = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            elif message["type"] == "http.response.body":
                line["bytes"] += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        except Exception as error:  # noqa: BLE001 - what it was is in the log, under the id that the caller gets
            LOG.error(
                json.dumps(
                    {
                        "request_id": request_id,
                        "error": type(error).__name__,
                        "traceback": traceback.format_exc(limit=-6),
                    }
                )
            )
            if line["status"] is None:
                problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here. It is in our log.")
                await answer(problem, request_id)(scope, receive, send_counted)
        finally:
            # The route as it is declared: a path of the caller's may hold anything.
            line["route"] = getattr(scope.get("route"), "path", None)
            line["ms"] = round((time.perf_counter() - started) * 1000, 2)
            LOG.info(json.dumps(line))


def _request_id(scope: Scope) -> str:
    """Return the id under which the gateway knows the request, or one of our own."""
    context = scope.get("aws.event", {}).get("requestContext", {})
    given = str(context.get("requestId", ""))
    return given if re.fullmatch(r"[A-Za-z0-9=_+/-]{1,100}", given) else str(uuid.uuid4())
