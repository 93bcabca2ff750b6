-- Play counted by place, day, game and platform; and what says whether the text of an area is one.
--
-- geo.activity is derived from store.play_session, and kept right by triggers in the transaction that changes the
-- sessions, whoever changes them. It and geo.cell have no row_xid: the warehouse derives its own from the sessions.

-- ----------------------------------------------------------------------------------------------------- cells

-- Cells are the hexagons of ST_HexagonGrid(10000, ...) on EPSG:6933, a projection on which equal areas stay equal:
-- 259.8 km2 each. Column i has its middle at x = 15 km * i, row j at y = 17.32 km * j, odd columns half a row higher.
-- The projection ends at the antimeridian and at the poles, and the cells there are cut off.

create function geo.cell_at(place public.geometry) returns integer
language plpgsql immutable strict parallel safe as $$
declare
    -- The projection, written out: no other version of PROJ moves a place to another cell. 0.0818... is the eccentricity
    -- of WGS 84.
    longitude constant float8 := public.st_x(place);
    s constant float8 := sind(public.st_y(place));
    es constant float8 := 0.08181919084262149 * s;
    -- In units in which the middle of cell (i, j) is at (1.5 * i, j), j + 0.5 where i is odd. 180 degrees east is
    -- 180 degrees west.
    x constant float8 := 9.648628025089651 * case when longitude < 180 then longitude else -180 end;
    y constant float8 := 211.00452091731882 * (s / (1 - es * es) + atanh(es) / 0.08181919084262149);
    -- Three families of parallel lines cut the plane into triangles, six of which are a hexagon.
    k constant float8 := floor(x + y + 1);
    i constant integer := floor((k + x - y + 1) / 3);
    j constant integer := floor((k + 2 * y + 1) / 3) - ((i + 1) >> 1);
begin
    return (i + 2000) * 10000 + j + 2000;
end $$;
comment on function geo.cell_at is
'The cell of a place (longitude, latitude): ten thousand times its column plus its row, 2000 added to each of them';

create function geo.cell_boundary(cell_id integer) returns public.geometry (polygon, 4326)
language sql immutable strict parallel safe return
public.st_transform(
    public.st_intersection(
        public.st_setsrid(public.st_hexagon(10000, cell_id / 10000 - 2000, cell_id % 10000 - 2000), 6933),
        -- Half a millimetre less than there is, so that no corner at 180 degrees comes out at -180.
        public.st_makeenvelope(-17367530.4446, -7342230.136, 17367530.4446, 7342230.136, 6933)
    ),
    4326
);
comment on function geo.cell_boundary is 'The hexagon of a cell, cut off at the antimeridian and at the poles';

create table geo.cell (
    cell_id integer primary key,
    boundary geometry (polygon, 4326) not null
);
create index cell_boundary on geo.cell using gist (boundary);
comment on table geo.cell is 'A cell of the grid in which somebody has played: a hexagon of 259.8 km2';
comment on column geo.cell.cell_id is 'What geo.cell_at says of the places in it';

-- -------------------------------------------------------------------------------------------------- activity

-- No foreign keys: the sessions have them, and to check them again would cost a look-up a row.
create table geo.activity (
    cell_id integer not null,
    day date not null,
    game_id text not null,
    platform text not null,
    sessions integer not null,
    timed_sessions integer not null,
    seconds bigint not null,
    players integer not null generated always as (cardinality(player_ids)) stored,
    player_ids bigint [] not null,
    player_sessions integer [] not null,
    constraint activity_counts_what_is_there check (timed_sessions between 0 and sessions),
    -- Sums of cells and days are read from the index alone.
    primary key (cell_id, day, game_id, platform) include (sessions, timed_sessions, seconds, players)
);
comment on table geo.activity is
'Play by cell, day, game and platform, kept right with store.play_session. Sums add up; players do not: '
'over several rows, count the distinct player_ids';
comment on column geo.activity.day is 'The day in UTC on which the sessions began';
comment on column geo.activity.timed_sessions is
'The sessions whose duration is known: an average is seconds / timed_sessions';
comment on column geo.activity.seconds is 'How long the timed sessions were, in all';
comment on column geo.activity.players is 'How many different customers played';
comment on column geo.activity.player_ids is 'The customers who played, in order, each once';
comment on column geo.activity.player_sessions is
'How many sessions each of player_ids had: so that a session can be taken away again';

