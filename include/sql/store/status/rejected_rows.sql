-- The rejected rows that stand of a dataset and reason, of files put since %(since)s, newest files first, at most
-- %(most)s. Through the loads that found the reason, so that it reads few rows, however many are rejected.
select
    k.load_id,
    k.object_key,
    k.archive_key,
    k.put_at,
    r.line_no,
    r.column_name,
    r.detail,
    r.raw
from (
    select l.load_id, l.object_key, l.archive_key, l.put_at
    from ops.load as l
    where l.status = 'done' and l.put_at >= %(since)s and l.dataset = %(dataset)s
        and exists (
            select 1 from ops.load_finding as f
            where f.load_id = l.load_id and f.outcome = 'rejected' and f.reason = %(reason)s
        )
        and not exists (
            select 1 from ops.load as n
            where n.file_load_id = l.file_load_id and n.kind = 'reload' and n.status = 'done' and n.load_id > l.load_id
        )
    order by l.put_at desc, l.load_id desc
) as k
cross join lateral (
    select w.line_no, w.column_name, w.detail, w.raw
    from ops.rejected_row as w
    where w.load_id = k.load_id and w.reason = %(reason)s and w.retried_load_id is null and w.erased_at is null
    order by w.line_no
    limit %(most)s
) as r
order by k.put_at desc, k.load_id desc, r.line_no
limit %(most)s
