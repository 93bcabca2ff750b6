-- The held rows whose transaction has come.
select h.load_id, h.line_no
from ops.held_row as h
inner join store.transaction as t on h.ref_value = t.transaction_id
where h.retried_load_id is null and h.ref_dataset = 'transaction'
