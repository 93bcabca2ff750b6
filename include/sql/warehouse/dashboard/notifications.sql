-- Notifications of these days by rule: for how many each was, how many have got it and read it, and were passed over.
-- Parameters: first_day, last_day.
select
    n.rule_id as row_key,
    max(n.topic) as label,
    sum(n.expected) as expected,
    sum(n.delivered) as delivered,
    sum(n.opted_out + n.gone + n.rule_disabled + n.rule_gone) as skipped,
    sum(n.read) as read
from mart.notification as n
where n.day between %(first_day)s and %(last_day)s
group by n.rule_id
order by 3 desc, 1
