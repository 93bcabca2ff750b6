-- A run begins, or begins again, with a day's notifications.
insert into ops.notification_run as r (day, run_id)
values (%(day)s, %(run_id)s)
on conflict (day) do update
set run_id = excluded.run_id, status = 'running', started_at = now(), finished_at = null
