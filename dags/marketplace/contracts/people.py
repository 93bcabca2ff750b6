"""Reading what is known of a person: an e-mail address, a locale, a time zone."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from babel import Locale

from marketplace.contracts.values import Invalid, Parsed

# What is before the @ is its server's affair; what is behind it must be a name of the Internet's.
_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_EMAIL = re.compile(rf'[^\s@<>()\[\],;:\\"]+@(?:{_LABEL}\.)+[^\W_][\w-]*[^\W_]')

_LOCALE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|[0-9]{3}))?")

# The name that the list of zones has for "not set".
_NO_ZONE = "Factory"


def parse_email(text: str) -> Parsed:
    """Read an e-mail address, and keep it as it is written. Raises Invalid (invalid_email)."""
    if not _EMAIL.fullmatch(text):
        raise Invalid("invalid_email", "it is no e-mail address")
    return Parsed(text)


def parse_locale(text: str) -> Parsed:
    """Read a language, script and territory that CLDR knows as de, en_US or zh_Hant_TW.

    Raises Invalid (unknown_locale).
    """
    match = _LOCALE.fullmatch(text)
    if match is None:
        raise Invalid("unknown_locale", "it has none of the accepted forms")
    language, script, territory = match[1].lower(), (match[2] or "").title(), (match[3] or "").upper()
    known = Locale("en")
    for part, name, names in (
        (language, "language", known.languages),
        (script, "script", known.scripts),
        (territory, "territory", known.territories),
    ):
        if part and part not in names:
            raise Invalid("unknown_locale", f"there is no {name} {part}")
    return Parsed("_".join(part for part in (language, script, territory) if part))


def parse_time_zone(text: str) -> Parsed:
    """Read the IANA name of a time zone, such as Europe/Berlin, in any case. Raises Invalid (unknown_time_zone)."""
    zone = _time_zones().get(text.casefold().replace(" ", "_"))
    if zone is None:
        raise Invalid("unknown_time_zone", "it is no name in IANA's list")
    return Parsed(zone)


@cache
def _time_zones() -> dict[str, str]:
    """Map each zone's name in lower case to the name; of the package, so that every machine has the same list."""
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return {name.casefold(): name for name in names if name != _NO_ZONE}
