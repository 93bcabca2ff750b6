-- The staged rules with the games that they name, beside the rule that stands. A rule is held that names no game yet or
-- two, and rejected if its date is none.
select
    s.load_line,
    s.rule_id,
    s.topic,
    s.subject,
    s.body,
    s.locale,
    s.due_kind,
    s.due_value,
    a.audience,
    o.game_id as owned_game,
    w.game_id as wishlisted_game,
    s.enabled,
    coalesce(
        case
            when s.due_kind = 'date' and not case
                when s.due_value ~ '^(19|20)\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$'
                    then right(s.due_value, 2)::integer <= extract(
                        day from (left(s.due_value, 7) || '-01')::date
                        + interval '1 month - 1 day'
                    )
                else false
            end then row(
                'rejected', 'due_value', 'invalid_due_date',
                format('%%L is no day; accepted where due_kind is date: YYYY-MM-DD', s.due_value), null, null, null
            )::ops.refusal
        end,
        o.refusal,
        w.refusal
    ) as refusal,
    r.load_id as standing_load_id,
    r.load_line as standing_load_line,
    case
        when r.rule_id is null then 'inserted'
        when ((
            r.topic, r.subject, r.body, r.locale, r.due_kind, r.due_value, r.audience, oa.game_id, wa.game_id, r.enabled
        ) is not distinct from (
            s.topic, s.subject, s.body, s.locale, s.due_kind, s.due_value, a.audience, o.game_id, w.game_id, s.enabled
        )) then 'unchanged'
        else 'updated'
    end as effect
from {stage} as s
cross join lateral (
    select jsonb_strip_nulls(jsonb_build_object('countries', s.countries, 'platforms', s.platforms)) as audience
) as a
left join {named_owned_game} as o on s.owned_game = o.ref
left join {named_wishlisted_game} as w on s.wishlisted_game = w.ref
left join store.notification_rule as r on s.rule_id = r.rule_id
left join store.game_alias as oa on r.owned_game = oa.alias_id
left join store.game_alias as wa on r.wishlisted_game = wa.alias_id
