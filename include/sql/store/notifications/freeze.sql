-- Freeze whom a rule is for on a day: chunks of those who want to hear of it, and how many there are in all.
with audience as materialized (
    {audience}
),

chunk as (
    insert into ops.notification_chunk (day, rule_id, chunk_no, customers)
    select
        %(day)s,
        %(rule_id)s,
        n.chunk_no,
        array_agg(n.customer_id order by n.customer_id)
    from (
        select
            a.customer_id,
            (row_number() over (order by a.customer_id) - 1) / %(chunk_customers)s + 1 as chunk_no
        from audience as a
        where a.opted_in
    ) as n
    group by n.chunk_no
    order by n.chunk_no
    returning chunk_id
)

update ops.notification_due as d
set
    customers = (select count(*) from audience),
    opted_out = (select count(*) from audience as a where not a.opted_in),
    chunks = (select count(*) from chunk)
where d.day = %(day)s and d.rule_id = %(rule_id)s
