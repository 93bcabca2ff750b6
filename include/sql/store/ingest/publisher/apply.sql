-- Bring the publishers into store.publisher_alias, and settle which publisher each source id stands for.
--
-- That looks only at what the source ids last reported, so it does not depend on the order in which files are loaded.

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

{settle}