-- The groups to which sessions belong are changed by what was added or taken away, and not counted anew. So a writer
-- needs no look at other sessions, and waits for others only where both change the same group. Under READ COMMITTED
-- it then goes on from what the other has left; under stricter levels it fails, and is to be tried again.
--
-- What the functions write is told to the transaction: changed.geo.activity is 'yes' in it.

create function geo.add_sessions() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    if not exists (select from added) then
        return null;
    end if;
    perform set_config('changed.geo.activity', 'yes', true);

    -- array_agg takes the players in the order of the sorted subquery.
    with written as (
        insert into geo.activity as a
               (cell_id, day, game_id, platform, sessions, timed_sessions, seconds, player_ids, player_sessions)
        select p.cell_id, p.day, p.game_id, p.platform, sum(p.sessions), sum(p.timed_sessions), sum(p.seconds),
               array_agg(p.customer_id), array_agg(p.sessions)
          from (select geo.cell_at(s.location::public.geometry) as cell_id,
                       (s.started_at at time zone 'UTC')::date as day,
                       s.game_id, s.platform, s.customer_id,
                       count(*)::integer as sessions,
                       count(s.duration_s) as timed_sessions,
                       coalesce(sum(s.duration_s), 0) as seconds
                  from added s
                 group by 1, 2, 3, 4, 5
                 order by 1, 2, 3, 4, 5) p
         group by p.cell_id, p.day, p.game_id, p.platform
         order by p.cell_id, p.day, p.game_id, p.platform
            on conflict (cell_id, day, game_id, platform) do update
           set sessions = a.sessions + excluded.sessions,
               timed_sessions = a.timed_sessions + excluded.timed_sessions,
               seconds = a.seconds + excluded.seconds,
               (player_ids, player_sessions) = (
                   select array_agg(m.customer_id order by m.customer_id),
                          array_agg(m.sessions order by m.customer_id)
                     from (select u.customer_id, sum(u.sessions)::integer as sessions
                             from (select unnest(a.player_ids) as customer_id, unnest(a.player_sessions) as sessions
                                    union all
                                   select unnest(excluded.player_ids), unnest(excluded.player_sessions)) u
                            group by u.customer_id) m)
        returning a.cell_id
    )
    insert into geo.cell (cell_id, boundary)
    select w.cell_id, geo.cell_boundary(w.cell_id)
      from (select distinct written.cell_id from written) w
     where not exists (select from geo.cell c where c.cell_id = w.cell_id)
     order by w.cell_id
        on conflict (cell_id) do nothing;
    return null;
end $$;
comment on function geo.add_sessions is 'Count the sessions of a statement in';

create function geo.take_sessions() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
    if not exists (select from taken) then
        return null;
    end if;
    perform set_config('changed.geo.activity', 'yes', true);

    update geo.activity a
       set sessions = a.sessions - t.sessions,
           timed_sessions = a.timed_sessions - t.timed_sessions,
           seconds = a.seconds - t.seconds,
           (player_ids, player_sessions) = (
               select coalesce(array_agg(m.customer_id order by m.customer_id), '{}'),
                      coalesce(array_agg(m.sessions order by m.customer_id), '{}')
                 from (select u.customer_id, sum(u.sessions)::integer as sessions
                         from (select unnest(a.player_ids) as customer_id, unnest(a.player_sessions) as sessions
                                union all
                               select unnest(t.player_ids), -unnest(t.player_sessions)) u
                        group by u.customer_id
                       having sum(u.sessions) <> 0) m)
      from (select p.cell_id, p.day, p.game_id, p.platform, sum(p.sessions)::integer as sessions,
                   sum(p.timed_sessions)::integer as timed_sessions, sum(p.seconds) as seconds,
                   array_agg(p.customer_id) as player_ids, array_agg(p.sessions) as player_sessions
              from (select geo.cell_at(s.location::public.geometry) as cell_id,
                           (s.started_at at time zone 'UTC')::date as day,
                           s.game_id, s.platform, s.customer_id,
                           count(*)::integer as sessions,
                           count(s.duration_s) as timed_sessions,
                           coalesce(sum(s.duration_s), 0) as seconds
                      from taken s
                     group by 1, 2, 3, 4, 5) p
             group by p.cell_id, p.day, p.game_id, p.platform) t
     where (a.cell_id, a.day, a.game_id, a.platform) = (t.cell_id, t.day, t.game_id, t.platform);

    -- A statement of its own: only now the groups are locked, and nobody else adds to them.
    delete from geo.activity a
     using (select distinct geo.cell_at(s.location::public.geometry) as cell_id,
                   (s.started_at at time zone 'UTC')::date as day, s.game_id, s.platform
              from taken s) t
     where (a.cell_id, a.day, a.game_id, a.platform) = (t.cell_id, t.day, t.game_id, t.platform)
       and a.sessions = 0;
    return null;
