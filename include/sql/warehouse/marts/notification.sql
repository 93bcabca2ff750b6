-- Notifications: how many customers each was for, how many got it and have read it, and why others did not.
-- Grain: a day (UTC) and a rule. expected less delivered, opted_out, gone, rule_disabled and rule_gone is not done yet.
-- read is what was marked as read when it was counted last, by the DAG count_reads: some of delivered. The topic is the
-- rule's as it is now, empty when the rule is gone.
delete from mart.notification;

insert into mart.notification (
    day, rule_id, topic, expected, delivered, opted_out, gone, rule_disabled, rule_gone, read
)
select
    n.day, n.rule_id, r.topic, n.expected, n.delivered, n.opted_out, n.gone, n.rule_disabled, n.rule_gone, n.read
from ops.notification_account as n
left join store.notification_rule as r on n.rule_id = r.rule_id;
