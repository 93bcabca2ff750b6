-- Begin an attempt at a load that this run holds; gives its row, whatever its state.
with started as (
    update ops.load as k
    set
        attempts = k.attempts + 1, started_at = clock_timestamp(), reason = null,
        lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
    where k.load_id = %(load_id)s and k.claimed_by = %(run)s and k.status = 'claimed'
    returning k.load_id
)

select
    k.load_id, k.kind, k.dataset, k.object_key, k.version_id, k.archive_key, k.put_at, k.file_load_id, k.size_bytes,
    k.status, k.claimed_by, s.load_id is not null as started
from ops.load as k
left join started as s on k.load_id = s.load_id
where k.load_id = %(load_id)s;
