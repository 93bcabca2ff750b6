-- What freeze.sql would freeze, and some of the customers.
with audience as materialized (
    {audience}
)

select
    count(*) as customers,
    count(*) filter (where not a.opted_in) as opted_out,
    array(
        select s.customer_id
        from audience as s
        where s.opted_in
        order by s.customer_id
        limit %(samples)s
    ) as samples
from audience as a
