-- The staged wishes with their games, beside the wish that stands. A wish is held that names no game or two. The game
-- is part of the key, so two spellings of one game are one wish.
select
    s.load_line,
    s.customer_ref,
    g.game_id as game_ref,
    s.added_at,
    g.refusal,
    w.load_id as standing_load_id,
    w.load_line as standing_load_line,
    case
        when w.customer_id is null then 'inserted'
        when (w.added_at is not distinct from s.added_at) then 'unchanged'
        else 'updated'
    end as effect
from {stage} as s
inner join {named_game_ref} as g on s.game_ref = g.ref
left join store.customer as c on s.customer_ref = c.ref
left join store.wishlist as w on c.customer_id = w.customer_id and g.game_id = w.game_id
