-- The chunks of a day that are not done, and why; of each rule only the first few.
select
    n.rule_id,
    n.chunk_no,
    n.state,
    n.error,
    n.attempts,
    n.queued_at is not null as was_sent,
    n.more
from (
    select
        k.rule_id,
        k.chunk_no,
        k.state,
        k.error,
        k.attempts,
        k.queued_at,
        row_number() over (partition by k.rule_id order by k.chunk_no) as place,
        count(*) over (partition by k.rule_id) - %(most)s as more
    from ops.notification_chunk as k
    where k.day = %(day)s and k.state <> 'done' and (%(rules)s::text [] is null or k.rule_id = any(%(rules)s))
) as n
where n.place <= %(most)s
order by n.rule_id collate store.natural_order, n.chunk_no
