"""docs/erd.md is what the database says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scripts import erd


def test_the_page_is_what_the_database_says(owner: psycopg.Connection) -> None:
    page = erd.PAGE.read_text(encoding="utf-8")

    assert page == erd.draw(owner), "docs/erd.md is stale: run `make docs`"


def test_the_page_shows_every_table_and_reference(owner: psycopg.Connection) -> None:
    page = erd.draw(owner)

    boxes = re.findall(r'^    "(\w+\.\w+)" \{$', page, re.MULTILINE)
    assert len(boxes) == len(set(boxes)) == 32
    assert len(re.findall(r"^    \"\S+\" \S+ \"\S+\" : \"[^\"]+\"$", page, re.MULTILINE)) == 24
    assert '    "store.customer" |o..o{ "store.transaction" : "customer_id"\n' in page
    assert '    "store.game_release" ||..o{ "store.transaction_line" : "game_id, platform"\n' in page
    assert "        text game_id PK, FK\n        text platform PK\n" in page
    assert "| gross | numeric(18,4) |  |  |  |\n" in page
    boxed_columns = re.findall(r"^        \S+ (\w+)", page, re.MULTILINE)
    # Of those without a line of a file to name: elsewhere it is said once, in the introduction.
    assert boxed_columns.count("row_xid") == 6


@pytest.mark.parametrize(
    "change",
    [
        "alter table store.customer drop column locale",
        "alter table store.customer add column phone text",
        "alter table store.customer alter column name set not null",
        "alter table ops.load alter column size_bytes type integer",
        "comment on column store.customer.name is 'As given'",
        "alter table store.wishlist drop constraint wishlist_game_id_fkey",
        "create table ops.note (id int primary key)",
    ],
)
def test_a_change_of_the_schema_changes_the_page(owner: psycopg.Connection, change: str) -> None:
    before = erd.draw(owner)
    owner.execute(change)

    assert erd.draw(owner) != before


def test_a_schema_that_no_diagram_shows_is_refused(owner: psycopg.Connection) -> None:
    owner.execute("create schema extra create table note (id int primary key)")

    with pytest.raises(ValueError, match=r"The schemas \['extra'\] are not drawn"):
        erd.draw(owner)


def test_check_tells_a_stale_page_and_leaves_it(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "erd.md"
    monkeypatch.setattr(erd, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["erd.py", "--url", store.url("store_owner")])
    assert erd.main() == 0
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--check"])
    assert erd.main() == 0
    drawn = page.read_text(encoding="utf-8")
    page.write_text(f"{drawn}more\n", encoding="utf-8")

    assert erd.main() == 1

    assert "docs/erd.md is stale" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == f"{drawn}more\n"
