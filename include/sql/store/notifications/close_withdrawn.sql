-- Chunks of rules that somebody has disabled or deleted since are not sent any more: they end here, and say why.
update ops.notification_chunk as k
set
    state = 'done',
    skipped = jsonb_build_object(w.reason, cardinality(k.customers) - k.delivered),
    finished_at = now()
from (
    select
        d.rule_id,
        case when r.rule_id is null then 'rule_gone' else 'rule_disabled' end as reason
    from ops.notification_due as d
    left join store.notification_rule as r on d.rule_id = r.rule_id
    where d.day = %(day)s and r.enabled is not true
        and (%(rules)s::text [] is null or d.rule_id = any(%(rules)s))
) as w
where
    k.day = %(day)s and k.rule_id = w.rule_id and k.state <> 'done'
    and (k.lease_until is null or k.lease_until < now())
