-- The game that each staged play session names, beside the session that stands. A session is held that names no game or
-- two. References are looked up once for each value: a million sessions are of a few thousand games.
with game as (
    select
        r.game_ref,
        coalesce(by_id.game_id, by_title.game_id) as game_id,
        by_title.games as games_of_title
    from (
        select s.game_ref, min(s.game_ref_key) as title_key
        from {stage} as s
        group by s.game_ref
    ) as r
    left join ops.game_by_id as by_id on r.game_ref = by_id.alias_id
    left join lateral (
        select v.game_id, v.games
        from ops.game_by_title as v
        where by_id.game_id is null and v.title_key = r.title_key
        -- It has one. So each is looked up; without this, all names would be reckoned.
        limit 1
    ) as by_title on true
)

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
    case
        when g.game_id is null then row(
            'held', 'game_ref', 'unknown_game', format('no game has the id or title %%L yet', s.game_ref),
            'game', s.game_ref, s.game_ref_key
        )::ops.refusal
        when g.games_of_title > 1 then row(
            'held', 'game_ref', 'ambiguous_game',
            format('%%s games have the title %%L: only an id can tell them apart', g.games_of_title, s.game_ref),
            'game', s.game_ref, s.game_ref_key
        )::ops.refusal
    end as refusal,
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
inner join game as g on s.game_ref = g.game_ref
left join store.customer as c on s.customer_ref = c.ref
left join store.play_session as p on s.session_id = p.session_id
