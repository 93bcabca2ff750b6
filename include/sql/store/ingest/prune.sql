-- What this load confirms, no other load needs to confirm any longer: their packs are written again without these keys.
--
-- So a key stands in one pack, and in some of loads that confirmed less than a pack and prune nothing: ever newer
-- exports of the same rows do not pile up. No confirmation by a later file is lost: to one, this load's row would have
-- yielded.
with own as (
    select c.first_key, c.last_key, c.keys
    from ops.confirmation as c
    where c.dataset = %(dataset)s and c.load_id = %(load_id)s
),

bounds as (
    select min(o.first_key) as first_key, max(o.last_key) as last_key
    from own as o
),

taken as (
    delete from ops.confirmation as c
    using bounds as b
    where c.dataset = %(dataset)s and c.load_id <> %(load_id)s
        and c.first_key <= b.last_key and c.last_key >= b.first_key
    returning c.load_id, c.keys, c.load_lines
),

left_over as (
    select
        t.load_id, k.key collate "C" as key, k.load_line,
        (row_number() over (partition by t.load_id order by k.key collate "C") - 1) / %(pack)s as pack
    from taken as t
    cross join lateral unnest(t.keys, t.load_lines) as k (key, load_line)
    where not exists (
        select 1
        from own as o
        cross join lateral unnest(o.keys) as u (key)
        where u.key = k.key
    )
)

insert into ops.confirmation (dataset, load_id, first_key, last_key, keys, load_lines)
select
    %(dataset)s, r.load_id, min(r.key), max(r.key), array_agg(r.key), array_agg(r.load_line)
from left_over as r
group by r.load_id, r.pack;
