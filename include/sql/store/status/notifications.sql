-- The account of the last day whose notifications a run has delivered, or tried to, and what still waits of all days.
select
    n.day,
    n.run_id,
    n.status,
    n.found,
    n.queued,
    n.processed,
    n.expected,
    n.delivered,
    ops.total(n.skipped) as skipped,
    n.started_at,
    n.finished_at,
    (select count(*) from ops.notification_chunk as c where c.state = 'failed') as chunks_failed,
    (select count(*) from ops.notification_chunk as c where c.state = 'queued') as chunks_queued
from ops.notification_run as n
order by n.day desc
limit 1
