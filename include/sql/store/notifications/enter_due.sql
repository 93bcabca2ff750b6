-- Enter that a rule is due on a day: once. Of two who do it at the same time the second waits, and enters nothing.
insert into ops.notification_due (day, rule_id)
values (%(day)s, %(rule_id)s)
on conflict (day, rule_id) do nothing
returning true as is_new
