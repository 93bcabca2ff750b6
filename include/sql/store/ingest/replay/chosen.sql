-- The rejected and held rows that a person wants to have loaded again. Each parameter but the first two may be null:
-- then it leaves nothing out. What a later reload of the file has read again is that reload's to tell.
select c.load_id, c.line_no
from (
    select r.load_id, r.line_no, r.reason
    from ops.rejected_row as r
    where %(rejected)s and r.retried_load_id is null and r.erased_at is null
    union all
    select h.load_id, h.line_no, h.reason
    from ops.held_row as h
    where %(held)s and h.retried_load_id is null and h.erased_at is null
) as c
inner join ops.load as k on c.load_id = k.load_id
where k.status = 'done'
    and (%(dataset)s::text is null or k.dataset = %(dataset)s)
    and (%(load_id)s::bigint is null or %(load_id)s in (k.load_id, k.file_load_id))
    and (%(file)s::text is null or k.object_key like %(file)s)
    and (%(reason)s::text is null or c.reason = %(reason)s)
    and (%(put_from)s::timestamptz is null or k.put_at >= %(put_from)s)
    and (%(put_to)s::timestamptz is null or k.put_at < %(put_to)s)
    and not exists (
        select 1 from ops.load as r
        where r.file_load_id = k.file_load_id and r.kind = 'reload' and r.status = 'done' and r.load_id > k.load_id
    )
