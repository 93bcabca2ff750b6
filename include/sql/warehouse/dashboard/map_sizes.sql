-- How many marks a map of these days has when squares of so many cells are one mark.
-- Parameters: first_day, last_day.
select
    n.cells,
    count(distinct p.cell_id / 10000 / n.cells * 10000 + mod(p.cell_id, 10000) / n.cells) as mark_count
from mart.play_cell as p
cross join (
    select 1 as cells union all select 2 union all select 4 union all select 8 union all select 16 union all select 32
    union all select 64
) as n
where p.day between %(first_day)s and %(last_day)s
group by n.cells
order by n.cells
