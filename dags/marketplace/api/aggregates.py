"""GET /aggregated-data: play summed up by place, day and dimension."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, Literal

import psycopg
from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from psycopg import sql
from pydantic import BaseModel, ConfigDict, Field

from marketplace import store
from marketplace.api import places
from marketplace.api.cursors import ACCEPTED as CURSOR_ACCEPTED
from marketplace.api.cursors import LONGEST as LONGEST_CURSOR
from marketplace.api.cursors import PATTERN as CURSOR_PATTERN
from marketplace.api.cursors import Cursors
from marketplace.api.database import Database
from marketplace.api.documents import Responses, referred, secured
from marketplace.api.forms import Day, Flag
from marketplace.api.problems import refused
from marketplace.api.tokens import ANALYTICS, Caller

LARGEST_PAGE = 1000
LONGEST_RANGE = 366  # days
LARGEST_ANSWER = 5_000_000  # bytes; Lambda's own bound is 6 MB, and its error says nothing

FROM_ACCEPTED = "a day (UTC) as YYYY-MM-DD, not after `to`"
TO_ACCEPTED = f"a day (UTC) as YYYY-MM-DD, at most {LONGEST_RANGE} days from `from` on, both counted"
AREA_ACCEPTED = "the id of an area, or its name if only one area has it"
GAME_ACCEPTED = "the id of a game, any if it has several"
FORMAT_ACCEPTED = "json; or geojson, together with group_by=cell or group_by=area"
PLACES = ("bbox", "area", "polygon", "point")

# What a group is known by: the column of sums.sql that it is grouped by.
KEYS = {
    "cell": sql.Identifier("a", "cell_id"),
    "area": sql.Identifier("a", "area_id"),
    "day": sql.Identifier("a", "day"),
    "game": sql.Identifier("a", "game_id"),
    "genre": sql.Identifier("g", "genre"),
    "platform": sql.Identifier("a", "platform"),
}
# No NUL, which no text of the store has, and no other control character.
TEXT = r"^[^\x00-\x1f\x7f]+$"


class Asked(BaseModel):
    """The parameters of GET /aggregated-data. One that is not here is refused."""

    model_config = ConfigDict(extra="forbid")

    first_day: Day = Field(alias="from", description=f"The first day: {FROM_ACCEPTED}", examples=["2025-01-01"])
    last_day: Day = Field(alias="to", description=f"The last day: {TO_ACCEPTED}", examples=["2025-12-31"])
    bbox: str | None = Field(
        None,
        pattern=places.BOX_PATTERN,
        max_length=80,
        description=places.BOX_ACCEPTED,
        examples=["5.9,47.3,15.0,55.1"],
    )
    area: str | None = Field(
        None, pattern=TEXT, min_length=1, max_length=200, description=AREA_ACCEPTED, examples=["Europe"]
    )
    polygon: str | None = Field(
        None,
        pattern=places.POLYGON_PATTERN,
        max_length=places.LONGEST_POLYGON,
        description=places.POLYGON_ACCEPTED,
        examples=["POLYGON((5 47, 15 47, 15 55, 5 47))"],
    )
    point: str | None = Field(
        None, pattern=places.POINT_PATTERN, max_length=40, description=places.POINT_ACCEPTED, examples=["13.4,52.5"]
    )
    radius_km: float | None = Field(
        None,
        gt=0,
        le=places.LARGEST_RADIUS_KM,
        allow_inf_nan=False,
        description=places.RADIUS_ACCEPTED,
        examples=[50],
    )
    game: str | None = Field(
        None, pattern=TEXT, min_length=1, max_length=64, description=GAME_ACCEPTED, examples=["GAM-001"]
    )
    genre: str | None = Field(
        None,
        pattern=TEXT,
        min_length=1,
        max_length=100,
        description="a genre, without regard to case",
        examples=["Strategy"],
    )
    platform: str | None = Field(
        None,
        pattern=TEXT,
        min_length=1,
        max_length=50,
        description="a platform, as the store spells it",
        examples=["PC"],
    )
    group_by: Literal["cell", "area", "day", "game", "genre", "platform"] = Field(
        "cell", description="what to sum up by: cell, area, day, game, genre or platform", examples=["day"]
    )
    players: Flag = Field(
        False,
        description="true to have the different players of each group counted as well (slower: they do not add up, so "
        "those of all its rows are compared); else false",
    )
    format: Literal["json", "geojson"] = Field("json", description=FORMAT_ACCEPTED)
    limit: int = Field(
        100, ge=1, le=LARGEST_PAGE, description=f"how many groups a page has, from 1 to {LARGEST_PAGE}", examples=[100]
    )
    cursor: str | None = Field(
        None, pattern=CURSOR_PATTERN, min_length=1, max_length=LONGEST_CURSOR, description=CURSOR_ACCEPTED
    )


class Group(BaseModel):
    """The play of one group."""

    group: str | None = Field(
        description="The cell, area, day, game, genre (lower case) or platform; null for games without a genre",
        examples=["2025-01-05"],
    )
    name: str | None = Field(description="An area's name, or a game's title; null for other groups", examples=[None])
    sessions: int = Field(description="How many sessions began", examples=[12])
    timed_sessions: int = Field(description="How many of them have a known duration", examples=[10])
    seconds: int = Field(description="How long the timed sessions were, in all", examples=[36000])
    average_seconds: float | None = Field(
        description="seconds / timed_sessions; null when no session is timed", examples=[3600.0]
    )
    players: int | None = Field(
        description="How many different customers played; null unless asked for by players=true. They do not add up: "
        "who plays in two groups is counted in each",
        examples=[7],
    )


class Aggregates(BaseModel):
    """A page of groups, in their order."""

    groups: list[Group]
    next: str | None = Field(description="The cursor of the next page; null on the last one")


class Geometry(BaseModel):
    """A polygon, as GeoJSON has it."""

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: list[Any]


class Feature(BaseModel):
    """The play of one group, with its outline."""

    type: Literal["Feature"]
    id: str
    geometry: Geometry
    properties: Group


class FeatureCollection(BaseModel):
    """A page of groups with their outlines, as GeoJSON has it (RFC 7946)."""

    type: Literal["FeatureCollection"]
    features: list[Feature]
    next: str | None = Field(description="The cursor of the next page; null on the last one")


GEOJSON: dict[str, Any] = {
    "description": "A page of groups; with outlines for format=geojson",
    "content": {"application/geo+json": referred(FeatureCollection)},
}


@dataclass(frozen=True)
class Source:
    """Where the play of the places that are asked for comes from, and the parameters of that query."""

    activity: sql.Composed
    parameters: dict[str, Any]


class AggregatedData:
    """Answers GET /aggregated-data from the store."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    def answer(self, asked: Asked) -> dict[str, Any]:
        """Return the page that is asked for. Raises Problem."""
        _check(asked)
        question = asked.model_dump(mode="json", exclude={"limit", "cursor"})
        after = self._cursors.read(question, asked.cursor) if asked.cursor else None
        with self._database.reading() as connection:
            parameters: dict[str, Any] = {
                "first_day": asked.first_day,
                "last_day": asked.last_day,
                "platform": asked.platform,
                "games": _games(connection, asked),
                "after": date.fromisoformat(after) if after is not None and asked.group_by == "day" else after,
                "goes_on": after is not None,
                "rows": asked.limit + 1,
            }
            source = _source(connection, asked)
            names = {"key": KEYS[asked.group_by], "activity": source.activity}
            parameters |= source.parameters
            rows = connection.execute(store.query("api/sums.sql", **names), parameters).fetchall()
            page, more = rows[: asked.limit], rows[asked.limit :]
            keys = [row[0] for row in page]
            players: dict[Any, int] = {}
            if asked.players and page:
                counted = connection.execute(store.query("api/players.sql", **names), {**parameters, "keys": keys})
                players = dict(counted.fetchall())
            called, outlines = _descriptions(connection, asked, keys)
        groups = [_group(row, called.get(row[0]), players.get(row[0])) for row in page]
        following = self._cursors.make(question, _plain(keys[-1])) if more else None
        if asked.format == "json":
            return {"groups": groups, "next": following}
        features = [
            {"type": "Feature", "id": group["group"], "geometry": json.loads(outlines[key]), "properties": group}
            for key, group in zip(keys, groups, strict=True)
        ]
        return {"type": "FeatureCollection", "features": features, "next": following}


