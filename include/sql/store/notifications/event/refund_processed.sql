-- Who was refunded something on the day.
select t.customer_id
from store.transaction as t
where t.type = 'refund' and t.occurred_at >= %(since)s and t.occurred_at < %(until)s
