-- The sessions, by the figure of play.sql that each belongs to.
-- Parameters: those of play.sql.
select
    cast(extract(dow from s.started_at at time zone 'UTC') as integer) as row_key,
    cast(extract(hour from s.started_at at time zone 'UTC') as integer) as part,
    s.load_id,
    s.load_line,
    1 as lines,
    1 as value
from store.play_session as s
where cast(s.started_at at time zone 'UTC' as date) between %(first_day)s and %(last_day)s
