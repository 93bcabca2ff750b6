-- Chunks that have failed are to be sent again.
update ops.notification_chunk as k
set state = 'queued', queued_at = null, error = null, finished_at = null
where
    k.day = %(day)s and k.state = 'failed'
    and (%(rules)s::text [] is null or k.rule_id = any(%(rules)s))
    and (k.lease_until is null or k.lease_until < now())
