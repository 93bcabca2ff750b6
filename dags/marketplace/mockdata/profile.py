"""How messy the data is: a dial for each class of defect, from 0 (never) to 1 (wherever it can be)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from marketplace import settings
from marketplace.mockdata.dials import DIALS


class ProfileError(ValueError):
    """A profile that does not exist, or a dial that does not or is out of its range."""


@dataclass(frozen=True)
class Profile:
    """The dials that are not at 0, by name."""

    name: str
    dials: Mapping[str, float] = field(default_factory=dict)

    def rate(self, dial: str) -> float:
        """Return the share of what could have the defect that gets it; raises KeyError for a dial there is not."""
        if dial not in DIALS:
            raise KeyError(dial)
        return self.dials.get(dial, 0.0)

    def turned(self, dials: Mapping[str, Any]) -> Profile:
        """Return this profile with some dials set otherwise. Raises ProfileError."""
        return Profile(self.name, {**self.dials, **_checked(self.name, dials)})


def names() -> list[str]:
    """Return the names of the profiles there are, sorted."""
    return sorted(path.stem for path in (settings.include_dir() / "mockdata").glob("*.yaml"))


def load(name: str) -> Profile:
    """Return the profile include/mockdata/`name`.yaml. Raises ProfileError, naming file and dial."""
    import yaml

    if name not in names():
        raise ProfileError(f"There is no profile {name!r}; there are {', '.join(names())} (include/mockdata/).")
    path = settings.include_dir() / "mockdata" / f"{name}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or set(content) != {"dials"}:
        raise ProfileError(f"{path.name}: it must have the one key `dials`, a mapping of dial to rate.")
    return Profile(name, _checked(path.name, content["dials"]))


def _checked(where: str, dials: Any) -> dict[str, float]:
    if not isinstance(dials, Mapping):
        raise ProfileError(f"{where}: dials must be a mapping such as {{padding: 0.1}}, not {dials!r}.")
    for dial, rate in dials.items():
        if dial not in DIALS:
            raise ProfileError(f"{where}: there is no dial {dial!r}{_meant(str(dial), DIALS)}")
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise ProfileError(f"{where}: dial {dial!r} is {rate!r}; it must be a number from 0 to 1.")
    return {dial: float(rate) for dial, rate in dials.items()}


def _meant(dial: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(dial, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; docs/mock-data.md lists them."
