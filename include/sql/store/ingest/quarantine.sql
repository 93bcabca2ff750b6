-- Keep as data what the dataset's own SQL held or rejected, and the issues of the rows that were accepted.
create temp table refused on commit drop as
select f.load_line, f.refusal, s.raw
from {rows} as f
inner join {stage} as s on f.load_line = s.load_line
where f.outcome in ('held', 'rejected');

insert into ops.rejected_row (load_id, line_no, column_name, reason, detail, raw)
select %(load_id)s, r.load_line, (r.refusal).reason_column, (r.refusal).reason, (r.refusal).detail, r.raw
from refused as r
where (r.refusal).outcome = 'rejected';

insert into ops.held_row (load_id, line_no, column_name, reason, detail, raw, ref_dataset, ref_value, ref_key)
select
    %(load_id)s, r.load_line, (r.refusal).reason_column, (r.refusal).reason, (r.refusal).detail, r.raw,
    (r.refusal).ref_dataset, (r.refusal).ref_value, (r.refusal).ref_key
from refused as r
where (r.refusal).outcome = 'held';

insert into ops.issue (load_id, line_no, column_name, kind, detail)
select %(load_id)s, i.line_no, i.column_name, i.kind, i.detail
from {issues} as i
where not exists (select 1 from refused as r where r.load_line = i.line_no)
order by i.line_no;
