-- The game that each text in `reference` means, by source id or else by title. A row is held whose text means no game
-- yet, or several.
select
    r.ref,
    coalesce(by_id.game_id, by_title.game_id) as game_id,
    case
        when coalesce(by_id.game_id, by_title.game_id) is null then row(
            'held', %(column_name)s, 'unknown_game', format('no game has the id or title %%L yet', r.ref),
            'game', r.ref, r.ref_key
        )::ops.refusal
        when by_title.games > 1 then row(
            'held', %(column_name)s, 'ambiguous_game',
            format('%%s games have the title %%L: only an id can tell them apart', by_title.games, r.ref),
            'game', r.ref, r.ref_key
        )::ops.refusal
    end as refusal
from reference as r
left join ops.game_by_id as by_id on r.ref = by_id.alias_id
left join lateral (
    select v.game_id, v.games
    from ops.game_by_title as v
    where by_id.game_id is null and v.title_key = r.ref_key
    -- It has one. So each is looked up; without this, all names would be reckoned.
    limit 1
) as by_title on true
