-- The cells that any of the `shapes` touches (each whole): boxes, or what a polygon was read as.
select distinct c.cell_id
from unnest(%(shapes)s::text []) as s (shape)
inner join geo.cell as c on st_intersects(c.boundary, s.shape::geometry)
