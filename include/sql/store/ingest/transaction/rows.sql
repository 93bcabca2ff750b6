-- The staged transactions, each with its customer (a payout has none), beside the transaction that stands.
select
    s.load_line,
    s.transaction_id,
    s.txn_type,
    s.txn_ts,
    s.currency,
    s.total_amount,
    c.customer_id,
    null::ops.refusal as refusal,
    t.load_id as standing_load_id,
    t.load_line as standing_load_line,
    case
        when t.transaction_id is null then 'inserted'
        when ((t.type, t.occurred_at, t.currency, t.reported_total, t.customer_id)
            is not distinct from (s.txn_type, s.txn_ts, s.currency, s.total_amount, c.customer_id)) then 'unchanged'
        else 'updated'
    end as effect
from {stage} as s
left join store.customer as c on s.customer_ref = c.ref
left join store.transaction as t on s.transaction_id = t.transaction_id
