-- Totals of mock transactions that their lines do not add up to are corrected: the picked ones, where the sign allows.
update store.transaction as t
set reported_total = p.expected_total, load_id = null, load_line = null
from (
    select c.transaction_id, b.expected_total
    from store.transaction as c
    cross join lateral (
        select b.expected_total
        from store.transaction_balance as b
        where b.transaction_id = c.transaction_id
    ) as b
    where c.occurred_at >= %(since)s and c.occurred_at < %(start)s and starts_with(c.transaction_id, %(transactions)s)
        and mod(('x' || left(md5(c.transaction_id || '/' || %(interval)s), 7))::bit(28)::int, 1000)
            between %(first)s and %(last)s
        and case when c.type = 'sale' then b.expected_total >= 0 else b.expected_total <= 0 end
) as p
where t.transaction_id = p.transaction_id and t.reported_total <> p.expected_total;
