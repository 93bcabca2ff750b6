-- What a worker needs to know of the customers of a chunk. Whoever is gone is not there.
select
    c.customer_id,
    c.ref,
    c.name,
    c.locale,
    c.time_zone,
    c.country_code as country,
    %(is_service)s or coalesce(c.marketing_opt_in, false) as opted_in
from store.customer as c
where c.customer_id = any(%(customers)s)
order by c.customer_id
