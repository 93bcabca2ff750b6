-- What was found in each file, by the figure of quality.sql that it belongs to. Which lines, only the store knows.
-- Parameters: those of quality.sql.
select
    coalesce(d.dataset, 'unknown') || ', ' || case when d.column_name = '' then 'row' else d.column_name end || ': '
    || d.reason as row_key,
    d.outcome as part,
    d.load_id,
    cast(null as bigint) as load_line,
    d.findings as lines,
    d.findings as value
from mart.data_quality as d
where d.outcome <> 'issue' and cast(d.finished_at at time zone 'UTC' as date) between %(first_day)s and %(last_day)s
