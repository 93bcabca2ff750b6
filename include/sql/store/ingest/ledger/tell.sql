-- Tell the warehouse the account of a load, and what it has found, by reason; in the transaction of both.
insert into ops.load_account (
    load_id, kind, dataset, object_key, file_load_id, put_at, finished_at, status, reason, read, accepted, rejected,
    held, inserted, updated, unchanged, superseded, issues, archive_key
)
select
    -- That name means NULL in the files of the warehouse sync: a folder of it is no dataset anyway.
    k.load_id, k.kind, nullif(k.dataset, '@NULL@'), k.object_key, k.file_load_id, k.put_at, k.finished_at, k.status,
    k.reason, k.read, k.accepted, k.rejected, k.held, k.inserted, k.updated, k.unchanged, k.superseded, k.issues,
    k.archive_key
from ops.load as k
where k.load_id = %(load_id)s;

insert into ops.load_finding (load_id, outcome, column_name, reason, findings)
select %(load_id)s, found.outcome, coalesce(found.column_name, ''), found.reason, count(*)
from (
    select 'rejected' as outcome, r.column_name, r.reason
    from ops.rejected_row as r
    where r.load_id = %(load_id)s
    union all
    select 'held' as outcome, h.column_name, h.reason
    from ops.held_row as h
    where h.load_id = %(load_id)s
    union all
    select 'issue' as outcome, i.column_name, i.kind as reason
    from ops.issue as i
    where i.load_id = %(load_id)s
) as found
group by found.outcome, coalesce(found.column_name, ''), found.reason;
