-- What areas are called, and, when `outlines` is true, their outlines as GeoJSON: simplified to a hundredth of a degree
-- (about 1 km), since one may have hundreds of thousands of corners.
select
    n.area_id,
    n.name,
    case when %(outlines)s then st_asgeojson(st_simplifypreservetopology(n.boundary, 0.01), 4) end
from geo.area as n
where n.area_id = any(%(keys)s)
