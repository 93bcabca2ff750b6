-- The files of whose held rows at least one can be resolved by now, oldest first. A header is the one its load read.
select distinct k.dataset, k.put_at, k.object_key collate "C" as object_key, k.file_load_id, k.header
from ({resolvable}) as h
inner join ops.load as k on h.load_id = k.load_id
order by k.put_at, object_key, k.file_load_id;
