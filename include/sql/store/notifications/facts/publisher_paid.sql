-- The publishers who are paid on the day and of whom customers have bought something before its end.
select
    t.customer_id,
    p.name
from store.transaction as t
inner join store.transaction_line as l on t.transaction_id = l.transaction_id
inner join store.game_release as r on l.game_id = r.game_id and l.platform = r.platform
inner join store.publisher as p on r.publisher_id = p.publisher_id
where
    t.customer_id = any(%(customers)s) and t.type = 'sale' and t.occurred_at < %(until)s
    and p.publisher_id in (
        select q.publisher_id
        from store.transaction as o
        inner join store.transaction_line as i on o.transaction_id = i.transaction_id
        inner join store.game_release as q on i.game_id = q.game_id and i.platform = q.platform
        where o.type = 'payout' and o.occurred_at >= %(since)s and o.occurred_at < %(until)s
    )
group by t.customer_id, p.publisher_id
order by t.customer_id, p.name, p.publisher_id
