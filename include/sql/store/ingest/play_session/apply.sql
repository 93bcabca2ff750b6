-- Bring the play sessions into store.play_session. A point's longitude comes first.

-- Every customer that an accepted row names is known, if only by reference. Sorted, so that two loads cannot deadlock.
insert into store.customer (ref, load_id, load_line)
select f.customer_ref, %(load_id)s, min(f.load_line)
from {rows} as f
where f.outcome <> 'held'
    and not exists (select 1 from store.customer as c where c.ref = f.customer_ref)
group by f.customer_ref
order by f.customer_ref
on conflict (ref) do nothing;

insert into store.play_session (
    session_id, customer_id, game_id, platform, started_at, duration_s, location, load_id, load_line
)
select
    f.session_id, c.customer_id, f.game_id, f.platform, f.started_at, f.duration_s,
    st_setsrid(st_makepoint(f.longitude, f.latitude), 4326)::geography, %(load_id)s, f.load_line
from {rows} as f
inner join store.customer as c on f.customer_ref = c.ref
where f.outcome = 'inserted';

update store.play_session as p
set
    customer_id = c.customer_id, game_id = f.game_id, platform = f.platform, started_at = f.started_at,
    duration_s = f.duration_s, location = st_setsrid(st_makepoint(f.longitude, f.latitude), 4326)::geography,
    load_id = %(load_id)s, load_line = f.load_line
from {rows} as f
inner join store.customer as c on f.customer_ref = c.ref
where p.session_id = f.session_id and f.outcome = 'updated';

-- Nobody plays there: a device that does not know where it is says so.
insert into {issues} (line_no, column_name, kind, detail)
select
    f.load_line, 'latitude', 'null_island',
    'latitude and longitude are both 0, a place in the Atlantic that stands for no place'
from {rows} as f
where f.outcome <> 'held' and f.latitude = 0 and f.longitude = 0;
