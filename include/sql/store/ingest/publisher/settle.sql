-- Settle which publisher each source id stands for, of the names in `affected`, which a load or a person has changed.
--
-- One normalised name is one publisher, and its id is the lowest source id of that name. A source id that a person has
-- corrected belongs to the name of the one it stands for, whatever its own; it gives the publisher no id and no name,
-- and a country only where no other has one.

create temp table settled on commit drop as
with wanted as (
    select n.name_key
    from affected as n
    union
    select c.name_key
    from affected as n
    inner join store.publisher_alias as a on n.name_key = a.name_key
    inner join ops.corrected_publisher as c on a.alias_id = c.alias_id
),

member as (
    select
        a.alias_id, a.name, a.name_key, a.country_code, a.load_id, a.load_line, a.name_key as group_key,
        false as is_corrected
    from wanted as w
    inner join store.publisher_alias as a on w.name_key = a.name_key
    where not exists (select 1 from ops.corrected_publisher as c where c.alias_id = a.alias_id)
    union all
    select
        a.alias_id, a.name, a.name_key, a.country_code, a.load_id, a.load_line, c.name_key as group_key,
        true as is_corrected
    from wanted as w
    inner join ops.corrected_publisher as c on w.name_key = c.name_key
    inner join store.publisher_alias as a on c.alias_id = a.alias_id
)

select
    m.alias_id, m.name, m.name_key, m.load_id, m.load_line,
    first_value(m.alias_id) over (
        partition by m.group_key order by m.is_corrected, m.alias_id collate store.natural_order
    ) as publisher_id,
    first_value(m.country_code) over (
        partition by m.group_key
        order by m.country_code is null, m.is_corrected, m.alias_id collate store.natural_order
    ) as country_code
from member as m;

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
