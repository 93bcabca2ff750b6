-- Sessions that began in these days, by the day of the week (0 is Sunday) and the hour (UTC).
-- Parameters: first_day, last_day.
select
    cast(extract(dow from p.hour at time zone 'UTC') as integer) as row_key,
    cast(extract(hour from p.hour at time zone 'UTC') as integer) as part,
    sum(p.sessions) as value
from mart.play_hour as p
where cast(p.hour at time zone 'UTC' as date) between %(first_day)s and %(last_day)s
group by 1, 2
order by 1, 2
