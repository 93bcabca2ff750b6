-- Note which rows this load has reported just as they stand, in packs of %(pack)s keys.
--
-- What this load confirms, no earlier load needs to confirm any longer. Their packs are rewritten without those keys
-- when this load confirms a pack's worth or more, so a key stands in one pack, or in a few that are smaller than a
-- pack: ever newer exports of the same rows do not pile up. No earlier load is later in the order than this one: what a
-- later one had confirmed was not confirmed again, but yielded.
create temp table confirmed on commit drop as
select
    {key} collate "C" as key,
    f.load_line
from {rows} as f
where f.outcome = 'unchanged';

analyze confirmed;

with bounds as (
    select count(*) as keys, min(n.key) as first_key, max(n.key) as last_key
    from confirmed as n
),

taken as (
    delete from ops.confirmation as c
    using bounds as b
    where c.dataset = %(dataset)s and b.keys >= %(pack)s
        and c.first_key <= b.last_key and c.last_key >= b.first_key
    returning c.load_id, c.keys, c.load_lines
),

standing as (
    select %(load_id)s::bigint as load_id, n.key, n.load_line
    from confirmed as n
    union all
    select t.load_id, k.key, k.load_line
    from taken as t
    cross join lateral unnest(t.keys, t.load_lines) as k (key, load_line)
    where not exists (select 1 from confirmed as n where n.key = k.key)
),

packed as (
    select
        s.load_id, s.key, s.load_line,
        (row_number() over (partition by s.load_id order by s.key collate "C") - 1) / %(pack)s as pack
    from standing as s
)

insert into ops.confirmation (dataset, load_id, first_key, last_key, keys, load_lines)
select
    %(dataset)s, p.load_id, min(p.key collate "C"), max(p.key collate "C"), array_agg(p.key), array_agg(p.load_line)
from packed as p
group by p.load_id, p.pack;