end $$;
comment on function geo.take_sessions is 'Count the sessions of a statement out';

revoke execute on function geo.add_sessions, geo.take_sessions from public;

create trigger add_inserted after insert on store.play_session
referencing new table as added for each statement execute function geo.add_sessions();
-- Triggers fire in the order of their names. What is added before the rest is taken leaves no empty group behind.
create trigger add_updated after update on store.play_session
referencing new table as added for each statement execute function geo.add_sessions();
create trigger take_updated after update on store.play_session
referencing old table as taken for each statement execute function geo.take_sessions();
create trigger take_deleted after delete on store.play_session
referencing old table as taken for each statement execute function geo.take_sessions();
alter table store.play_session enable always trigger add_inserted;
alter table store.play_session enable always trigger add_updated;
alter table store.play_session enable always trigger take_updated;
alter table store.play_session enable always trigger take_deleted;

create function geo.rebuild_activity(
    out groups bigint, out added bigint, out corrected bigint, out removed bigint
)
language plpgsql security definer set search_path = pg_catalog as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'geo.rebuild_activity must see what others have committed: run it under READ COMMITTED';
    end if;
    -- Until the transaction ends nobody writes sessions; everybody may read.
    lock table store.play_session in share row exclusive mode;

    with counted as materialized (
        select p.cell_id, p.day, p.game_id, p.platform, sum(p.sessions)::integer as sessions,
               sum(p.timed_sessions)::integer as timed_sessions, sum(p.seconds)::bigint as seconds,
               array_agg(p.customer_id) as player_ids, array_agg(p.sessions) as player_sessions
          from (select geo.cell_at(s.location::public.geometry) as cell_id,
                       (s.started_at at time zone 'UTC')::date as day,
                       s.game_id, s.platform, s.customer_id,
                       count(*)::integer as sessions,
                       count(s.duration_s) as timed_sessions,
                       coalesce(sum(s.duration_s), 0) as seconds
                  from store.play_session s
                 group by 1, 2, 3, 4, 5
                 order by 1, 2, 3, 4, 5) p
         group by p.cell_id, p.day, p.game_id, p.platform
    ),
    removed_rows as (
        delete from geo.activity a
         where not exists (
                   select from counted c
                    where (c.cell_id, c.day, c.game_id, c.platform) = (a.cell_id, a.day, a.game_id, a.platform))
        returning a.cell_id
    ),
    corrected_rows as (
        update geo.activity a
           set sessions = c.sessions, timed_sessions = c.timed_sessions, seconds = c.seconds,
               player_ids = c.player_ids, player_sessions = c.player_sessions
          from counted c
         where (c.cell_id, c.day, c.game_id, c.platform) = (a.cell_id, a.day, a.game_id, a.platform)
           and (c.sessions, c.timed_sessions, c.seconds, c.player_ids, c.player_sessions)
            <> (a.sessions, a.timed_sessions, a.seconds, a.player_ids, a.player_sessions)
        returning a.cell_id
    ),
    added_rows as (
        insert into geo.activity
               (cell_id, day, game_id, platform, sessions, timed_sessions, seconds, player_ids, player_sessions)
        select c.cell_id, c.day, c.game_id, c.platform, c.sessions, c.timed_sessions, c.seconds,
               c.player_ids, c.player_sessions
          from counted c
         where not exists (
                   select from geo.activity a
                    where (c.cell_id, c.day, c.game_id, c.platform) = (a.cell_id, a.day, a.game_id, a.platform))
        returning cell_id
    ),
    added_cells as (
        insert into geo.cell (cell_id, boundary)
        select c.cell_id, geo.cell_boundary(c.cell_id)
          from (select distinct counted.cell_id from counted) c
         where not exists (select from geo.cell known where known.cell_id = c.cell_id)
    )
    select (select count(*) from counted), (select count(*) from added_rows),
           (select count(*) from corrected_rows), (select count(*) from removed_rows)
      into groups, added, corrected, removed;
