-- Bring the transactions into store.transaction, and flag totals that disagree with lines already here.
insert into store.transaction (
    transaction_id, type, occurred_at, currency, reported_total, customer_id, load_id, load_line
)
select
    f.transaction_id, f.txn_type, f.txn_ts, f.currency, f.total_amount, f.customer_id, %(load_id)s, f.load_line
from {rows} as f
where f.outcome = 'inserted';

update store.transaction as t
set
    type = f.txn_type, occurred_at = f.txn_ts, currency = f.currency, reported_total = f.total_amount,
    customer_id = f.customer_id, load_id = %(load_id)s, load_line = f.load_line
from {rows} as f
where t.transaction_id = f.transaction_id and f.outcome = 'updated';

insert into {issues} (line_no, column_name, kind, detail)
select
    b.load_line, 'total_amount', 'total_mismatch',
    format('transaction %%s reports %%s, but its %%s lines add up to %%s',
        b.transaction_id, trim_scale(b.reported_total), b.lines, trim_scale(b.expected_total))
from (
    select
        t.transaction_id, t.reported_total, f.load_line, count(*) as lines,
        sum(store.amount_of_line(t.type, l.gross, l.fee)) as expected_total
    from {rows} as f
    inner join store.transaction as t on f.transaction_id = t.transaction_id
    inner join store.transaction_line as l on f.transaction_id = l.transaction_id
    where f.outcome in ('inserted', 'updated')
    group by t.transaction_id, f.load_line
) as b
where b.reported_total <> b.expected_total;
