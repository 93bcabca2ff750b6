-- Take the lease of a chunk that is not done and that nobody holds. One that has failed is worked on again.
-- Parameters: chunk_id, day, rule_id, worker, lease_s.
update ops.notification_chunk as c
set
    worker = %(worker)s,
    lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s),
    attempts = c.attempts + 1,
    state = 'queued'
where
    c.chunk_id = %(chunk_id)s
    and c.day = %(day)s
    and c.rule_id = %(rule_id)s
    and c.state <> 'done'
    and (c.lease_until is null or c.lease_until < clock_timestamp())
returning c.chunk_id, c.day, c.rule_id, c.chunk_no, c.customers, c.attempts, c.worker, c.error;
