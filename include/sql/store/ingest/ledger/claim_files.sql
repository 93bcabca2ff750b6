-- Claim, for one run, the oldest landed files that no one has done or is doing.
--
-- %(objects)s is the listing of landing/, oldest first: [{{dataset, object_key, version_id, put_at, size_bytes}}].
-- A new version enters the ledger here. A file that is done but still lies in landing/ (its run died before moving it)
-- is claimed again, to be moved. A claim is a lease: when it expires, the next run takes the file over.

with landed as (
    select
        o.object ->> 'dataset' as dataset,
        o.object ->> 'object_key' as object_key,
        o.object ->> 'version_id' as version_id,
        (o.object ->> 'put_at')::timestamptz as put_at,
        (o.object ->> 'size_bytes')::bigint as size_bytes,
        o.listed
    from jsonb_array_elements(%(objects)s::jsonb) with ordinality as o (object, listed)
),

unknown as (
    select l.dataset, l.object_key, l.version_id, l.put_at, l.size_bytes
    from landed as l
    where not exists (
        select 1 from ops.load as k
        where k.kind = 'file' and k.object_key = l.object_key and k.version_id = l.version_id
    )
    order by l.listed
),

numbered as (
    select nextval(pg_get_serial_sequence('ops.load', 'load_id')) as load_id, u.*
    from unknown as u
)

insert into ops.load (load_id, file_load_id, kind, dataset, object_key, version_id, put_at, size_bytes)
overriding system value
select n.load_id, n.load_id, 'file', n.dataset, n.object_key, n.version_id, n.put_at, n.size_bytes
from numbered as n
on conflict (object_key, version_id) where kind = 'file' do nothing;

update ops.load as k
set
    status = case when %(retry_failed)s then 'claimed' else 'failed' end,
    attempts = case when %(retry_failed)s then 0 else k.attempts end
from jsonb_to_recordset(%(objects)s::jsonb) as l (object_key text, version_id text)
where k.kind = 'file' and k.object_key = l.object_key and k.version_id = l.version_id
    and (
        (k.status = 'claimed' and k.attempts >= %(max_attempts)s and k.lease_until < clock_timestamp())
        or (k.status = 'failed' and %(retry_failed)s)
    );

-- A reload whose run has died is nobody's: a person asks for it again.
update ops.load as k
set status = 'failed', reason = 'its run died before it was loaded'
where k.kind = 'reload' and k.status = 'claimed' and k.lease_until < clock_timestamp();

with free as (
    select k.load_id
    from ops.load as k
    inner join jsonb_to_recordset(%(objects)s::jsonb) as l (object_key text, version_id text)
        on k.object_key = l.object_key and k.version_id = l.version_id
    where k.kind = 'file' and k.status <> 'failed'
        and (k.lease_until is null or k.lease_until < clock_timestamp() or k.claimed_by = %(run)s)
    order by k.put_at, k.object_key collate "C", k.load_id
    limit %(max_files)s
    for update of k skip locked
),

claimed as (
    update ops.load as k
    set
        claimed_by = %(run)s,
        -- A run that claims anew what it had (its task is cleared) has held it all the time.
        claimed_at = case when k.claimed_by = %(run)s then k.claimed_at else clock_timestamp() end,
        lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
    from free as f
    where k.load_id = f.load_id
    returning k.load_id, k.dataset, k.object_key, k.version_id, k.put_at
)

select c.load_id, c.dataset, c.object_key, c.version_id
from claimed as c
order by c.put_at, c.object_key collate "C", c.load_id;
