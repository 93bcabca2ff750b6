-- What was sold and refunded: of the chosen currency by day, week or month, of each other in all.
-- Parameters: currency, unit (day, week or month), first_day, last_day.
select
    case
        when r.currency = %(currency)s
            then to_char(date_trunc(cast(%(unit)s as varchar(8)), cast(r.day as timestamp)), 'YYYY-MM-DD')
        else r.currency
    end as row_key,
    sum(r.sold_gross) as sale,
    sum(r.refunded_gross) as refund
from mart.revenue as r
where r.day between %(first_day)s and %(last_day)s
group by 1
order by 1
