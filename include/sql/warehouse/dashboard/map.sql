-- Sessions that began in these days, by place: squares of some cells of the grid, each with a point amid its sessions.
-- A cell's number is ten thousand times its column plus its row.
-- Parameters: cells (along an edge of a square), first_day, last_day.
select
    p.cell_id / 10000 / %(cells)s as row_key,
    mod(p.cell_id, 10000) / %(cells)s as part,
    sum(p.sessions) as value,
    sum(p.longitudes) / sum(p.sessions) as longitude,
    sum(p.latitudes) / sum(p.sessions) as latitude
from mart.play_cell as p
where p.day between %(first_day)s and %(last_day)s
group by 1, 2
order by 1, 2
