-- Play, once for each area that its cell is in, or for the area `area_id` only: areas overlap, and so do their sums.
-- What stands in the brackets is the play of the places that are asked for.
select
    n.area_id,
    a.cell_id,
    a.day,
    a.game_id,
    a.platform,
    a.sessions,
    a.timed_sessions,
    a.seconds,
    a.player_ids
from geo.area as n
inner join geo.cell as c on st_intersects(n.boundary, c.boundary)
inner join ({activity}) as a on c.cell_id = a.cell_id
where %(area_id)s::text is null or n.area_id = %(area_id)s
