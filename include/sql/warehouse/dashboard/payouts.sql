-- What publishers have earned and were not paid: of the chosen currency the ten largest, of each other currency in all.
-- Parameters: currency.
select
    p.publisher_id as row_key,
    'owed' as part,
    max(p.publisher) as label,
    sum(p.earned - p.paid) as value
from mart.payout as p
inner join (
    select m.publisher_id
    from mart.payout as m
    where m.currency = %(currency)s
    group by m.publisher_id
    order by abs(sum(m.earned - m.paid)) desc, m.publisher_id
    limit 10
) as largest on p.publisher_id = largest.publisher_id
where p.currency = %(currency)s
group by p.publisher_id
union all
select
    p.currency as row_key,
    'other' as part,
    p.currency as label,
    sum(p.earned - p.paid) as value
from mart.payout as p
where p.currency <> %(currency)s
group by p.currency
order by 2, 1
