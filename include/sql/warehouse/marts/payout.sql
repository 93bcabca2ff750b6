-- Payouts: what publishers have earned (sales less refunds less the fee), and what they were paid.
-- Grain: a month (its first day, UTC), publisher and currency. What is owed is the sum of earned less paid over all
-- months up to one; a payout is negative in the store, and positive here.
delete from mart.payout;

insert into mart.payout (month, publisher_id, publisher, currency, earned, paid)
select
    cast(date_trunc('month', t.occurred_at at time zone 'UTC') as date) as month,
    p.publisher_id,
    max(p.name) as publisher,
    t.currency,
    sum(case when t.type in ('sale', 'refund') then l.gross - l.fee else 0 end) as earned,
    sum(case when t.type = 'payout' then l.fee - l.gross else 0 end) as paid
from store.transaction_line as l
inner join store.transaction as t on l.transaction_id = t.transaction_id
inner join store.game_release as r on l.game_id = r.game_id and l.platform = r.platform
inner join store.publisher as p on r.publisher_id = p.publisher_id
group by 1, p.publisher_id, t.currency;
