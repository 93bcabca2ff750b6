-- The rows that a load tries again, one a line of the file, as they stood in it.
select distinct on (t.line_no) t.line_no, t.raw, t.was_rejected
from (
    select h.line_no, h.raw, h.load_id, false as was_rejected
    from ops.held_row as h
    where h.retried_load_id = %(load_id)s
    union all
    select r.line_no, r.raw, r.load_id, true as was_rejected
    from ops.rejected_row as r
    where r.retried_load_id = %(load_id)s
) as t
order by t.line_no, t.load_id desc;
