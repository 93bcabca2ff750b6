-- The currencies in which something was sold or refunded in these days, the one with most lines first.
-- Parameters: first_day, last_day.
select
    r.currency,
    sum(r.sold_lines + r.refunded_lines) as line_count
from mart.revenue as r
where r.day between %(first_day)s and %(last_day)s
group by r.currency
order by 2 desc, 1
