-- The staged texts, beside the text that stands. A text is held until its rule is there.
select
    s.load_line,
    s.rule_id,
    s.locale,
    s.subject,
    s.body,
    case
        when r.rule_id is null then row(
            'held', 'rule_id', 'unknown_notification_rule', format('no rule %%s has come yet', s.rule_id),
            'notification_rule', s.rule_id, ''
        )::ops.refusal
    end as refusal,
    t.load_id as standing_load_id,
    t.load_line as standing_load_line,
    case
        when t.rule_id is null then 'inserted'
        when ((t.subject, t.body) is not distinct from (s.subject, s.body)) then 'unchanged'
        else 'updated'
    end as effect
from {stage} as s
left join store.notification_rule as r on s.rule_id = r.rule_id
left join store.notification_text as t on s.rule_id = t.rule_id and s.locale = t.locale
