"""What the OpenAPI document says beyond what FastAPI finds out by itself."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, TypeAlias

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from marketplace.api.problems import MEDIA_TYPE, ProblemBody

Responses: TypeAlias = dict[int | str, dict[str, Any]]

TOKEN = "token"  # noqa: S105 - what the document calls it
ANYWHERE = "#/components/schemas/{model}"
# What the gateway answers by itself, before the app is asked.
GATEWAY_REFUSAL = {
    "schema": {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
    "example": {"message": "Unauthorized"},
}
BY_THE_GATEWAY = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
EVERYWHERE = {HTTPStatus.BAD_REQUEST, *BY_THE_GATEWAY, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE}


def referred(model: type[BaseModel]) -> dict[str, Any]:
    """Return a media type's entry that refers to the schema of a model."""
    return {"schema": {"$ref": ANYWHERE.format(model=model.__name__)}}


def secured(scope: str) -> dict[str, Any]:
    """Return what an operation says of the token that it needs."""
    return {"security": [{TOKEN: [scope]}]}


def refusals(*statuses: HTTPStatus) -> Responses:
    """Return the answers to requests that are refused: those that any route may give, and these."""
    problem = {MEDIA_TYPE: referred(ProblemBody)}
    return {
        int(status): {
            "description": status.phrase,
            "content": {**problem, "application/json": GATEWAY_REFUSAL} if status in BY_THE_GATEWAY else problem,
        }
        for status in sorted({*EVERYWHERE, *statuses})
    }


def document(app: FastAPI, models: list[type[BaseModel]]) -> dict[str, Any]:
    """Return the app's OpenAPI document, with the schemas of `models`, which no route returns as FastAPI knows it."""
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    template = ANYWHERE
    _, definitions = models_json_schema([(model, "serialization") for model in models], ref_template=template)
    components = made.setdefault("components", {})
    components["schemas"] = dict(sorted({**components.get("schemas", {}), **definitions["$defs"]}.items()))
    components["securitySchemes"] = {
        TOKEN: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "Signed by RS256. The scope has the prefix of the environment's resource server.",
        }
    }
    for operations in made["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                parameter["schema"] = _without_null(parameter["schema"])
    return made


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter that may be left out: in a URL there is no null."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) != 1:
        return schema
    return {**{name: value for name, value in schema.items() if name not in ("anyOf", "default")}, **choices[0]}
