-- Who has bought a game before the day's end, more often than it was refunded to them.
select t.customer_id
from store.transaction_line as l
inner join store.transaction as t on l.transaction_id = t.transaction_id
where l.game_id = %(owned_game)s and t.type in ('sale', 'refund') and t.occurred_at < %(until)s
group by t.customer_id
having count(*) filter (where t.type = 'sale') > count(*) filter (where t.type = 'refund')
