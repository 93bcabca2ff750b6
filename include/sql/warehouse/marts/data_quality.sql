-- Data quality: what was found in each file, by reason.
-- Grain: a load, what became of the rows (rejected, held, issue), the column and the reason. A file that is wrong as
-- a whole is one finding, outcome file. load_id and object_key lead to the raw lines, which only the store has.
delete from mart.data_quality;

insert into mart.data_quality (
    file_load_id, load_id, dataset, object_key, finished_at, outcome, column_name, reason, findings, read
)
select
    k.file_load_id, k.load_id, k.dataset, k.object_key, k.finished_at, f.outcome, f.column_name, f.reason, f.findings,
    k.read
from ops.load_finding as f
inner join ops.load_account as k on f.load_id = k.load_id
union all
select
    k.file_load_id, k.load_id, k.dataset, k.object_key, k.finished_at, 'file' as outcome, '' as column_name,
    split_part(k.reason, ':', 1) as reason, 1 as findings, k.read
from ops.load_account as k
where k.status = 'rejected';
