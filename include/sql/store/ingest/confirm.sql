-- Note which rows this load has reported just as they stand: packs of %(pack)s keys, in the order of the rows.
insert into ops.confirmation (dataset, load_id, first_key, last_key, keys, load_lines)
select %(dataset)s, %(load_id)s, min(n.key), max(n.key), array_agg(n.key), array_agg(n.load_line)
from (
    select
        {key} collate "C" as key,
        f.load_line,
        (row_number() over () - 1) / %(pack)s as pack
    from {rows} as f
    where f.outcome = 'unchanged'
) as n
group by n.pack;
