-- The chunks of a day whose message has not been sent.
select
    k.chunk_id,
    k.rule_id,
    k.chunk_no,
    cardinality(k.customers) as customers
from ops.notification_chunk as k
where
    k.day = %(day)s and k.state = 'queued' and k.queued_at is null
    and (%(rules)s::text [] is null or k.rule_id = any(%(rules)s))
order by k.rule_id collate store.natural_order, k.chunk_no
