"""GET and PATCH /notifications: a customer's own, and no other's."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from marketplace.api.cursors import ACCEPTED as CURSOR_ACCEPTED
from marketplace.api.cursors import LONGEST as LONGEST_CURSOR
from marketplace.api.cursors import PATTERN as CURSOR_PATTERN
from marketplace.api.cursors import Cursors
from marketplace.api.documents import Responses, secured
from marketplace.api.forms import Day, Flag
from marketplace.api.inbox import FIRST_DAY, LAST_DAY, Inbox
from marketplace.api.problems import Problem, refused
from marketplace.api.tokens import NOTIFICATIONS, Caller

LARGEST_PAGE = 100
FROM_ACCEPTED = "a day as YYYY-MM-DD, not after `to`"
ID_ACCEPTED = "the `id` of one of your notifications"
ID_PATTERN = r"^[A-Za-z0-9_-]+$"
ITEM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}#.+", re.ASCII | re.DOTALL)
EXAMPLE_ID = "MjAyNi0xMS0yMiNSVUxFLTc"


class Asked(BaseModel):
    """The parameters of GET /notifications. One that is not here is refused."""

    model_config = ConfigDict(extra="forbid")

    first_day: Day | None = Field(
        None, alias="from", description=f"The first day: {FROM_ACCEPTED}", examples=["2026-11-01"]
    )
    last_day: Day | None = Field(
        None, alias="to", description="The last day: a day as YYYY-MM-DD", examples=["2026-11-30"]
    )
    unread: Flag = Field(False, description="true for those only that are not marked as read; else false")
    limit: int = Field(
        20, ge=1, le=LARGEST_PAGE, description=f"how many notifications a page has, from 1 to {LARGEST_PAGE}"
    )
    cursor: str | None = Field(
        None, pattern=CURSOR_PATTERN, min_length=1, max_length=LONGEST_CURSOR, description=CURSOR_ACCEPTED
    )


class Notification(BaseModel):
    """What a customer was told."""

    id: str = Field(examples=[EXAMPLE_ID])
    day: date = Field(description="The day (UTC) it was due on", examples=["2026-11-22"])
    rule_id: str = Field(description="The rule it was made by", examples=["RULE-7"])
    topic: str = Field(examples=["marketing"])
    locale: str = Field(description="The language of its text", examples=["de"])
    subject: str = Field(examples=["Starforge is out"])
    body: str = Field(examples=["Hello Ada, Starforge, which you wished for, is out today."])
    stored_at: str = Field(description="When it was stored (UTC)", examples=["2026-11-22T00:05:12+00:00"])
    read_at: str | None = Field(description="When it was first marked as read (UTC); null while it is unread")


class Notifications(BaseModel):
    """A page of notifications, the newest day first."""

    notifications: list[Notification]
    next: str | None = Field(description="The cursor of the next page; null on the last one")


class Unread(BaseModel):
    """How many notifications are not marked as read."""

    unread: int = Field(examples=[3])


class Mark(BaseModel):
    """What is to become of a notification."""

    model_config = ConfigDict(extra="forbid", strict=True)

    read: bool = Field(description="true marks it as read, false as unread", examples=[True])


Identifier = Annotated[str, Path(alias="id", pattern=ID_PATTERN, max_length=400, description=ID_ACCEPTED)]


def router(inbox: Inbox, cursors: Cursors, token: Callable[..., Caller], responses: Responses) -> APIRouter:
    """Return the routes; `token` is the dependency that checks the caller's."""
    routes = APIRouter()
    documented: dict[str, Any] = {"openapi_extra": secured(NOTIFICATIONS)}
    with_id = {key: value for key, value in responses.items() if key != HTTPStatus.UNPROCESSABLE_ENTITY}
    in_list = {key: value for key, value in responses.items() if key != HTTPStatus.NOT_FOUND}

    def customer(caller: Annotated[Caller, Depends(token)]) -> str:
        if caller.customer is None:
            raise Problem(HTTPStatus.FORBIDDEN, "The token names no customer.")
        return caller.customer

    Customer = Annotated[str, Depends(customer)]

    @routes.get(
        "/notifications",
        summary="Your notifications, the newest first",
        response_model=Notifications,
        responses=in_list,
        operation_id="notifications",
        **documented,
    )
    def notifications(customer: Customer, asked: Annotated[Asked, Query()]) -> JSONResponse:
        """Those of the customer whom the token names, for as long as they are kept (400 days).

        New ones that arrive while pages are read change none of the following pages, unless they are of an older day.
        """
        first = asked.first_day.isoformat() if asked.first_day else FIRST_DAY
        last = asked.last_day.isoformat() if asked.last_day else LAST_DAY
        if first > last:
            raise refused("from", f"{first} is after {last}", FROM_ACCEPTED)
        question = {"customer": customer, "from": first, "to": last, "unread": asked.unread}
        after = cursors.read(question, asked.cursor) if asked.cursor else None
        page = inbox.page(customer, first, last, unread=asked.unread, rows=asked.limit, after=after)
        following = cursors.make(question, page.following) if page.following else None
        return JSONResponse({"notifications": [_shown(found) for found in page.notifications], "next": following})

    @routes.get(
        "/notifications/unread",
        summary="How many of your notifications are unread",
        response_model=Unread,
        responses={key: value for key, value in in_list.items() if key != HTTPStatus.UNPROCESSABLE_ENTITY},
        operation_id="unread",
        **documented,
    )
    def unread(customer: Customer) -> JSONResponse:
        return JSONResponse({"unread": inbox.unread(customer)})

    @routes.get(
        "/notifications/{id}",
        summary="One of your notifications",
        response_model=Notification,
        responses=with_id,
        operation_id="notification",
        **documented,
    )
    def notification(customer: Customer, identifier: Identifier) -> JSONResponse:
        return JSONResponse(_found(inbox.one(customer, _item(identifier))))

    @routes.patch(
        "/notifications/{id}",
        summary="Mark one of your notifications as read or unread",
        response_model=Notification,
        responses=with_id,
        operation_id="mark",
        **documented,
    )
    def mark(customer: Customer, identifier: Identifier, change: Mark) -> JSONResponse:
        return JSONResponse(_found(inbox.mark(customer, _item(identifier), read=change.read)))

    return routes


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    identifier = base64.urlsafe_b64encode(found["item"].encode()).decode().rstrip("=")
    return {"id": identifier, **{name: value for name, value in found.items() if name != "item"}}


def _found(found: dict[str, Any] | None) -> dict[str, Any]:
    if found is None:
        raise _unknown()
    return _shown(found)


def _item(identifier: str) -> str:
    """Return the item that an id stands for. Raises Problem: what is no id is that of no notification."""
    try:
        item = base64.b64decode(identifier + "=" * (-len(identifier) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise _unknown() from None
    if not ITEM.fullmatch(item):
        raise _unknown()
    return item


def _unknown() -> Problem:
    return refused("id", "you have no such notification", ID_ACCEPTED, HTTPStatus.NOT_FOUND)
