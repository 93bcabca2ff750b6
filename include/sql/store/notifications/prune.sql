-- Delete the chunks of some rules and days that were found long ago, and keep their account. The oldest first.
with old as (
    select
        d.day,
        d.rule_id
    from ops.notification_due as d
    where d.pruned_at is null and d.found_at < now() - %(older_than)s
    order by d.found_at, d.day, d.rule_id
    limit %(most)s
    for update skip locked
),

gone as (
    delete from ops.notification_chunk as k
    using old as o
    where k.day = o.day and k.rule_id = o.rule_id
    returning k.day, k.rule_id, k.state, k.delivered, k.skipped
),

skipped as (
    select
        n.day,
        n.rule_id,
        jsonb_object_agg(n.reason, n.customers) as counts
    from (
        select
            g.day,
            g.rule_id,
            c.key as reason,
            sum(c.value::bigint) as customers
        from gone as g
        cross join lateral jsonb_each_text(g.skipped) as c
        group by g.day, g.rule_id, c.key
    ) as n
    group by n.day, n.rule_id
),

counted as (
    select
        g.day,
        g.rule_id,
        count(*) filter (where g.state = 'done') as processed,
        sum(g.delivered) as delivered
    from gone as g
    group by g.day, g.rule_id
)

update ops.notification_due as d
set
    pruned_at = now(),
    processed = coalesce(c.processed, 0),
    delivered = coalesce(c.delivered, 0),
    skipped = coalesce(s.counts, '{{}}')
from old as o
left join counted as c on o.day = c.day and o.rule_id = c.rule_id
left join skipped as s on o.day = s.day and o.rule_id = s.rule_id
where d.day = o.day and d.rule_id = o.rule_id
