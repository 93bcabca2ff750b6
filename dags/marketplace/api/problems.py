"""Errors as RFC 9457 has them (application/problem+json), with each parameter that is wrong and the accepted form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

MEDIA_TYPE = "application/problem+json"


class ParameterError(BaseModel):
    """What is wrong with one parameter."""

    parameter: str = Field(examples=["bbox"])
    detail: str = Field(examples=["west is 200"])
    accepted: str = Field(examples=["west,south,east,north in degrees"])


class ProblemBody(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Bad Request"])
    status: int = Field(examples=[400])
    detail: str = Field(examples=["bbox: west is 200"])
    request_id: str = Field(examples=["JKJaXmPLvHcESHA="], description="To look the request up in the log")
    errors: list[ParameterError] = Field(default_factory=list)


class Problem(Exception):
    """A request that is refused: the status and the sentences that the caller gets to read, and nothing else."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: Sequence[ParameterError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


def refused(
    parameter: str, detail: str, accepted: str, status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY
) -> Problem:
    """Return the problem of one parameter.

    422 is for what has the form of its schema and still cannot be; what has not is 400.
    """
    return Problem(
        status, f"{parameter}: {detail}", [ParameterError(parameter=parameter, detail=detail, accepted=accepted)]
    )


def answer(problem: Problem, request_id: str) -> JSONResponse:
    """Return the response that tells of a problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": int(problem.status),
        "detail": problem.detail,
        "request_id": request_id,
        "errors": [error.model_dump() for error in problem.errors],
    }
    return JSONResponse(body, problem.status, problem.headers, MEDIA_TYPE)
