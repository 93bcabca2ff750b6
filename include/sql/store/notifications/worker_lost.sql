-- Claim the chunks of a day whose messages seem lost: sent a while ago, not done, and with nobody. Each is then said to
-- be sent now, so that of several workers one sends it again.
-- Parameters: day, older_than_s.
update ops.notification_chunk as c
set queued_at = clock_timestamp()
where
    c.day = %(day)s
    and c.state = 'queued'
    and c.queued_at < clock_timestamp() - make_interval(secs => %(older_than_s)s)
    and (c.lease_until is null or c.lease_until < clock_timestamp())
returning c.chunk_id, c.day, c.rule_id;
