-- The rows that wait for what they refer to, by dataset, reason, and the dataset that has to bring it.
select
    k.dataset,
    h.reason,
    h.ref_dataset,
    count(*) as rows,
    count(distinct k.file_load_id) as files,
    min(k.put_at) as oldest_put_at
from ops.held_row as h
inner join ops.load as k on h.load_id = k.load_id
where h.retried_load_id is null and h.erased_at is null and k.status = 'done'
group by k.dataset, h.reason, h.ref_dataset
order by count(*) desc, k.dataset, h.reason, h.ref_dataset
