-- How many files a run holds, and which tables its loads have changed. A file that it has only moved counts: the run
-- that had loaded it may have died before it announced anything.
select
    (select count(*) from ops.load as k where k.claimed_by = %(run)s and k.kind in ('file', 'reload')) as files,
    coalesce(
        (
            select array_agg(distinct changed.table_name order by changed.table_name)
            from ops.load as k
            cross join lateral unnest(k.tables_changed) as changed (table_name)
            where k.claimed_by = %(run)s
        ),
        '{{}}'
    ) as tables_changed
