-- The source ids that one stands for by what people have said, to the end of the chain.
with recursive chain as (
    select c.stands_for
    from ops.alias_correction as c
    where c.dataset = %(dataset)s and c.alias_is = 'id' and c.removed_at is null and c.alias_key = %(stands_for)s
    union
    select c.stands_for
    from chain as o
    inner join ops.alias_correction as c on o.stands_for = c.alias_key
    where c.dataset = %(dataset)s and c.alias_is = 'id' and c.removed_at is null
)

select o.stands_for
from chain as o;
