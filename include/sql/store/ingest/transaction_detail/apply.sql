-- Bring the staged lines into store.transaction_line, with the releases that they are the first to report.

-- Who publishes a release is settled by its earliest report (order of files, then line), in whatever order files load:
-- a report by a later file yields to this one, an earlier report stands. What a person set (no load) stands for ever.
create temp table report on commit drop as
select distinct on (s.game_id, s.platform) s.game_id, s.platform, s.publisher_id, s.load_line
from {stage} as s
where s.outcome is distinct from 'held'
order by s.game_id, s.platform, s.load_line;

insert into {issues} (line_no, column_name, kind, detail)
select
    r.load_line, 'publisher_ref', 'publisher_mismatch',
    format('%%s on %%s is published by %%s since this line: a later file (load %%s, line %%s) had said %%s',
        r.game_id, r.platform, r.publisher_id, g.load_id, g.load_line, g.publisher_id)
from report as r
inner join store.game_release as g on r.game_id = g.game_id and r.platform = g.platform
where r.publisher_id <> g.publisher_id
    and ops.is_later(g.load_id, g.load_line, r.load_line, %(later_loads)s, %(same_file)s);

insert into store.game_release as g (game_id, platform, publisher_id, load_id, load_line)
select r.game_id, r.platform, r.publisher_id, %(load_id)s, r.load_line
from report as r
on conflict (game_id, platform) do update
set publisher_id = excluded.publisher_id, load_id = excluded.load_id, load_line = excluded.load_line
where ops.is_later(g.load_id, g.load_line, excluded.load_line, %(later_loads)s, %(same_file)s)
    -- The earliest report itself, read again: it may resolve to another publisher by now.
    or (
        g.load_id = any(%(same_file)s) and g.load_line = excluded.load_line
        and g.publisher_id <> excluded.publisher_id
    );

insert into {issues} (line_no, column_name, kind, detail)
select
    s.load_line, 'publisher_ref', 'publisher_mismatch',
    format('the line says %%s, but %%s on %%s is published by %%s',
        s.publisher_ref, s.game_id, s.platform, g.publisher_id)
from {stage} as s
inner join store.game_release as g on s.game_id = g.game_id and s.platform = g.platform
where s.outcome is distinct from 'held'
    and s.publisher_id <> g.publisher_id;

update {stage} as s
set outcome = case
    when t.transaction_id is null then 'inserted'
    when ops.is_later(t.load_id, t.load_line, s.load_line, %(later_loads)s, %(same_file)s) then 'superseded'
    when %(contested)s and exists (
        select 1 from ops.confirmation as c
        where c.table_name = 'store.transaction_line'
            and c.key = jsonb_build_object('transaction_id', t.transaction_id, 'line_no', t.line_no)
            and ops.is_later(c.load_id, c.load_line, s.load_line, %(later_loads)s, %(same_file)s)
    ) then 'superseded'
    when (t.game_id, t.platform, t.region, t.gross, t.fee, t.reported_net)
        is not distinct from (p.game_id, p.platform, p.region, p.gross_amount, p.platform_fee, p.net_amount)
        then 'unchanged'
    else 'updated'
end
from {stage} as p
left join store.transaction_line as t on p.transaction_id = t.transaction_id and p.line_no = t.line_no
where s.load_line = p.load_line and s.outcome is null;

insert into store.transaction_line (
    transaction_id, line_no, game_id, platform, region, gross, fee, reported_net, load_id, load_line
)
select
    s.transaction_id, s.line_no, s.game_id, s.platform, s.region, s.gross_amount, s.platform_fee, s.net_amount,
    %(load_id)s, s.load_line
from {stage} as s
where s.outcome = 'inserted'
order by s.transaction_id, s.line_no;

update store.transaction_line as t
set
    game_id = s.game_id, platform = s.platform, region = s.region, gross = s.gross_amount, fee = s.platform_fee,
    reported_net = s.net_amount, load_id = %(load_id)s, load_line = s.load_line
from {stage} as s
where t.transaction_id = s.transaction_id and t.line_no = s.line_no and s.outcome = 'updated';

insert into ops.confirmation as c (table_name, key, load_id, load_line)
select
    'store.transaction_line',
    jsonb_build_object('transaction_id', s.transaction_id, 'line_no', s.line_no), %(load_id)s, s.load_line
from {stage} as s
where s.outcome = 'unchanged'
on conflict (table_name, key) do update set load_id = excluded.load_id, load_line = excluded.load_line;

insert into {issues} (line_no, column_name, kind, detail)
select
    s.load_line, 'net_amount', 'net_mismatch',
    format('reported %%s, but %%s - %%s is %%s',
        trim_scale(s.net_amount), trim_scale(s.gross_amount), trim_scale(s.platform_fee),
        trim_scale(s.gross_amount - s.platform_fee))
from {stage} as s
where s.outcome in ('inserted', 'updated', 'unchanged') and s.net_amount <> s.gross_amount - s.platform_fee;

insert into {issues} (line_no, column_name, kind, detail)
select
    s.load_line, 'gross_amount', 'wrong_sign',
    format('%%s in a line of a %%s', trim_scale(s.gross_amount), t.type)
from {stage} as s
inner join store.transaction as t on s.transaction_id = t.transaction_id
where s.outcome in ('inserted', 'updated', 'unchanged')
    and case when t.type = 'sale' then s.gross_amount < 0 else s.gross_amount > 0 end;

insert into {issues} (line_no, column_name, kind, detail)
select
    touched.load_line, 'transaction_id', 'total_mismatch',
    format('transaction %%s reports %%s, but its %%s lines add up to %%s',
        touched.transaction_id, trim_scale(b.reported_total), b.lines, trim_scale(b.expected_total))
from (
    select s.transaction_id, max(s.load_line) as load_line
    from {stage} as s
    where s.outcome in ('inserted', 'updated', 'unchanged')
    group by s.transaction_id
) as touched
cross join lateral (
    select b.reported_total, b.lines, b.expected_total
    from store.transaction_balance as b
    where b.transaction_id = touched.transaction_id
) as b
where b.reported_total <> b.expected_total;
