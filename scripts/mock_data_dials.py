"""Write the table of the dials in docs/mock-data.md from the code and the profiles: `make docs`."""

from __future__ import annotations

from pathlib import Path

from marketplace.mockdata import profile as profiles
from marketplace.mockdata.dials import DIALS
from scripts import marked

PAGE = Path(__file__).resolve().parents[1] / "docs" / "mock-data.md"
START = "<!-- From dials.py and the profiles, by scripts/mock_data_dials.py: `make docs`. Do not edit. -->"

LEVELS = {
    "file": "**A file as a whole.** The rate is the share of the files.",
    "header": "**A header.** The rate is the share of the files; of several dials one header gets one.",
    "row": "**A row.**",
    "value": "**A value.** The rate is the share of the values that can have it.",
    "reference": "**Across rows and files.**",
}


def table() -> str:
    """Return the tables of the dials, by level, with the rate that each profile has."""
    all_profiles = [profiles.load(name) for name in profiles.names() if name != "clean"]
    lines = []
    for level, heading in LEVELS.items():
        names = [f"`{profile.name}`" for profile in all_profiles]
        lines += [heading, "", f"| {' | '.join(['dial', 'what it does', *names])} |"]
        lines += ["|".join(["", "---", "---", *("---:" for _ in names), ""])]
        for name, dial in DIALS.items():
            if dial.level == level:
                rates = [f"{profile.rate(name):g}" for profile in all_profiles]
                lines.append(f"| {' | '.join([f'`{name}`', dial.what, *rates])} |")
        lines.append("")
    return "\n".join(lines)


def page(current: str) -> str:
    """Return the page `current` with the tables written anew."""
    return marked.replaced(current, START, table())


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
