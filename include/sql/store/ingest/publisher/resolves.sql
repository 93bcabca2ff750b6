-- The held rows whose publisher can be found by now: by source id, or by a name.
select h.load_id, h.line_no
from ops.held_row as h
where h.retried_load_id is null and h.ref_dataset = 'publisher' and exists (
    select 1 from store.publisher_alias as a
    where a.alias_id = h.ref_value or a.name_key = h.ref_key
)
