-- What people have said that holds now of one alias.
select c.correction_id, c.alias, c.stands_for, c.made_by, c.made_at
from ops.alias_correction as c
where c.dataset = %(dataset)s and c.alias_is = %(alias_is)s and c.alias_key = %(alias_key)s and c.removed_at is null;