def _check(asked: Asked) -> None:
    """Refuse what contradicts itself. Raises Problem."""
    days = (asked.last_day - asked.first_day).days + 1
    if days < 1:
        raise refused("from", f"{asked.first_day} is after {asked.last_day}", FROM_ACCEPTED)
    if days > LONGEST_RANGE:
        raise refused("to", f"these are {days} days", TO_ACCEPTED)
    chosen = [name for name in PLACES if getattr(asked, name) is not None]
    if len(chosen) > 1:
        raise refused(chosen[1], f"there is {chosen[0]} as well", f"at most one of {', '.join(PLACES)}")
    if (asked.point is None) != (asked.radius_km is None):
        missing = "point" if asked.point is None else "radius_km"
        accepted = places.POINT_ACCEPTED if asked.point is None else places.RADIUS_ACCEPTED
        raise refused(missing, "it is missing: a circle needs both point and radius_km", accepted)
    if asked.format == "geojson" and asked.group_by not in ("cell", "area"):
        raise refused("format", f"a {asked.group_by} has no outline", FORMAT_ACCEPTED)


def _source(connection: psycopg.Connection[Any], asked: Asked) -> Source:
    """Return the play of the places that are asked for. Raises Problem."""
    area_id = _area(connection, asked.area) if asked.area is not None else None
    by_area = asked.group_by == "area"
    parameters: dict[str, Any] = {"area_id": area_id}
    cells = None
    if asked.bbox is not None:
        cells, parameters["shapes"] = store.query("api/in_shapes.sql"), places.boxes(asked.bbox)
    elif asked.polygon is not None:
        cells, parameters["shapes"] = store.query("api/in_shapes.sql"), [_polygon(connection, asked.polygon)]
    elif asked.point is not None and asked.radius_km is not None:
        around = places.circle(asked.point, asked.radius_km)
        cells = store.query("api/in_circle.sql")
        parameters |= {"longitude": around.longitude, "latitude": around.latitude, "radius": around.radius}
        parameters["shapes"] = places.boxes_around(around)
    elif area_id is not None and not by_area:
        cells = store.query("api/in_area.sql")
    activity = store.query("api/everywhere.sql") if cells is None else store.query("api/in_cells.sql", cells=cells)
    if by_area:
        activity = store.query("api/by_area.sql", activity=activity)
    return Source(activity, parameters)


