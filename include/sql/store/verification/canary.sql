-- What became of the canary, the file with the key %(key)s: its load's status and reason; no row while it waits,
-- or waits to be tried again.
select
    l.status,
    l.reason
from ops.load as l
where
    l.object_key = %(key)s
    and l.status in ('done', 'rejected')
order by l.load_id desc
limit 1
