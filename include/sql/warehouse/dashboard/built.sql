-- What the marts were built of, if they ever were; and the last sync that has changed anything.
select
    b.mart,
    b.run_id,
    b.as_of,
    b.built_at,
    (
        select r.run_id
        from ops.sync_run as r
        where r.exported > 0 or r.deleted > 0 or r.mode = 'full'
        order by r.synced_at desc, r.run_id
        limit 1
    ) as newest_run_id
from mart.built as b
order by b.mart
