-- What each staged line names (its transaction, its game, its publisher), beside the line that stands. A line is held
-- that names nothing yet or two things.
select
    s.load_line,
    s.transaction_id,
    s.line_no,
    t.type as transaction_type,
    t.reported_total,
    g.game_id,
    s.platform,
    p.publisher_id,
    s.region,
    s.gross_amount,
    s.platform_fee,
    s.net_amount,
    case
        when t.transaction_id is null then row(
            'held', 'transaction_id', 'unknown_transaction',
            format('no transaction %%s has come yet', s.transaction_id),
            'transaction', s.transaction_id, ''
        )::ops.refusal
        else coalesce(g.refusal, p.refusal)
    end as refusal,
    l.load_id as standing_load_id,
    l.load_line as standing_load_line,
    case
        when l.transaction_id is null then 'inserted'
        when ((l.game_id, l.platform, l.region, l.gross, l.fee, l.reported_net)
            is not distinct from (g.game_id, s.platform, s.region, s.gross_amount, s.platform_fee, s.net_amount))
            then 'unchanged'
        else 'updated'
    end as effect
from {stage} as s
inner join {named_game_ref} as g on s.game_ref = g.ref
inner join {named_publisher_ref} as p on s.publisher_ref = p.ref
left join store.transaction as t on s.transaction_id = t.transaction_id
left join store.transaction_line as l on s.transaction_id = l.transaction_id and s.line_no = l.line_no
