-- Bring the rules into store.notification_rule.
insert into store.notification_rule (
    rule_id, topic, subject, body, locale, due_kind, due_value, audience, owned_game, wishlisted_game, enabled,
    load_id, load_line
)
select
    f.rule_id, f.topic, f.subject, f.body, f.locale, f.due_kind, f.due_value, f.audience, f.owned_game,
    f.wishlisted_game, f.enabled, %(load_id)s, f.load_line
from {rows} as f
where f.outcome = 'inserted';

update store.notification_rule as r
set
    topic = f.topic, subject = f.subject, body = f.body, locale = f.locale, due_kind = f.due_kind,
    due_value = f.due_value, audience = f.audience, owned_game = f.owned_game, wishlisted_game = f.wishlisted_game,
    enabled = f.enabled, load_id = %(load_id)s, load_line = f.load_line
from {rows} as f
where r.rule_id = f.rule_id and f.outcome = 'updated';
