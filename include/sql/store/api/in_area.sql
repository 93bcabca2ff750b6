-- The cells that the outline of a named area touches.
select c.cell_id
from geo.area as n
inner join geo.cell as c on st_intersects(n.boundary, c.boundary)
where n.area_id = %(area_id)s
