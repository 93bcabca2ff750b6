"""`make screenshots`: pictures of the running platform for docs/images, where it matters in both themes of the UI."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import psycopg
from playwright.sync_api import FrameLocator, Page, sync_playwright

from local import airflow
from local.demo import PAGE, WHOLE_DASHBOARD
from local.errors import LocalError
from local.layout import REPO
from local.supervisor import wait_until

IMAGES = REPO / "docs" / "images"
WIDTH, HEIGHT = 1440, 900
TALLER = {"dags": 1250}  # so that the list ends within the picture
LARGEST_RUN = (
    "select claimed_by from ops.load where kind = 'file' group by 1 order by count(*) desc, max(load_id) desc limit 1"
)
BACKFILLS = "/api/v2/dags/notify_customers/dagRuns?run_type=backfill&limit=100"
WAIT_MS = 60_000


def largest_run(store_url: str) -> str:
    """Return the run of ingest_files that has loaded most files. Raises LocalError when there is none."""
    with psycopg.connect(store_url) as connection:
        run = connection.execute(LARGEST_RUN).fetchone()
    if run is None:
        raise LocalError("No file has been loaded yet: make demo")
    return str(run[0])


def backfill(api: airflow.Api) -> None:
    """Have five past days of notifications delivered, as a person does who clicks for it; not twice."""
    if not api.request("GET", BACKFILLS)["dag_runs"]:
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        body = {
            "dag_id": "notify_customers",
            "from_date": (today - timedelta(days=6)).isoformat(),
            "to_date": (today - timedelta(days=2)).isoformat(),
            "max_active_runs": 3,
            "reprocess_behavior": "none",
            "run_backwards": False,
        }
        api.request("POST", "/api/v2/backfills", body)

    def has_ended() -> bool:
        return all(run["state"] in airflow.FINISHED for run in api.request("GET", BACKFILLS)["dag_runs"])

    wait_until(has_ended, 600, lambda: "The backfill of notify_customers has not ended after ten minutes")


def in_market(page: Page) -> FrameLocator:
    """Return the frame of the Marketplace page, once it is there."""
    frame = page.frame_locator("iframe[title=Market]")
    frame.get_by_role("heading", level=1).wait_for(timeout=WAIT_MS)
    return frame


def lines(page: Page) -> None:
    """From the state to the raw lines of the most frequent reason for rejection."""
    frame = in_market(page)
    frame.get_by_role("link", name="Rejected", exact=True).click()
    frame.get_by_role("link", name=re.compile("^Lines")).first.click()
    frame.locator("code").first.wait_for(timeout=WAIT_MS)


def dashboard(page: Page) -> None:
    """From the state to the dashboard."""
    in_market(page).get_by_role("link", name="Dashboard", exact=True).first.click()


def as_table(page: Page) -> None:
    """Show the DAGs as a table, which has all of them in one picture."""
    page.get_by_role("button", name=re.compile("table view", re.IGNORECASE)).click(timeout=WAIT_MS)


def trigger_form(page: Page) -> None:
    """Open the form of the DAG whose page this is."""
    page.get_by_test_id("trigger-dag-button").click()
    page.get_by_text("stands_for").first.wait_for(timeout=WAIT_MS)


def take(
    page: Page, url: str, name: str, prepare: Callable[[Page], object] | None = None, *, whole: bool = False
) -> None:
    """Take a picture of an address, once nothing is loaded any more: of its window, or of the whole page."""
    page.set_viewport_size({"width": WIDTH, "height": TALLER.get(name.removesuffix("-dark"), HEIGHT)})
    page.goto(url)
    if prepare:
        prepare(page)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1_500)  # what a page still draws, a graph for one, nothing announces
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, full_page=whole)
    print(Path(path).relative_to(REPO))


def main() -> None:
    """Take all pictures of the platform that .local/env names."""
    url = os.environ["AIRFLOW_URL"]
    api = airflow.Api(url)
    run = quote(largest_run(os.environ["STORE_URL"]), safe="")
    backfill(api)
    api.wait("publish_status", api.trigger("publish_status"), 120)
    listed = api.request("GET", "/api/v2/assets?name_pattern=warehouse&limit=50")["assets"]
    (warehouse,) = [asset["id"] for asset in listed if asset["name"] == "warehouse"]
    once = {
        "ui": f"/dags/ingest_files/runs/{run}/tasks/file.load/mapped",
        "notify-backfill": "/dags/notify_customers/runs?run_type=backfill",
    }
    both: dict[str, tuple[str, Callable[[Page], object] | None]] = {
        "market": (PAGE, in_market),
        "market-lines": (PAGE, lines),
        "market-dashboard": (PAGE, dashboard),
        "dags": ("/dags?limit=50", as_table),
        "assets": (f"/assets/{warehouse}", None),
        "trigger-form": ("/dags/correct_alias", trigger_form),
    }
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=sys.argv[1], args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(url)
        page.evaluate("localStorage.setItem('theme', 'light')")
        for name, path in once.items():
            take(page, url + path, name)
        for theme, suffix in (("light", ""), ("dark", "-dark")):
            page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
            for name, (path, prepare) in both.items():
                take(page, url + path, name + suffix, prepare)
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            take(page, f"{url}{WHOLE_DASHBOARD}", f"dashboard-{theme}", whole=True)
        browser.close()


if __name__ == "__main__":
    try:
        main()
    except LocalError as error:
        sys.exit(str(error))
