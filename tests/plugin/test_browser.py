"""The page in Airflow's UI, as a person has it: in its frame, by mouse and by keyboard, light and dark."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, expect

from tests.plugin.browser import Watched, browser
from tests.plugin.conftest import Buckets, Server

pytestmark = pytest.mark.usefixtures("published")


@pytest.fixture(scope="module")
def published(buckets: Buckets) -> None:
    buckets.fill()


@pytest.fixture(scope="module")
def open_browser(server: Server) -> Iterator[Watched]:
    with browser(server.url, server.token("user")) as watched:
        yield watched


@pytest.fixture
def watched(open_browser: Watched) -> Iterator[Watched]:
    """The browser; each test must leave it without a complaint."""
    yield open_browser
    open_browser.check()


def opened(watched: Watched, server: Server) -> FrameLocator:
    """Open the page in Airflow's UI, and return its frame."""
    watched.page.goto(f"{server.url}/plugin/market")
    frame = watched.page.frame_locator("iframe[title=Market]")
    expect(frame.get_by_role("heading", level=1)).to_have_text("State of the marketplace")
    return frame


def test_from_the_state_to_the_lines_and_their_download(watched: Watched, server: Server) -> None:
    frame = opened(watched, server)
    expect(watched.page.get_by_role("link", name="Market")).to_be_visible()
    expect(frame.locator(".attention")).to_contain_text("2 messages plain")
    frame.get_by_role("link", name="Rejected", exact=True).click()
    frame.get_by_role("link", name="Lines of publisher, plain").click()
    expect(frame.get_by_role("table")).to_contain_text("P-2,plain,US")
    with watched.page.expect_download() as downloading:
        frame.get_by_role("link", name="Download as CSV").click()
    assert downloading.value.suggested_filename == "rejected-publisher-plain.csv"
    _, first, second = csv.reader(io.StringIO(Path(downloading.value.path()).read_text("utf-8-sig"), newline=""))
    assert (first[7], second[7]) == ("P-2,plain,US", "'=HYPERLINK(1)")


def test_a_number_of_the_dashboard_leads_to_a_line(watched: Watched, server: Server) -> None:
    frame = opened(watched, server)
    frame.get_by_role("link", name="Numbers", exact=True).click()
    frame.get_by_role("link", name="4 loads of plain").click()
    frame.get_by_role("link", name="Lines of load 7").click()
    expect(frame.locator("pre").first).to_have_text('P-1,"plain"')


def test_it_follows_the_theme_of_the_ui_and_passes_it_on(watched: Watched, server: Server) -> None:
    frame = opened(watched, server)
    html = frame.locator("html")
    for theme, background in (("dark", "rgb(17, 17, 19)"), ("light", "rgb(255, 255, 255)")):
        watched.page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        expect(html).to_have_attribute("data-theme", theme)
        expect(frame.locator("body")).to_have_css("background-color", background)
        frame.get_by_role("link", name="Dashboard").first.click()
        inner = frame.frame_locator("iframe.dashboard")
        expect(inner.locator("html")).to_have_attribute("data-theme", theme)
    watched.page.evaluate("localStorage.removeItem('theme')")
    watched.page.emulate_media(color_scheme="dark")
    expect(html).to_have_attribute("data-theme", "dark")
    watched.page.emulate_media(color_scheme="light")


def test_everything_is_reached_by_keyboard(watched: Watched, server: Server) -> None:
    page = watched.page
    page.goto(f"{server.url}/marketplace/rejected")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    reached = []
    for _ in range(2):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        expect(focused).to_have_css("outline-style", "solid")
        reached.append(" ".join((focused.text_content() or "").split()))
    assert reached == ["Lines of publisher, plain", "Load again: publisher, plain"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("publisher: plain")


@pytest.mark.parametrize("width", [1440, 700])
def test_nothing_overflows(watched: Watched, server: Server, width: int) -> None:
    page = watched.page
    page.set_viewport_size({"width": width, "height": 900})
    lines = "rejected/lines?dataset=publisher&reason=plain"
    for path in ("", "rejected", "held", "numbers", "numbers/loads?chart=c&figure=f", lines, "dashboard"):
        page.goto(f"{server.url}/marketplace/{path}")
        size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert size[0] <= size[1], path
        unnamed = page.evaluate("[...document.querySelectorAll('table')].filter(t => !t.caption).length")
        assert unnamed == 0, f"{path}: a table has no caption"
        assert page.locator("thead th:not([scope]), tbody th:not([scope])").count() == 0, path
    page.set_viewport_size({"width": 1440, "height": 900})


def test_a_link_into_airflow_leaves_the_frame(watched: Watched, server: Server) -> None:
    frame = opened(watched, server)
    frame.get_by_role("link", name="Load rows again").click()
    frame.get_by_role("link", name="replay_rows").click()
    watched.page.wait_for_url("**/dags/replay_rows")
    # This server has no DAGs: the form and Airflow's page said so.
    watched.complaints[:] = [said for said in watched.complaints if "404" not in said]
