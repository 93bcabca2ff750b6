-- What is rejected of each file that a run has loaded, as it stands by now: a row that was replayed no longer counts,
-- nor does what an earlier reading of a file rejected, nor a file set aside whose key was put again and loaded. A file
-- that another run had finished with, and that this one has only moved, is that other run's.
with run_file as (
    select k.load_id, k.file_load_id, k.dataset, k.object_key, k.status, split_part(k.reason, ':', 1) as reason
    from ops.load as k
    where k.claimed_by = %(run)s and k.kind in ('file', 'reload') and k.finished_at >= k.claimed_at
),

latest_reading as (
    select distinct on (k.file_load_id) k.load_id, k.file_load_id, k.dataset, k.object_key, k.read
    from run_file as f
    inner join ops.load as k on f.file_load_id = k.file_load_id
    where f.status = 'done' and k.status = 'done' and k.kind in ('file', 'reload')
    order by k.file_load_id, k.load_id desc
),

standing as (
    select distinct on (l.file_load_id, r.line_no) l.file_load_id, r.reason
    from latest_reading as l
    inner join ops.load as k
        on l.file_load_id = k.file_load_id
        and (k.load_id = l.load_id or (k.kind in ('retry', 'replay') and k.load_id > l.load_id))
    inner join ops.rejected_row as r on k.load_id = r.load_id
    where r.retried_load_id is null
    order by l.file_load_id, r.line_no, r.load_id desc
),

counted as (
    select c.file_load_id, sum(c.counted) as rejected,
        array_agg(format('%%s %%s', c.reason, c.counted) order by c.counted desc, c.reason) as reasons
    from (
        select s.file_load_id, s.reason, count(*) as counted
        from standing as s
        group by s.file_load_id, s.reason
    ) as c
    group by c.file_load_id
)

select
    l.dataset, l.object_key, l.read, coalesce(c.rejected, 0)::bigint as rejected,
    coalesce(c.reasons[1:3], '{{}}') as reasons, false as set_aside
from latest_reading as l
left join counted as c on l.file_load_id = c.file_load_id
union all
select f.dataset, f.object_key, 0, 0, array[f.reason], true
from run_file as f
where f.status = 'rejected' and f.reason <> 'gone' and not exists (
    select 1 from ops.load as k
    where k.object_key = f.object_key and k.status = 'done' and k.kind in ('file', 'reload') and k.load_id > f.load_id
)
order by object_key;
