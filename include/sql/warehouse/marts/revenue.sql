-- Revenue: what was sold and refunded, with the marketplace's fee, as the lines say it.
-- Grain: a day (UTC), publisher, game, platform, region and currency. Refunds are negative, and beside the sales;
-- money of different currencies is never added up. The publisher is the release's, not what the line's file said.
delete from mart.revenue;

insert into mart.revenue (
    day, publisher_id, publisher, game_id, game, platform, region, currency,
    sold_lines, sold_gross, sold_fee, refunded_lines, refunded_gross, refunded_fee
)
select
    cast(t.occurred_at at time zone 'UTC' as date) as day,
    p.publisher_id,
    max(p.name) as publisher,
    g.game_id,
    max(g.title) as game,
    l.platform,
    l.region,
    t.currency,
    sum(case when t.type = 'sale' then 1 else 0 end) as sold_lines,
    sum(case when t.type = 'sale' then l.gross else 0 end) as sold_gross,
    sum(case when t.type = 'sale' then l.fee else 0 end) as sold_fee,
    sum(case when t.type = 'refund' then 1 else 0 end) as refunded_lines,
    sum(case when t.type = 'refund' then l.gross else 0 end) as refunded_gross,
    sum(case when t.type = 'refund' then l.fee else 0 end) as refunded_fee
from store.transaction_line as l
inner join store.transaction as t on l.transaction_id = t.transaction_id
inner join store.game_release as r on l.game_id = r.game_id and l.platform = r.platform
inner join store.publisher as p on r.publisher_id = p.publisher_id
inner join store.game as g on l.game_id = g.game_id
where t.type in ('sale', 'refund')
group by 1, p.publisher_id, g.game_id, l.platform, l.region, t.currency;
