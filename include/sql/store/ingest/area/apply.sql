-- Bring the areas into geo.area, and flag what may have been meant to cross the antimeridian.
insert into geo.area (area_id, name, kind, boundary, load_id, load_line)
select f.area_id, f.name, f.kind, f.boundary, %(load_id)s, f.load_line
from {rows} as f
where f.outcome = 'inserted';

update geo.area as a
set name = f.name, kind = f.kind, boundary = f.boundary, load_id = %(load_id)s, load_line = f.load_line
from {rows} as f
where a.area_id = f.area_id and f.outcome = 'updated';

insert into {issues} (line_no, column_name, kind, detail)
select
    f.load_line, 'wkt', 'wider_than_half_the_globe',
    format(
        'one of its parts reaches from longitude %%s to %%s: where it was meant to cross the antimeridian, it must be '
        'a MULTIPOLYGON cut there', st_xmin(p.geom), st_xmax(p.geom)
    )
from {rows} as f
cross join lateral (
    select d.geom from st_dump(f.boundary) as d
    order by st_xmax(d.geom) - st_xmin(d.geom) desc
    limit 1
) as p
where f.outcome in ('inserted', 'updated', 'unchanged') and st_xmax(p.geom) - st_xmin(p.geom) > 180;
