-- The play in the cells that stand in the brackets: those of in_area.sql, in_circle.sql or in_shapes.sql, each whole.
select
    a.cell_id,
    a.day,
    a.game_id,
    a.platform,
    a.sessions,
    a.timed_sessions,
    a.seconds,
    a.player_ids
from (
    {cells}
) as i
inner join geo.activity as a on i.cell_id = a.cell_id
