-- Bring the texts into store.notification_text.
insert into store.notification_text (rule_id, locale, subject, body, load_id, load_line)
select f.rule_id, f.locale, f.subject, f.body, %(load_id)s, f.load_line
from {rows} as f
where f.outcome = 'inserted';

update store.notification_text as t
set subject = f.subject, body = f.body, load_id = %(load_id)s, load_line = f.load_line
from {rows} as f
where t.rule_id = f.rule_id and t.locale = f.locale and f.outcome = 'updated';
