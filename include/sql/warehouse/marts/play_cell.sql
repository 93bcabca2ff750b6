-- Play by place: sessions and their length in the cells of a grid.
-- Grain: a day (UTC) on which sessions began, and a cell, a hexagon of 259.8 km2 as in GET /aggregated-data. Each
-- session counts once. longitudes and latitudes are sums, in degrees: divided by sessions they are a point amid play.
delete from mart.play_cell;

insert into mart.play_cell (day, cell_id, sessions, timed_sessions, seconds, longitudes, latitudes)
select
    cast(s.started_at at time zone 'UTC' as date) as day,
    s.cell_id,
    count(*) as sessions,
    count(s.duration_s) as timed_sessions,
    coalesce(sum(cast(s.duration_s as bigint)), 0) as seconds,
    sum(s.location_longitude) as longitudes,
    sum(s.location_latitude) as latitudes
from store.play_session as s
group by 1, s.cell_id;
