"""The app: its routes, and what they have in common."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from marketplace.api import aggregates, documents, notifications, tokens
from marketplace.api.access_log import AccessLog
from marketplace.api.config import Config
from marketplace.api.cursors import Cursors
from marketplace.api.database import Database
from marketplace.api.inbox import Inbox
from marketplace.api.problems import ParameterError, Problem, ProblemBody, answer

ABOUT = """\
What is played where and when on the marketplace, and the notifications of its customers.

Errors are `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)). A parameter that has not the
form of its schema is refused by 400, one that has and still cannot be by 422, each with the form that is accepted. What
the gateway refuses by itself (401, 403, 429) comes as `application/json` with a `message`.
"""


def create_app(config: Config) -> FastAPI:
    """Return the app. Nothing is opened before the first request."""
    app = FastAPI(
        title="Games marketplace",
        description=ABOUT,
        version="1.0.0",
        openapi_url=None,
        redirect_slashes=False,
        middleware=[Middleware(AccessLog)],
        dependencies=[Depends(_each_once)],
    )
    checked, cursors = tokens.Tokens(config), Cursors(config.cursor_key)

    def needs(scope: str) -> Callable[[Request], tokens.Caller]:
        def caller(request: Request) -> tokens.Caller:
            return checked.caller(request.headers.get("authorization"), scope)

        return caller

    refusals = documents.refusals(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
    data = aggregates.AggregatedData(Database(config), cursors)
    inbox = Inbox(config.notification_table)
    app.include_router(aggregates.router(data, needs(tokens.ANALYTICS), refusals))
    app.include_router(notifications.router(inbox, cursors, needs(tokens.NOTIFICATIONS), refusals))

    @app.get("/openapi.json", include_in_schema=False)
    def openapi_document() -> JSONResponse:
        return JSONResponse(app.openapi())

    made = cache(lambda: documents.document(app, [aggregates.FeatureCollection, ProblemBody]))
    # As FastAPI's documentation does it.
    app.openapi = made  # type: ignore[method-assign]
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    return app


def _each_once(request: Request) -> None:
    """Refuse a parameter that comes twice: which of the two counts is nothing to guess at. Raises Problem."""
    counted = Counter(name for name, _value in request.query_params.multi_items())
    twice = [name for name, times in counted.items() if times > 1]
    if twice:
        errors = [ParameterError(parameter=name, detail="it comes twice", accepted="once") for name in twice]
        raise Problem(HTTPStatus.BAD_REQUEST, f"{twice[0]}: it comes twice", errors)


def _request_id(request: Request) -> str:
    return str(request.state.request_id)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - that is what it is registered for
    return answer(error, _request_id(request))


async def _http_error(request: Request, error: Exception) -> Response:
    """Tell of a path or a method that there is not, or of a body that is no JSON."""
    assert isinstance(error, HTTPException)  # noqa: S101 - that is what it is registered for
    status = HTTPStatus(error.status_code)
    return answer(Problem(status, status.description, headers=error.headers), _request_id(request))


async def _validation_error(request: Request, error: Exception) -> Response:
    """Tell of each parameter that has not the form of its schema, and of that form, in the document's words."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - that is what it is registered for
    operation = request.app.openapi()["paths"][request.scope["route"].path][request.method.lower()]
    described = {parameter["name"]: parameter["description"] for parameter in operation.get("parameters", [])}
    errors = [_parameter_error(found, described) for found in error.errors()]
    detail = "; ".join(f"{found.parameter}: {found.detail}" for found in errors)
    return answer(Problem(HTTPStatus.BAD_REQUEST, detail, errors), _request_id(request))


def _parameter_error(found: dict[str, Any], described: dict[str, str]) -> ParameterError:
    place, *path = found["loc"]
    if place == "body":
        example = json.dumps({"read": True})
        return ParameterError(parameter="body", detail=found["msg"], accepted=f"JSON such as {example}")
    name = str(path[0])[:100]
    if found["type"] == "extra_forbidden":
        return ParameterError(parameter=name, detail="there is no such parameter", accepted=", ".join(described))
    detail = "it is missing" if found["type"] == "missing" else found["msg"]
    return ParameterError(parameter=name, detail=detail, accepted=described[name])
