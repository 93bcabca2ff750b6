-- Write the account of a load, in the transaction of its rows; no row is updated when the claim was lost meanwhile.
update ops.load as k
set
    status = %(status)s,
    reason = %(reason)s,
    header = %(header)s,
    archive_key = %(archive_key)s,
    finished_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s),
    read = %(read)s,
    accepted = %(accepted)s,
    rejected = %(rejected)s,
    held = %(held)s,
    inserted = %(inserted)s,
    updated = %(updated)s,
    unchanged = %(unchanged)s,
    superseded = %(superseded)s,
    issues = %(issues)s,
    tables_changed = %(tables_changed)s
where k.load_id = %(load_id)s and k.claimed_by = %(run)s and k.status = 'claimed';
