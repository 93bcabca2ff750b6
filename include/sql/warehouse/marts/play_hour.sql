-- Play over time: sessions, their length and their players, wherever they were.
-- Grain: an hour (UTC) in which sessions began. Each session counts once, also where areas overlap or none is; players
-- are those of the hour, and do not add up.
delete from mart.play_hour;

insert into mart.play_hour (hour, sessions, timed_sessions, seconds, players)
select
    date_trunc('hour', s.started_at) as hour,
    count(*) as sessions,
    count(s.duration_s) as timed_sessions,
    coalesce(sum(cast(s.duration_s as bigint)), 0) as seconds,
    count(distinct s.customer_id) as players
from store.play_session as s
group by 1;
