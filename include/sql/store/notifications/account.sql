-- What has become of each rule that was due on a day. Of pruned ones the due row keeps it.
select
    d.rule_id,
    d.pruned_at is not null as is_pruned,
    d.customers as expected,
    d.opted_out,
    d.chunks as found,
    case when d.pruned_at is null then count(k.chunk_id) else d.chunks end as kept,
    coalesce(d.processed, count(*) filter (where k.queued_at is not null or k.state = 'done')) as queued,
    coalesce(d.processed, count(*) filter (where k.state = 'done')) as processed,
    coalesce(d.delivered, sum(k.delivered), 0) as delivered,
    coalesce(d.skipped, (
        select jsonb_object_agg(n.reason, n.customers)
        from (
            select
                c.key as reason,
                sum(c.value::bigint) as customers
            from ops.notification_chunk as o
            cross join lateral jsonb_each_text(o.skipped) as c
            where o.day = d.day and o.rule_id = d.rule_id
            group by c.key
        ) as n
    ), '{{}}') as skipped
from ops.notification_due as d
left join ops.notification_chunk as k on d.day = k.day and d.rule_id = k.rule_id
where d.day = %(day)s and (%(rules)s::text [] is null or d.rule_id = any(%(rules)s))
group by d.day, d.rule_id
order by d.rule_id collate store.natural_order
