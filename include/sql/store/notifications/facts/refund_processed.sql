-- What customers were refunded on the day, in the order of time.
select
    t.customer_id,
    t.transaction_id,
    -t.reported_total as amount,
    t.currency,
    t.occurred_at
from store.transaction as t
where
    t.customer_id = any(%(customers)s) and t.type = 'refund'
    and t.occurred_at >= %(since)s and t.occurred_at < %(until)s
order by t.customer_id, t.occurred_at, t.transaction_id
