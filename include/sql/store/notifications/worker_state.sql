-- A chunk as it is, and for how many seconds it is still somebody's.
-- Parameters: chunk_id, day, rule_id.
select
    c.state,
    coalesce(greatest(extract(epoch from c.lease_until - clock_timestamp()), 0), 0)::double precision as held_s
from ops.notification_chunk as c
where c.chunk_id = %(chunk_id)s and c.day = %(day)s and c.rule_id = %(rule_id)s;
