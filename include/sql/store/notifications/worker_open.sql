-- How far a day is: chunks that are neither done nor failed, those of them that a worker holds, and all the attempts.
-- Parameters: day.
select
    count(*) filter (where c.state = 'queued' and c.queued_at is not null) as open,
    count(*) filter (where c.state = 'queued' and c.lease_until > clock_timestamp()) as held,
    coalesce(sum(c.attempts), 0) + count(*) filter (where c.state <> 'queued') as moved
from ops.notification_chunk as c
where c.day = %(day)s;
