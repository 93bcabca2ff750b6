-- The lines by which publishers earn and are paid, by the figure of payouts.sql that each belongs to. What is owed is
-- the net of all of them: sales less refunds less payouts, all of which are signed.
-- Parameters: those of payouts.sql.
select
    case when t.currency = %(currency)s then r.publisher_id else t.currency end as row_key,
    case when t.currency = %(currency)s then 'owed' else 'other' end as part,
    l.load_id,
    l.load_line,
    1 as lines,
    l.gross - l.fee as value
from store.transaction_line as l
inner join store.transaction as t on l.transaction_id = t.transaction_id
inner join store.game_release as r on l.game_id = r.game_id and l.platform = r.platform
left join (
    select m.publisher_id
    from mart.payout as m
    where m.currency = %(currency)s
    group by m.publisher_id
    order by abs(sum(m.earned - m.paid)) desc, m.publisher_id
    limit 10
) as largest on r.publisher_id = largest.publisher_id
where t.currency <> %(currency)s or largest.publisher_id is not null
