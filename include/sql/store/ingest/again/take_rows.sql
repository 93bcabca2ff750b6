-- Hand the chosen rows of one file, each in one of the two tables, to the load that tries them again; says how many.
with chosen as materialized (
    select c.load_id, c.line_no
    from ({chosen}) as c
    inner join ops.load as k on c.load_id = k.load_id
    where k.file_load_id = %(file_load_id)s and k.header = %(header)s
),

held as (
    update ops.held_row as h
    set retried_load_id = %(again_load_id)s
    from chosen as c
    where h.load_id = c.load_id and h.line_no = c.line_no
        and h.retried_load_id is null and h.erased_at is null
    returning h.line_no
),

rejected as (
    update ops.rejected_row as r
    set retried_load_id = %(again_load_id)s
    from chosen as c
    where r.load_id = c.load_id and r.line_no = c.line_no
        and r.retried_load_id is null and r.erased_at is null
    returning r.line_no
)

select (select count(*) from held) + (select count(*) from rejected) as taken;
