-- The areas that a text may mean: the one of that id, or those of that name, without case.
select
    n.area_id,
    n.name
from geo.area as n
where n.area_id = %(area)s or lower(n.name) = lower(%(area)s)
order by n.area_id <> %(area)s, n.area_id
limit 10
