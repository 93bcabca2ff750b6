"""A document of which a part is written by a program, between two marks; the rest is written by hand and stays."""

from __future__ import annotations

END = "<!-- Until here. -->"


def replaced(page: str, start: str, content: str) -> str:
    """Return the page with `content` between the mark `start` and the next END. Raises ValueError without them."""
    before, rest = page.split(start)
    _, after = rest.split(END, maxsplit=1)
    return f"{before}{start}\n\n{content.strip()}\n\n{END}{after}"
