-- The staged games, each beside what its source id last reported.
select
    s.load_line,
    s.game_id,
    s.title,
    s.title_key,
    s.release_date,
    s.genre,
    a.title_key as standing_title_key,
    null::ops.refusal as refusal,
    a.load_id as standing_load_id,
    a.load_line as standing_load_line,
    case
        when a.alias_id is null then 'inserted'
        when ((a.title, a.title_key, a.release_date, a.genre)
            is not distinct from (s.title, s.title_key, s.release_date, s.genre)) then 'unchanged'
        else 'updated'
    end as effect
from {stage} as s
left join store.game_alias as a on s.game_id = a.alias_id
