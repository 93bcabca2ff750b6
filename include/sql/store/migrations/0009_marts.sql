-- What the warehouse's marts need of the store beyond its tables: where play was, and what became of each file.
--
-- The account of each load goes to the warehouse with its findings, counted by reason; raw lines stay, since they hold
-- personal data and are erased.

-- ------------------------------------------------------------------------------------------------ where play was

-- Of the cell geo.activity counts a session in: the warehouse groups by it without knowing the grid.
alter table store.play_session
add column cell_id integer generated always as (
    -- A point that is no place is refused by its check, which comes after this.
    case
        when public.st_x(location::public.geometry) between -180 and 180 then geo.cell_at(location::public.geometry)
    end
) stored;
comment on column store.play_session.cell_id is
'The cell of the grid that the session lies in, as geo.activity counts it';

-- The same answer that a query of areas and cells by ST_Intersects gives, kept, since the warehouse has no outlines.
create table geo.area_cell (
    area_id text not null references geo.area on delete cascade,
    cell_id integer not null references geo.cell,
    row_xid xid8 not null default pg_current_xact_id(),
    primary key (area_id, cell_id)
);
create index area_cell_cell on geo.area_cell (cell_id);
comment on table geo.area_cell is
'The cells with play that an area''s outline touches: what is counted as play in the area';

-- Whoever changes an area and whoever adds a cell may not see the other's row, so they take turns.
create function geo.add_cells_to_areas() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    if not exists (select from added) then
        return null;
    end if;
    perform pg_advisory_xact_lock_shared(hashtext('geo.area_cell'));
    insert into geo.area_cell (area_id, cell_id)
    select a.area_id, c.cell_id
      from added c
      join geo.area a on public.st_intersects(a.boundary, c.boundary)
     order by a.area_id, c.cell_id
        on conflict (area_id, cell_id) do nothing;
    return null;
end $$;
comment on function geo.add_cells_to_areas is 'Note the areas that new cells lie in';

create function geo.settle_area() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform pg_advisory_xact_lock(hashtext('geo.area_cell'));
    delete from geo.area_cell k
     where k.area_id = new.area_id
       and not exists (select from geo.cell c
                        where c.cell_id = k.cell_id and public.st_intersects(new.boundary, c.boundary));
    insert into geo.area_cell (area_id, cell_id)
    select new.area_id, c.cell_id
      from geo.cell c
     where public.st_intersects(new.boundary, c.boundary)
     order by c.cell_id
        on conflict (area_id, cell_id) do nothing;
    return null;
end $$;
comment on function geo.settle_area is 'Note the cells that a new or changed area touches';
revoke execute on function geo.add_cells_to_areas, geo.settle_area from public;

create trigger add_cells_to_areas after insert on geo.cell
referencing new table as added for each statement execute function geo.add_cells_to_areas();
create trigger settle_new_area after insert on geo.area for each row execute function geo.settle_area();
create trigger settle_changed_area after update of boundary on geo.area
for each row when (not public.st_orderingequals(old.boundary, new.boundary)) execute function geo.settle_area();
alter table geo.cell enable always trigger add_cells_to_areas;
alter table geo.area enable always trigger settle_new_area;
alter table geo.area enable always trigger settle_changed_area;

insert into geo.area_cell (area_id, cell_id)
select a.area_id, c.cell_id
from geo.area as a
inner join geo.cell as c on st_intersects(a.boundary, c.boundary)
order by a.area_id, c.cell_id;

call ops.track_changes('geo.area_cell');

alter table geo.area
add constraint area_id_is_trimmed check (area_id = rtrim(area_id)),
add constraint area_has_no_null_mark check ('@NULL@' not in (area_id, name, kind));

-- ---------------------------------------------------------------------------------------- what became of each file

-- Written once, when a load has ended: the ledger itself changes with every lease.
create table ops.load_account (
    load_id bigint primary key references ops.load,
    kind text not null,
    dataset text,
    object_key text not null,
    file_load_id bigint not null,
    put_at timestamptz not null check (put_at >= '1970-01-01Z' and put_at < '2101-01-01Z'),
    finished_at timestamptz not null check (finished_at >= '1970-01-01Z' and finished_at < '2101-01-01Z'),
    status text not null,
    reason text,
    read bigint not null,
    accepted bigint not null,
    rejected bigint not null,
    held bigint not null,
    inserted bigint not null,
    updated bigint not null,
    unchanged bigint not null,
    superseded bigint not null,
    issues bigint not null,
    row_xid xid8 not null default pg_current_xact_id(),
    constraint load_account_has_no_null_mark check ('@NULL@' not in (kind, dataset, object_key, status, reason))
);
comment on table ops.load_account is 'The account of each load that has ended, as the warehouse gets it';

create table ops.load_finding (
    load_id bigint not null references ops.load_account,
    outcome text not null check (outcome in ('rejected', 'held', 'issue')),
    column_name text not null,
    reason text not null,
    findings bigint not null,
    row_xid xid8 not null default pg_current_xact_id(),
    primary key (load_id, outcome, column_name, reason),
    constraint load_finding_is_trimmed check (column_name = rtrim(column_name) and reason = rtrim(reason)),
    constraint load_finding_has_no_null_mark check ('@NULL@' not in (column_name, reason))
);
comment on table ops.load_finding is
'How often a load found what, counted when it ended: stays when raw lines are erased';
comment on column ops.load_finding.column_name is
'The column that the finding is about; empty when it is the whole row';

insert into ops.load_account (
    load_id, kind, dataset, object_key, file_load_id, put_at, finished_at, status, reason, read, accepted, rejected,
    held, inserted, updated, unchanged, superseded, issues
)
select
    k.load_id, k.kind, nullif(k.dataset, '@NULL@'), k.object_key, k.file_load_id, k.put_at, k.finished_at, k.status,
    k.reason, k.read, k.accepted, k.rejected, k.held, k.inserted, k.updated, k.unchanged, k.superseded, k.issues
from ops.load as k
where k.status in ('done', 'rejected');

insert into ops.load_finding (load_id, outcome, column_name, reason, findings)
select found.load_id, found.outcome, coalesce(found.column_name, ''), found.reason, count(*)
from (
    select load_id, 'rejected' as outcome, column_name, reason from ops.rejected_row
    union all
    select load_id, 'held', column_name, reason from ops.held_row
    union all
    select load_id, 'issue', column_name, kind from ops.issue
) as found
inner join ops.load_account as a on found.load_id = a.load_id
group by found.load_id, found.outcome, coalesce(found.column_name, ''), found.reason;

call ops.track_changes('ops.load_account');
call ops.track_changes('ops.load_finding');

-- ---------------------------------------------------------------------------------------------------- grants

grant select on geo.area_cell, ops.load_account, ops.load_finding to store_writer, store_reader;
grant insert (
    load_id, kind, dataset, object_key, file_load_id, put_at, finished_at, status, reason, read, accepted, rejected,
    held, inserted, updated, unchanged, superseded, issues
) on ops.load_account to store_writer;
grant insert (load_id, outcome, column_name, reason, findings) on ops.load_finding to store_writer;
