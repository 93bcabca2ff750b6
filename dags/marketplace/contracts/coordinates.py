"""Reading latitudes and longitudes, in decimal degrees.

Plain: 48.8566, -33.86. Accepted with a warning, since its meaning is certain all the same: a decimal comma (48,8566;
no coordinate has thousands), the letter of a hemisphere and the sign of degrees (33.86 S, 48.85°N), zeros too many or
too few. Refused: exponents, minutes and seconds, the letter of the other axis, a sign and a letter together.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from marketplace.contracts.values import Invalid, Parsed

_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_LOOSE = re.compile(
    r"(?P<before>[NESW])? ?(?P<sign>[+-])?(?P<digits>[0-9]+[.,]?|[0-9]*[.,][0-9]+) ?°? ?(?P<after>[NESW])?",
    re.IGNORECASE,
)
_ODD_CHARACTERS = str.maketrans({"−": "-", "\xa0": " ", "\u202f": " ", "\u2009": " ", "º": "°"})


class Axis(NamedTuple):
    """Latitude or longitude: how far it goes, and the letters of its two halves."""

    limit: int
    positive: str
    negative: str


LATITUDE, LONGITUDE = Axis(90, "N", "S"), Axis(180, "E", "W")


def parse_coordinate(text: str, axis: Axis) -> Parsed:
    """Read degrees as a plain decimal. Raises Invalid (invalid_number, out_of_range)."""
    plain, note = text, ""
    if not _PLAIN.fullmatch(text):
        plain = _plain(text, axis)
        note = f"read as {plain}"
    if abs(Decimal(plain)) > axis.limit:
        raise Invalid("out_of_range", f"it is not within -{axis.limit} to {axis.limit}")
    if not Decimal(plain):
        plain = plain.removeprefix("-")  # double precision has a zero of its own with a minus: the same place twice
    return Parsed(plain, "reformatted_number", note) if note else Parsed(plain)


def _plain(text: str, axis: Axis) -> str:
    match = _LOOSE.fullmatch(text.translate(_ODD_CHARACTERS))
    if match is None or (match["before"] and match["after"]):
        raise Invalid("invalid_number", "it has none of the accepted forms")
    letter = (match["before"] or match["after"] or "").upper()
    if letter and letter not in axis[1:]:
        raise Invalid("invalid_number", f"{letter} belongs to the other axis")
    if letter and match["sign"]:
        raise Invalid("invalid_number", "it has a sign and a letter")
    whole, _, fraction = match["digits"].replace(",", ".").partition(".")
    sign = "-" if letter == axis.negative or match["sign"] == "-" else ""
    return sign + (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")
