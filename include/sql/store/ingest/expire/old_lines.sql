-- Erase the raw lines, and what quotes them, of all files that were put before %(before)s; says how many. A load that
-- is done with is marked. Accounts, reasons and line numbers stay; a held row that still waited is closed.
with loads as (
    update ops.load as k
    set
        raw_erased_at = clock_timestamp(),
        -- The rest of why a file was set aside may name what was in it.
        reason = split_part(k.reason, ':', 1) || ': the rest is erased'
    where k.put_at < %(before)s and k.raw_erased_at is null and k.status in ('done', 'rejected')
    returning k.load_id
),

-- One that failed may be tried again, and has lines then: it is not marked.
failed as (
    update ops.load as k
    set reason = split_part(k.reason, ':', 1) || ': the rest is erased'
    where k.put_at < %(before)s and k.status = 'failed'
        and k.reason like '%%:%%' and k.reason not like '%%: the rest is erased'
    returning k.load_id
),

rejected as (
    update ops.rejected_row as r
    set raw = null, detail = null, erased_at = clock_timestamp()
    from loads as k
    where r.load_id = k.load_id and r.erased_at is null
    returning r.line_no
),

held as (
    update ops.held_row as h
    set raw = null, detail = null, ref_value = null, ref_key = null, erased_at = clock_timestamp()
    from loads as k
    where h.load_id = k.load_id and h.erased_at is null
    returning h.retried_load_id
),

issues as (
    update ops.issue as i
    set detail = null, erased_at = clock_timestamp()
    from loads as k
    where i.load_id = k.load_id and i.erased_at is null
    returning i.line_no
)

select
    (select count(*) from loads) + (select count(*) from failed) as loads,
    (select count(*) from rejected) as rejected_rows,
    (select count(*) from held) as held_rows,
    (select count(*) from held as h where h.retried_load_id is null) as held_rows_closed,
    (select count(*) from issues) as issues;
