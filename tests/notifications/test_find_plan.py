"""How fast a million customers are found, and that no query of it looks at them one by one."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Json

from marketplace.notifications import find

DAY = date(2026, 2, 28)
FILL = """
insert into store.publisher (publisher_id, name, name_key) select 'P-' || n, 'P ' || n, 'p ' || n
from generate_series(1, 50) as n;
insert into store.game (game_id, title, title_key, release_date)
select 'G-' || n, 'Game ' || n, 'game ' || n, '2026-01-01'::date + (n %% 200) from generate_series(1, 1000) as n;
insert into store.game_alias (alias_id, game_id, title, title_key) select game_id, game_id, title, title_key
from store.game;
insert into store.game_release (game_id, platform, publisher_id)
select g.game_id, p.platform, 'P-' || (abs(hashtext(g.game_id)) %% 50 + 1)
from store.game as g cross join (values ('PC'), ('PlayStation 5'), ('Android')) as p (platform);
insert into store.customer (ref, name, country_code, locale, marketing_opt_in, created_at)
select 'CUST-' || n, 'Name ' || n, (array['DE', 'AT', 'FR', 'US', 'JP'])[n %% 5 + 1], 'en_US', n %% 4 <> 0,
timestamptz '2020-01-01Z'
+ make_interval(mins => (n::bigint * 7919 %% 3000000)::integer) from generate_series(1, %(customers)s) as n;
insert into store.wishlist (customer_id, game_id, added_at)
select c.customer_id, 'G-' || ((c.customer_id * 7 + k * 131) %% 1000 + 1), '2026-01-15Z'
from store.customer as c cross join generate_series(1, 2) as k;
insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total, customer_id)
select 'T-' || c.customer_id, case when c.customer_id %% 20 = 0 then 'refund' else 'sale' end,
timestamptz '2026-02-01Z' + make_interval(mins => (c.customer_id * 7919 %% 43200)::integer), 'EUR',
case when c.customer_id %% 20 = 0 then -10 else 10 end, c.customer_id from store.customer as c;
insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total)
values ('T-PAY', 'payout', '2026-02-28 12:00Z', 'EUR', -100);
insert into store.transaction_line (transaction_id, line_no, game_id, platform, region, gross, fee, reported_net)
select t.transaction_id, k, 'G-' || (abs(hashtext(t.transaction_id || k)) %% 1000 + 1),
(array['PC', 'PlayStation 5', 'Android'])[k %% 3 + 1], 'EU', 10, 3, 7
from store.transaction as t cross join generate_series(1, 2) as k where t.type <> 'payout';
insert into store.transaction_line (transaction_id, line_no, game_id, platform, region, gross, fee, reported_net)
values ('T-PAY', 1, 'G-1', 'PC', 'EU', -10, 0, -10), ('T-PAY', 2, 'G-2', 'PC', 'EU', -10, 0, -10);
alter table store.play_session disable trigger add_inserted;
insert into store.play_session (session_id, customer_id, game_id, platform, started_at, location)
select 'S-' || c.customer_id || '-' || k, c.customer_id, 'G-' || ((c.customer_id + k) %% 1000 + 1),
(array['PC', 'PlayStation 5', 'Android'])[(c.customer_id + k) %% 3 + 1],
timestamptz '2026-02-01Z' + make_interval(mins => (c.customer_id * 7919 %% 43200)::integer), 'POINT(13.4 52.5)'
from store.customer as c cross join generate_series(1, 2) as k;
alter table store.play_session enable always trigger add_inserted;
"""
RULES: list[tuple[str, str, str, dict[str, list[str]], str | None, str | None]] = [
    ("ALL", "weekday", "saturday", {}, None, None),
    ("DE", "weekday", "saturday", {"countries": ["DE", "AT"]}, None, None),
    ("PC", "weekday", "saturday", {"platforms": ["PC"]}, None, None),
    ("OWNED", "weekday", "saturday", {}, "G-5", None),
    ("WISHED", "weekday", "saturday", {}, None, "G-7"),
    ("EVERYTHING", "weekday", "saturday", {"countries": ["DE"], "platforms": ["PC", "Android"]}, "G-5", None),
    ("RELEASED", "event", "game_released", {}, None, None),
    ("REFUNDED", "event", "refund_processed", {}, None, None),
    ("ANNIVERSARY", "event", "account_anniversary", {}, None, None),
    ("PAID", "event", "publisher_paid", {}, None, None),
]


@pytest.mark.parametrize(("customers", "seconds"), [(20_000, 10), pytest.param(1_000_000, 120, marks=pytest.mark.full)])
def test_ten_rules_are_found_in_seconds(fresh_store: Any, customers: int, seconds: float) -> None:
    with psycopg.connect(fresh_store.url("store_owner")) as owner:
        owner.execute(FILL.replace("%(customers)s", str(customers)).replace("%%", "%"))  # a script has no parameters
        for rule, kind, value, audience, owned, wished in RULES:
            owner.execute(
                "insert into store.notification_rule (rule_id, topic, subject, body, due_kind, due_value, audience,"
                " owned_game, wishlisted_game) values (%s, 'marketing', 's', 'b', %s, %s, %s, %s, %s)",
                (rule, kind, value, Json(audience), owned, wished),
            )
    with psycopg.connect(fresh_store.url("store_owner"), autocommit=True) as owner:
        owner.execute("analyze")
    with psycopg.connect(fresh_store.url("store_writer"), options="-c jit=off") as connection:
        for rule in find.due_rules(connection, DAY):
            explained = connection.execute(
                sql.SQL("explain {}").format(find._audience(rule)), find._parameters(rule, DAY)
            ).fetchall()
            plan = "\n".join(line for (line,) in explained)
            assert "Scan" in plan
            assert "SubPlan" not in plan, f"{rule.rule_id}: each condition is a join"
        started = time.monotonic()
        for rule_id, *_ in RULES:
            began = time.monotonic()
            (found,) = find.plan(connection, DAY, [rule_id])
            print(f"{rule_id}: {found.customers} customers, {found.chunks} chunks, {time.monotonic() - began:.2f} s")
            assert 0 < found.customers <= customers
        assert time.monotonic() - started < seconds
