-- The account of a day's notifications, as a run leaves it.
insert into ops.notification_run
as r (day, run_id, status, found, queued, processed, expected, delivered, skipped, rules, finished_at)
values (
    %(day)s, %(run_id)s, %(status)s, %(found)s, %(queued)s, %(processed)s, %(expected)s, %(delivered)s,
    %(skipped)s, %(rules)s, now()
)
on conflict (day) do update
set
    run_id = excluded.run_id, status = excluded.status, found = excluded.found, queued = excluded.queued,
    processed = excluded.processed, expected = excluded.expected, delivered = excluded.delivered,
    skipped = excluded.skipped, rules = excluded.rules, finished_at = excluded.finished_at
