"""The query of docs/zero-etl.md that compares what the sync and zero-ETL have brought."""

from __future__ import annotations

import re
from pathlib import Path

from tests.redshift.conftest import Endpoint

PAGE = Path(__file__).resolve().parents[2] / "docs" / "zero-etl.md"
# 101 and 103 were under way when the sync looked, 105 had not begun.
SNAPSHOT = "100:105:101,103"
# What both have of a game: the title in the sync's table, in zero-ETL's, and the transaction that wrote the latter.
GAMES = {
    "differs": ("Pong", "Pong 2", 99),
    "differs, and its number begins another": ("Pong", "Pong 2", 10),
    "differs, and its number ends another": ("Pong", "Pong 2", 3),
    "differs by NULL": ("", None, 99),
    "equal": ("Pong", "Pong", 99),
    "written later": ("Pong", "Pong 2", 105),
    "written meanwhile": ("Pong", "Pong 2", 103),
}


def test_it_lists_what_differs_but_for_what_was_written_since_the_sync(endpoint: Endpoint):
    (query,) = re.findall(r"```sql\n(with seen .*?);\n```", PAGE.read_text(), re.DOTALL)
    for name, stand_in in (("ops.sync_state", "state"), ("zero_etl.store.game", "theirs_game"), ("store.game", "game")):
        query = re.sub(rf"from {re.escape(name)}\b", f"from page.{stand_in}", query)

    with endpoint.connect() as connection, connection.cursor() as cursor:
        cursor.execute("create schema page")
        cursor.execute("create table page.state (table_name varchar(128), store_snapshot varchar(65535))")
        cursor.execute("insert into page.state values ('store.game', %s)", (SNAPSHOT,))
        cursor.execute("create table page.game (game_id varchar(256), title varchar(800), release_date date)")
        cursor.execute(
            "create table page.theirs_game (game_id varchar(256), title varchar(800), release_date date, "
            "row_xid decimal(20, 0))"
        )
        for game_id, (ours, theirs, row_xid) in GAMES.items():
            cursor.execute("insert into page.game values (%s, %s, '2020-01-01')", (game_id, ours))
            cursor.execute("insert into page.theirs_game values (%s, %s, '2020-01-01', %s)", (game_id, theirs, row_xid))
        cursor.execute("insert into page.game values ('here', 'Pong', null)")
        cursor.execute("insert into page.theirs_game values ('there', 'Pong', null, 102), ('new', 'Pong', null, 101)")
        cursor.execute(query)
        found = [tuple(row) for row in cursor.fetchall()]
        connection.rollback()

    assert found == [
        ("differs", "differs"),
        ("differs by NULL", "differs"),
        ("differs, and its number begins another", "differs"),
        ("differs, and its number ends another", "differs"),
        ("here", "only sync"),
        ("there", "only zero-ETL"),
    ]
