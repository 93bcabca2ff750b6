-- The staged areas, each with the boundary that its text says or the reason why it says none, beside the area that
-- stands. Boundaries are the same when they have the same points in the same order.
select
    s.load_line,
    s.area_id,
    s.name,
    s.kind,
    b.boundary,
    case
        when b.boundary is null
            then row(
                'rejected', 'wkt', b.reason, format('%%L: %%s', left(s.wkt, 80), b.detail), null, null, null
            )::ops.refusal
    end as refusal,
    a.load_id as standing_load_id,
    a.load_line as standing_load_line,
    case
        when a.area_id is null then 'inserted'
        when ((a.name, a.kind, a.boundary) is not distinct from (s.name, s.kind, b.boundary)) then 'unchanged'
        else 'updated'
    end as effect
from {stage} as s
cross join lateral geo.read_boundary(s.wkt) as b
left join geo.area as a on s.area_id = a.area_id
