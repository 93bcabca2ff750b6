-- The rules and days of notifications that were found not longer ago than that, and have reached somebody.
select
    a.day,
    a.rule_id
from ops.notification_account as a
inner join ops.notification_due as d on a.day = d.day and a.rule_id = d.rule_id
where a.delivered > 0 and d.found_at >= now() - %(within)s
order by a.day, a.rule_id
