"""Reading polygons as text (WKT), in longitude and latitude.

Only what the text looks like is decided here. Whether its rings are closed, do not cross and lie on the globe is for
PostGIS to say when the row is loaded (geo.read_boundary).
"""

from __future__ import annotations

import re

from marketplace.contracts.values import Invalid, Parsed, clean_text

_POLYGON = re.compile(r"(?:MULTI)?POLYGON\s*\([-+0-9.eE,()\s]*\)", re.IGNORECASE | re.ASCII)


def parse_wkt(text: str) -> Parsed:
    """Read a POLYGON or MULTIPOLYGON, of numbers alone. Raises Invalid (invalid_geometry)."""
    if not _POLYGON.fullmatch(text):
        raise Invalid("invalid_geometry", "it is not POLYGON or MULTIPOLYGON with numbers in brackets")
    return Parsed(clean_text(text))