def _area(connection: psycopg.Connection[Any], area: str) -> str:
    """Return the id of the area that is meant. Raises Problem."""
    found = connection.execute(store.query("api/find_area.sql"), {"area": area}).fetchall()
    if not found:
        raise refused("area", "there is no such area", AREA_ACCEPTED, HTTPStatus.NOT_FOUND)
    if found[0][0] != area and len(found) > 1:
        raise refused("area", f"that is the name of {', '.join(row[0] for row in found)}", AREA_ACCEPTED)
    return found[0][0]


def _games(connection: psycopg.Connection[Any], asked: Asked) -> list[str] | None:
    """Return the games that are asked for; None for all. Raises Problem."""
    if asked.game is None and asked.genre is None:
        return None
    wanted = {"game": asked.game, "genre": asked.genre}
    found = [row[0] for row in connection.execute(store.query("api/find_games.sql"), wanted).fetchall()]
    if not found and asked.game is not None:
        other = "" if asked.genre is None else " of that genre"
        raise refused("game", f"there is no such game{other}", GAME_ACCEPTED, HTTPStatus.NOT_FOUND)
    return found


def _polygon(connection: psycopg.Connection[Any], wkt: str) -> str:
    """Return the geometry of a polygon. Raises Problem."""
    row = connection.execute(store.query("api/read_polygon.sql"), {"wkt": wkt}).fetchone()
    geometry, reason, detail = row or (None, None, "it is no polygon")
    if reason is not None or geometry is None:
        raise refused("polygon", detail, places.POLYGON_ACCEPTED)
    return geometry


def _descriptions(
    connection: psycopg.Connection[Any], asked: Asked, keys: Sequence[Any]
) -> tuple[dict[Any, str], dict[Any, str]]:
    """Return what the groups are called, and their outlines as GeoJSON, by key: where they have any."""
    parameters = {"keys": keys, "outlines": asked.format == "geojson"}
    if not keys:
        return {}, {}
    if asked.group_by == "game":
        return dict(connection.execute(store.query("api/games.sql"), parameters).fetchall()), {}
    if asked.group_by == "area":
        rows = connection.execute(store.query("api/areas.sql"), parameters).fetchall()
        return {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows}
    if asked.format == "geojson":
        return {}, dict(connection.execute(store.query("api/cells.sql"), parameters).fetchall())
    return {}, {}


def _group(row: tuple[Any, ...], name: str | None, players: int | None) -> dict[str, Any]:
    key, sessions, timed_sessions, seconds = row
    return {
        "group": str(key) or None,
        "name": name,
        "sessions": sessions,
        "timed_sessions": timed_sessions,
        "seconds": seconds,
        "average_seconds": round(seconds / timed_sessions, 3) if timed_sessions else None,
        "players": players,
    }


def _plain(key: Any) -> int | str:
    return key.isoformat() if isinstance(key, date) else key


def router(data: AggregatedData, token: Callable[..., Caller], responses: Responses) -> APIRouter:
    """Return the route; `token` is the dependency that checks the caller's."""
    routes = APIRouter()

    @routes.get(
        "/aggregated-data",
        summary="Play summed up by place, day and dimension",
        response_model=Aggregates,
        dependencies=[Depends(token)],
        responses=responses | {HTTPStatus.OK: GEOJSON},
        operation_id="aggregated_data",
        openapi_extra=secured(ANALYTICS),
    )
    def aggregated_data(asked: Annotated[Asked, Query()]) -> JSONResponse:
        """Sums of the play that began on these days, in the cells (hexagons of 259.8 km²) that the place touches.

        A cell at the edge of a place counts in full. Sums of different groups add up, but for areas, which overlap;
        players never do.
        """
        media_type = "application/geo+json" if asked.format == "geojson" else "application/json"
        response = JSONResponse(data.answer(asked), media_type=media_type)
        if len(response.body) > LARGEST_ANSWER:
            raise refused("limit", "the answer is too large", f"less than {asked.limit} for this question")
        return response

    return routes
