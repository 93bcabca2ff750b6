-- The staged play sessions with their games, beside the session that stands. A session is held that names no game or
-- two.
select
    s.load_line,
    s.session_id,
    s.customer_ref,
    g.game_id,
    s.platform,
    s.started_at,
    s.duration_s,
    s.latitude,
    s.longitude,
    g.refusal,
    p.load_id as standing_load_id,
    p.load_line as standing_load_line,
    case
        when p.session_id is null then 'inserted'
        when ((
            p.customer_id, p.game_id, p.platform, p.started_at, p.duration_s,
            st_y(p.location::geometry), st_x(p.location::geometry)
        ) is not distinct from (
            c.customer_id, g.game_id, s.platform, s.started_at, s.duration_s, s.latitude, s.longitude
        )) then 'unchanged'
        else 'updated'
    end as effect
from {stage} as s
inner join {named_game_ref} as g on s.game_ref = g.ref
left join store.customer as c on s.customer_ref = c.ref
left join store.play_session as p on s.session_id = p.session_id
