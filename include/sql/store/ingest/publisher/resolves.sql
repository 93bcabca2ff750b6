-- The held rows whose publisher can be found by now: by source id, or by a name that fits one publisher only. A row
-- whose name was unknown and fits several by now is tried as well: it is held anew, for that reason. Looked up once for
-- each reference, however many rows wait for it.
select h.load_id, h.line_no
from (
    select w.ref_value, w.ref_key, w.reason
    from ops.held_row as w
    where w.retried_load_id is null and w.ref_dataset = 'publisher'
    group by w.ref_value, w.ref_key, w.reason
) as r
inner join ops.held_row as h on r.ref_value = h.ref_value and r.ref_key = h.ref_key and r.reason = h.reason
where h.retried_load_id is null and h.ref_dataset = 'publisher' and (
    exists (select 1 from ops.publisher_by_id as p where p.alias_id = r.ref_value)
    or exists (
        select 1 from ops.publisher_by_name as p
        where p.name_key = r.ref_key and (p.publishers = 1 or r.reason = 'unknown_publisher')
    )
)
