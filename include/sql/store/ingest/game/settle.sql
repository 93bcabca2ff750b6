-- Settle which game each source id stands for, of the titles in `affected`, which a load or a person has changed.
--
-- Source ids of one normalised title are one game when their release dates agree or are missing; its id is the lowest.
-- Where dates differ, each date is a game of its own, and so are the ids without a date: nothing says which they are.
-- A source id that a person has corrected belongs to the game of the one it stands for, whatever its own title and
-- date: these tell no games apart, and give the game a date and a genre only where no other has one.

create temp table settled on commit drop as
with wanted as (
    select n.title_key
    from affected as n
    union
    select c.title_key
    from affected as n
    inner join store.game_alias as a on n.title_key = a.title_key
    inner join ops.corrected_game as c on a.alias_id = c.alias_id
),

spread as (
    select
        a.alias_id, a.title, a.title_key, a.release_date, a.genre, a.load_id, a.load_line,
        min(a.release_date) over (partition by a.title_key) as first_date,
        max(a.release_date) over (partition by a.title_key) as last_date
    from wanted as w
    inner join store.game_alias as a on w.title_key = a.title_key
    where not exists (select 1 from ops.corrected_game as c where c.alias_id = a.alias_id)
),

dated as (
    select
        s.*,
        s.first_date <> s.last_date as dates_differ,
        case when s.first_date <> s.last_date then s.release_date end as own_date
    from spread as s
),

member as (
    select
        d.alias_id, d.title, d.title_key, d.release_date, d.genre, d.load_id, d.load_line,
        d.title_key as group_key, d.own_date as group_date, false as is_corrected,
        coalesce(d.dates_differ and d.release_date is null, false) as which_game_is_unknown
    from dated as d
    union all
    select
        a.alias_id, a.title, a.title_key, a.release_date, a.genre, a.load_id, a.load_line,
        d.title_key as group_key, d.own_date as group_date, true as is_corrected,
        false as which_game_is_unknown
    from dated as d
    inner join ops.corrected_game as c on d.alias_id = c.root_id
    inner join store.game_alias as a on c.alias_id = a.alias_id
)

select
    m.alias_id, m.title, m.title_key, m.load_id, m.load_line, m.which_game_is_unknown,
    first_value(m.alias_id) over (
        partition by m.group_key, m.group_date order by m.is_corrected, m.alias_id collate store.natural_order
    ) as game_id,
    first_value(m.release_date) over (
        partition by m.group_key, m.group_date
        order by m.release_date is null, m.is_corrected, m.alias_id collate store.natural_order
    ) as release_date,
    first_value(m.genre) over (
        partition by m.group_key, m.group_date
        order by m.genre is null, m.is_corrected, m.alias_id collate store.natural_order
    ) as genre
from member as m;

insert into store.game as g (game_id, title, title_key, release_date, genre, load_id, load_line)
select s.game_id, s.title, s.title_key, s.release_date, s.genre, s.load_id, s.load_line
from settled as s
where s.alias_id = s.game_id
on conflict (game_id) do update
set
    title = excluded.title, title_key = excluded.title_key, release_date = excluded.release_date,
    genre = excluded.genre, load_id = excluded.load_id, load_line = excluded.load_line
where (g.title, g.title_key, g.release_date, g.genre)
    is distinct from (excluded.title, excluded.title_key, excluded.release_date, excluded.genre);

update store.game_alias as a
set game_id = s.game_id
from settled as s
where a.alias_id = s.alias_id and a.game_id <> s.game_id;

-- What pointed to a game that has become an alias of a lower id follows it.
create temp table moved on commit drop as
select s.alias_id, s.game_id
from settled as s
inner join store.game as g on s.alias_id = g.game_id
where s.alias_id <> s.game_id;

insert into store.game_release as r (game_id, platform, publisher_id, load_id, load_line)
select distinct on (s.game_id, o.platform) s.game_id, o.platform, o.publisher_id, o.load_id, o.load_line
from settled as s
inner join store.game_release as o on s.alias_id = o.game_id
left join ops.load as l on o.load_id = l.load_id
where s.game_id in (select m.game_id from moved as m)
order by
    s.game_id, o.platform, l.put_at nulls first, l.object_key collate "C", l.file_load_id, o.load_line
on conflict (game_id, platform) do update
set publisher_id = excluded.publisher_id, load_id = excluded.load_id, load_line = excluded.load_line
where (r.publisher_id, r.load_id, r.load_line)
    is distinct from (excluded.publisher_id, excluded.load_id, excluded.load_line);

update store.transaction_line as t set game_id = m.game_id from moved as m where t.game_id = m.alias_id;

update store.play_session as p set game_id = m.game_id from moved as m where p.game_id = m.alias_id;

-- Of the wishes that become one the later report stands, in the order of files: as if they had always been one.
insert into store.wishlist as w (customer_id, game_id, added_at, load_id, load_line)
select distinct on (o.customer_id, m.game_id) o.customer_id, m.game_id, o.added_at, o.load_id, o.load_line
from store.wishlist as o
inner join (
    select t.alias_id, t.game_id from moved as t
    union
    select t.game_id, t.game_id from moved as t
) as m on o.game_id = m.alias_id
left join ops.load as l on o.load_id = l.load_id
order by
    o.customer_id, m.game_id, l.put_at desc nulls first, l.object_key collate "C" desc, l.file_load_id desc,
    o.load_line desc
on conflict (customer_id, game_id) do update
set added_at = excluded.added_at, load_id = excluded.load_id, load_line = excluded.load_line
where (w.added_at, w.load_id, w.load_line) is distinct from (excluded.added_at, excluded.load_id, excluded.load_line);

delete from store.wishlist as w using moved as m where w.game_id = m.alias_id;

delete from store.game_release as r using moved as m where r.game_id = m.alias_id;

delete from store.game as g using moved as m where g.game_id = m.alias_id;
