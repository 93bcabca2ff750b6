-- Enter rows that are loaded again as a load of its own, in the order of the file they stood in.
insert into ops.load (
    kind, dataset, object_key, version_id, archive_key, put_at, size_bytes, file_load_id,
    attempts, claimed_by, started_at, lease_until
)
select
    %(kind)s, k.dataset, k.object_key, k.version_id, k.archive_key, k.put_at, k.size_bytes, k.file_load_id,
    1, %(run)s, clock_timestamp(), clock_timestamp() + make_interval(secs => %(lease_s)s)
from ops.load as k
where k.load_id = %(file_load_id)s
returning
    load_id, kind, dataset, object_key, version_id, archive_key, put_at, file_load_id, size_bytes, status, claimed_by;
