"""MERGE by its text: what passes, what is refused, and what REMOVE DUPLICATES becomes."""

from __future__ import annotations

import pytest

from local.redshift.rewrite import rewrite
from local.redshift.statements import RefusedError

ON = "merge into t using s on t.a = s.a"
BOTH = "when matched then update set b = s.b when not matched then insert values (s.a, s.b)"


@pytest.mark.parametrize(
    "statement",
    [
        f"{ON} {BOTH}",
        f"merge into x.t using y.s as s on x.t.a = s.a {BOTH}",
        f"merge into t using (select max(a) as a, b from s group by b) as s on t.a = s.a {BOTH}",
        "merge into t using s on t.a = s.a when not matched then insert (a) values (s.a) when matched then delete",
        f"merge into t using s on t.a = s.a and t.b = 'when matched and' {BOTH}",
        "merge into t using s on t.a = s.a when matched then update set b = case when s.b > 1 then s.c else t.b end"
        " when not matched then insert values (s.a)",
    ],
)
def test_a_merge_that_is_postgresqls_too(statement: str) -> None:
    assert rewrite(statement) == statement


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("merge t using s on t.a = s.a remove duplicates", "syntax error in MERGE"),
        (f"merge into t x using s on x.a = s.a {BOTH}", "no alias for the target"),
        (f"merge into t using t on t.a = t.a {BOTH}", "must be different tables"),
        (f"{ON} when matched then delete", "each once"),
        (f"{ON} {BOTH} when matched then delete", "each once"),
        (f"{ON} {BOTH.replace('matched then update', 'matched and s.b > 1 then update')}",
         "no condition"),
        (f"{ON} {BOTH.replace('insert values (s.a, s.b)', 'do nothing')}", "DO NOTHING"),
        (f"{ON} {BOTH.replace('set b', 'set t.b')}", "no table before a column"),
        (f"{ON} {BOTH.replace('s.b when', 's.b, t.c = 1 when')}", "no table before a column"),
        (f"{ON} {BOTH} remove duplicates", "no WHEN clauses"),
        (f"{ON} when matched then insert values (1) when not matched then insert values (2)",
         "syntax error in MERGE"),
    ],
)  # fmt: skip
def test_a_merge_that_is_refused(statement: str, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        rewrite(statement)


@pytest.mark.parametrize(
    ("source", "name"),
    [("s", "s"), ("x.s", "s"), ("s as src", "src"), ("s src", "src"), ("#s", '"#s"'), ('"S"', '"s"')],
)
def test_remove_duplicates_deletes_and_inserts_by_the_sources_name(source: str, name: str) -> None:
    rewritten = rewrite(
        f"merge into t using {source} on t.a = {source.split()[-1].rpartition('.')[2]}.a remove duplicates"
    )
    assert rewritten.startswith(
        "WITH multiple (matches) AS (SELECT pg_catalog.merge_must_match_once(count(*)) FROM t INNER JOIN "
    )
    assert f"WHERE t.a = {name}.a AND" in rewritten
    assert f" INSERT INTO t SELECT {name}.* FROM " in rewritten
