-- The sessions, by the figure of map.sql that each belongs to.
-- Parameters: those of map.sql.
select
    s.cell_id / 10000 / %(cells)s as row_key,
    mod(s.cell_id, 10000) / %(cells)s as part,
    s.load_id,
    s.load_line,
    1 as lines,
    1 as value
from store.play_session as s
where cast(s.started_at at time zone 'UTC' as date) between %(first_day)s and %(last_day)s
