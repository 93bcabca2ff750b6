-- Bring the staged transactions into store.transaction, and flag totals that disagree with lines already here.

-- Every customer that an accepted line names is known, if only by reference. Sorted, so that two loads cannot deadlock.
insert into store.customer (ref, load_id, load_line)
select s.customer_ref, %(load_id)s, min(s.load_line)
from {stage} as s
where s.txn_type <> 'payout'
group by s.customer_ref
order by s.customer_ref
on conflict (ref) do nothing;

alter table {stage} add column customer_id bigint;

update {stage} as s
set
    customer_id = c.customer_id,
    outcome = case
        when t.transaction_id is null then 'inserted'
        when ops.is_later(t.load_id, t.load_line, s.load_line, %(later_loads)s, %(same_file)s) then 'superseded'
        when %(contested)s and exists (
            select 1 from ops.confirmation as k
            where k.table_name = 'store.transaction' and k.key = jsonb_build_object('transaction_id', t.transaction_id)
                and ops.is_later(k.load_id, k.load_line, s.load_line, %(later_loads)s, %(same_file)s)
        ) then 'superseded'
        when (t.type, t.occurred_at, t.currency, t.reported_total, t.customer_id)
            is not distinct from (p.txn_type, p.txn_ts, p.currency, p.total_amount, c.customer_id) then 'unchanged'
        else 'updated'
    end
from {stage} as p
left join store.customer as c on p.customer_ref = c.ref
left join store.transaction as t on p.transaction_id = t.transaction_id
where s.load_line = p.load_line and s.outcome is null;

insert into store.transaction (
    transaction_id, type, occurred_at, currency, reported_total, customer_id, load_id, load_line
)
select
    s.transaction_id, s.txn_type, s.txn_ts, s.currency, s.total_amount, s.customer_id, %(load_id)s, s.load_line
from {stage} as s
where s.outcome = 'inserted'
order by s.transaction_id;

update store.transaction as t
set
    type = s.txn_type, occurred_at = s.txn_ts, currency = s.currency, reported_total = s.total_amount,
    customer_id = s.customer_id, load_id = %(load_id)s, load_line = s.load_line
from {stage} as s
where t.transaction_id = s.transaction_id and s.outcome = 'updated';

insert into ops.confirmation as c (table_name, key, load_id, load_line)
select 'store.transaction', jsonb_build_object('transaction_id', s.transaction_id), %(load_id)s, s.load_line
from {stage} as s
where s.outcome = 'unchanged'
on conflict (table_name, key) do update set load_id = excluded.load_id, load_line = excluded.load_line;

insert into {issues} (line_no, column_name, kind, detail)
select
    s.load_line, 'total_amount', 'total_mismatch',
    format('transaction %%s reports %%s, but its %%s lines add up to %%s',
        s.transaction_id, trim_scale(b.reported_total), b.lines, trim_scale(b.expected_total))
from {stage} as s
cross join lateral (
    select b.reported_total, b.lines, b.expected_total
    from store.transaction_balance as b
    where b.transaction_id = s.transaction_id
) as b
where s.outcome in ('inserted', 'updated', 'unchanged') and b.reported_total <> b.expected_total;
