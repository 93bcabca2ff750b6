-- Note why an attempt failed; the load stays claimed, for the task's own retry or the next run.
update ops.load as k
set reason = format('attempt %%s failed: %%s', k.attempts, %(reason)s::text)
where k.load_id = %(load_id)s and k.claimed_by = %(run)s and k.status = 'claimed';
