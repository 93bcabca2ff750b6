-- A rule's words, in its own language and in others.
select
    r.rule_id,
    r.topic,
    r.subject,
    r.body,
    r.locale,
    case when r.due_kind = 'event' then r.due_value end as event,
    r.enabled,
    coalesce(
        jsonb_object_agg(t.locale, jsonb_build_array(t.subject, t.body)) filter (where t.locale is not null),
        '{{}}'
    ) as texts
from store.notification_rule as r
left join store.notification_text as t on r.rule_id = t.rule_id
where r.rule_id = %(rule_id)s
group by r.rule_id
