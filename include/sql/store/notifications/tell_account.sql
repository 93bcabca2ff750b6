-- Tell the warehouse the account of a rule on a day, if it has changed. What was read is counted by others.
insert into ops.notification_account as a (
    day, rule_id, expected, delivered, opted_out, gone, rule_disabled, rule_gone
)
values (
    %(day)s, %(rule_id)s, %(expected)s, %(delivered)s, %(opted_out)s, %(gone)s, %(rule_disabled)s, %(rule_gone)s
)
on conflict (day, rule_id) do update
set
    expected = excluded.expected, delivered = excluded.delivered, opted_out = excluded.opted_out,
    gone = excluded.gone, rule_disabled = excluded.rule_disabled, rule_gone = excluded.rule_gone
where
    (a.expected, a.delivered, a.opted_out, a.gone, a.rule_disabled, a.rule_gone)
    is distinct from
    (
        excluded.expected, excluded.delivered, excluded.opted_out, excluded.gone, excluded.rule_disabled,
        excluded.rule_gone
    )
