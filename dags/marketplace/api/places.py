"""Places that are asked for, in degrees of WGS 84: boxes, and circles on the globe with the boxes around them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from marketplace.api.problems import Problem, refused

NUMBER = r"-?[0-9]{1,3}(\.[0-9]{1,15})?"
BOX_PATTERN = rf"^{NUMBER}(,{NUMBER}){{3}}$"
POINT_PATTERN = rf"^{NUMBER},{NUMBER}$"
# Digits, signs and brackets: no NaN, no infinity, no SRID.
POLYGON_PATTERN = r"^(MULTI)?POLYGON ?\([-0-9.,() ]+\)$"
LONGEST_POLYGON = 6000  # characters: some hundred corners; a URL of AWS's gateway has at most 10,240 bytes in all
LARGEST_RADIUS_KM = 1000

BOX_ACCEPTED = (
    "west,south,east,north in degrees, such as 5.9,47.3,15.0,55.1; longitudes from -180 to 180, latitudes from -90 to "
    "90; south is less than north; west is greater than east for a box across the antimeridian"
)
POINT_ACCEPTED = "longitude,latitude in degrees, such as 13.4,52.5; longitude from -180 to 180, latitude from -90 to 90"
RADIUS_ACCEPTED = f"a number of kilometres above 0 and up to {LARGEST_RADIUS_KM}, together with point"
POLYGON_ACCEPTED = (
    f"WKT of up to {LONGEST_POLYGON} characters, such as POLYGON((5 47, 15 47, 15 55, 5 47)) or MULTIPOLYGON(…), "
    "longitude first, without exponents; closed rings that neither cross nor overlap"
)

# Both semi-axes of WGS 84, in metres: a box is computed on the smaller globe, where an arc has more degrees.
SMALLEST_EARTH_RADIUS = 6_335_439.0
SAFETY = 1.01  # what an ellipsoid differs from a globe


@dataclass(frozen=True)
class Circle:
    """All places within a distance of one, on the globe."""

    longitude: float
    latitude: float
    radius: float  # in metres


def boxes(text: str) -> list[str]:
    """Return the one or two boxes, in EWKT, of a text that has the form of BOX_PATTERN. Raises Problem."""
    west, south, east, north = map(float, text.split(","))
    _check("bbox", (west, east), (south, north), BOX_ACCEPTED)
    if south >= north or west == east:
        raise refused("bbox", "it has no area", BOX_ACCEPTED)
    if west < east:
        return [_box(west, south, east, north)]
    return [_box(*part) for part in ((west, south, 180.0, north), (-180.0, south, east, north)) if part[0] < part[2]]


def circle(point: str, radius_km: float) -> Circle:
    """Return the circle around a text that has the form of POINT_PATTERN. Raises Problem."""
    longitude, latitude = map(float, point.split(","))
    _check("point", (longitude,), (latitude,), POINT_ACCEPTED)
    return Circle(longitude, latitude, radius_km * 1000)


def boxes_around(around: Circle) -> list[str]:
    """Return boxes, in EWKT, that together have the circle in them: two across the antimeridian."""
    arc = around.radius / SMALLEST_EARTH_RADIUS * SAFETY
    south = max(around.latitude - math.degrees(arc), -90.0)
    north = min(around.latitude + math.degrees(arc), 90.0)
    if south == -90.0 or north == 90.0:
        return [_box(-180.0, south, 180.0, north)]  # a pole has all longitudes
    width = math.degrees(math.asin(min(1.0, math.sin(arc) / math.cos(math.radians(around.latitude))))) * SAFETY
    west, east = around.longitude - width, around.longitude + width
    if west < -180.0:
        return [_box(west + 360.0, south, 180.0, north), _box(-180.0, south, east, north)]
    if east > 180.0:
        return [_box(west, south, 180.0, north), _box(-180.0, south, east - 360.0, north)]
    return [_box(west, south, east, north)]


def _check(parameter: str, longitudes: tuple[float, ...], latitudes: tuple[float, ...], accepted: str) -> None:
    for name, values, most in (("longitude", longitudes, 180), ("latitude", latitudes, 90)):
        for value in values:
            if abs(value) > most:
                raise _outside(parameter, name, value, most, accepted)


def _outside(parameter: str, name: str, value: float, most: int, accepted: str) -> Problem:
    return refused(parameter, f"the {name} {value:g} is not from -{most} to {most}", accepted)


def _box(west: float, south: float, east: float, north: float) -> str:
    corners = f"{west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}"
    return f"SRID=4326;POLYGON(({corners}))"
