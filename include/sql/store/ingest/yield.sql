-- A row yields, too, when a later file (or a later line of this one, loaded before) has reported the row that stands
-- just as it stood. Asked only of a file that others came after, or that was loaded before: no other can meet one.
create temp table candidate on commit drop as
select
    f.load_line,
    {key} collate "C" as key
from {rows} as f
where f.outcome in ('unchanged', 'updated');

create index on candidate (key);

analyze candidate;

update {rows} as f
set outcome = 'superseded'
from candidate as n
inner join (
    select k.key, c.load_id, k.load_line
    from ops.confirmation as c
    cross join lateral unnest(c.keys, c.load_lines) as k (key, load_line)
    where c.dataset = %(dataset)s
        and c.load_id = any(%(later_loads)s || %(same_file)s)
        and exists (select 1 from candidate as m where m.key between c.first_key and c.last_key)
) as c on n.key = c.key
where f.load_line = n.load_line
    and ops.is_later(c.load_id, c.load_line, n.load_line, %(later_loads)s, %(same_file)s);
