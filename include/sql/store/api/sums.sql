-- What GET /aggregated-data sums up: a row for each key, in its order, after `after` if it `goes_on`. What stands in
-- the brackets is the play of the places that are asked for: everywhere.sql, in_cells.sql or by_area.sql. Unless it
-- is the genre that is grouped by, the planner leaves the games out.
select
    {key} as key,
    sum(a.sessions)::bigint as sessions,
    sum(a.timed_sessions)::bigint as timed_sessions,
    sum(a.seconds)::bigint as seconds
from ({activity}) as a
left join (
    select
        s.game_id,
        coalesce(lower(s.genre), '') as genre
    from store.game as s
) as g on a.game_id = g.game_id
where
    a.day between %(first_day)s and %(last_day)s
    and (%(games)s::text [] is null or a.game_id = any(%(games)s::text []))
    and (%(platform)s::text is null or a.platform = %(platform)s)
    and (not %(goes_on)s or {key} > %(after)s)
group by {key}
order by {key}
limit %(rows)s
