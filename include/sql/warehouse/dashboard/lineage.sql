-- Of each figure of a chart the loads that it comes from, those that weigh most first, with ten lines of each file.
-- facts is a query, a line of a file each: row_key, part (which name the figure), load_id, load_line, how many lines it
-- stands for, and its value. Lines without a load were never in a file: they were changed in the store.
-- Parameters: most, how many loads a figure is told of.
with facts as (
{facts}
),

-- Ten lines of each load, without sorting all of them: the first of each last digit.
digits as (
    select
        f.row_key,
        f.part,
        f.load_id,
        mod(f.load_line, 10) as digit,
        min(f.load_line) as load_line,
        sum(f.lines) as line_count,
        sum(f.value) as value
    from facts as f
    group by f.row_key, f.part, f.load_id, mod(f.load_line, 10)
),

loads as (
    select
        d.row_key,
        d.part,
        d.load_id,
        listagg(cast(d.load_line as varchar(20)), ' ') within group (order by d.load_line) as sample_lines,
        sum(d.line_count) as line_count,
        sum(d.value) as value
    from digits as d
    group by d.row_key, d.part, d.load_id
),

ranked as (
    select
        k.row_key,
        k.part,
        k.load_id,
        k.sample_lines,
        k.line_count,
        k.value,
        row_number() over (
            partition by k.row_key, k.part
            order by case when k.load_id is null then 0 else 1 end, abs(k.value) desc, k.load_id
        ) as place,
        count(k.load_id) over (partition by k.row_key, k.part) as load_count,
        sum(k.value) over (partition by k.row_key, k.part) as total
    from loads as k
)

select
    r.row_key,
    r.part,
    r.load_id,
    a.dataset,
    a.object_key,
    a.archive_key,
    r.line_count,
    r.value,
    r.sample_lines,
    r.load_count,
    r.total
from ranked as r
left join ops.load_account as a on r.load_id = a.load_id
where r.place <= %(most)s
order by r.row_key, r.part, r.place
