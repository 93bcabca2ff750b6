"""A dataset's rows.sql that gives a row an outcome that there is not is told so, and nothing is stored."""

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
