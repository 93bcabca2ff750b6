"""What a dataset's rows.sql may say of a row: any may be refused, and an outcome that there is not fails the load."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import sql

from marketplace.ingest import apply

DELETING = """
select q.load_line, q.publisher_id, q.refusal, q.standing_load_id, q.standing_load_line, 'deleted' as effect
from ({}) as q
"""


def test_an_outcome_that_there_is_not_is_refused(ingestion: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = apply.query
    monkeypatch.setattr(apply, "query", lambda path, **tables: sql.SQL(DELETING).format(right(path, **tables)))
    ingestion.put("publisher", "P-1,One,", "P-2,Two,")
    with pytest.raises(
        RuntimeError, match=r"publisher/rows.sql gives 2 rows the outcome 'deleted': a refusal is 'held'"
    ):
        ingestion.run()
    assert ingestion.query("select count(*) from store.publisher_alias") == [(0,)]


REFUSING = """
select
    q.load_line, q.publisher_id, q.name, q.name_key, q.country, q.standing_name_key, q.standing_load_id,
    q.standing_load_line, q.effect,
    case q.publisher_id
        when 'P-2' then row('rejected', 'name', 'not_wanted', 'not this one', null, null, null)::ops.refusal
        when 'P-3' then row('held', 'name', 'unknown_game', 'not yet', 'game', 'G-1', '')::ops.refusal
    end as refusal
from ({}) as q
"""


def test_a_dataset_that_refers_to_nothing_may_refuse_rows_too(ingestion: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = apply.query

    def query(path: str, **tables: Any) -> sql.Composed:
        found = right(path, **tables)
        return sql.SQL(REFUSING).format(found) if path == "ingest/publisher/rows.sql" else found

    monkeypatch.setattr(apply, "query", query)
    ingestion.put("publisher", "P-1,One,", 'P-2,"Two, and more",DE', "P-3,Three,")
    (result,) = ingestion.run()
    assert result["summary"] == "1 accepted + 1 rejected + 1 held"
    assert ingestion.query("select line_no, column_name, reason, raw from ops.rejected_row") == [
        (3, "name", "not_wanted", 'P-2,"Two, and more",DE')
    ]
    assert ingestion.query("select line_no, column_name, reason, raw from ops.held_row") == [
        (4, "name", "unknown_game", "P-3,Three,")
    ]
    assert ingestion.query("select alias_id from store.publisher_alias") == [("P-1",)]
