-- Who has bought, before the day's end, a release of a publisher who is paid on the day.
select t.customer_id
from store.game_release as r
inner join store.transaction_line as l on r.game_id = l.game_id and r.platform = l.platform
inner join store.transaction as t on l.transaction_id = t.transaction_id
where
    t.type = 'sale' and t.occurred_at < %(until)s
    and r.publisher_id in (
        select p.publisher_id
        from store.transaction as o
        inner join store.transaction_line as i on o.transaction_id = i.transaction_id
        inner join store.game_release as p on i.game_id = p.game_id and i.platform = p.platform
        where o.type = 'payout' and o.occurred_at >= %(since)s and o.occurred_at < %(until)s
    )
