-- The lines of the ten games that sold most, by the figure of games.sql that each belongs to.
-- Parameters: those of games.sql.
select
    l.game_id as row_key,
    l.platform as part,
    l.load_id,
    l.load_line,
    1 as lines,
    l.gross as value
from store.transaction_line as l
inner join store.transaction as t on l.transaction_id = t.transaction_id
inner join (
    select m.game_id
    from mart.revenue as m
    where m.currency = %(currency)s and m.day between %(first_day)s and %(last_day)s
    group by m.game_id
    having sum(m.sold_gross) > 0
    order by sum(m.sold_gross) desc, m.game_id
    limit 10
) as best on l.game_id = best.game_id
where t.type = 'sale' and t.currency = %(currency)s
  and cast(t.occurred_at at time zone 'UTC' as date) between %(first_day)s and %(last_day)s
