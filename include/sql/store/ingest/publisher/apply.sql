-- Bring the publishers into store.publisher_alias, and settle which publisher each source id stands for.
--
-- One normalised name is one publisher, and its id is the lowest source id of that name. The rule looks only at what
-- the source ids last reported, so the result does not depend on the order in which files are loaded.

create temp table affected on commit drop as
select f.name_key from {rows} as f
where f.outcome in ('inserted', 'updated')
union
select f.standing_name_key from {rows} as f
where f.outcome = 'updated';

insert into store.publisher_alias (alias_id, publisher_id, name, name_key, country_code, load_id, load_line)
select f.publisher_id, f.publisher_id, f.name, f.name_key, f.country, %(load_id)s, f.load_line
from {rows} as f
where f.outcome = 'inserted';

update store.publisher_alias as a
set name = f.name, name_key = f.name_key, country_code = f.country, load_id = %(load_id)s, load_line = f.load_line
from {rows} as f
where a.alias_id = f.publisher_id and f.outcome = 'updated';

create temp table settled on commit drop as
select
    a.alias_id, a.name, a.name_key, a.load_id, a.load_line,
    first_value(a.alias_id) over (partition by a.name_key order by a.alias_id collate store.natural_order)
        as publisher_id,
    first_value(a.country_code) over (
        partition by a.name_key order by a.country_code is null, a.alias_id collate store.natural_order
    ) as country_code
from store.publisher_alias as a
inner join affected as n on a.name_key = n.name_key;

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
