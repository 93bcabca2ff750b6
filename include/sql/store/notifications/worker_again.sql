-- Have chunks worked on again whose messages a person has taken out of the dead-letter queue; returns those that are
-- there and not done.
-- Parameters: chunk_ids.
update ops.notification_chunk as c
set state = 'queued', queued_at = clock_timestamp(), finished_at = null
where c.chunk_id = any(%(chunk_ids)s::bigint []) and c.state <> 'done'
returning c.chunk_id;
