-- The rows that a load retries, one a line of the file, as they stood in it.
select distinct on (h.line_no) h.line_no, h.raw
from ops.held_row as h
where h.retried_load_id = %(load_id)s
order by h.line_no, h.load_id desc;
