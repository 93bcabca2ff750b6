"""What the page's forms do on a running platform: corrections, replays, dead letters, repairs, seen in the tables."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import FrameLocator, expect

from local import emulator, warehouse
from local.errors import LocalError
from local.layout import Layout
from local.platform import Platform
from local.supervisor import wait_until
from tests.conftest import worker_ports
from tests.plugin.browser import Watched, browser

pytestmark = pytest.mark.full

RUN_MS = 120_000


@pytest.fixture(scope="module")
def running() -> Iterator[Platform]:
    """A platform of its own, with Airflow."""
    directory = Path(tempfile.mkdtemp(prefix="marketplace-test-")).resolve()
    directory.chmod(0o711)  # PostgreSQL may run as another user
    own = worker_ports(postgres=26432, emulator=25566, redshift=26439, airflow=29080)
    platform = Platform(Layout(directory / "state"), durable=False, preferred_ports=own)
    try:
        platform.up()
        yield platform
    finally:
        platform.down()
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def watched(running: Platform) -> Iterator[Watched]:
    with browser(running.api.url) as found:
        yield found


def rows(platform: Platform, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(platform.store_url()) as connection:
        return connection.execute(query).fetchall()


def publish(platform: Platform) -> None:
    platform.api.wait("publish_status", platform.api.trigger("publish_status"), 120)


def overview(watched: Watched, platform: Platform) -> FrameLocator:
    """Open the page at what needs attention."""
    watched.page.goto(f"{platform.api.url}/plugin/market")
    return watched.page.frame_locator("iframe[title=Market]")


def start(frame: FrameLocator) -> None:
    """Send the form, and wait until its run has succeeded."""
    frame.get_by_role("button", name="Start the run").click()
    expect(frame.get_by_role("status")).to_contain_text("The run is success", timeout=RUN_MS)


def held_line(watched: Watched, platform: Platform) -> FrameLocator:
    """Go from the page to the lines of the wishes that wait."""
    frame = overview(watched, platform)
    frame.get_by_role("link", name="Held", exact=True).click()
    frame.get_by_role("link", name="Lines of wishlist").click()
    return frame


def test_a_correction_and_a_replay_change_the_tables(running: Platform, watched: Watched) -> None:
    s3 = emulator.client("s3", running.endpoint)
    files = {
        "game/a.csv": "game_id,title,release_date,genre\nG-1,Starforge,2020-01-01,RPG\n",
        "wishlist/b.csv": "customer_ref,game_ref,added_at\nCUST-0001,Starfrog,2025-01-01\nCUST-0002,G-404,2025-01-02\n",
    }
    for name, text in files.items():
        s3.put_object(Bucket=running.state.outputs["LandingBucket"], Key=f"landing/{name}", Body=text.encode())
    waiting = "select line_no from ops.held_row where retried_load_id is null order by 1"
    wait_until(lambda: rows(running, waiting) == [(2,), (3,)], 120, lambda: "The wishes are not held")
    running.api.pause("ingest_files")  # it would load again what can be, by itself
    publish(running)

    frame = held_line(watched, running)
    frame.get_by_role("link", name="Correct Starfrog").click()
    expect(frame.get_by_label("alias (required)")).to_have_value("Starfrog")
    expect(frame.get_by_label("kind")).to_have_value("game")
    frame.get_by_label("stands_for").fill("G-1")
    frame.get_by_label("reason (required)").fill("a misspelling")
    start(frame)
    wishes = "select c.ref, w.game_id from store.wishlist w join store.customer c using (customer_id) order by 1"
    assert rows(running, wishes) == [("CUST-0001", "G-1")]
    assert rows(running, "select alias, reason from ops.alias_correction") == [("Starfrog", "a misspelling")]

    # The game is there, but no file has brought it: nobody but a person has the row loaded again.
    with psycopg.connect(running.store_url()) as connection:
        connection.execute("insert into store.game (game_id, title, title_key) values ('G-404', 'Lost', 'lost')")
        connection.execute(
            "insert into store.game_alias (alias_id, game_id, title, title_key)"
            " values ('G-404', 'G-404', 'Lost', 'lost')"
        )
    publish(running)
    frame = held_line(watched, running)
    expect(frame.get_by_role("table")).not_to_contain_text("Starfrog")
    frame.get_by_role("link", name="Load these rows again").click()
    expect(frame.get_by_label("dataset")).to_have_value("wishlist")
    start(frame)
    assert rows(running, wishes) == [("CUST-0001", "G-1"), ("CUST-0002", "G-404")]
    assert rows(running, "select accepted from ops.load where kind = 'replay'") == [(1,)]
    frame.get_by_role("link", name="Look at the run").click()
    watched.page.wait_for_url("**/dags/replay_rows/runs/*")
    watched.check()


def test_dead_letters_are_discarded(running: Platform, watched: Watched) -> None:
    sqs = emulator.client("sqs", running.endpoint)
    dead = running.state.outputs["NotificationDeadLetterQueueUrl"]
    sqs.send_message(QueueUrl=dead, MessageBody="no message of ours")
    publish(running)

    frame = overview(watched, running)
    frame.locator("#main").get_by_role("link", name="Dead letters").click()
    frame.get_by_label("action").select_option("discard")
    start(frame)

    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=counts)["Attributes"]
    assert found == dict.fromkeys(counts, "0")


def test_a_warehouse_that_differs_is_repaired(running: Platform, watched: Watched) -> None:
    def names() -> list[Any]:
        with warehouse.connect(running.state) as session, session.cursor() as cursor:
            cursor.execute("select name from store.publisher where publisher_id = 'P-1'")
            return [name for (name,) in cursor.fetchall()]

    with psycopg.connect(running.store_url()) as connection:
        connection.execute(
            "insert into store.publisher (publisher_id, name, name_key) values ('P-1', 'Valve', 'valve')"
        )
    running.api.wait("sync_warehouse", running.api.trigger("sync_warehouse"), 120)
    with warehouse.connect(running.state) as session, session.cursor() as cursor:
        cursor.execute("update store.publisher set name = 'spoilt' where publisher_id = 'P-1'")
        session.commit()
    run_id = running.api.trigger("sync_warehouse", {"reconcile": "all"})
    with pytest.raises(LocalError, match="failed"):
        running.api.wait("sync_warehouse", run_id, 120)
    publish(running)

    frame = overview(watched, running)
    frame.locator("#main").get_by_role("link", name="Repair the warehouse").click()
    expect(frame.get_by_label("repair")).to_be_checked()
    assert names() == ["spoilt"]
    start(frame)
    assert names() == ["Valve"]
