-- The geometry that a text in WKT says, or the reason why it says none: by the function that reads the files of areas.
select
    r.boundary::text,
    r.reason,
    r.detail
from geo.read_boundary(%(wkt)s) as r
