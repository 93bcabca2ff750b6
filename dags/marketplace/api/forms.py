"""Types of parameters that take one spelling only: the one that the OpenAPI document has."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def _day(value: Any) -> Any:
    """Let pass what is written as a day; pydantic would take the seconds since 1970 as well."""
    if isinstance(value, str) and not DAY.fullmatch(value):
        raise ValueError("it is not written as YYYY-MM-DD")
    return value


def _flag(value: Any) -> Any:
    """Let pass true and false; pydantic would take yes, on and 1 as well."""
    if isinstance(value, str) and value not in ("true", "false"):
        raise ValueError("it is neither true nor false")
    return value


Day = Annotated[date, BeforeValidator(_day)]
Flag = Annotated[bool, BeforeValidator(_flag)]
