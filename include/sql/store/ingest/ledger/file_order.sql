-- The loads that come after this one's file in the order of its dataset, and the loads of the same file.
select
    coalesce(array_agg(k.load_id) filter (where k.file_load_id <> m.file_load_id), '{{}}') as later_loads,
    coalesce(array_agg(k.load_id) filter (where k.file_load_id = m.file_load_id), '{{}}') as same_file
from ops.load as m
inner join ops.load as k
    on m.dataset = k.dataset
    and (k.put_at, k.object_key collate "C", k.file_load_id) >= (m.put_at, m.object_key collate "C", m.file_load_id)
where m.load_id = %(load_id)s;
