"""A dataset that does not exist, added as docs/adding-a-dataset.md says: its files are taken from that page."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.platform import Platform
from marketplace import connections, settings
from marketplace import store as store_schema
from tests.conftest import Store, copied, migrate
from tests.ingest.landing import Landing
from tests.runner import Runner

REPO = Path(__file__).resolve().parents[2]
PAGE = (REPO / "docs" / "adding-a-dataset.md").read_text(encoding="utf-8")
# A path in backquotes on a line that begins with it, then a block of code: a file of the example.
EXAMPLE = re.compile(r"^`(include/[^`]+)`[^\n]*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def example(head: str) -> dict[str, str]:
    """Return the files of the page's example by path, as the migration after `head`."""
    number = f"{int(head) + 1:04d}"
    return {
        path.replace("NNNN", number): text.replace("NNNN", number).replace("PREVIOUS", head)
        for path, text in EXAMPLE.findall(PAGE)
    }


def newest() -> str:
    """Return the newest revision of the store."""
    return max(path.name[:4] for path in (settings.include_dir() / "sql/store/migrations/versions").glob("[0-9]*.py"))


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of include/ with the example in it, which everything reads instead."""
    files = example(newest())
    copy = shutil.copytree(settings.include_dir(), tmp_path / "include")
    for path, text in files.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    monkeypatch.setattr(settings, "include_dir", lambda: copy)
    store_schema._text.cache_clear()
    return copy


@pytest.fixture
def store(platform: Platform, store_template: str, include: Path) -> Iterator[Store]:
    """A store of the test's own with the new table, which is in no other."""
    for store in copied(platform, store_template):
        migrate(platform, store.name)
        yield store
    store_schema._text.cache_clear()


@pytest.fixture
def runner(platform: Platform, airflow_db: None, store: Store, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Runs DAGs on that store."""

    def connected(role: str, _timeout: Any) -> Any:
        return lambda: psycopg.connect(store.url(f"store_{role}"))

    monkeypatch.setattr(connections, "store", connected)
    return Runner(platform, store.name)


def test_the_page_has_every_file_of_its_example() -> None:
    assert sorted(example("0041")) == [
        "include/contracts/review.yaml",
        "include/sql/store/ingest/review/apply.sql",
        "include/sql/store/ingest/review/rows.sql",
        "include/sql/store/migrations/0042_reviews.sql",
        "include/sql/store/migrations/versions/0042_reviews.py",
    ]


def test_a_dataset_is_a_contract_and_its_sql(runner: Runner) -> None:
    runner.put("game", "g.csv", (
        "game_id,title,release_date,genre\nG-1,Starforge,2022-10-14,RPG\nG-2,STARFORGE,2022-10-14,RPG\n"
    ))  # fmt: skip
    # In a run of its own: the files of one run load in any order.
    assert runner.run("ingest_files").state == "success"
    runner.put("review", "r.csv", (
        "review_id,customer_ref,game_ref,rating,reviewed_at\n"
        "R-1,cust-1,starforge,5.0,2025-01-05\n"
        "R-2,CUST-2,Comet,4,2025-01-05\n"
        "R-3,CUST-1,G-1,7,2025-01-05\n"
        "R-4,CUST-1,G-1,1,2022-10-13T23:59:59Z\n"
        "R-5,CUST-1,G-2,2,2025-01-05\n"
        "R-5,CUST-1,G-2,3,2025-01-06\n"
    ))  # fmt: skip
    run = runner.run("ingest_files", max_rejected_share=1)
    assert run.state == "success"
    assert runner.announced(run) == ["store.customer", "store.review"]
    reviews = (
        "select r.review_id, c.ref, a.game_id, r.rating, r.load_line from store.review as r"
        " join store.customer as c using (customer_id) join store.game_alias as a on r.game_alias_id = a.alias_id"
        " order by 1"
    )
    assert runner.store(reviews) == [("R-1", "CUST-1", "G-1", 5, 2), ("R-5", "CUST-1", "G-1", 3, 7)]
    assert runner.store(
        "select status, read, accepted, rejected, held, inserted, superseded, issues from ops.load"
        " where dataset = 'review'"
    ) == [("done", 6, 3, 2, 1, 2, 1, 3)]
    assert runner.store("select line_no, column_name, reason, detail from ops.rejected_row order by 1") == [
        (4, "rating", "out_of_range", "'7': it is out of range; accepted: a whole number such as 12, at least 1, "
         "at most 5"),
        (5, "reviewed_at", "before_release", "Starforge came out on 2022-10-14; accepted: that day or later"),
    ]  # fmt: skip
    assert runner.store("select line_no, column_name, reason from ops.held_row") == [(3, "game_ref", "unknown_game")]
    issues = "select line_no, column_name, kind from ops.issue where load_id = %s order by 1, 3"
    ((load_id,),) = runner.store("select load_id from ops.load where dataset = 'review'")
    assert runner.store(issues, load_id) == [
        (2, "game_ref", "not_bought"), (2, "rating", "reformatted_integer"), (7, "game_ref", "not_bought"),
    ]  # fmt: skip

    runner.put("game", "late.csv", "game_id,title,release_date,genre\nG-0,Starforge,2022-10-14,\nG-3,COMET,,\n")
    run = runner.run("ingest_files")
    assert run.state == "success"
    assert "store.review" in runner.announced(run)
    assert runner.store(reviews) == [
        ("R-1", "CUST-1", "G-0", 5, 2), ("R-2", "CUST-2", "G-3", 4, 3), ("R-5", "CUST-1", "G-0", 3, 7),
    ]  # fmt: skip
    assert runner.store("select kind, read, inserted from ops.load where dataset = 'review' order by load_id") == [
        ("file", 6, 2), ("retry", 1, 1),
    ]  # fmt: skip
    assert runner.store("select count(*) from ops.held_row where retried_load_id is null") == [(0,)]


@pytest.mark.parametrize(
    ("joined", "given"),
    [
        ("inner join store.game as lost on g.game_id = lost.game_id", 1),
        ("inner join (values (1), (2)) as doubled (number) on true", 4),
    ],
    ids=["lost", "doubled"],
)
def test_a_query_that_loses_or_doubles_a_row_fails_the_load_and_says_so(
    store: Store, include: Path, joined: str, given: int
) -> None:
    rows = include / "sql/store/ingest/review/rows.sql"
    rows.write_text(f"{rows.read_text(encoding='utf-8')}{joined}\n", encoding="utf-8")
    landing = Landing(store)
    landing.put("landing/game/g.csv", b"game_id,title,release_date,genre\nG-1,Starforge,2022-10-14,RPG\n")
    landing.put("landing/review/r.csv", (
        b"review_id,customer_ref,game_ref,rating,reviewed_at\n"
        b"R-1,CUST-1,G-1,5,2025-01-05\nR-2,CUST-1,G-404,5,2025-01-05\n"
    ))  # fmt: skip
    message = f"include/sql/store/ingest/review/rows.sql gives {given} rows for 2 that were staged"
    with pytest.raises(RuntimeError, match=message):
        landing.run()
    assert landing.query("select count(*) from store.review") == [(0,)]
    landing.check_accounts()
