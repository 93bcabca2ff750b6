-- Mock sales are refunded whole, each at most once: the refund's id is the sale's with -R behind it. The picked ones.
with sold as (
    select
        t.transaction_id, t.transaction_id || '-R' as refund_id, t.currency, t.customer_id, sum(l.gross) as gross,
        %(start)s::timestamptz + make_interval(
            secs => mod(('x' || left(md5(t.transaction_id || '/refund'), 7))::bit(28)::int, %(seconds)s)
        ) as refunded_at
    from store.transaction as t
    inner join store.transaction_line as l on t.transaction_id = l.transaction_id
    where t.type = 'sale'
        and t.occurred_at >= %(since)s and t.occurred_at < %(start)s and starts_with(t.transaction_id, %(transactions)s)
        and mod(('x' || left(md5(t.transaction_id || '/' || %(interval)s), 7))::bit(28)::int, 1000)
            between %(first)s and %(last)s
    group by t.transaction_id
),

refund as (
    insert into store.transaction (transaction_id, type, occurred_at, currency, reported_total, customer_id)
    select s.refund_id, 'refund', s.refunded_at, s.currency, -s.gross, s.customer_id
    from sold as s
    where s.gross >= 0
    order by s.refund_id
    on conflict (transaction_id) do nothing
    returning transaction_id
),

line as (
    insert into store.transaction_line (
        transaction_id, line_no, game_id, platform, region, gross, fee, reported_net
    )
    select s.refund_id, l.line_no, l.game_id, l.platform, l.region, -l.gross, -l.fee, -l.reported_net
    from refund as r
    inner join sold as s on r.transaction_id = s.refund_id
    inner join store.transaction_line as l on s.transaction_id = l.transaction_id
    order by s.refund_id, l.line_no
    returning line_no
)

select
    (select count(*) from refund) as transactions,
    (select count(*) from line) as transaction_lines;