end $$;
comment on function geo.rebuild_activity is
'Count all sessions anew, and change what differs in geo.activity: nothing, unless its triggers were switched off';
revoke execute on function geo.rebuild_activity from public;
grant execute on function geo.rebuild_activity to store_writer;

-- Derived: nobody but the functions above writes them.
grant select on geo.cell, geo.activity to store_writer, store_reader;

-- The sessions that are there already.
select geo.rebuild_activity();

-- ------------------------------------------------------------------------------------------------------ areas

create function geo.read_boundary(
    wkt text, out boundary public.geometry, out reason text, out detail text
) language plpgsql immutable strict parallel unsafe as $$
declare
    found public.geometry;
    validity public.valid_detail;
    hint text;
begin
    if octet_length(wkt) > length(wkt) then
        -- PostGIS would show a part of it, and might cut a character in two.
        reason := 'invalid_geometry';
        detail := 'it has letters or signs in it that no WKT has; accepted: POLYGON, MULTIPOLYGON';
        return;
    end if;
    begin
        found := public.st_geomfromtext(wkt);
    exception when internal_error or data_exception then
        get stacked diagnostics hint = pg_exception_hint;
        reason := 'invalid_geometry';
        detail := concat_ws(': ', sqlerrm, nullif(hint, '')) || '; accepted: WKT such as POLYGON((0 0, 1 0, 1 1, 0 0))';
        return;
    end;
    if public.geometrytype(found) not in ('POLYGON', 'MULTIPOLYGON') then
        reason := 'invalid_geometry';
        detail := public.geometrytype(found) || '; accepted: POLYGON, MULTIPOLYGON';
    elsif public.st_srid(found) <> 0 then
        reason := 'invalid_geometry';
        detail := format('SRID=%s; accepted: longitude and latitude (WGS 84), without SRID', public.st_srid(found));
    elsif public.st_zmflag(found) <> 0 then
        reason := 'invalid_geometry';
        detail := format('%s coordinates a point; accepted: two, longitude and latitude', public.st_ndims(found));
    elsif public.st_isempty(found) then
        reason := 'invalid_geometry';
        detail := 'it is empty; accepted: at least one ring of four points';
    elsif not (public.st_xmin(found) >= -180 and public.st_xmax(found) <= 180
               and public.st_ymin(found) >= -90 and public.st_ymax(found) <= 90) then
        reason := 'out_of_range';
        detail := format(
            'longitude from %s to %s, latitude from %s to %s; accepted: longitude first, from -180 to 180, '
            'then latitude, from -90 to 90; what crosses the antimeridian is a MULTIPOLYGON cut there',
            public.st_xmin(found), public.st_xmax(found), public.st_ymin(found), public.st_ymax(found));
    else
        validity := public.st_isvaliddetail(found);
        if validity.valid then
            boundary := public.st_setsrid(public.st_multi(found), 4326);
        else
            reason := 'invalid_geometry';
            detail := format(
                '%s at %s; accepted: rings that neither cross nor overlap, the outer one first',
                validity.reason, public.st_astext(validity.location));
        end if;
    end if;
end $$;
comment on function geo.read_boundary is
'The area that a text says, or the reason why it says none; never an error, which would end the load of the others';
