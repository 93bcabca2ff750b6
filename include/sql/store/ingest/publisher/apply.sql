-- Bring the staged publishers into store.publisher_alias, and settle which publisher each source id stands for.
--
-- One normalised name is one publisher, and its id is the lowest source id of that name. The rule looks only at what
-- the source ids last reported, so the result does not depend on the order in which files are loaded.

update {stage} as s
set outcome = case
    when a.alias_id is null then 'inserted'
    when ops.is_later(a.load_id, a.load_line, s.load_line, %(later_loads)s, %(same_file)s) then 'superseded'
    when %(contested)s and exists (
        select 1 from ops.confirmation as c
        where c.table_name = 'store.publisher_alias' and c.key = jsonb_build_object('alias_id', a.alias_id)
            and ops.is_later(c.load_id, c.load_line, s.load_line, %(later_loads)s, %(same_file)s)
    ) then 'superseded'
    when (a.name, a.name_key, a.country_code) is not distinct from (p.name, p.name_key, p.country) then 'unchanged'
    else 'updated'
end
from {stage} as p
left join store.publisher_alias as a on p.publisher_id = a.alias_id
where s.load_line = p.load_line and s.outcome is null;

create temp table affected on commit drop as
select s.name_key from {stage} as s
where s.outcome in ('inserted', 'updated')
union
select a.name_key from store.publisher_alias as a
inner join {stage} as s on a.alias_id = s.publisher_id
where s.outcome = 'updated';

insert into store.publisher_alias (alias_id, publisher_id, name, name_key, country_code, load_id, load_line)
select s.publisher_id, s.publisher_id, s.name, s.name_key, s.country, %(load_id)s, s.load_line
from {stage} as s
where s.outcome = 'inserted';

update store.publisher_alias as a
set name = s.name, name_key = s.name_key, country_code = s.country, load_id = %(load_id)s, load_line = s.load_line
from {stage} as s
where a.alias_id = s.publisher_id and s.outcome = 'updated';

insert into ops.confirmation as c (table_name, key, load_id, load_line)
select 'store.publisher_alias', jsonb_build_object('alias_id', s.publisher_id), %(load_id)s, s.load_line
from {stage} as s
where s.outcome = 'unchanged'
on conflict (table_name, key) do update set load_id = excluded.load_id, load_line = excluded.load_line;

create temp table settled on commit drop as
select
    a.alias_id, a.name, a.name_key, a.load_id, a.load_line,
    first_value(a.alias_id) over (partition by a.name_key order by a.alias_id collate store.natural_order)
        as publisher_id,
    first_value(a.country_code) over (
        partition by a.name_key order by a.country_code is null, a.alias_id collate store.natural_order
    ) as country_code
from store.publisher_alias as a
inner join affected as f on a.name_key = f.name_key;

insert into store.publisher as p (publisher_id, name, name_key, country_code, load_id, load_line)
select s.publisher_id, s.name, s.name_key, s.country_code, s.load_id, s.load_line
from settled as s
where s.alias_id = s.publisher_id
on conflict (publisher_id) do update
set
    name = excluded.name, name_key = excluded.name_key, country_code = excluded.country_code,
    load_id = excluded.load_id, load_line = excluded.load_line
where (p.name, p.name_key, p.country_code) is distinct from (excluded.name, excluded.name_key, excluded.country_code);

update store.publisher_alias as a
set publisher_id = s.publisher_id
from settled as s
where a.alias_id = s.alias_id and a.publisher_id <> s.publisher_id;

update store.game_release as r
set publisher_id = s.publisher_id
from settled as s
where r.publisher_id = s.alias_id and s.alias_id <> s.publisher_id;

delete from store.publisher as p
using settled as s
where p.publisher_id = s.alias_id and s.alias_id <> s.publisher_id;
