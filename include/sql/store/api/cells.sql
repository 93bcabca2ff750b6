-- The outlines of cells, as GeoJSON; a ten-thousandth of a degree is 11 m.
select
    c.cell_id,
    st_asgeojson(c.boundary, 4)
from geo.cell as c
where c.cell_id = any(%(keys)s)
