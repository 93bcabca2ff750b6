-- The rejected rows that stand, of files put since %(since)s, by dataset and reason. Counted from the findings of each
-- load, which are few, less what was loaded again. What a later reload of the file has read again is that reload's.
with standing as (
    select k.load_id, k.dataset, k.put_at
    from ops.load as k
    where k.status = 'done' and k.put_at >= %(since)s and k.rejected > 0
        and not exists (
            select 1 from ops.load as r
            where r.file_load_id = k.file_load_id and r.kind = 'reload' and r.status = 'done' and r.load_id > k.load_id
        )
),

found as (
    select s.load_id, s.dataset, s.put_at, f.reason, sum(f.findings)::bigint as found
    from standing as s
    inner join ops.load_finding as f on s.load_id = f.load_id and f.outcome = 'rejected'
    group by s.load_id, s.dataset, s.put_at, f.reason
),

loaded_again as (
    select r.load_id, r.reason, count(*) as again
    from ops.rejected_row as r
    inner join standing as s on r.load_id = s.load_id
    where r.retried_load_id is not null
    group by r.load_id, r.reason
)

select
    f.dataset,
    f.reason,
    sum(f.found - coalesce(a.again, 0))::bigint as rows,
    count(*) filter (where f.found > coalesce(a.again, 0)) as files,
    max(f.put_at) filter (where f.found > coalesce(a.again, 0)) as last_put_at
from found as f
left join loaded_again as a on f.load_id = a.load_id and f.reason = a.reason
group by f.dataset, f.reason
having sum(f.found - coalesce(a.again, 0)) > 0
order by sum(f.found - coalesce(a.again, 0)) desc, f.dataset, f.reason
