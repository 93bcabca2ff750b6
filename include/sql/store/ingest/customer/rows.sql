-- The staged customers, each beside the customer that stands. A bare row (known by reference alone) comes from no
-- customer file, so no file is earlier than it.
select
    s.load_line,
    s.customer_ref,
    s.name,
    s.email,
    s.country,
    s.locale,
    s.time_zone,
    s.marketing_opt_in,
    s.created_at,
    null::ops.refusal as refusal,
    c.load_id as standing_load_id,
    c.load_line as standing_load_line,
    case
        when c.ref is null then 'inserted'
        when ((c.name, c.email, c.country_code, c.locale, c.time_zone, c.marketing_opt_in, c.created_at)
            is not distinct from
            (s.name, s.email, s.country, s.locale, s.time_zone, s.marketing_opt_in, s.created_at)) then 'unchanged'
        else 'updated'
    end as effect
from {stage} as s
left join store.customer as c on s.customer_ref = c.ref
