-- Keep the lease of a running load from expiring.
update ops.load as k
set lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
where k.load_id = %(load_id)s and k.claimed_by = %(run)s and k.status = 'claimed';
