-- Keep the lease of a chunk, unless it has expired and somebody else has taken it since.
-- Parameters: chunk_id, worker, attempts, lease_s.
update ops.notification_chunk as c
set lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
where
    c.chunk_id = %(chunk_id)s
    and c.worker = %(worker)s
    and c.attempts = %(attempts)s
    and c.state = 'queued';
