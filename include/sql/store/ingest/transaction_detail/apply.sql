-- Bring the lines into store.transaction_line, with the releases that they are the first to report.

-- Who publishes a release is settled by its earliest report (order of files, then line), in whatever order files load:
-- a report by a later file yields to this one, an earlier report stands. What a person set (no load) stands for ever.
create temp table reported on commit drop as
select f.game_id, f.platform, f.publisher_id, min(f.load_line) as load_line
from {rows} as f
where f.outcome <> 'held'
group by f.game_id, f.platform, f.publisher_id;

create temp table report on commit drop as
select distinct on (r.game_id, r.platform) r.game_id, r.platform, r.publisher_id, r.load_line
from reported as r
order by r.game_id, r.platform, r.load_line;

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

-- What the file says of publishers and does not hold; rarely any, and then the lines need not be looked through.
create temp table mismatch on commit drop as
select r.game_id, r.platform, r.publisher_id, g.publisher_id as standing_publisher_id
from reported as r
inner join store.game_release as g on r.game_id = g.game_id and r.platform = g.platform
where r.publisher_id <> g.publisher_id;

analyze mismatch;

insert into {issues} (line_no, column_name, kind, detail)
select
    f.load_line, 'publisher_ref', 'publisher_mismatch',
    format('the line says %%s, but %%s on %%s is published by %%s',
        s.publisher_ref, f.game_id, f.platform, m.standing_publisher_id)
from mismatch as m
inner join {rows} as f
    on m.game_id = f.game_id and m.platform = f.platform and m.publisher_id = f.publisher_id
inner join {stage} as s on f.load_line = s.load_line
where f.outcome <> 'held';

insert into store.transaction_line (
    transaction_id, line_no, game_id, platform, region, gross, fee, reported_net, load_id, load_line
)
select
    f.transaction_id, f.line_no, f.game_id, f.platform, f.region, f.gross_amount, f.platform_fee, f.net_amount,
    %(load_id)s, f.load_line
from {rows} as f
where f.outcome = 'inserted';

update store.transaction_line as t
set
    game_id = f.game_id, platform = f.platform, region = f.region, gross = f.gross_amount, fee = f.platform_fee,
    reported_net = f.net_amount, load_id = %(load_id)s, load_line = f.load_line
from {rows} as f
where t.transaction_id = f.transaction_id and t.line_no = f.line_no and f.outcome = 'updated';

insert into {issues} (line_no, column_name, kind, detail)
select
    f.load_line, 'net_amount', 'net_mismatch',
    format('reported %%s, but %%s - %%s is %%s',
        trim_scale(f.net_amount), trim_scale(f.gross_amount), trim_scale(f.platform_fee),
        trim_scale(f.gross_amount - f.platform_fee))
from {rows} as f
where f.outcome in ('inserted', 'updated', 'unchanged') and f.net_amount <> f.gross_amount - f.platform_fee;

insert into {issues} (line_no, column_name, kind, detail)
select
    f.load_line, 'gross_amount', 'wrong_sign',
    format('%%s in a line of a %%s', trim_scale(f.gross_amount), f.transaction_type)
from {rows} as f
where f.outcome in ('inserted', 'updated', 'unchanged')
    and case when f.transaction_type = 'sale' then f.gross_amount < 0 else f.gross_amount > 0 end;

-- Of each transaction of which this file has changed a line: whether all its lines, whatever files they came from, make
-- its total. Lines that stood already were looked at by the file that brought them. This file's lines are added up as
-- they are at hand; most often there are no others, and those that there are bear another load's number. The rows lie
-- in the order of their transactions, so sorting them is quick, and then one sum at a time is kept, not millions.
create temp table own_total on commit drop as
select
    -- As the table has it: its index serves no other collation.
    f.transaction_id collate "default" as transaction_id,
    min(f.transaction_type) as transaction_type, min(f.reported_total) as reported_total,
    max(f.load_line) as load_line, count(*) as lines, sum(f.amount) as amount
from (
    select
        r.transaction_id collate "C" as transaction_id, r.transaction_type, r.reported_total, r.load_line,
        store.amount_of_line(r.transaction_type, r.gross_amount, r.platform_fee) as amount
    from {rows} as r
    where r.outcome in ('inserted', 'updated')
    order by r.transaction_id collate "C"
    offset 0
) as f
group by f.transaction_id;

analyze own_total;

insert into {issues} (line_no, column_name, kind, detail)
select
    b.load_line, 'transaction_id', 'total_mismatch',
    format('transaction %%s reports %%s, but its %%s lines add up to %%s',
        b.transaction_id, trim_scale(b.reported_total), b.lines, trim_scale(b.expected_total))
from (
    select
        n.transaction_id, n.reported_total, n.load_line, n.lines + coalesce(o.lines, 0) as lines,
        n.amount + coalesce(o.amount, 0) as expected_total
    from own_total as n
    left join (
        select
            own.transaction_id, count(*) as lines,
            sum(store.amount_of_line(own.transaction_type, l.gross, l.fee)) as amount
        from own_total as own
        inner join store.transaction_line as l on own.transaction_id = l.transaction_id
        where l.load_id is distinct from %(load_id)s
        group by own.transaction_id
    ) as o on n.transaction_id = o.transaction_id
) as b
where b.reported_total <> b.expected_total;
