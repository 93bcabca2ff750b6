-- What was loaded since %(since)s, by dataset: files, how many of them were set aside as a whole, and the account of
-- their rows. Rows that were held or rejected before, and have been accepted since, count apart.
select
    coalesce(k.dataset, 'unknown') as dataset,
    count(*) filter (where k.kind in ('file', 'reload')) as files,
    count(*) filter (where k.status = 'rejected') as set_aside,
    coalesce(sum(k.read) filter (where k.kind in ('file', 'reload')), 0)::bigint as read,
    coalesce(sum(k.accepted) filter (where k.kind in ('file', 'reload')), 0)::bigint as accepted,
    coalesce(sum(k.rejected) filter (where k.kind in ('file', 'reload')), 0)::bigint as rejected,
    coalesce(sum(k.held) filter (where k.kind in ('file', 'reload')), 0)::bigint as held,
    coalesce(sum(k.accepted) filter (where k.kind in ('retry', 'replay')), 0)::bigint as accepted_later
from ops.load as k
where k.status in ('done', 'rejected') and k.finished_at >= %(since)s
group by coalesce(k.dataset, 'unknown')
order by coalesce(k.dataset, 'unknown')
