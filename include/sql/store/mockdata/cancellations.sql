-- Mock sales are cancelled: deleted with their lines, and with the refund that live changes made of them. The picked.
with sold as (
    select t.transaction_id
    from store.transaction as t
    where t.type = 'sale'
        and t.occurred_at >= %(since)s and t.occurred_at < %(start)s and starts_with(t.transaction_id, %(transactions)s)
        and mod(('x' || left(md5(t.transaction_id || '/' || %(interval)s), 7))::bit(28)::int, 1000)
            between %(first)s and %(last)s
),

cancelled as (
    select s.transaction_id from sold as s
    union all
    select s.transaction_id || '-R' from sold as s
),

line as (
    delete from store.transaction_line as l
    using cancelled as c
    where l.transaction_id = c.transaction_id
    returning l.line_no
),

gone as (
    delete from store.transaction as t
    using cancelled as c
    where t.transaction_id = c.transaction_id
    returning t.transaction_id
)

select
    (select count(*) from gone) as transactions,
    (select count(*) from line) as transaction_lines;
