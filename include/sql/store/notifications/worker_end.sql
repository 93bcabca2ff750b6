-- End an attempt at a chunk: done, failed, or queued as before for another try; unless somebody else has taken it.
-- Parameters: chunk_id, worker, attempts, state, delivered, skipped, error.
update ops.notification_chunk as c
set
    state = %(state)s,
    delivered = %(delivered)s,
    skipped = %(skipped)s::jsonb,
    error = %(error)s,
    lease_until = null,
    finished_at = case when %(state)s <> 'queued' then clock_timestamp() end
where
    c.chunk_id = %(chunk_id)s
    and c.worker = %(worker)s
    and c.attempts = %(attempts)s
    and c.state = 'queued';
