-- The cells of which any part lies within `radius` metres of a place, on the globe. The `shapes` are boxes
-- around that circle, by which the index on the boundaries finds the candidates: it knows no distances on a globe.
select distinct c.cell_id
from unnest(%(shapes)s::text []) as s (shape)
inner join geo.cell as c on c.boundary && s.shape::geometry
where st_dwithin(c.boundary::geography, st_point(%(longitude)s, %(latitude)s, 4326)::geography, %(radius)s)
