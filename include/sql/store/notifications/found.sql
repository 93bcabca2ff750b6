-- What was found to be due on a day.
select
    d.rule_id,
    d.customers,
    d.opted_out,
    d.chunks
from ops.notification_due as d
where d.day = %(day)s and (%(rules)s::text [] is null or d.rule_id = any(%(rules)s))
order by d.rule_id collate store.natural_order
