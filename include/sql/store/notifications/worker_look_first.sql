-- Have the workers of a day look into the table before they write, as if each chunk had been attempted before.
-- Parameters: day.
update ops.notification_chunk as c
set attempts = 1
where c.day = %(day)s and c.attempts = 0;
