-- How many different customers played, for each of the `keys` that a page of GET /aggregated-data has. They do not add
-- up over cells and days as sessions do, so those of all rows are counted, once each. The rest is as in sums.sql.
select
    {key} as key,
    count(distinct p.player_id) as players
from ({activity}) as a
left join (
    select
        s.game_id,
        coalesce(lower(s.genre), '') as genre
    from store.game as s
) as g on a.game_id = g.game_id
cross join unnest(a.player_ids) as p (player_id)
where
    a.day between %(first_day)s and %(last_day)s
    and (%(games)s::text [] is null or a.game_id = any(%(games)s::text []))
    and (%(platform)s::text is null or a.platform = %(platform)s)
    and {key} = any(%(keys)s)
group by {key}
