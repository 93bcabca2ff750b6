-- All rules: when they are due, and whom they are for. A game is told by the id that its alias stands for now.
select
    r.rule_id,
    r.topic,
    r.due_kind,
    r.due_value,
    r.audience,
    o.game_id as owned_game,
    w.game_id as wishlisted_game,
    r.enabled
from store.notification_rule as r
left join store.game_alias as o on r.owned_game = o.alias_id
left join store.game_alias as w on r.wishlisted_game = w.alias_id
order by r.rule_id collate store.natural_order
