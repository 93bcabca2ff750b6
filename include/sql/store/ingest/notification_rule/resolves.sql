-- The held rows whose rule has come.
select h.load_id, h.line_no
from ops.held_row as h
inner join store.notification_rule as r on h.ref_value = r.rule_id
where h.retried_load_id is null and h.ref_dataset = 'notification_rule'
