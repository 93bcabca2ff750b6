-- The ten games that sold most in these days in the chosen currency, by platform.
-- Parameters: currency, first_day, last_day.
select
    r.game_id as row_key,
    r.platform as part,
    max(r.game) as label,
    sum(r.sold_gross) as value
from mart.revenue as r
inner join (
    select m.game_id
    from mart.revenue as m
    where m.currency = %(currency)s and m.day between %(first_day)s and %(last_day)s
    group by m.game_id
    having sum(m.sold_gross) > 0
    order by sum(m.sold_gross) desc, m.game_id
    limit 10
) as best on r.game_id = best.game_id
where r.currency = %(currency)s and r.day between %(first_day)s and %(last_day)s
group by r.game_id, r.platform
having sum(r.sold_gross) > 0
order by 1, 2
