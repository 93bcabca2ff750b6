-- The files of the rows that are to be loaded again, oldest first. A header is the one that the rows' load has read.
select distinct k.dataset, k.put_at, k.object_key collate "C" as object_key, k.file_load_id, k.header
from ({chosen}) as c
inner join ops.load as k on c.load_id = k.load_id
order by k.put_at, object_key, k.file_load_id;
