-- Erase the raw lines, and what quotes them, that name one person: by their reference, by the e-mail address that the
-- store has of them, or by an address whose SHA-256 is %(email_sha256)s; says how many. Each parameter may be null.
with term as (
    select
        '(?<![[:alnum:]])' || regexp_replace(%(customer_ref)s, '([^[:alnum:]])', '\\\1', 'g') || '(?![[:alnum:]])'
        as term
    union all
    select
        '(?<![[:alnum:]._%%+-])' || regexp_replace(c.email, '([^[:alnum:]])', '\\\1', 'g') || '(?![[:alnum:]-])'
        as term
    from store.customer as c
    where c.ref = upper(%(customer_ref)s)
),

person as (
    select string_agg(t.term, '|') as terms
    from term as t
),

line as (
    select 'rejected' as kind, r.load_id, r.line_no as n, concat_ws(' ', r.raw, r.detail) as said
    from ops.rejected_row as r
    where r.erased_at is null
    union all
    select 'held' as kind, h.load_id, h.line_no as n, concat_ws(' ', h.raw, h.detail, h.ref_value) as said
    from ops.held_row as h
    where h.erased_at is null
    union all
    select 'issue' as kind, i.load_id, i.issue_id as n, i.detail as said
    from ops.issue as i
    where i.erased_at is null
    union all
    select 'load' as kind, k.load_id, 0 as n, k.reason as said
    from ops.load as k
    where k.reason is not null
),

found as materialized (
    select l.kind, l.load_id, l.n
    from line as l
    cross join person as p
    where l.said ~* p.terms or exists (
        select 1
        from regexp_matches(l.said, '[^\s,;:"<>()]+@[^\s,;:"<>()]+', 'g') as m (address)
        -- An apostrophe is part of the address or quotes it; a dot may end the sentence.
        cross join lateral (values (m.address[1]), (btrim(m.address[1], '''.|'))) as a (address)
        where encode(sha256(convert_to(lower(a.address), 'UTF8')), 'hex') = %(email_sha256)s
    )
),

loads as (
    update ops.load as k
    set reason = split_part(k.reason, ':', 1) || ': the rest is erased'
    from found as f
    where f.kind = 'load' and k.load_id = f.load_id
    returning k.load_id
),

rejected as (
    update ops.rejected_row as r
    set raw = null, detail = null, erased_at = clock_timestamp()
    from found as f
    where f.kind = 'rejected' and r.load_id = f.load_id and r.line_no = f.n
    returning r.line_no
),

held as (
    update ops.held_row as h
    set raw = null, detail = null, ref_value = null, ref_key = null, erased_at = clock_timestamp()
    from found as f
    where f.kind = 'held' and h.load_id = f.load_id and h.line_no = f.n
    returning h.retried_load_id
),

issues as (
    update ops.issue as i
    set detail = null, erased_at = clock_timestamp()
    from found as f
    where f.kind = 'issue' and i.issue_id = f.n
    returning i.line_no
)

select
    (select count(*) from loads) as loads,
    (select count(*) from rejected) as rejected_rows,
    (select count(*) from held) as held_rows,
    (select count(*) from held as h where h.retried_load_id is null) as held_rows_closed,
    (select count(*) from issues) as issues;
