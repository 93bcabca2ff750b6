-- Who has played on one of the platforms, or bought something for it, before the day's end.
select s.customer_id
from store.play_session as s
where s.platform = any(%(platforms)s) and s.started_at < %(until)s
union all
select t.customer_id
from store.transaction_line as l
inner join store.transaction as t on l.transaction_id = t.transaction_id
where l.platform = any(%(platforms)s) and t.type = 'sale' and t.occurred_at < %(until)s
