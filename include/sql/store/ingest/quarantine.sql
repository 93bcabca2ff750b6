-- Keep as data what the dataset's own SQL held or rejected, and the issues of the rows that were accepted.
insert into ops.rejected_row (load_id, line_no, column_name, reason, detail, raw)
select %(load_id)s, f.load_line, (f.refusal).reason_column, (f.refusal).reason, (f.refusal).detail, s.raw
from {rows} as f
inner join {stage} as s on f.load_line = s.load_line
where f.outcome = 'rejected';

insert into ops.held_row (load_id, line_no, column_name, reason, detail, raw, ref_dataset, ref_value, ref_key)
select
    %(load_id)s, f.load_line, (f.refusal).reason_column, (f.refusal).reason, (f.refusal).detail, s.raw,
    (f.refusal).ref_dataset, (f.refusal).ref_value, (f.refusal).ref_key
from {rows} as f
inner join {stage} as s on f.load_line = s.load_line
where f.outcome = 'held';

insert into ops.issue (load_id, line_no, column_name, kind, detail)
select %(load_id)s, i.line_no, i.column_name, i.kind, i.detail
from {issues} as i
where not exists (
    select 1 from {rows} as f
    where f.load_line = i.line_no and f.outcome in ('held', 'rejected')
)
order by i.line_no;
