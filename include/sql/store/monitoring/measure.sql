-- What the alarms watch, in one row. %(objects)s is the listing of landing/: [{{object_key, version_id, put_at}}].
-- %(dashboard_as_of)s is the moment of the store that the published dashboard shows; NULL when there is none.
--
-- A file waits until the ledger has it as done or set aside. Of the last day's files all rows count that were read. Of
-- notifications a chunk is unaccounted for when it is not done 6 hours after it was found; a day, when its run is not
-- done by the next day at 06:00 UTC. Days before the first run, or more than a week ago, are nobody's any more. The
-- dashboard is behind by the age of the first load that changed the store after that moment: while nothing changes, it
-- is drawn no more, and is right.
with waiting as (
    select
        count(*) as files,
        coalesce(extract(epoch from now() - min(o.put_at)), 0) as oldest_s
    from jsonb_to_recordset(%(objects)s::jsonb) as o (object_key text, version_id text, put_at timestamptz)
    left join ops.load as k
        on o.object_key = k.object_key and o.version_id = k.version_id and k.kind = 'file'
    where k.status is null or k.status in ('claimed', 'failed')
),

loaded as (
    select
        coalesce(sum(k.read), 0) as read,
        coalesce(sum(k.rejected), 0) as rejected
    from ops.load as k
    where k.kind = 'file' and k.status = 'done' and k.finished_at > now() - interval '1 day'
),

unshown as (
    select coalesce(extract(epoch from now() - min(k.finished_at)), 0) as oldest_s
    from ops.load as k
    where
        k.status = 'done' and k.inserted + k.updated > 0
        and k.finished_at > coalesce(%(dashboard_as_of)s::timestamptz, '-infinity')
),

days as (
    select d.day::date as day
    from generate_series(
        (
            select greatest(min(r.day), (now() at time zone 'UTC')::date - 7)
            from ops.notification_run as r
            having count(*) > 0
        ),
        ((now() at time zone 'UTC') - interval '1 day 6 hours')::date,
        interval '1 day'
    ) as d (day)
),

unaccounted as (
    select
        (
            select count(*)
            from days as d
            where not exists (select 1 from ops.notification_run as r where r.day = d.day and r.status = 'done')
        ) + (
            select count(*)
            from ops.notification_chunk as c
            inner join ops.notification_due as u on c.day = u.day and c.rule_id = u.rule_id
            where c.state <> 'done' and u.found_at < now() - interval '6 hours'
        ) as notifications
)

select
    w.files as waiting_files,
    w.oldest_s as oldest_waiting_file_s,
    case when l.read > 0 then 100.0 * l.rejected / l.read else 0 end as rejected_percent,
    u.notifications as notifications_unaccounted,
    s.oldest_s as dashboard_behind_s
from waiting as w
cross join loaded as l
cross join unaccounted as u
cross join unshown as s
