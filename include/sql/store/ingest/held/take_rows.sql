-- Hand the rows of one file that can be resolved to the load that retries them.
with resolvable as (
    {resolvable}
)

update ops.held_row as h
set retried_load_id = %(load_id)s
from resolvable as r
inner join ops.load as k on r.load_id = k.load_id
where h.load_id = r.load_id and h.line_no = r.line_no and h.retried_load_id is null
    and k.file_load_id = %(file_load_id)s and k.header = %(header)s;
