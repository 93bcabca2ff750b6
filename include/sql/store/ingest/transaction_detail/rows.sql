-- What each staged line names (its transaction by id; its game and publisher as prepare.sql has found them), beside the
-- line that stands. A line is held that names nothing yet or two things.
select
    s.load_line,
    s.transaction_id,
    s.line_no,
    t.type as transaction_type,
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
        when g.game_id is null then row(
            'held', 'game_ref', 'unknown_game', format('no game has the id or title %%L yet', s.game_ref),
            'game', s.game_ref, s.game_ref_key
        )::ops.refusal
        when g.games_of_title > 1 then row(
            'held', 'game_ref', 'ambiguous_game',
            format('%%s games have the title %%L: only an id can tell them apart', g.games_of_title, s.game_ref),
            'game', s.game_ref, s.game_ref_key
        )::ops.refusal
        when p.publisher_id is null then row(
            'held', 'publisher_ref', 'unknown_publisher',
            format('no publisher has the id or name %%L yet', s.publisher_ref),
            'publisher', s.publisher_ref, s.publisher_ref_key
        )::ops.refusal
        when p.publishers_of_name > 1 then row(
            'held', 'publisher_ref', 'ambiguous_publisher',
            format('%%s publishers have the name %%L: only an id can tell them apart',
                p.publishers_of_name, s.publisher_ref),
            'publisher', s.publisher_ref, s.publisher_ref_key
        )::ops.refusal
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
inner join named_game as g on s.game_ref = g.game_ref
inner join named_publisher as p on s.publisher_ref = p.publisher_ref
left join store.transaction as t on s.transaction_id = t.transaction_id
left join store.transaction_line as l on s.transaction_id = l.transaction_id and s.line_no = l.line_no
