-- The file that was put last, of those that the ledger knows, and what became of it. Why a file was set aside may quote
-- what is in it: only the kind of the reason is given.
select
    k.load_id,
    k.dataset,
    k.object_key,
    k.put_at,
    k.status,
    split_part(k.reason, ':', 1) as reason,
    k.read,
    k.accepted,
    k.rejected,
    k.held,
    k.finished_at
from ops.load as k
where k.kind = 'file'
order by k.put_at desc, k.load_id desc
limit 1
