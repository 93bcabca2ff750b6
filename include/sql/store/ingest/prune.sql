-- What this load confirms, no other load needs to confirm any longer: their packs are written again without these keys.
--
-- So a key stands in one pack, and in some of loads that confirmed less than a pack and prune nothing: ever newer
-- exports of the same rows do not pile up. No confirmation by a later file is lost: to one, this load's row would have
-- yielded.
-- The keys are taken out of their packs first, and analyzed: how many are in an array, a plan can only guess, and one
-- that guesses too few compares each key with all the others.
create temp table taken on commit drop as
select c.load_id, c.first_key
from ops.confirmation as c
cross join (
    select min(o.first_key) as first_key, max(o.last_key) as last_key
    from ops.confirmation as o
    where o.dataset = %(dataset)s and o.load_id = %(load_id)s
) as b
where c.dataset = %(dataset)s and c.load_id <> %(load_id)s
    and c.first_key <= b.last_key and c.last_key >= b.first_key;

create temp table own_key on commit drop as
select k.key collate "C" as key
from ops.confirmation as o
cross join lateral unnest(o.keys) as k (key)
where o.dataset = %(dataset)s and o.load_id = %(load_id)s
    -- Most often these rows were never confirmed before, and there is nothing to look for.
    and exists (select 1 from taken);

create temp table taken_key on commit drop as
select c.load_id, k.key collate "C" as key, k.load_line
from taken as t
inner join ops.confirmation as c
    on c.dataset = %(dataset)s and t.load_id = c.load_id and t.first_key = c.first_key
cross join lateral unnest(c.keys, c.load_lines) as k (key, load_line);

analyze own_key;

analyze taken_key;

delete from ops.confirmation as c
using taken as t
where c.dataset = %(dataset)s and c.load_id = t.load_id and c.first_key = t.first_key;

insert into ops.confirmation (dataset, load_id, first_key, last_key, keys, load_lines)
select
    %(dataset)s, r.load_id, min(r.key), max(r.key), array_agg(r.key), array_agg(r.load_line)
from (
    select
        t.load_id, t.key, t.load_line,
        (row_number() over (partition by t.load_id order by t.key) - 1) / %(pack)s as pack
    from taken_key as t
    where not exists (select 1 from own_key as o where o.key = t.key)
) as r
group by r.load_id, r.pack;
