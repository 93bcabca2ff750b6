-- The currencies in which publishers have earned or were paid, the one with most publishers first.
select
    p.currency,
    count(distinct p.publisher_id) as publisher_count
from mart.payout as p
group by p.currency
order by 2 desc, 1
