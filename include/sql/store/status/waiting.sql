-- How many of the landed files nobody has loaded yet, since when the oldest waits, and how many could not be loaded.
-- %(objects)s is the listing of landing/: [{{object_key, version_id, put_at}}]. A file that is done and only waits to
-- be moved away is none of them.
select
    count(*) filter (where k.status is null or k.status = 'claimed') as waiting,
    min(o.put_at) filter (where k.status is null or k.status = 'claimed') as oldest_put_at,
    count(*) filter (where k.status = 'failed') as failed
from jsonb_to_recordset(%(objects)s::jsonb) as o (object_key text, version_id text, put_at timestamptz)
left join ops.load as k
    on o.object_key = k.object_key and o.version_id = k.version_id and k.kind = 'file'
where k.status is null or k.status in ('claimed', 'failed')
