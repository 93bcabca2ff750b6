"""Debian's Chromium, driven by playwright, and what of a page nobody should find."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright

from local import ports


class Watched:
    """A page of a browser; notes what it complains of, and whom it asks."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str | None] = set()
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname))

    def check(self) -> None:
        """Fail when the page complained of anything, or asked another host than this machine."""
        assert self.complaints == []
        assert self.hosts - {None, ""} == {ports.HOST}


@contextmanager
def browser(url: str, token: str | None = None) -> Iterator[Watched]:
    """Yield a page of a new browser that is logged in at `url`. Fails where there is no Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.fail("chromium is missing: local/chromium.sh installs it, as `make test` does")
    with sync_playwright() as playwright:
        # As root Chromium has no sandbox; what it shows here is ours.
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            context = running.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
            if token:
                context.add_cookies([{"name": "_token", "value": token, "url": url, "httpOnly": True}])
            yield Watched(context.new_page())
        finally:
            running.close()
