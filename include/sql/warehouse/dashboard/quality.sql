-- Rows that were rejected or held in files of these days, by what was wrong: the twelve most frequent reasons. A file
-- that was set aside as a whole counts one.
-- Parameters: first_day, last_day.
select
    q.dataset || ', ' || q.column_name || ': ' || q.reason as row_key,
    q.outcome as part,
    sum(q.findings) as value
from (
    select
        coalesce(d.dataset, 'unknown') as dataset,
        case when d.column_name = '' then 'row' else d.column_name end as column_name,
        d.reason,
        d.outcome,
        d.findings
    from mart.data_quality as d
    where d.outcome <> 'issue' and cast(d.finished_at at time zone 'UTC' as date) between %(first_day)s and %(last_day)s
) as q
group by 1, 2
order by 1, 2
