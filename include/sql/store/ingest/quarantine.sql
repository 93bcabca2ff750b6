-- Keep as data what the dataset's own SQL held or rejected, and the issues of the rows that were accepted.
insert into ops.rejected_row (load_id, line_no, column_name, reason, detail, raw)
select %(load_id)s, s.load_line, s.reason_column, s.reason, s.detail, s.raw
from {stage} as s
where s.outcome = 'rejected';

insert into ops.held_row (load_id, line_no, column_name, reason, detail, raw, ref_dataset, ref_value, ref_key)
select
    %(load_id)s, s.load_line, s.reason_column, s.reason, s.detail, s.raw, s.ref_dataset, s.ref_value, s.ref_key
from {stage} as s
where s.outcome = 'held';

insert into ops.issue (load_id, line_no, column_name, kind, detail)
select %(load_id)s, i.line_no, i.column_name, i.kind, i.detail
from {issues} as i
left join {stage} as s on i.line_no = s.load_line
where s.outcome is null or s.outcome not in ('held', 'rejected')
order by i.line_no;
