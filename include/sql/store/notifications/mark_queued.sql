-- Note that the messages of these chunks were sent.
update ops.notification_chunk as k
set queued_at = now()
where k.chunk_id = any(%(chunks)s)
