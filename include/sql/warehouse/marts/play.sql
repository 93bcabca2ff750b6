-- Play: sessions, their length and their players, by area and hour.
-- Grain: an hour (UTC) in which sessions began, and an area. Areas overlap, so rows of different areas do not add up; a
-- session counts in every area whose outline touches its cell, as in GET /aggregated-data. An average is seconds /
-- timed_sessions. Players are those of the hour, and do not add up either.
delete from mart.play;

insert into mart.play (hour, area_id, area, kind, sessions, timed_sessions, seconds, players)
select
    date_trunc('hour', s.started_at) as hour,
    a.area_id,
    max(a.name) as area,
    max(a.kind) as kind,
    count(*) as sessions,
    count(s.duration_s) as timed_sessions,
    coalesce(sum(cast(s.duration_s as bigint)), 0) as seconds,
    count(distinct s.customer_id) as players
from store.play_session as s
inner join geo.area_cell as c on s.cell_id = c.cell_id
inner join geo.area as a on c.area_id = a.area_id
group by 1, a.area_id;
