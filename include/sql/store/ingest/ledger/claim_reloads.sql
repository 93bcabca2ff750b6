-- Enter a reload of each archived file that was put between two times, and claim it for one run (once, if run again).

insert into ops.load (
    kind, dataset, object_key, version_id, put_at, size_bytes, file_load_id, archive_key,
    claimed_by, lease_until
)
select
    'reload', k.dataset, k.object_key, k.version_id, k.put_at, k.size_bytes, k.file_load_id, k.archive_key,
    %(run)s, clock_timestamp() + make_interval(secs => %(lease_s)s)
from ops.load as k
where k.kind = 'file' and k.status = 'done' and k.archive_key is not null
    and k.put_at >= %(put_from)s and k.put_at < %(put_to)s
    and not exists (
        select 1 from ops.load as r
        where r.kind = 'reload' and r.claimed_by = %(run)s
    )
order by k.put_at, k.object_key collate "C", k.file_load_id;

select k.load_id, k.dataset, k.object_key, k.version_id
from ops.load as k
where k.kind = 'reload' and k.claimed_by = %(run)s
order by k.put_at, k.object_key collate "C", k.file_load_id;
