-- The rows of a dataset that wait for a reason and for another dataset, the longest waiting first, at most %(most)s.
select
    k.load_id,
    k.object_key,
    k.archive_key,
    k.put_at,
    h.line_no,
    h.column_name,
    h.detail,
    h.raw,
    h.ref_dataset,
    h.ref_value
from ops.held_row as h
inner join ops.load as k on h.load_id = k.load_id
where h.retried_load_id is null and h.erased_at is null and k.status = 'done'
    and k.dataset = %(dataset)s and h.reason = %(reason)s and h.ref_dataset = %(ref_dataset)s
order by k.put_at, k.load_id, h.line_no
limit %(most)s
