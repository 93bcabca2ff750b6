-- Corrections by people, and raw lines that expire.
--
--   ops.alias_correction  a person's word that a source id, or a name that references use, stands for another
--   ops.*_by_id, _by_name the one place that says what a reference means: all datasets' SQL resolves by these views
--   ops.rejected_row      a rejected row can be loaded again: it then names the load that took it, as held rows do
--   erased_at             a raw line, and what quotes it, is erased; that the row was there, and why not, stays

-- ----------------------------------------------------------------------------------------------- corrections

create table ops.alias_correction (
    correction_id bigint generated always as identity primary key,
    dataset text not null check (dataset in ('publisher', 'game')),
    alias_is text not null check (alias_is in ('id', 'name')),
    alias text not null,
    alias_key text not null,
    stands_for text not null,
    reason text not null,
    made_by text not null,
    made_at timestamptz not null default now(),
    removed_by text,
    removed_at timestamptz,
    constraint alias_correction_is_not_its_target check (alias_is = 'name' or alias_key <> stands_for),
    constraint alias_correction_removed_by_somebody check ((removed_by is null) = (removed_at is null))
);
create unique index alias_correction_standing on ops.alias_correction (dataset, alias_is, alias_key)
where removed_at is null;
comment on table ops.alias_correction is
'What people have said: a source id, or a name that references use, stands for the publisher or game of another '
'source id. It holds for all later loads, until somebody removes it or says otherwise; what was said before stays here';
comment on column ops.alias_correction.alias_key is
'What it is found by: the source id itself, or the normalised name';
comment on column ops.alias_correction.stands_for is
'A source id of the publisher or game that is meant';

-- A corrected id may be said to stand for one that is corrected itself: root_id is the end of that chain. `union`, not
-- `union all`: should a circle ever come about (they are refused), it ends.
create view ops.corrected_publisher as
with recursive standing as (
    select c.alias_key, c.stands_for
    from ops.alias_correction as c
    where c.dataset = 'publisher' and c.alias_is = 'id' and c.removed_at is null
),

chain as (
    select s.alias_key, s.stands_for
    from standing as s
    union
    select c.alias_key, s.stands_for
    from chain as c
    inner join standing as s on c.stands_for = s.alias_key
)

select
    c.alias_key as alias_id,
    a.alias_id as root_id,
    a.name_key
from chain as c
inner join store.publisher_alias as a on c.stands_for = a.alias_id
where not exists (select 1 from standing as s where s.alias_key = c.stands_for);
comment on view ops.corrected_publisher is
'Source ids that a person has corrected, with the source id whose name decides which publisher they are';

create view ops.corrected_game as
with recursive standing as (
    select c.alias_key, c.stands_for
    from ops.alias_correction as c
    where c.dataset = 'game' and c.alias_is = 'id' and c.removed_at is null
),

chain as (
    select s.alias_key, s.stands_for
    from standing as s
    union
    select c.alias_key, s.stands_for
    from chain as c
    inner join standing as s on c.stands_for = s.alias_key
)

select
    c.alias_key as alias_id,
    a.alias_id as root_id,
    a.title_key
from chain as c
inner join store.game_alias as a on c.stands_for = a.alias_id
where not exists (select 1 from standing as s where s.alias_key = c.stands_for);
comment on view ops.corrected_game is
'Source ids that a person has corrected, with the source id whose title and date decide which game they are';

create view ops.publisher_by_id as
select a.alias_id, a.publisher_id
from store.publisher_alias as a
union all
select c.alias_id, a.publisher_id
from ops.corrected_publisher as c
inner join store.publisher_alias as a on c.root_id = a.alias_id
where not exists (select 1 from store.publisher_alias as o where o.alias_id = c.alias_id);
comment on view ops.publisher_by_id is
'The publisher that a source id stands for, also one that no file has brought but a person has explained';

create view ops.game_by_id as
select a.alias_id, a.game_id
from store.game_alias as a
union all
select c.alias_id, a.game_id
from ops.corrected_game as c
inner join store.game_alias as a on c.root_id = a.alias_id
where not exists (select 1 from store.game_alias as o where o.alias_id = c.alias_id);
comment on view ops.game_by_id is
'The game that a source id stands for, also one that no file has brought but a person has explained';

-- What a person said of a name comes first, then the source ids that have it; one that a person has taken for another
-- (its name may be the mistake) counts only where no other has the name.
create view ops.publisher_by_name as
select
    n.name_key,
    min(n.publisher_id) as publisher_id,
    count(distinct n.publisher_id) as publishers
