-- What earlier loads of a file had rejected or held a reload has judged anew, so nobody is to try it again.
update ops.held_row as h
set retried_load_id = %(load_id)s
from ops.load as k
where h.load_id = k.load_id and k.file_load_id = %(file_load_id)s and k.load_id <> %(load_id)s
    and h.retried_load_id is null;

update ops.rejected_row as r
set retried_load_id = %(load_id)s
from ops.load as k
where r.load_id = k.load_id and k.file_load_id = %(file_load_id)s and k.load_id <> %(load_id)s
    and r.retried_load_id is null;
