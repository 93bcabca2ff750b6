-- The names of source ids that stand for others than before: what a dataset's settle.sql looks at.
create temp table affected on commit drop as
select distinct a.{name_key}
from {aliases} as a
where a.alias_id = any(%(ids)s);