from (
    select m.name_key, m.publisher_id, m.place, min(m.place) over (partition by m.name_key) as first_place
    from (
        select c.alias_key as name_key, a.publisher_id, 1 as place
        from ops.alias_correction as c
        inner join store.publisher_alias as a on c.stands_for = a.alias_id
        where c.dataset = 'publisher' and c.alias_is = 'name' and c.removed_at is null
        union all
        select a.name_key, a.publisher_id, case when c.alias_id is null then 2 else 3 end as place
        from store.publisher_alias as a
        left join ops.corrected_publisher as c on a.alias_id = c.alias_id
    ) as m
) as n
where n.place = n.first_place
group by n.name_key;
comment on view ops.publisher_by_name is
'The publisher that a normalised name means, and how many it could mean: a reference by name needs exactly one';

create view ops.game_by_title as
select
    n.title_key,
    min(n.game_id) as game_id,
    count(distinct n.game_id) as games
from (
    select m.title_key, m.game_id, m.place, min(m.place) over (partition by m.title_key) as first_place
    from (
        select c.alias_key as title_key, a.game_id, 1 as place
        from ops.alias_correction as c
        inner join store.game_alias as a on c.stands_for = a.alias_id
        where c.dataset = 'game' and c.alias_is = 'name' and c.removed_at is null
        union all
        select a.title_key, a.game_id, case when c.alias_id is null then 2 else 3 end as place
        from store.game_alias as a
        left join ops.corrected_game as c on a.alias_id = c.alias_id
    ) as m
) as n
where n.place = n.first_place
group by n.title_key;
comment on view ops.game_by_title is
'The game that a normalised title means, and how many it could mean: a reference by title needs exactly one';

-- ------------------------------------------------------------------------------- loading rejected rows again

alter table ops.load drop constraint load_kind_check;
alter table ops.load add constraint load_kind_check check (kind in ('file', 'reload', 'retry', 'replay'));
comment on column ops.load.kind is
'file: an object put into landing/; reload: an archived file read again; '
'retry: held rows whose reference has come; replay: rejected or held rows that a person has loaded again';

alter table ops.rejected_row add column retried_load_id bigint references ops.load;
create index rejected_row_retried on ops.rejected_row (retried_load_id) where retried_load_id is not null;
comment on column ops.rejected_row.retried_load_id is
'The load that tried the row again: there it was accepted or held, or is rejected anew; null while it stands';

-- -------------------------------------------------------------------------------------- raw lines that expire

alter table ops.load add column raw_erased_at timestamptz;
comment on column ops.load.raw_erased_at is
'Since when no raw line of this load is kept, nor what quoted one';

alter table ops.rejected_row
add column erased_at timestamptz,
alter column raw drop not null,
alter column detail drop not null,
add constraint rejected_row_is_whole_or_erased check (
    num_nulls(raw, detail) = case when erased_at is null then 0 else 2 end
);
comment on column ops.rejected_row.erased_at is
'When raw and detail were erased, because they were old or somebody asked for it';

alter table ops.held_row
add column erased_at timestamptz,
alter column raw drop not null,
alter column detail drop not null,
alter column ref_value drop not null,
alter column ref_key drop not null,
add constraint held_row_is_whole_or_erased check (
    num_nulls(raw, detail, ref_value, ref_key) = case when erased_at is null then 0 else 4 end
);
comment on column ops.held_row.erased_at is
'When raw, detail and what the reference said were erased; a row that still waited is closed by it, as expired';

alter table ops.issue
add column erased_at timestamptz,
alter column detail drop not null,
add constraint issue_is_whole_or_erased check ((detail is null) = (erased_at is not null));
comment on column ops.issue.erased_at is
'When detail was erased, because it was old or quoted somebody''s data';

-- ---------------------------------------------------------------------------------------------------- grants

-- Of what a person said, nothing is changed but that it no longer holds.
grant select, insert on ops.alias_correction to store_writer;
grant update (removed_by, removed_at) on ops.alias_correction to store_writer;
grant usage on sequence ops.alias_correction_correction_id_seq to store_writer;
grant select on
ops.corrected_publisher, ops.corrected_game, ops.publisher_by_id, ops.publisher_by_name, ops.game_by_id,
ops.game_by_title
to store_writer;

-- Why a row was rejected stays as it is: a writer may only note who tried it again, and erase it.
grant update (retried_load_id, raw, detail, erased_at) on ops.rejected_row to store_writer;
grant update (detail, erased_at) on ops.issue to store_writer;
